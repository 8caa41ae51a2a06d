//! Instructions, counted by valgrind's callgrind, and allocations: both the same on a busy machine as on a quiet one.

use super::{Workers, output};
use bench_peers::Result;
use std::process::Command;

/// What is counted is the difference between two runs, one twice as long, so that starting up is in neither.
pub(crate) const REQUESTS: u32 = 2_000;
const OBSERVATIONS: u32 = 10_240;
const OPERATIONS: u32 = 2_000;

/// Allocations for a page are per so many bytes of it.
pub(crate) const PIECE: f64 = 65_536.0;

/// Prints a line for each scenario and contender.
pub(crate) fn requests(workers: &Workers, names: &[String]) -> Result<()> {
    let names = names_or(workers, names, "contender")?;
    head("scenario", "contender", "instructions", "over first");
    for scenario in ["product", "mix"] {
        let mut first = None;
        for name in &names {
            let figure = per_request(workers, name, scenario)?;
            let over = figure - *first.get_or_insert(figure);
            println!("{scenario:<14}{name:<28}{figure:>14.0}{over:>+12.0}");
        }
    }
    Ok(())
}

/// Prints a line for each case.
pub(crate) fn observations(workers: &Workers, names: &[String]) -> Result<()> {
    let empty = per_observation(workers, "loop")?;
    head("", "case", "instructions", "over loop");
    for name in names_or(workers, names, "observation")? {
        let figure = per_observation(workers, &name)?;
        let over = figure - empty;
        println!("{:<14}{name:<28}{figure:>14.1}{over:>+12.1}", "observation");
    }
    Ok(())
}

/// Prints two lines for each case that is wrapped: what it costs over the bare one, in instructions and in allocations.
pub(crate) fn operations(workers: &Workers, names: &[String]) -> Result<()> {
    head("", "operation", "figure", "over bare");
    for name in names_or(workers, names, "operation")?.iter().filter(|name| !name.ends_with("-bare")) {
        let instructions = |case: &str| {
            per_one(OPERATIONS, |count| callgrind(workers, "measured_operations", &["operate", case, count]))
        };
        let allocations = |case: &str| workers.counted(&["operate-allocations", case])?.get("allocations");
        let bare = format!("{name}-bare");
        let (figure, over) = over(instructions, name, &bare)?;
        println!("{:<22}{name:<20}{figure:>14.0}{over:>+12.0}", "operation");
        let (figure, over) = self::over(allocations, name, &bare)?;
        println!("{:<22}{name:<20}{figure:>14.2}{over:>+12.2}", "operation-allocations");
    }
    Ok(())
}

/// A figure, and how far it lies over the bare one.
fn over(figure: impl Fn(&str) -> Result<f64>, name: &str, bare: &str) -> Result<(f64, f64)> {
    let counted = figure(name)?;
    Ok((counted, counted - figure(bare)?))
}

/// Prints a line for each contender.
pub(crate) fn allocations(workers: &Workers, names: &[String]) -> Result<()> {
    head("", "contender", "allocations", "over first");
    let mut first = None;
    for name in names_or(workers, names, "contender")? {
        let figure = workers.counted(&["requests-allocations", &name])?.get("allocations")?;
        let over = figure - *first.get_or_insert(figure);
        println!("{:<14}{name:<28}{figure:>14.2}{over:>+12.2}", "allocations");
    }
    Ok(())
}

/// Prints what each library holds beyond its series, and what a page takes.
pub(crate) fn memory(workers: &Workers, libraries: &[String]) -> Result<()> {
    println!("{:<22}{:<28}{:>12}", "", "library", "figure");
    for library in libraries {
        let print = |measure, figure: f64| println!("{measure:<22}{library:<28}{figure:>12.2}");
        let requests = workers.counted(&["requests-memory", library])?;
        print("held-by-requests", requests.get("held")?);
        print("held-by-paths", requests.get("held_by_paths")?);
        let observations = workers.counted(&["observe-memory", &format!("{library}-handle")])?;
        print("held-by-observations", observations.get("held")?);
        let page = workers.counted(&["scrape-memory", library, "10000"])?;
        print("page-allocations", page.get("allocations")? / (page.get("page")? / PIECE));
        print("page-peak", page.get("peak")?);
    }
    Ok(())
}

fn head(measure: &str, name: &str, figure: &str, over: &str) {
    println!("{measure:<14}{name:<28}{figure:>14}{over:>12}");
}

pub(crate) fn per_request(workers: &Workers, contender: &str, scenario: &str) -> Result<f64> {
    per_one(REQUESTS, |count| callgrind(workers, "measured_requests", &["requests", contender, scenario, count]))
}

/// With the loop around it.
fn per_observation(workers: &Workers, case: &str) -> Result<f64> {
    per_one(OBSERVATIONS, |count| callgrind(workers, "measured_observations", &["observe", case, count]))
}

/// Without the loop around it.
pub(crate) fn of_observation(workers: &Workers, case: &str) -> Result<f64> {
    Ok(per_observation(workers, case)? - per_observation(workers, "loop")?)
}

fn per_one(count: u32, collect: impl Fn(&str) -> Result<f64>) -> Result<f64> {
    let (short, long) = (collect(&count.to_string())?, collect(&(2 * count).to_string())?);
    Ok((long - short) / f64::from(count))
}

fn callgrind(workers: &Workers, symbol: &str, arguments: &[&str]) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(format!("--toggle-collect={symbol}")).arg(workers.worker()).args(arguments);
    let (_, errors) = output(&mut valgrind)?;
    match collected(&errors) {
        Some(0.0) | None => Err(format!("callgrind counted nothing within {symbol}:\n{errors}").into()),
        Some(figure) => Ok(figure),
    }
}

/// The instructions that callgrind says it has counted.
pub(super) fn collected(errors: &str) -> Option<f64> {
    let collected = errors.lines().find_map(|line| line.split_once("Collected :"));
    collected.and_then(|(_, figure)| figure.trim().parse().ok())
}

/// The given names, or all that are compiled in.
fn names_or(workers: &Workers, names: &[String], kind: &str) -> Result<Vec<String>> {
    if !names.is_empty() {
        return Ok(names.to_vec());
    }
    let list = workers.run(&["list"])?;
    let of_kind = list.lines().filter_map(|line| line.split_once('\t')).filter(|(of, _)| *of == kind);
    Ok(of_kind.map(|(_, rest)| rest.split('\t').next().unwrap_or(rest).to_owned()).collect())
}
