//! The page as scrapers get it: formats, compression, `HEAD`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod formats;

use std::net::SocketAddr;

use outrigger::Metrics;
use outrigger::admin::AdminListener;
use outrigger_testkit::http::{Response, request};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Metrics that are served, and the runtime that serves them.
struct Served {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
    _listener: AdminListener,
}

impl Served {
    fn new(metrics: Metrics) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            metrics.admin().listen(([127, 0, 0, 1], 0)).serve()
        };
        Self { address: listener.local_addr().expect("a free port"), _runtime: runtime, _listener: listener }
    }

    #[track_caller]
    fn ask(&self, method: &str, headers: &[(&str, &str)]) -> Response {
        request(method, &format!("http://{}/metrics", self.address), headers, b"", SOON).unwrap()
    }
}
