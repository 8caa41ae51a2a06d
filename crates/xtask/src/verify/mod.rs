//! `cargo verify`: every check and every test, in the order in which they fail fastest.

mod beside;
mod instructions;
mod steps;
mod tools;

use self::beside::Beside;
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
    /// Where the tests run too, it runs beside them.
    beside_tests: bool,
    run: fn(&Context) -> Result<String>,
}

/// What steps share.
struct Context {
    logs: std::path::PathBuf,
    install: bool,
}

impl Context {
    fn test_log(&self) -> std::path::PathBuf {
        self.logs.join("test.log")
    }
}

impl Options {
    fn want(&self, step: &Step) -> bool {
        let is = |name: &String| name == step.name;
        let wanted = if self.only.is_empty() { self.long || !step.long } else { self.only.iter().any(is) };
        wanted && !self.skip.iter().any(is)
    }
}

/// The step that others run beside.
const TEST: &str = "test";

const STEPS: &[Step] = &[
    Step { name: "tools", long: false, beside_tests: false, run: tools::install },
    Step { name: "fmt", long: false, beside_tests: false, run: steps::fmt },
    Step { name: TEST, long: false, beside_tests: false, run: steps::test },
    Step { name: "test-debug", long: false, beside_tests: true, run: steps::test_with_debug_assertions },
    Step { name: "models", long: false, beside_tests: true, run: steps::models },
    Step { name: "clippy", long: false, beside_tests: true, run: steps::clippy },
    Step { name: "features", long: false, beside_tests: true, run: steps::features },
    Step { name: "heap", long: false, beside_tests: false, run: steps::heap },
    Step { name: "docs", long: false, beside_tests: true, run: steps::docs },
    Step { name: "deny", long: false, beside_tests: false, run: steps::deny },
    Step { name: "rules", long: false, beside_tests: false, run: steps::rules },
    Step { name: "size", long: false, beside_tests: false, run: steps::size },
    Step { name: "instructions", long: false, beside_tests: false, run: instructions::gate },
    Step { name: "demo", long: false, beside_tests: false, run: steps::demo },
    Step { name: "package", long: false, beside_tests: false, run: steps::package },
    Step { name: "size-shipped", long: true, beside_tests: false, run: steps::size_shipped },
    Step { name: "package-build", long: true, beside_tests: false, run: steps::package_build },
    Step { name: "survival", long: true, beside_tests: false, run: steps::survival },
    Step { name: "fuzz", long: true, beside_tests: false, run: steps::fuzz },
    Step { name: "peers", long: true, beside_tests: false, run: instructions::peers },
    Step { name: "soak", long: true, beside_tests: false, run: steps::soak },
    Step { name: "demo-seeds", long: true, beside_tests: false, run: steps::demo_seeds },
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
    let mut steps: Vec<&Step> = STEPS.iter().filter(|step| options.want(step)).collect();
    let mut beside = Vec::new();
    if steps.iter().any(|step| step.name == TEST) {
        beside = steps.extract_if(.., |step| step.beside_tests).map(|step| step.name).collect();
    }
    for step in steps {
        eprintln!("==> {}", step.name);
        let begun = Instant::now();
        let others = match step.name {
            TEST if !beside.is_empty() => Some(Beside::start(&context, &beside, context.test_log())?),
            _ => None,
        };
        report(step.name, begun, (step.run)(&context), &mut times);
        if let Some(others) = others {
            eprintln!("==> {}: begun beside the tests", beside.join(", "));
            report("beside", Instant::now(), others.finish(), &mut times);
        }
    }
    Ok(summary(&times, started.elapsed(), options.long))
}

fn report(name: &'static str, begun: Instant, outcome: Result<String>, times: &mut Vec<(&str, Duration, bool)>) {
    times.push((name, begun.elapsed(), outcome.is_ok()));
    match outcome {
        Ok(said) => println!("{said}"),
        Err(error) => println!("FAILED {name}: {error}"),
    }
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
        // No failure, as it may be the machine's.
        println!("it took over {} minutes, the most that is meant for it", TIME_LIMIT.as_secs() / 60);
    }
    println!("verify passed");
    ExitCode::SUCCESS
}
