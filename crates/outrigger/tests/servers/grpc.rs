//! gRPC, as tonic speaks it: the outcome stands in the headers or below the body.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use axum::routing::post;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::{BodyExt, Empty, Full};
use outrigger::Metrics;
use outrigger_semconv::label;
use tokio::net::TcpListener;
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status, client, server};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::served::{Labels, Served};

pub(crate) async fn statuses_are_read_from_headers_and_trailers(metrics: Metrics) {
    let app = methods().layer(metrics.http_layer());
    let served = Served::by_axum(metrics, app).await;
    let mut client = connect(&served).await;
    for code in 0..=16 {
        let answer = unary(&mut client, "/test.Echo/Unary", code).await;
        assert_eq!(code_of(&answer), code);
        served.counted("one message", &seen("/test.Echo/Unary", code), 1).await;

        let mut answers = streaming(&mut client, "/test.Echo/Stream", code).await.expect("a stream");
        let mut last = Code::Ok;
        let mut messages = 0;
        while let Some(answer) = answers.next().await {
            messages += u32::from(answer.is_ok());
            last = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        }
        assert_eq!((messages, last as i32), (2, code));
        served.counted("after two messages", &seen("/test.Echo/Stream", code), 1).await;
    }
    served.ended(34).await;
}

pub(crate) async fn streams_that_are_cut_are_cancelled(metrics: Metrics) {
    let app = methods().layer(metrics.http_layer());
    let served = Served::by_axum(metrics, app).await;
    let mut client = connect(&served).await;

    let mut waiting = Box::pin(unary(&mut client, "/test.Echo/Never", 0));
    tokio::select! {
        _ = &mut waiting => panic!("it never answers"),
        () = served.in_flight(1) => {}
    }
    drop(waiting);
    served.counted("before the headers", &Labels::of("POST", "/test.Echo/Never").error("cancelled"), 1).await;

    let mut answers = streaming(&mut client, "/test.Echo/Endless", 0).await.expect("a stream");
    assert!(answers.next().await.expect("a message").is_ok());
    served.in_flight(1).await;
    drop(answers);
    let cut = Labels::of("POST", "/test.Echo/Endless").status("200").error("cancelled");
    served.counted("within the stream", &cut, 1).await;

    // The client's own deadline: it resets the stream.
    let answer = unary_within(&mut client, "/test.Echo/Never", SHORT).await;
    assert!(answer.is_err());
    served.counted("a deadline", &Labels::of("POST", "/test.Echo/Never").error("cancelled"), 2).await;
    served.ended(3).await;
}

pub(crate) async fn a_status_below_a_body_of_known_length_is_read(metrics: Metrics) {
    // As who answers without a framework may do: the length is known, and yet there is more to come than the bytes.
    let app = Router::new()
        .route("/test.Echo/Full", post(|| async { by_hand(Full::from(ONE_MESSAGE)) }))
        .route("/test.Echo/Empty", post(|| async { by_hand(Empty::new()) }))
        .layer(metrics.http_layer());
    let served = Served::by_axum(metrics, app).await;
    let mut client = connect(&served).await;
    for route in ["/test.Echo/Full", "/test.Echo/Empty"] {
        let mut answers = streaming(&mut client, route, 0).await.expect("a stream");
        let mut last = Code::Ok;
        while let Some(answer) = answers.next().await {
            last = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        }
        assert_eq!(last, Code::Unavailable, "{route}");
        served.counted(route, &seen(route, 14), 1).await;
    }
    served.ended(2).await;
}

fn by_hand(body: impl HttpBody<Data = Bytes, Error = Infallible> + Send + 'static) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("14"))]);
    let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
    Response::builder().header(header::CONTENT_TYPE, "application/grpc").body(Body::new(body)).expect("a response")
}

/// Neither compressed nor of any length: the empty text.
const ONE_MESSAGE: &[u8] = &[0, 0, 0, 0, 0];

pub(crate) async fn a_server_of_tonic_is_counted(metrics: Metrics) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = Served { metrics, address: listener.local_addr().unwrap() };
    let layer = served.metrics.http_layer().route_with(|_, uri| match uri.path() {
        "/test.Echo/Unary" => Some("/test.Echo/Unary"),
        _ => None,
    });
    let server = Server::builder().layer(layer).add_service(Echo(methods()));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let mut client = connect(&served).await;
    let route = label::UNMATCHED_ROUTE;

    for code in [0, 5, 14] {
        assert_eq!(code_of(&unary(&mut client, "/test.Echo/Unary", code).await), code);
        served.counted("one message", &seen("/test.Echo/Unary", code), 1).await;
    }
    // What the server itself answers is seen too.
    assert_eq!(code_of(&unary(&mut client, "/test.Other/Unary", 0).await), Code::Unimplemented as i32);
    served.counted("an unknown service", &seen(route, 12), 1).await;

    // The server's deadline is outside of the layer, and drops the request there.
    assert!(unary_within(&mut client, "/test.Echo/Never", SHORT).await.is_err());
    served.counted("a deadline", &Labels::of("POST", route).error("cancelled"), 1).await;
    served.ended(5).await;
}

/// Long enough for a call over loopback to begin, as a deadline.
const SHORT: Duration = Duration::from_millis(200);

/// What is counted of a call that ended with this code.
fn seen(route: &str, code: i32) -> Labels {
    let labels = Labels::of("POST", route).status("200").with(label::RPC_GRPC_STATUS_CODE, &code.to_string());
    match code {
        2 => labels.error("UNKNOWN"),
        4 => labels.error("DEADLINE_EXCEEDED"),
        12 => labels.error("UNIMPLEMENTED"),
        13 => labels.error("INTERNAL"),
        14 => labels.error("UNAVAILABLE"),
        15 => labels.error("DATA_LOSS"),
        _ => labels,
    }
}

/// The methods of a service, as generated code has them. A message is the code that the call shall end with.
fn methods() -> Router {
    Router::new()
        .route("/test.Echo/Unary", post(unary_method))
        .route("/test.Echo/Stream", post(|request| stream_method(request, true)))
        .route("/test.Echo/Endless", post(|request| stream_method(request, false)))
        .route("/test.Echo/Never", post(std::future::pending::<()>))
}

async fn unary_method(request: Request<Body>) -> Response<tonic::body::Body> {
    let method = service_fn(async |request: tonic::Request<String>| {
        let status = status(request.get_ref());
        if status.code() == Code::Ok { Ok(tonic::Response::new("done".to_owned())) } else { Err(status) }
    });
    server::Grpc::new(codec()).unary(method, request).await
}

async fn stream_method(request: Request<Body>, ends: bool) -> Response<tonic::body::Body> {
    let method = service_fn(move |request: tonic::Request<String>| async move {
        let status = status(request.get_ref());
        let messages = stream::iter(["one", "two"].map(|message| Ok(message.to_owned())));
        let end = match (ends, status.code()) {
            (false, _) => stream::pending().boxed(),
            (true, Code::Ok) => stream::empty().boxed(),
            (true, _) => stream::iter([Err(status)]).boxed(),
        };
        Ok::<_, Status>(tonic::Response::new(messages.chain(end)))
    });
    server::Grpc::new(codec()).server_streaming(method, request).await
}

fn status(message: &str) -> Status {
    Status::new(Code::from_i32(message.parse().expect("a code")), "on purpose")
}

fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

/// The methods as a service that tonic's server takes.
#[derive(Clone)]
struct Echo(Router);

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<Request<tonic::body::Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        self.0.call(request.map(Body::new)).boxed()
    }
}

type Client = client::Grpc<Channel>;

async fn connect(served: &Served) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", served.address)).expect("an endpoint");
    client::Grpc::new(endpoint.connect().await.expect("it listens"))
}

async fn unary(client: &mut Client, path: &'static str, code: i32) -> Result<tonic::Response<String>, Status> {
    client.ready().await.expect("it is connected");
    client.unary(tonic::Request::new(code.to_string()), PathAndQuery::from_static(path), codec()).await
}

async fn unary_within(
    client: &mut Client,
    path: &'static str,
    deadline: Duration,
) -> Result<tonic::Response<String>, Status> {
    let mut request = tonic::Request::new("0".to_owned());
    request.set_timeout(deadline);
    client.ready().await.expect("it is connected");
    client.unary(request, PathAndQuery::from_static(path), codec()).await
}

async fn streaming(client: &mut Client, path: &'static str, code: i32) -> Result<tonic::Streaming<String>, Status> {
    client.ready().await.expect("it is connected");
    let request = tonic::Request::new(code.to_string());
    Ok(client.server_streaming(request, PathAndQuery::from_static(path), codec()).await?.into_inner())
}

fn code_of(answer: &Result<tonic::Response<String>, Status>) -> i32 {
    answer.as_ref().map_or_else(|status| status.code() as i32, |_| 0)
}
