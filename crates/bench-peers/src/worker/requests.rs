//! Requests to one contender.

use crate::Result;
use crate::contenders::{Service, find};
use crate::counting::counts;
use crate::requests::{Scenario, measured_requests, runtime};
use axum::Router;
use std::hint::black_box;
use tokio::runtime::Runtime;

const WARM_UP: usize = 256;

/// A contender in its runtime.
struct Bench {
    router: Router,
    upkeep: Box<dyn Fn()>,
    page: Box<dyn Fn() -> Vec<u8>>,
    runtime: Runtime,
}

impl Bench {
    fn new(contender: &str) -> Result<Self> {
        let runtime = runtime()?;
        let context = runtime.enter();
        let Service { router, page, upkeep } = (find(contender)?.build)()?;
        drop(context);
        Ok(Self { router: router.with_state(()), upkeep, page, runtime })
    }

    /// After as many requests that handles and caches stand.
    fn warm(contender: &str, scenario: Scenario) -> Result<Self> {
        let mut bench = Self::new(contender)?;
        bench.requests(scenario, WARM_UP);
        (bench.upkeep)();
        Ok(bench)
    }

    fn requests(&mut self, scenario: Scenario, count: usize) {
        black_box(measured_requests(&self.runtime, &mut self.router, scenario, count));
    }
}

pub(super) fn run(contender: &str, scenario: Scenario, count: usize) -> Result<()> {
    let mut bench = Bench::warm(contender, scenario)?;
    bench.requests(scenario, count);
    Ok(())
}

/// What a contender says after ten requests: to see that it measures what it should.
pub(super) fn page(contender: &str) -> Result<()> {
    let mut bench = Bench::new(contender)?;
    bench.requests(Scenario::Mix, 8);
    bench.requests(Scenario::Unmatched, 2);
    println!("{}", String::from_utf8_lossy(&(bench.page)()));
    Ok(())
}

/// Allocations of a request.
pub(super) fn allocations(contender: &str) -> Result<()> {
    const COUNT: usize = 64_000;

    let mut bench = Bench::warm(contender, Scenario::Product)?;
    let before = counts();
    bench.requests(Scenario::Product, COUNT);
    let after = counts();
    println!("allocations={}", (after.allocations - before.allocations) as f64 / COUNT as f64);
    println!("bytes={}", (after.bytes - before.bytes) as f64 / COUNT as f64);
    Ok(())
}

/// What a million requests leave behind, and what 100,000 paths do that nothing matches, after the first of them.
pub(super) fn memory(contender: &str) -> Result<()> {
    let mut bench = Bench::warm(contender, Scenario::Product)?;
    let before = counts().held;
    bench.requests(Scenario::Product, 1_000_000);
    println!("held={}", counts().held.saturating_sub(before));

    bench.requests(Scenario::Unmatched, 1);
    (bench.upkeep)();
    let before = counts().held;
    bench.requests(Scenario::Unmatched, 100_000);
    (bench.upkeep)();
    println!("held_by_paths={}", counts().held.saturating_sub(before));
    Ok(())
}
