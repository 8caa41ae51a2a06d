//! The admin listener: `/metrics` and health on a port of its own, away from the service's users.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = outrigger::install()?;
//! metrics.serve_admin();
//! # Ok(())
//! # }
//! ```
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | the page; 503 when these [`Metrics`] have none |
//! | `/-/healthy` | 200 while the listener runs |
//! | `/-/ready` | 200 when the service is ready, else 503; see [`Admin::readiness`] |
//!
//! The page of our recorder comes in the format that `Accept` weighs highest: OpenMetrics 1.0, Prometheus protobuf (with
//! the feature `protobuf`) or else the Prometheus text format 0.0.4. Other pages are in the text format. `HEAD` is answered without making a page, and what
//! `Accept-Encoding: gzip` asks for is compressed.
//!
//! It listens on 127.0.0.1:9464; the environment variable `OUTRIGGER_ADMIN_LISTEN` (`host:port`) overrides that, and
//! [`Admin::listen`] overrides both. **It never stops the service**: an address that is taken is logged, counted in
//! `outrigger_admin_bind_failures_total`, and tried again after 1 to 30 seconds until it is free; an address that cannot
//! be read is logged and counted once.
//!
//! Routes of your own go beside ours, out of sight of the public router:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! # async fn example(metrics: outrigger::Metrics) {
//! let router: Router = metrics.admin_router().route("/version", get(|| async { "1.2.3" }));
//! metrics.admin().router(router).listen(([127, 0, 0, 1], 9464)).serve();
//! # }
//! ```
//!
//! # Limits
//!
//! 64 connections at a time, and more wait to be accepted; ten seconds for a request's headers; five minutes for a
//! connection. The page of our recorder is made and sent in pieces of at most 64 KiB, as fast as the client reads it, and
//! is nowhere as a whole; a client that leaves takes the rest with it. Collectors run before, on Tokio's blocking pool,
//! and so is a page rendered that is made by a function of yours, or by the exporter. What panics in there costs that page:
//! the answer is a 500, and the log says why.

mod bind;
mod body;
mod page;
mod scrape;
mod serve;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::bind::Address;
use crate::Metrics;

impl Metrics {
    /// Serves the admin page where it is expected: [`admin()`](Self::admin) with its defaults.
    ///
    /// Call it within a Tokio runtime. The listener runs in a task of its own; the handle may be dropped.
    pub fn serve_admin(&self) -> AdminListener {
        self.admin().serve()
    }

    /// The admin listener, to be adjusted before it serves.
    pub fn admin(&self) -> Admin {
        Admin { metrics: self.clone(), address: None, router: None, ready: None }
    }

    /// The routes of the admin listener, to be extended or mounted elsewhere. `/-/ready` always says yes here.
    pub fn admin_router(&self) -> Router {
        router(self, Arc::new(|| true))
    }
}

/// Settings of the admin listener. See the [module](self).
#[must_use = "nothing listens until `serve()` is called"]
pub struct Admin {
    metrics: Metrics,
    address: Option<SocketAddr>,
    router: Option<Router>,
    ready: Option<Ready>,
}

type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

impl Admin {
    /// Where to listen. Port 0 takes a free one.
    ///
    /// Defaults to `OUTRIGGER_ADMIN_LISTEN`, else 127.0.0.1:9464.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// What to serve. Defaults to [`Metrics::admin_router`]; a router given here is served as it is.
    pub fn router(mut self, router: Router) -> Self {
        self.router = Some(router);
        self
    }

    /// Asked at each `/-/ready`, and must not block. Defaults to always ready; not used with a
    /// [`router`](Self::router) of your own.
    pub fn readiness(mut self, ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.ready = Some(Arc::new(ready));
        self
    }

    /// Binds, or goes on trying, and serves from a task of its own until [`AdminListener::shutdown`].
    ///
    /// Call it within a Tokio runtime that has I/O and time enabled, as `#[tokio::main]` has; outside of one, that is
    /// logged and counted as a failure to bind.
    pub fn serve(self) -> AdminListener {
        let Self { metrics, address, router: own, ready } = self;
        let router = own.unwrap_or_else(|| router(&metrics, ready.unwrap_or_else(|| Arc::new(|| true))));
        bind::serve(metrics, Address::chosen(address), router)
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("metrics", &self.metrics).field("address", &self.address).finish_non_exhaustive()
    }
}

/// A running admin listener. Dropping it leaves the listener running.
#[derive(Debug)]
pub struct AdminListener {
    bound: watch::Receiver<Option<SocketAddr>>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl AdminListener {
    /// Where it listens, or `None` while it could not bind.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        *self.bound.borrow()
    }

    /// Waits until it is bound; `None` when it never will be, because its address cannot be read.
    pub async fn bound(&self) -> Option<SocketAddr> {
        let mut bound = self.bound.clone();
        bound.wait_for(Option::is_some).await.ok().and_then(|address| *address)
    }

    /// Stops accepting, lets the answers under way end for at most five seconds, and returns when the port is free.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task {
            // It can only fail by a panic within, which Tokio has reported.
            let _ = task.await;
        }
    }
}

fn router(metrics: &Metrics, ready: Ready) -> Router {
    let health = Router::new()
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .route("/-/ready", get(readiness))
        .with_state(ready);
    let watch = axum::middleware::from_fn_with_state(metrics.clone(), scrape::watch);
    page::routes().with_state(metrics.clone()).route_layer(watch).merge(health)
}

async fn readiness(State(ready): State<Ready>) -> Response {
    match ready() {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}
