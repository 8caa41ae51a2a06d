//! Read-through caches and Redis, where a user stands; what needs a real Redis is skipped with a word where it is not
//! installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod flights;
mod lifetimes;
mod model;
mod names;
mod outage;
mod redis;
mod tags;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use outrigger::Metrics;
use outrigger_semconv::{Metric, cache, label};
use support::Page;
use tokio::sync::Semaphore;

const NAME: &str = "products";

fn fresh() -> Metrics {
    outrigger::standalone().unwrap()
}

/// A counter of our cache with these labels beside its name; 0 if there is none.
fn number(metrics: &Metrics, metric: &Metric, labels: &[(&str, &str)]) -> f64 {
    of_page(&Page::of(metrics), metric, labels)
}

fn of_page(page: &Page, metric: &Metric, labels: &[(&str, &str)]) -> f64 {
    let mut all = vec![(label::CACHE_NAME, NAME)];
    all.extend(labels);
    page.number(metric, &all).unwrap_or_default()
}

/// Whether Redis is asked; `None` if the page does not say.
fn available(page: &Page) -> Option<f64> {
    page.number(&cache::TIER_AVAILABLE, &[(label::CACHE_NAME, NAME), (label::CACHE_TIER, "redis")])
}

/// Hits and misses of the cache as a whole.
fn look_ups(metrics: &Metrics) -> (f64, f64) {
    let of = |result| number(metrics, &cache::REQUESTS, &[(label::CACHE_RESULT, result)]);
    (of("hit"), of("miss"))
}

fn tier(page: &Page, tier: &str, result: &str) -> f64 {
    of_page(page, &cache::TIER_REQUESTS, &[(label::CACHE_TIER, tier), (label::CACHE_RESULT, result)])
}

/// What a loader stands on: it counts loads, and can be made to wait, to fail, or to panic.
#[derive(Clone)]
struct Source {
    loads: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

impl Source {
    fn open() -> Self {
        let source = Self::closed();
        source.gate.add_permits(Semaphore::MAX_PERMITS / 2);
        source
    }

    /// Nothing comes through before [`let_through`](Self::let_through).
    fn closed() -> Self {
        Self { loads: Arc::default(), gate: Arc::new(Semaphore::new(0)), fails: Arc::default(), panics: Arc::default() }
    }

    fn let_through(&self, loads: usize) {
        self.gate.add_permits(loads);
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The number of the load, read when it begins.
    async fn load(self) -> Result<usize, std::io::Error> {
        let number = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        self.gate.acquire().await.unwrap().forget();
        assert!(!self.panics.load(Ordering::SeqCst), "on purpose");
        if self.fails.load(Ordering::SeqCst) { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(number) }
    }
}
