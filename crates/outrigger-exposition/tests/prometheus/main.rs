//! A real Prometheus scrapes what we write and gives back what was put in. Skipped without one, unless
//! `OUTRIGGER_REQUIRE_SERVERS=1`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../hostile/mod.rs"]
mod hostile;
mod labels;
#[cfg(feature = "protobuf")]
mod native;

use outrigger_testkit::http::{Response, Server};
use outrigger_testkit::{Prometheus, PrometheusConfig};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// A page for each `Accept` header, and the Prometheus that scrapes it.
struct Scraped {
    prometheus: Prometheus,
    scrapes: Arc<AtomicUsize>,
    _server: Server,
}

/// Serves what `page` makes of an `Accept` header (a content type and a body) and waits until it has been scraped.
fn scrape(
    config: PrometheusConfig,
    page: impl Fn(&str) -> (&'static str, Vec<u8>) + Send + Sync + 'static,
) -> Option<Scraped> {
    let scrapes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&scrapes);
    let server = Server::start(move |request| {
        counter.fetch_add(1, Ordering::Relaxed);
        let (content_type, body) = page(request.header("accept").unwrap_or(""));
        Response::text_with_type(200, content_type, body)
    });
    let config = config.interval(Duration::from_millis(500)).scrape("ours", server.address());
    let prometheus = Prometheus::start(config)?;
    prometheus.wait_value(SOON, "scrape_samples_scraped{job=\"ours\"}", |samples| {
        assert_eq!(prometheus.complaints(), Vec::<String>::new());
        samples > 0.0
    });
    Some(Scraped { prometheus, scrapes, _server: server })
}
