//! `cargo verify`: every check and every test, in the order in which they fail fastest.

mod instructions;
mod steps;
mod tools;

use crate::sh::{self, Result};
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) const EXAMPLES: &str = "Examples:
  cargo verify                   everything that must hold before a change lands
  cargo verify --only test       one step
  cargo verify --skip demo       all but one step
  cargo verify --long            the soak and the long fuzzing too";

/// A clean clone on two cores must be through by then.
const TIME_LIMIT: Duration = Duration::from_secs(40 * 60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Add what takes long: libFuzzer, a soak, the comparison with other libraries, demo runs over many seeds, packaging with a full build
    #[arg(long)]
    long: bool,
    /// Run only these steps
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leave these steps out
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// Install nothing; what is missing is an error that names the package
    #[arg(long)]
    no_install: bool,
}

/// One step: its name on the command line, and what it does. It returns a line that says what it saw.
struct Step {
    name: &'static str,
    long: bool,
    run: fn(&Context) -> Result<String>,
}

/// What steps share.
struct Context {
    logs: std::path::PathBuf,
    install: bool,
}

const STEPS: &[Step] = &[
    Step { name: "tools", long: false, run: tools::install },
    Step { name: "fmt", long: false, run: steps::fmt },
    Step { name: "test", long: false, run: steps::test },
    Step { name: "test-debug", long: false, run: steps::test_with_debug_assertions },
    Step { name: "models", long: false, run: steps::models },
    Step { name: "clippy", long: false, run: steps::clippy },
    Step { name: "features", long: false, run: steps::features },
    Step { name: "heap", long: false, run: steps::heap },
    Step { name: "docs", long: false, run: steps::docs },
    Step { name: "deny", long: false, run: steps::deny },
    Step { name: "rules", long: false, run: steps::rules },
    Step { name: "size", long: false, run: steps::size },
    Step { name: "instructions", long: false, run: instructions::gate },
    Step { name: "demo", long: false, run: steps::demo },
    Step { name: "package", long: false, run: steps::package },
    Step { name: "package-build", long: true, run: steps::package_build },
    Step { name: "survival", long: true, run: steps::survival },
    Step { name: "fuzz", long: true, run: steps::fuzz },
    Step { name: "peers", long: true, run: instructions::peers },
    Step { name: "soak", long: true, run: steps::soak },
    Step { name: "demo-seeds", long: true, run: steps::demo_seeds },
];

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
    for name in options.only.iter().chain(&options.skip) {
        if !known.contains(&name.as_str()) {
            return Err(format!("there is no step {name:?}; the steps are {}", known.join(", ")).into());
        }
    }
    let logs = sh::target_dir().join("verify");
    fs::create_dir_all(&logs).map_err(|error| format!("cannot make {}: {error}", logs.display()))?;
    let context = Context { logs, install: !options.no_install };

    let started = Instant::now();
    let mut times: Vec<(&str, Duration, bool)> = Vec::new();
    for step in STEPS {
        let named = options.only.iter().any(|name| name == step.name);
        let wanted = if options.only.is_empty() { options.long || !step.long } else { named };
        if !wanted || options.skip.iter().any(|name| name == step.name) {
            continue;
        }
        eprintln!("==> {}", step.name);
        let begun = Instant::now();
        let outcome = (step.run)(&context);
        times.push((step.name, begun.elapsed(), outcome.is_ok()));
        match outcome {
            Ok(said) => println!("{said}"),
            Err(error) => println!("FAILED {}: {error}", step.name),
        }
    }
    Ok(summary(&times, started.elapsed(), options.long))
}

fn summary(times: &[(&str, Duration, bool)], total: Duration, long: bool) -> ExitCode {
    println!("\n{:<16}{:>9}", "step", "seconds");
    for (name, time, passed) in times {
        println!("{name:<16}{:>9.1}{}", time.as_secs_f64(), if *passed { "" } else { "  FAILED" });
    }
    println!("{:<16}{:>9.1}", "in all", total.as_secs_f64());
    let failed: Vec<&str> = times.iter().filter(|(_, _, passed)| !passed).map(|(name, ..)| *name).collect();
    if !failed.is_empty() {
        println!("verify failed: {}", failed.join(", "));
        return ExitCode::FAILURE;
    }
    if !long && total > TIME_LIMIT {
        println!("verify failed: it took over {} minutes", TIME_LIMIT.as_secs() / 60);
        return ExitCode::FAILURE;
    }
    println!("verify passed");
    ExitCode::SUCCESS
}
