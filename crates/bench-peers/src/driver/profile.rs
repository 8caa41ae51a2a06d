//! Where the instructions go: by source file and by line, of one contender over another.

use super::counts::REQUESTS;
use super::{Workers, output};
use bench_peers::Result;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// As many of the most expensive files and lines.
const SHOWN: usize = 25;

/// Instructions by place.
type Costs = BTreeMap<String, f64>;

/// Prints what a request of `contender` costs more than one of `base`, inlined code counting where it was written.
pub(crate) fn of_request(workers: &Workers, base: &str, contender: &str) -> Result<()> {
    let lines = difference(&per_request(workers, contender)?, &per_request(workers, base)?);
    let mut files = Costs::new();
    for (place, cost) in &lines {
        let file = place.rsplit_once(':').map_or(place.as_str(), |(file, _)| file);
        *files.entry(file.to_owned()).or_default() += cost;
    }
    println!("{:>10.0}  {contender} over {base}, a request of the scenario product", lines.values().sum::<f64>());
    for (title, costs) in [("by file", files), ("by line", lines)] {
        println!("{:>10}", title);
        let mut costs: Vec<_> = costs.into_iter().collect();
        costs.sort_by(|one, other| other.1.total_cmp(&one.1));
        for (place, cost) in costs.iter().take(SHOWN) {
            println!("{cost:>10.0}  {place}");
        }
    }
    Ok(())
}

fn per_request(workers: &Workers, contender: &str) -> Result<Costs> {
    let (short, long) = (run(workers, contender, REQUESTS)?, run(workers, contender, 2 * REQUESTS)?);
    let mut costs = difference(&long, &short);
    costs.values_mut().for_each(|cost| *cost /= f64::from(REQUESTS));
    Ok(costs)
}

fn run(workers: &Workers, contender: &str, count: u32) -> Result<Costs> {
    let file = workers.folder.join(format!("callgrind.{}.{contender}", std::process::id()));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--toggle-collect=measured_requests"]);
    valgrind.args(["--compress-strings=no", "--compress-pos=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(workers.worker()).args(["requests", contender, "product", &count.to_string()]);
    output(&mut valgrind)?;
    let profile = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    Ok(costs(&profile))
}

fn difference(more: &Costs, less: &Costs) -> Costs {
    let mut difference = more.clone();
    for (place, cost) in less {
        *difference.entry(place.clone()).or_default() -= cost;
    }
    difference
}

/// Reads callgrind's own format: `fl`, `fi` and `fe` name the file of the lines that follow, a line has its number and its
/// cost, and the line after `calls` is the callee's, which counts there.
fn costs(profile: &str) -> Costs {
    let mut costs = Costs::new();
    let (mut file, mut calls) = ("", false);
    for line in profile.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fl" | "fi" | "fe" => file = value,
                "calls" => calls = true,
                _ => {}
            }
        } else if let Some((number, cost)) = line.split_once(' ') {
            let (Ok(number), Ok(cost)) = (number.parse::<u32>(), cost.parse::<f64>()) else { continue };
            if !std::mem::take(&mut calls) {
                *costs.entry(format!("{}:{number}", short(file))).or_default() += cost;
            }
        }
    }
    costs
}

/// A path without what says where this machine keeps sources.
fn short(path: &str) -> &str {
    for before in ["/registry/src/", "/crates/", "/library/"] {
        if let Some((_, rest)) = path.split_once(before) {
            return if before == "/registry/src/" { rest.split_once('/').map_or(rest, |(_, rest)| rest) } else { rest };
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::{costs, short};

    #[test]
    fn what_is_called_counts_where_it_runs() {
        let profile =
            "events: Ir\nfl=a.rs\nfn=main\n1 10\nfi=b.rs\n7 5\nfe=a.rs\ncfi=c.rs\ncfn=callee\ncalls=1 3\n2 1000\n1 2\n";
        let costs: Vec<_> = costs(profile).into_iter().collect();
        assert_eq!(costs, [("a.rs:1".to_owned(), 12.0), ("b.rs:7".to_owned(), 5.0)]);
    }

    #[test]
    fn paths_begin_at_their_crate() {
        assert_eq!(short("/home/me/.cargo/registry/src/index-1/axum-0.8.9/src/lib.rs"), "axum-0.8.9/src/lib.rs");
        assert_eq!(short("/rustc/5980/library/core/src/ptr.rs"), "core/src/ptr.rs");
    }
}
