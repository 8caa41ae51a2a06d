//! What one process measures. The driver starts it, under valgrind or not, and reads its only line.

use crate::observations::{self, measured_observations};
use crate::requests::{self, measured_requests};
use crate::{Result, contenders};
use std::hint::black_box;

/// As many requests or observations before each measurement, so that handles and caches stand.
const WARM_UP: usize = 256;

pub fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["list"] => list(),
        ["page", contender] => page(contender)?,
        ["requests", contender, scenario, count] => requests(contender, scenario.parse()?, count.parse()?)?,
        ["observe", case, count] => observe(case, count.parse()?)?,
        _ => return Err(format!("what does {arguments:?} mean?").into()),
    }
    Ok(())
}

fn list() {
    for contender in contenders::all() {
        println!("contender\t{}\t{}", contender.name, contender.about);
    }
    for case in observations::all() {
        println!("observation\t{}", case.name);
    }
}

/// What a contender says after one round of requests: to see that it measures what it should.
fn page(contender: &str) -> Result<()> {
    let runtime = requests::runtime()?;
    let _context = runtime.enter();
    let service = (contenders::find(contender)?.build)()?;
    let mut router = service.router.with_state(());
    black_box(measured_requests(&runtime, &mut router, requests::Scenario::Mix, 8));
    black_box(measured_requests(&runtime, &mut router, requests::Scenario::Unmatched, 2));
    println!("{}", String::from_utf8_lossy(&(service.page)()));
    Ok(())
}

fn requests(contender: &str, scenario: requests::Scenario, count: usize) -> Result<()> {
    let runtime = requests::runtime()?;
    let _context = runtime.enter();
    let service = (contenders::find(contender)?.build)()?;
    let mut router = service.router.with_state(());
    black_box(measured_requests(&runtime, &mut router, scenario, WARM_UP));
    (service.upkeep)();
    black_box(measured_requests(&runtime, &mut router, scenario, count));
    Ok(())
}

fn observe(case: &str, count: usize) -> Result<()> {
    let samples = observations::samples();
    let case = (observations::find(case)?.build)()?;
    measured_observations(&case.observe, &samples, samples.len());
    (case.upkeep)();
    measured_observations(&case.observe, &samples, count);
    Ok(())
}
