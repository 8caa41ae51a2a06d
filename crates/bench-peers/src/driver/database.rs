//! What a timed query costs beside a bare one. A worker of its own: with sqlx in it, the others would be other programs.

use super::{Figures, Workers, output};
use bench_peers::Result;
use std::process::Command;

const CONTENDERS: [&str; 3] = ["bare-pool", "timed-pool", "timed"];
const SCENARIOS: [&str; 3] = ["one", "all", "execute"];
const QUERIES: u32 = 2_000;

/// Prints a line for each scenario and contender: instructions of all threads, SQLite's among them, as a share of the
/// bare pool's; then the allocations beyond the bare pool's.
pub(crate) fn queries(workers: &Workers) -> Result<()> {
    println!("{:<22}{:<20}{:>12}{:>12}", "measure", "contender", "counted", "beside bare");
    for scenario in SCENARIOS {
        let mut bare = None;
        for contender in CONTENDERS {
            let figure = instructions(workers, contender, scenario)?;
            let share = 100.0 * figure / *bare.get_or_insert(figure);
            println!("{:<22}{contender:<20}{figure:>12.0}{share:>12.1}", format!("query-{scenario}"));
        }
    }
    for scenario in SCENARIOS {
        let mut bare = None;
        for contender in CONTENDERS {
            let mut counting = Command::new(workers.database());
            let (said, _) = output(counting.args(["queries-allocations", contender, scenario]))?;
            let figure = Figures(said).get("allocations")?;
            let over = (figure - *bare.get_or_insert(figure)).max(0.0);
            println!("{:<22}{contender:<20}{figure:>12.2}{over:>12.2}", format!("query-allocs-{scenario}"));
        }
    }
    Ok(())
}

fn instructions(workers: &Workers, contender: &str, scenario: &str) -> Result<f64> {
    let collect = |count: u32| {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(workers.database());
        let (_, errors) = output(valgrind.args(["queries", contender, scenario, &count.to_string()]))?;
        super::counts::collected(&errors).ok_or_else(|| format!("callgrind counted nothing:\n{errors}"))
    };
    Ok((collect(2 * QUERIES)? - collect(QUERIES)?) / f64::from(QUERIES))
}
