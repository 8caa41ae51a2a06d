//! Profiles as those who ask for them get them, and what the process asked lives through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod decode;
mod no_folder;
mod requests;
#[path = "../support/mod.rs"]
mod support;
mod survival;

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use outrigger::Metrics;
use outrigger::admin::AdminListener;
use outrigger_testkit::http::{Response, request};
use tokio::sync::{Mutex, MutexGuard};

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// There is one profiler per process, and these tests share one.
static ALONE: Mutex<()> = Mutex::const_new(());

struct Served {
    metrics: Metrics,
    listener: AdminListener,
    address: SocketAddr,
    _alone: MutexGuard<'static, ()>,
}

impl Served {
    async fn new() -> Self {
        let alone = ALONE.lock().await;
        let metrics = outrigger::standalone().unwrap();
        let listener = metrics.admin().listen(ANY_PORT).serve();
        let address = listener.local_addr().expect("a free port");
        Self { metrics, listener, address, _alone: alone }
    }

    async fn ask(&self, method: &'static str, path: &str) -> Response {
        ask(self.address, method, path).await
    }
}

async fn ask(address: SocketAddr, method: &'static str, path: &str) -> Response {
    let url = format!("http://{address}{path}");
    let asked = tokio::task::spawn_blocking(move || request(method, &url, &[], b"", Duration::from_secs(90)).unwrap());
    asked.await.unwrap()
}

/// A thread that does nothing but use the CPU, in a function that a profile must name.
struct Busy {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Busy {
    fn new() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = Builder::new().name("busy".to_owned()).spawn(move || spin_for_the_profile(&told)).unwrap();
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[inline(never)]
fn spin_for_the_profile(stop: &AtomicBool) -> u64 {
    let mut value = 1_u64;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..10_000 {
            value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
    value
}
