//! The agent's HTTP server: the page, `/metrics`, the API, and the probes.
//!
//! Handlers hold nothing. They ask the task that owns the state, through a bounded channel, and wait for at most
//! [`PATIENCE`]. The number of connections and the life of each are bounded.

pub(crate) mod guard;
mod incidents;
mod profiles;
mod silences;

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use outrigger_exposition::Format;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::profile::exhibit::Form;
use crate::tell::Row;
use guard::Guard;

/// A question to the owner of the state.
pub(crate) struct Query {
    pub(crate) what: What,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Metrics(Format),
    Incidents {
        limit: usize,
    },
    Incident {
        id: String,
    },
    Mark {
        id: String,
        false_alarm: bool,
        note: String,
    },
    /// The page of one incident, with its picture.
    Picture {
        id: String,
    },
    Profile {
        id: String,
        form: Form,
    },
    Silences,
    Silence {
        row: Row,
    },
    Unsilence {
        id: String,
    },
    Reload,
    Status,
    Page,
}

/// What the owner answers.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Body,
}

/// What stands in an answer.
#[derive(Debug)]
enum Body {
    Here(Bytes),
    /// In this file, to be read by whoever asked.
    File(PathBuf),
}

impl Answer {
    pub(crate) fn of(body: String) -> Self {
        Self::bytes(body.into())
    }

    pub(crate) fn bytes(bytes: Bytes) -> Self {
        Self { status: StatusCode::OK, body: Body::Here(bytes) }
    }

    pub(crate) fn file(path: PathBuf) -> Self {
        Self { status: StatusCode::OK, body: Body::File(path) }
    }

    /// What was asked for cannot be done, as the text says.
    pub(crate) fn bad(text: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, ..Self::of(text) }
    }

    /// There is no such thing, as the text says.
    pub(crate) fn nothing(text: String) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::of(text) }
    }
}

/// The owner's sign of life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    /// A whole tick was completed.
    pub(crate) ready: bool,
    /// When the owner last began a tick.
    pub(crate) at: Instant,
    /// The time between two ticks.
    pub(crate) interval: Duration,
}

/// What handlers need: a way to ask, and the owner's pulse.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) queries: mpsc::Sender<Query>,
    pub(crate) pulse: watch::Receiver<Pulse>,
    pub(crate) guard: watch::Receiver<Arc<Guard>>,
}

/// Questions that may wait for the owner.
pub(crate) const MAX_QUERIES: usize = 16;
/// The most bytes of a body.
const MAX_BODY: usize = 8 << 10;
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// How long a handler waits for the owner.
const PATIENCE: Duration = Duration::from_secs(5);

/// What peers may take up.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Open connections; more wait in the system's backlog.
    connections: usize,
    /// How long a connection may take to send a request's head, or wait between two requests.
    idle: Duration,
    /// How long a connection may be used. A peer that does not read its answer would hold its place for ever.
    lifetime: Duration,
    /// How long the answer that is under way then may still take.
    grace: Duration,
}

/// Peers that do not read lose their places within 20 s, so that a liveness probe that asks every 10 s and forgives twice,
/// as Kubernetes' do, comes through before the agent is ended. A connection anew is cheap for all others.
const BOUNDS: Bounds = Bounds {
    connections: 64,
    idle: Duration::from_secs(10),
    lifetime: Duration::from_secs(15),
    grace: Duration::from_secs(5),
};

/// Answers requests until it is dropped.
pub(crate) async fn serve(listener: TcpListener, desk: Desk) -> Infallible {
    serve_within(BOUNDS, listener, desk).await
}

async fn serve_within(bounds: Bounds, listener: TcpListener, desk: Desk) -> Infallible {
    let service = TowerToHyperService::new(router(desk));
    let permits = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { continue };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file descriptors, most likely: give others time to close theirs.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = service.clone();
        connections.spawn(async move {
            serve_connection(bounds, stream, service).await;
            drop(permit);
        });
    }
}

async fn serve_connection(bounds: Bounds, stream: TcpStream, service: TowerToHyperService<Router>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.idle);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // A client that breaks off is no event, and one that is cut off has had its time.
    if tokio::time::timeout(bounds.lifetime, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(bounds.grace, connection).await;
    }
}

fn router(desk: Desk) -> Router {
    let guarded = middleware::from_fn_with_state(desk.guard.clone(), guard::guard);
    Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/incidents/{id}", get(incidents::picture))
        .route("/api/v1/incidents", get(incidents::list))
        .route("/api/v1/incidents/{id}", get(incidents::one))
        .merge(profiles::routes())
        .route("/api/v1/incidents/{id}/mark", post(incidents::mark))
        .route("/api/v1/silences", get(silences::list).post(silences::add))
        .route("/api/v1/silences/{id}", delete(silences::end))
        .route("/api/v1/status", get(status))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(guarded)
        .with_state(desk)
}

impl Desk {
    async fn ask(&self, what: What, content_type: &'static str) -> Response {
        let (reply, answer) = oneshot::channel();
        let asked = self.queries.try_send(Query { what, reply });
        if asked.is_ok()
            && let Ok(Ok(Answer { status, body })) = tokio::time::timeout(PATIENCE, answer).await
        {
            let body = match body {
                Body::Here(bytes) => bytes,
                Body::File(path) => match profiles::read(path).await {
                    Some(bytes) => bytes,
                    None => return (StatusCode::NOT_FOUND, "the file is gone\n").into_response(),
                },
            };
            let content_type = if status.is_success() { content_type } else { PLAIN };
            let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")];
            return (status, headers, body).into_response();
        }
        (StatusCode::SERVICE_UNAVAILABLE, "the agent is busy or shutting down; ask again\n").into_response()
    }
}

async fn metrics(Shared(desk): Shared<Desk>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::from_accept(accept);
    desk.ask(What::Metrics(format), format.content_type()).await
}

async fn status(Shared(desk): Shared<Desk>) -> Response {
    desk.ask(What::Status, JSON).await
}

async fn page(Shared(desk): Shared<Desk>) -> Response {
    desk.ask(What::Page, HTML).await
}

/// Alive: the owner of the state began a tick not long ago.
async fn healthy(Shared(desk): Shared<Desk>) -> Response {
    let Pulse { at, interval, .. } = *desk.pulse.borrow();
    let silent = at.elapsed();
    if silent <= interval * 3 + PATIENCE {
        (StatusCode::OK, "healthy\n").into_response()
    } else {
        let text = format!("no tick for {} s\n", silent.as_secs());
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

/// The body of a request that changes something. Browsers send JSON to another site only if that site agrees, and this one
/// does not answer such questions. They name the page's origin with what they send to its own site too, so that a name that
/// was bound to this address later is refused.
fn json_body(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refusal> {
    not_from_pages(headers)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(JSON) {
        return Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the header Content-Type: application/json\n".to_owned(),
        ));
    }
    body.map_err(|error| (error.status(), format!("{}\n", error.body_text())))
}

fn not_from_pages(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::ORIGIN) {
        return Err((StatusCode::FORBIDDEN, "changes are not taken from pages in a browser; use curl\n".to_owned()));
    }
    Ok(())
}

/// Why a request is not taken.
type Refusal = (StatusCode, String);

fn bad(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

/// Reads the settings again. A browser that was led here by another site says so, and is refused.
async fn reload(Shared(desk): Shared<Desk>, headers: HeaderMap) -> Response {
    if headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "this is not for browsers; curl -X POST\n").into_response();
    }
    desk.ask(What::Reload, PLAIN).await
}

/// Ready: a whole tick was completed, so that all pages have something to show.
async fn ready(Shared(desk): Shared<Desk>) -> Response {
    if desk.pulse.borrow().ready {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the first tick is not complete\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than the sockets' buffers take in.
    const PAGE_BYTES: usize = 16 << 20;

    async fn ask(server: std::net::SocketAddr, path: &str) -> TcpStream {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.writable().await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert_eq!(stream.try_write(request.as_bytes()).unwrap(), request.len());
        stream
    }

    #[tokio::test]
    async fn peers_that_do_not_read_do_not_lock_probes_out() {
        let brief = Duration::from_millis(100);
        let bounds = Bounds { connections: 3, lifetime: brief, grace: brief, ..BOUNDS };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let (queries, mut questions) = mpsc::channel::<Query>(MAX_QUERIES);
        let (_pulse, pulse) =
            watch::channel(Pulse { ready: true, at: Instant::now(), interval: Duration::from_secs(60) });
        let (_guard, guard) = watch::channel(Arc::new(Guard::new(&crate::config::Settings::default())));
        tokio::spawn(serve_within(bounds, listener, Desk { queries, pulse, guard }));
        tokio::spawn(async move {
            while let Some(query) = questions.recv().await {
                let _ = query.reply.send(Answer::of("a".repeat(PAGE_BYTES)));
            }
        });

        let mut silent = Vec::new();
        for _ in 0..bounds.connections {
            let stream = ask(server, "/metrics").await;
            // The answer is under way; this peer never takes it.
            stream.readable().await.unwrap();
            silent.push(stream);
        }
        let probe = ask(server, "/-/healthy").await;
        let answered = tokio::time::timeout(Duration::from_secs(30), probe.readable()).await;
        answered.expect("the probe is answered").unwrap();
        let mut answer = [0; 15];
        assert_eq!(probe.try_read(&mut answer).unwrap(), answer.len());
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        drop(silent);
    }
}
