//! Ours beside the others: one table, with the ratio of ours to theirs in brackets.

use super::table::{Table, Unit};
use super::{Figures, Workers, counts};
use bench_peers::Result;
use bench_peers::processor::median;
use std::collections::BTreeMap;

/// The columns: contenders, of which some are registries of their own.
const PEERS: [&str; 6] =
    ["axum-prometheus", "axum-otel-metrics", "otel-tower", "prometheus", "prometheus-client", "exporter"];

/// Times are the median of so many processes each, one after the other in turn, so that a busy minute meets all alike.
const ROUNDS: usize = 5;

pub(crate) fn all(workers: &Workers) -> Result<()> {
    let mut table = Table::new(&PEERS);
    requests(workers, &mut table)?;
    memory(workers, &mut table)?;
    observations(workers, &mut table)?;
    scrapes(workers, &mut table)?;
    println!("A request's figures are over bare axum, an observation's instructions over the loop around it.");
    println!("{}\nIn brackets: ours / theirs.\n", any_layer(workers)?);
    table.print()
}

fn requests(workers: &Workers, table: &mut Table) -> Result<()> {
    let mut bare = BTreeMap::new();
    let mut over_bare = |scenario: &'static str, contender: &str| -> Result<f64> {
        if !bare.contains_key(scenario) {
            bare.insert(scenario, counts::per_request(workers, "bare", scenario)?);
        }
        let alone = bare.get(scenario).copied().unwrap_or_default();
        Ok(counts::per_request(workers, contender, scenario)? - alone)
    };
    let mut theirs = [None; PEERS.len()];
    for (slot, peer) in theirs.iter_mut().zip(PEERS) {
        *slot = Some(over_bare("product", peer)?);
    }
    let mut sizes = theirs;
    let mut same_recorder = theirs;
    for ((peer, sizes), same_recorder) in PEERS.into_iter().zip(&mut sizes).zip(&mut same_recorder) {
        match peer {
            "axum-prometheus" => *sizes = Some(over_bare("product", "axum-prometheus-sizes")?),
            // They have sizes always.
            "axum-otel-metrics" | "otel-tower" => {}
            _ => *sizes = None,
        }
        if !matches!(peer, "axum-prometheus" | "exporter") {
            *same_recorder = None;
        }
    }
    let mut mix = [None; PEERS.len()];
    for (slot, peer) in mix.iter_mut().zip(PEERS) {
        *slot = Some(over_bare("mix", peer)?);
    }
    let count = Unit::Count;
    table.row("request, instructions", count, Some(over_bare("product", "outrigger")?), theirs);
    table.row("the same, three routes in turn", count, Some(over_bare("mix", "outrigger")?), mix);
    table.row("with body sizes", count, Some(over_bare("product", "outrigger-sizes")?), sizes);
    table.row("duration to the headers only", count, Some(over_bare("product", "outrigger-headers")?), theirs);
    table.row("over the exporter", count, Some(over_bare("product", "outrigger-exporter")?), same_recorder);
    Ok(())
}

/// What axum takes for a layer that does nothing, which is in every contender's figures.
fn any_layer(workers: &Workers) -> Result<String> {
    let instructions = |contender| counts::per_request(workers, contender, "product");
    let allocations = |contender| workers.counted(&["requests-allocations", contender])?.get("allocations");
    Ok(format!(
        "An empty layer costs {:.0} instructions and {:.0} allocations.",
        instructions("bare-layer")? - instructions("bare")?,
        allocations("bare-layer")? - allocations("bare")?
    ))
}

fn memory(workers: &Workers, table: &mut Table) -> Result<()> {
    let measures = [
        (
            "requests-allocations",
            [("request, allocations", "allocations", Unit::Count), ("request, bytes allocated", "bytes", Unit::Bytes)],
        ),
        (
            "requests-memory",
            [
                ("held after 1 M requests, no upkeep", "held", Unit::Bytes),
                ("held after 100,000 unmatched paths", "held_by_paths", Unit::Bytes),
            ],
        ),
    ];
    for (measure, rows) in measures {
        let mut figures = BTreeMap::new();
        for contender in ["bare", "outrigger"].into_iter().chain(PEERS) {
            figures.insert(contender, workers.counted(&[measure, contender])?);
        }
        for (what, name, unit) in rows {
            let figure = |contender: &str| figures.get(contender).map(|figures| figures.get(name)).transpose();
            let alone = figure("bare")?.unwrap_or_default();
            row(table, what, unit, |contender| Ok(figure(contender)?.map(|figure| (figure - alone).max(0.0))))?;
        }
    }
    Ok(())
}

fn observations(workers: &Workers, table: &mut Table) -> Result<()> {
    let list = workers.run(&["list"])?;
    let case = |library: &str, kind: &str| {
        let name = format!("{library}-{kind}");
        list.lines().any(|line| line.starts_with(&format!("observation\t{name}\t"))).then_some(name)
    };
    let rows = [
        ("observation, handle kept: instructions", "handle"),
        ("observation, looked up by 3 labels: instructions", "labels"),
    ];
    for (what, kind) in rows {
        row(table, what, Unit::Count, |library| {
            case(library, kind).map(|case| counts::of_observation(workers, &case)).transpose()
        })?;
    }

    let rows = [
        ("handle kept: time, one thread", "handle", "1", "nanos"),
        ("handle kept: time, two threads on one series", "handle", "2", "nanos"),
        ("handle kept: work left to a scrape", "handle", "1", "later_nanos"),
        ("looked up: time, one thread", "labels", "1", "nanos"),
    ];
    let times = times(workers, case)?;
    for (what, kind, threads, name) in rows {
        row(table, what, Unit::Nanos, |library| {
            let runs = case(library, kind).and_then(|case| times.get(&(case, threads)));
            let figures = runs.map(|runs| runs.iter().map(|run| run.get(name)).collect::<Result<Vec<_>>>());
            Ok(figures.transpose()?.map(|mut figures| median(&mut figures)))
        })?;
    }
    row(table, "held after 10 M observations, no upkeep", Unit::Bytes, |library| {
        let held = |case: String| workers.counted(&["observe-memory", &case])?.get("held");
        case(library, "handle").map(held).transpose()
    })
}

/// What the processes said of each case and number of threads.
fn times(
    workers: &Workers,
    case: impl Fn(&str, &str) -> Option<String>,
) -> Result<BTreeMap<(String, &'static str), Vec<Figures>>> {
    let mut times: BTreeMap<_, Vec<Figures>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for library in ["outrigger"].into_iter().chain(PEERS) {
            for (kind, threads) in [("handle", "1"), ("handle", "2"), ("labels", "1")] {
                let Some(case) = case(library, kind) else { continue };
                let figures = workers.figures(&["observe-time", &case, threads])?;
                times.entry((case, threads)).or_default().push(figures);
            }
        }
    }
    for runs in times.values_mut() {
        // Threads that took turns say nothing of threads that met: the better half counts.
        let overlap = |run: &Figures| run.get("overlap").unwrap_or(0.0);
        runs.sort_by(|one, other| overlap(other).total_cmp(&overlap(one)));
        runs.truncate(ROUNDS.div_ceil(2));
    }
    Ok(times)
}

fn scrapes(workers: &Workers, table: &mut Table) -> Result<()> {
    let list = workers.run(&["list"])?;
    let known = |library: &str| list.lines().any(|line| line.starts_with(&format!("registry\t{library}\t")));
    let libraries: Vec<&str> = ["outrigger"].into_iter().chain(PEERS).filter(|library| known(library)).collect();
    for (what, series) in [
        ("scrape of 1,000 series", "1000"),
        ("scrape of 10,000 series", "10000"),
        ("scrape of 100,000 series", "100000"),
    ] {
        let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            for library in &libraries {
                let millis = workers.figures(&["scrape-time", library, series])?.get("millis")?;
                times.entry(library).or_default().push(millis);
            }
        }
        row(table, what, Unit::Millis, |library| Ok(times.get_mut(library).map(|times| median(times))))?;
    }
    let mut memory = BTreeMap::new();
    for library in &libraries {
        memory.insert(*library, workers.counted(&["scrape-memory", library, "100000"])?);
    }
    row(table, "allocations for 64 KiB of that page", Unit::Count, |library| {
        let per_piece = |figures: &Figures| Ok(figures.get("allocations")? / (figures.get("page")? / counts::PIECE));
        memory.get(library).map(per_piece).transpose()
    })?;
    row(table, "held beside the registry meanwhile", Unit::Bytes, |library| {
        memory.get(library).map(|figures| figures.get("peak")).transpose()
    })
}

/// A row of the libraries that have the figure.
fn row(table: &mut Table, what: &str, unit: Unit, mut figure: impl FnMut(&str) -> Result<Option<f64>>) -> Result<()> {
    let ours = figure("outrigger")?;
    let theirs = PEERS.into_iter().map(&mut figure).collect::<Result<Vec<_>>>()?;
    table.row(what, unit, ours, theirs);
    Ok(())
}
