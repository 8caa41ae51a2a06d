//! What the visitor may like as well: another service, asked once for each request, which the shop waits for.
//!
//! It is a simulation inside the shop behind a client like any other. What matters is the layer round that client: it times
//! each call, so that a slow answer is seen to be this service's.

use http::{Request, Response};
use http_body_util::Empty;
use outrigger::Metrics;
use outrigger::client::{ClientMetrics, UrlTemplate};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Layer, Service, ServiceExt};

/// The way to the service.
#[derive(Clone)]
pub(crate) struct Recommendations {
    client: ClientMetrics<Simulation>,
}

impl Recommendations {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self { client: metrics.client_layer().layer(Simulation) }
    }

    /// Asks, and waits for the answer, which takes so long.
    pub(crate) async fn ask(&self, takes: Duration) {
        let request = Request::get("http://recommendations.example/visitors/7")
            .extension(UrlTemplate("/visitors/{id}"))
            .extension(Takes(takes))
            .body(Empty::<bytes::Bytes>::new());
        if let Ok(request) = request
            && let Ok(response) = self.client.clone().oneshot(request).await
        {
            // Read to its end, which is when the call has ended.
            let _ = http_body_util::BodyExt::collect(response.into_body()).await;
        }
    }
}

/// How long the simulation takes to answer.
#[derive(Clone, Copy)]
struct Takes(Duration);

/// The other side.
#[derive(Clone)]
struct Simulation;

impl<B> Service<Request<B>> for Simulation {
    type Response = Response<Empty<bytes::Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Takes(takes) = request.extensions().get().copied().unwrap_or(Takes(Duration::ZERO));
        Box::pin(async move {
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            Ok(Response::new(Empty::new()))
        })
    }
}
