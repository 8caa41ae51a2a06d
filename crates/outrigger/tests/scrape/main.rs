//! The page as scrapers get it: formats, compression, `HEAD`, and a real Prometheus on the other side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod formats;
mod hostile;
mod native;
mod trace;

use std::net::SocketAddr;

use outrigger::Metrics;
use outrigger::admin::AdminListener;
use outrigger_testkit::http::{Response, request};
use outrigger_testkit::{Prometheus, wait_for};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Metrics that are served, and the runtime that serves them.
struct Served {
    metrics: Metrics,
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
    _listener: AdminListener,
}

impl Served {
    fn new(metrics: Metrics) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            metrics.admin().listen(([127, 0, 0, 1], 0)).serve()
        };
        Self { metrics, address: listener.local_addr().expect("a free port"), runtime, _listener: listener }
    }

    #[track_caller]
    fn ask(&self, method: &str, headers: &[(&str, &str)]) -> Response {
        request(method, &format!("http://{}/metrics", self.address), headers, b"", SOON).unwrap()
    }
}

/// Waits until the only target was scraped, and holds that it is up and that nothing was said against its page.
#[track_caller]
fn scraped_without_complaint(prometheus: &Prometheus) {
    let target = wait_for(SOON, "a scrape", || {
        let target = prometheus.targets().into_iter().next()?;
        (target["health"] != "unknown").then_some(target)
    });
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    assert_eq!(prometheus.complaints(), Vec::<String>::new());
}
