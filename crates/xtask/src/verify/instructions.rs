//! What a request, an observation and a page may cost, in instructions, allocations and bytes: `crates/bench-peers` counts,
//! and this holds the figures. Times are not among them, as they differ from machine to machine and from minute to minute.

use super::Context;
use super::steps::BENCH;
use crate::sh::{self, Result};
use outrigger_testkit::{find_program, packages};
use std::fmt::Write as _;
use std::process::Command;

/// One figure: how it is called in what the bench prints, what we want it to be, and what it has come to.
struct Figure {
    measure: &'static str,
    name: &'static str,
    goal: f64,
    reached: f64,
}

const fn figure(measure: &'static str, name: &'static str, goal: f64, reached: f64) -> Figure {
    Figure { measure, name, goal, reached }
}

/// What the bench is asked. It prints what is measured first, then of which contender, and the figure last.
const QUESTIONS: &[&[&str]] = &[
    // Over the first contender, which is axum without metrics.
    &["instructions", "bare", "outrigger", "outrigger-sizes", "outrigger-headers", "outrigger-exporter"],
    // Over the first too: axum allocates twice for any layer, be it empty.
    &["allocations", "bare-layer", "outrigger", "outrigger-sizes", "outrigger-headers"],
    // Over the loop around an observation.
    &["observations", "outrigger-handle", "outrigger-labels"],
    &["memory", "outrigger"],
    // Over the same without the wrapper.
    &["operations", "moka-future", "moka-sync", "task"],
    // In per cent of the bare pool's, and allocations beyond it.
    &["queries"],
];

/// Whoever makes something cheaper lowers its last column.
const FIGURES: &[Figure] = &[
    figure("product", "outrigger", 1_750.0, 1_999.0),
    figure("product", "outrigger-sizes", 2_100.0, 2_261.0),
    figure("product", "outrigger-headers", 1_350.0, 1_495.0),
    figure("product", "outrigger-exporter", 2_300.0, 2_106.0),
    figure("mix", "outrigger", 1_750.0, 1_977.0),
    figure("mix", "outrigger-sizes", 2_100.0, 2_237.0),
    figure("mix", "outrigger-headers", 1_350.0, 1_493.0),
    figure("mix", "outrigger-exporter", 2_300.0, 2_083.0),
    figure("allocations", "outrigger", 1.0, 1.0),
    figure("allocations", "outrigger-sizes", 1.0, 1.0),
    figure("allocations", "outrigger-headers", 0.0, 0.0),
    // The goals are 90 and 700 with a loop of 18 around them.
    figure("observation", "outrigger-handle", 72.0, 65.0),
    figure("observation", "outrigger-labels", 682.0, 656.0),
    figure("held-by-requests", "outrigger", 0.0, 0.0),
    figure("held-by-paths", "outrigger", 0.0, 0.0),
    figure("held-by-observations", "outrigger", 0.0, 0.0),
    figure("page-allocations", "outrigger", 1.0, 0.08),
    figure("page-peak", "outrigger", 65_536.0, 32_408.0),
    // The difference of two hits, each a per mille more or less from run to run.
    figure("operation", "moka-future", 150.0, 60.0),
    figure("operation", "moka-sync", 150.0, 54.0),
    figure("operation-allocations", "moka-future", 0.0, 0.0),
    figure("operation-allocations", "moka-sync", 0.0, 0.0),
    // 321 before a panic of whoever judges the outcome was told from a cancellation.
    figure("operation", "task", 400.0, 385.0),
    figure("operation-allocations", "task", 0.0, 0.0),
    // What is polled differs by a few per cent from run to run: recorded is what all of them stayed below.
    figure("query-one", "timed-pool", 105.0, 105.0),
    figure("query-one", "timed", 105.0, 105.0),
    figure("query-all", "timed-pool", 105.0, 103.0),
    figure("query-all", "timed", 105.0, 103.0),
    figure("query-stream", "timed-pool", 105.0, 104.0),
    figure("query-stream", "timed", 105.0, 104.0),
    figure("query-execute", "timed-pool", 105.0, 105.0),
    figure("query-execute", "timed", 105.0, 105.0),
    // Where it is as many as the bare pool's, a busy machine counts one more or less: the query and SQLite wait for each other.
    figure("query-allocs-one", "timed-pool", 0.0, 0.0),
    figure("query-allocs-one", "timed", 0.0, 1.0),
    figure("query-allocs-all", "timed-pool", 0.0, 0.0),
    figure("query-allocs-all", "timed", 0.0, 1.0),
    figure("query-allocs-stream", "timed-pool", 0.0, 1.0),
    figure("query-allocs-stream", "timed", 0.0, 1.0),
    figure("query-allocs-execute", "timed-pool", 0.0, 0.0),
    figure("query-allocs-execute", "timed", 0.0, 0.0),
];

/// How far above what has been reached a figure may lie: a compiler's next release moves it a little.
const MARGIN: f64 = 1.03;

/// Counts with callgrind, which says the same on a busy machine as on a quiet one.
pub(super) fn gate(context: &Context) -> Result<String> {
    need_valgrind()?;
    sh::logged(&mut cargo("test"), &context.logs.join("instructions-test.log"))?;
    let mut said = String::new();
    for (number, question) in QUESTIONS.iter().enumerate() {
        let log = context.logs.join(format!("instructions-{number}.log"));
        said.push_str(&sh::logged(bench().args(*question), &log)?);
    }
    judge(FIGURES, &said)
}

/// The whole comparison with other libraries.
pub(super) fn peers(context: &Context) -> Result<String> {
    need_valgrind()?;
    sh::logged(bench().arg("compare"), &context.logs.join("peers.log"))
}

fn bench() -> Command {
    let mut command = cargo("run");
    command.args(["--quiet", "--"]);
    command
}

fn cargo(subcommand: &str) -> Command {
    let mut command = sh::cargo();
    command.args([subcommand, "--release", "--manifest-path", BENCH, "--target-dir"]);
    command.arg(sh::target_dir().join("bench-peers"));
    command
}

fn need_valgrind() -> Result<()> {
    if find_program("valgrind").is_some() {
        return Ok(());
    }
    let package = packages::debian("valgrind").unwrap_or("valgrind");
    Err(format!("instructions are counted by valgrind: run `apt-get install {package}`").into())
}

/// Holds what was printed against the figures. Every figure is shown, whether it holds or not.
fn judge(figures: &[Figure], said: &str) -> Result<String> {
    let mut table = format!("{:<22}{:<20}{:>8}{:>9}{:>8}\n", "measure", "", "counted", "reached", "goal");
    let mut exceeded = Vec::new();
    for Figure { measure, name, goal, reached } in figures {
        let counted = counted(said, measure, name).ok_or_else(|| format!("the bench printed no {measure} {name}"))?;
        let verdict = if counted > reached * MARGIN {
            exceeded.push(format!("{measure} {name}"));
            "  EXCEEDED"
        } else if counted * MARGIN < *reached {
            "  better: lower what is recorded"
        } else {
            ""
        };
        _ = writeln!(table, "{measure:<22}{name:<20}{counted:>8}{reached:>9}{goal:>8}{verdict}");
    }
    if exceeded.is_empty() {
        return Ok(table.trim_end().to_owned());
    }
    let margin = (MARGIN - 1.0) * 100.0;
    Err(format!("{} cost over {margin:.0} % more than recorded\n{table}", exceeded.join(", ")).into())
}

/// The last column of the line that begins with these two words.
fn counted(said: &str, measure: &str, name: &str) -> Option<f64> {
    said.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(measure) && words.next() == Some(name)).then(|| words.last()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::{Figure, judge};

    const SAID: &str = "scenario  contender  instructions  over first\nproduct bare 7000 +0\nproduct ours 8030 +1030\n";

    fn judged(reached: f64) -> Result<String, String> {
        judge(&[Figure { measure: "product", name: "ours", goal: 900.0, reached }], SAID)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_figure_may_be_three_per_cent_above_what_was_reached() {
        assert!(judged(1_000.0).is_ok());
        let error = judged(999.0).unwrap_err();
        assert!(error.starts_with("product ours cost over 3 % more than recorded"), "{error}");
    }

    #[test]
    fn a_gain_asks_to_be_recorded() {
        assert!(!judged(1_050.0).unwrap().contains("lower what is recorded"));
        assert!(judged(1_070.0).unwrap().contains("lower what is recorded"));
    }

    #[test]
    fn a_figure_that_was_not_printed_is_an_error() {
        let missing = [Figure { measure: "mix", name: "ours", goal: 1.0, reached: 1.0 }];
        assert!(judge(&missing, SAID).is_err());
    }
}
