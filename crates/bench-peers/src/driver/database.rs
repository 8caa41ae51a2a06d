//! What a timed query costs beside a bare one. A worker of its own: with sqlx in it, the others would be other programs.

use super::{Figures, Workers, output};
use bench_peers::Result;
use std::process::Command;

const CONTENDERS: [&str; 3] = ["bare-pool", "timed-pool", "timed"];
const SCENARIOS: [&str; 4] = ["one", "all", "stream", "execute"];
const QUERIES: u32 = 2_000;
/// Of so many runs the least counts: now and then SQLite answers later, and is asked once more.
const RUNS: usize = 3;

/// Prints a line for each scenario and contender: instructions, in per cent of the bare pool's; then the allocations beyond
/// the bare pool's.
///
/// The bare pool's instructions are those of all threads, SQLite's among them. What a contender adds is counted where its
/// code runs: how often the runtime sleeps between is up to the machine.
pub(crate) fn queries(workers: &Workers) -> Result<()> {
    println!("{:<22}{:<20}{:>12}{:>12}", "measure", "contender", "counted", "beside bare");
    for scenario in SCENARIOS {
        let whole = whole(workers, scenario)?;
        let mut bare = None;
        for contender in CONTENDERS {
            let polled = least(|| polled(workers, contender, scenario))?;
            let figure = whole + polled - *bare.get_or_insert(polled);
            let share = 100.0 * figure / whole;
            println!("{:<22}{contender:<20}{figure:>12.0}{share:>12.1}", format!("query-{scenario}"));
        }
    }
    allocated(workers)
}

/// Prints a line for each scenario and contender: the allocations, and those beyond the bare pool's.
pub(crate) fn allocated(workers: &Workers) -> Result<()> {
    for scenario in SCENARIOS {
        let mut bare = None;
        for contender in CONTENDERS {
            let figure = least(|| allocations(workers, contender, scenario))?;
            let over = (figure - *bare.get_or_insert(figure)).max(0.0);
            println!("{:<22}{contender:<20}{figure:>12.0}{over:>12.0}", format!("query-allocs-{scenario}"));
        }
    }
    Ok(())
}

/// All of a query through the bare pool, in all threads.
fn whole(workers: &Workers, scenario: &str) -> Result<f64> {
    let collect = |count| least(|| callgrind(workers, &[], CONTENDERS[0], scenario, count));
    Ok((collect(2 * QUERIES)? - collect(QUERIES)?) / f64::from(QUERIES))
}

/// What a query takes in the thread that asks, while it is polled.
fn polled(workers: &Workers, contender: &str, scenario: &str) -> Result<f64> {
    let within = ["--toggle-collect=measured_queries"];
    Ok(callgrind(workers, &within, contender, scenario, QUERIES)? / f64::from(QUERIES))
}

fn callgrind(workers: &Workers, options: &[&str], contender: &str, scenario: &str, count: u32) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(options).arg(workers.database());
    let (_, errors) = output(valgrind.args(["queries", contender, scenario, &count.to_string()]))?;
    super::counts::collected(&errors).ok_or_else(|| format!("callgrind counted nothing:\n{errors}").into())
}

fn allocations(workers: &Workers, contender: &str, scenario: &str) -> Result<f64> {
    let (said, _) = output(Command::new(workers.database()).args(["queries-allocations", contender, scenario]))?;
    // Whole ones are a query's; the rest comes of how the two threads met.
    Ok(Figures(said).get("allocations")?.round())
}

fn least(figure: impl Fn() -> Result<f64>) -> Result<f64> {
    (0..RUNS).try_fold(f64::INFINITY, |least, _| Ok(least.min(figure()?)))
}
