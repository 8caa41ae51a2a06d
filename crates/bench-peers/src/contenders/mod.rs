//! Routers that differ in nothing but their metrics. To add one: a file here, and its line in [`all`].

#[cfg(feature = "peers")]
mod axum_prometheus;
mod bare;
#[cfg(feature = "peers")]
mod exporter;
#[cfg(feature = "peers")]
mod opentelemetry;
mod ours;
#[cfg(feature = "peers")]
mod prometheus;
#[cfg(feature = "peers")]
pub(crate) mod prometheus_client;

use crate::Result;
use axum::Router;
use axum::extract::Path;
#[cfg(feature = "peers")]
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::routing::{get, post};

/// A router with its metrics, and what the library asks its user to do beside.
pub struct Service {
    pub router: Router,
    /// The page that a scrape gets, or as near to it as the library comes.
    pub page: Box<dyn Fn() -> Vec<u8>>,
    /// What has to run every few seconds.
    pub upkeep: Box<dyn Fn()>,
}

impl Service {
    fn new(router: Router, page: impl Fn() -> Vec<u8> + 'static) -> Self {
        Self { router, page: Box::new(page), upkeep: Box::new(|| {}) }
    }

    fn with_upkeep(self, upkeep: impl Fn() + 'static) -> Self {
        Self { upkeep: Box::new(upkeep), ..self }
    }
}

pub struct Contender {
    pub name: &'static str,
    pub about: &'static str,
    pub build: fn() -> Result<Service>,
}

/// Every contender that is compiled in. The first is what the others are compared with.
pub fn all() -> Vec<Contender> {
    vec![
        Contender { name: "bare", about: "axum alone", build: bare::without_layer },
        Contender { name: "bare-layer", about: "a layer that does nothing", build: bare::with_layer },
        Contender { name: "outrigger", about: "the default layer", build: ours::default },
        Contender { name: "outrigger-sizes", about: "with body sizes", build: ours::sizes },
        Contender { name: "outrigger-headers", about: "until the headers", build: ours::until_headers },
        Contender { name: "outrigger-exporter", about: "over metrics-exporter-prometheus", build: ours::exporter },
        #[cfg(feature = "peers")]
        Contender { name: "axum-prometheus", about: "its BaseMetricLayer", build: axum_prometheus::default },
        #[cfg(feature = "peers")]
        Contender { name: "axum-prometheus-sizes", about: "with response sizes", build: axum_prometheus::sizes },
        #[cfg(feature = "peers")]
        Contender { name: "axum-otel-metrics", about: "has sizes always", build: opentelemetry::axum_otel_metrics },
        #[cfg(feature = "peers")]
        Contender {
            name: "otel-tower",
            about: "opentelemetry-instrumentation-tower, no tracing; has sizes always",
            build: opentelemetry::tower,
        },
        #[cfg(feature = "peers")]
        Contender { name: "prometheus", about: "by hand: HistogramVec, to the headers", build: prometheus::by_hand },
        #[cfg(feature = "peers")]
        Contender {
            name: "prometheus-client",
            about: "by hand: Family, to the headers",
            build: prometheus_client::by_hand,
        },
        #[cfg(feature = "peers")]
        Contender { name: "exporter", about: "by hand: histogram! macro, to the headers", build: exporter::by_hand },
    ]
}

pub fn find(name: &str) -> Result<Contender> {
    let found = all().into_iter().find(|contender| contender.name == name);
    found.ok_or_else(|| format!("no contender {name:?} is compiled in").into())
}

/// The routes that every contender wraps. Requests go to the first three; the others keep the tree of routes from
/// being a special case.
fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/products/{id}", get(product))
        .route("/orders", post(|| async { StatusCode::CREATED }))
        .route("/search", get(|| async { "nothing found" }))
        .route("/cart", get(|| async { "an empty cart" }))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
}

async fn product(Path(id): Path<u64>) -> &'static str {
    if id == 0 { "no such paddle" } else { "a paddle" }
}

/// The route's template, as those write it down who make their middleware by hand.
#[cfg(feature = "peers")]
fn template(request: &Request) -> String {
    let path = request.extensions().get::<MatchedPath>();
    path.map_or_else(|| "_unmatched".to_owned(), |path| path.as_str().to_owned())
}
