//! The steps of `cargo verify`, one function each.

use super::{Context, tools};
use crate::demo;
use crate::sh::{self, Result};
use outrigger_testkit::find_program;
use std::fs;

/// The crates that go to a registry, each before those that need it.
const PUBLISHED: &[&str] = &[
    "outrigger-semconv",
    "outrigger-exposition",
    "outrigger-recorder",
    "outrigger-detect",
    "outrigger",
    "outrigger-agent",
];

/// Crates without heavy dependencies, whose tests run a second time with overflow checks and debug assertions.
const PURE: &[&str] = &["outrigger-semconv", "outrigger-exposition", "outrigger-detect"];

/// The most that the stripped agent may weigh as the tests build it, in bytes: 3 % above what has been reached. Its
/// dependencies then carry what other members ask of them, HTTP/2 for example, and nothing is optimised across crates.
const AGENT_SIZE_LIMIT: u64 = 10_600_000;
/// The most that it may weigh as it is shipped, by the profile `dist`.
const SHIPPED_SIZE_LIMIT: u64 = 8_000_000;

/// A workspace of its own, which `--workspace` leaves out.
pub(super) const BENCH: &str = "crates/bench-peers/Cargo.toml";

pub(super) fn fmt(context: &Context) -> Result<String> {
    let log = context.logs.join("fmt.log");
    sh::logged(sh::cargo().args(["fmt", "--all", "--", "--check"]), &log)?;
    sh::logged(sh::cargo().args(["fmt", "--manifest-path", BENCH, "--", "--check"]), &log)?;
    Ok("formatted".into())
}

pub(super) fn test(context: &Context) -> Result<String> {
    let log = context.test_log();
    let outcome = sh::logged(
        sh::cargo()
            .args(["test", "--release", "--workspace", "--no-fail-fast"])
            .env("OUTRIGGER_REQUIRE_SERVERS", "1")
            .env("OUTRIGGER_PYTHON", tools::python()),
        &log,
    );
    // Also after a failure: how much passed, and what failed, says where to look.
    let text = fs::read_to_string(&log).unwrap_or_default();
    println!("{}", counts(&text));
    match (outcome, failures(&text)) {
        (Ok(_), _) => Ok("all tests passed, none of them without the servers it needs".into()),
        (Err(error), failures) if failures.is_empty() => Err(error),
        (Err(_), failures) => Err(format!("{failures}(all of it: {})", log.display()).into()),
    }
}

pub(super) fn test_with_debug_assertions(context: &Context) -> Result<String> {
    let mut command = sh::cargo();
    command.arg("test");
    for name in PURE {
        command.args(["--package", name]);
    }
    let text = sh::logged(command.env("OUTRIGGER_PYTHON", tools::python()), &context.logs.join("test-debug.log"))?;
    Ok(counts(&text))
}

/// The models of the recorder's cells: loom tries every order in which their threads can meet.
pub(super) fn models(context: &Context) -> Result<String> {
    let mut command = sh::cargo();
    command
        .args(["test", "--release", "--package", "outrigger-recorder", "--lib", "loom_"])
        // Atomics of another kind: artefacts of their own.
        .env("RUSTFLAGS", "--cfg outrigger_loom")
        .env("CARGO_TARGET_DIR", sh::target_dir().join("loom"));
    let text = sh::logged(&mut command, &context.logs.join("models.log"))?;
    if !text.contains("loom_histogram") {
        return Err("no model ran: is cfg(outrigger_loom) still the one of crates/outrigger-recorder?".into());
    }
    Ok(counts(&text))
}

/// What the tests that failed said, each cut to its beginning.
fn failures(log: &str) -> String {
    const LINES: usize = 30;
    let mut text = String::new();
    let mut left = 0;
    for line in log.lines() {
        if line.starts_with("---- ") {
            left = LINES;
        } else if line == "failures:" || line.starts_with("test result: ") {
            left = 0;
        }
        if left > 0 && !line.is_empty() {
            left -= 1;
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Adds up what the test runners report, in one line.
fn counts(log: &str) -> String {
    let (mut passed, mut failed, mut ignored, mut skipped) = (0, 0, 0, 0);
    for line in log.lines() {
        if line.contains("SKIPPED:") {
            println!("{line}");
            skipped += 1;
        }
        let Some(rest) = line.strip_prefix("test result: ") else { continue };
        for part in rest.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let count: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => passed += count,
                Some("failed") => failed += count,
                Some("ignored") => ignored += count,
                _ => {}
            }
        }
    }
    format!("{passed} passed, {failed} failed, {} skipped", ignored + skipped)
}

pub(super) fn clippy(context: &Context) -> Result<String> {
    sh::logged(
        sh::cargo().args(["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        &context.logs.join("clippy.log"),
    )?;
    Ok("no lint fires".into())
}

/// The crates with features of their own.
const FEATURED: &[&str] = &["outrigger-exposition", "outrigger-recorder", "outrigger"];

/// Every feature of the libraries alone, and none: a feature that leans on another one by accident fails here.
pub(super) fn features(context: &Context) -> Result<String> {
    let mut said = Vec::new();
    for package in FEATURED {
        let manifest = fs::read_to_string(sh::root().join(format!("crates/{package}/Cargo.toml")))?;
        let features = feature_names(&manifest);
        if features.is_empty() {
            return Err(format!("found no feature in crates/{package}/Cargo.toml").into());
        }
        for feature in std::iter::once("").chain(features.iter().map(String::as_str)) {
            let log = context.logs.join(format!("feature-{package}-{feature}.log"));
            let mut command = sh::cargo();
            command.args(["check", "--release", "--package", package, "--no-default-features", "--features", feature]);
            let alone = || format!("{package} with the feature {feature:?} alone");
            let said = sh::logged(&mut command, &log).map_err(|error| format!("{}: {error}", alone()))?;
            if said.contains("warning: ") {
                return Err(format!("{} compiles with warnings: {}", alone(), log.display()).into());
            }
        }
        said.push(format!("each feature of {package} compiles alone: {}", features.join(", ")));
    }
    Ok(said.join("\n"))
}

fn feature_names(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_matches('"').to_owned())
        .filter(|name| !name.starts_with('#'))
        .collect()
}

/// A program on jemalloc, and its heap profile. The tests leave it out, since jemalloc is built by `make`.
pub(super) fn heap(context: &Context) -> Result<String> {
    if find_program("make").is_none() {
        return Ok("SKIPPED: no make, which builds jemalloc".into());
    }
    let mut command = sh::cargo();
    // Of the whole workspace, as its dependencies are built with those features already.
    command.args(["test", "--release", "--workspace", "--features", "heap/jemalloc", "--test", "heap"]);
    Ok(counts(&sh::logged(&mut command, &context.logs.join("heap.log"))?))
}

/// Ten minutes of profiles at the highest rate, in a process that panics, spawns and looks back all the while.
pub(super) fn survival(context: &Context) -> Result<String> {
    let mut command = sh::cargo();
    command
        .args(["test", "--release", "--package", "outrigger", "--test", "profile", "survival", "--", "--nocapture"])
        .env("OUTRIGGER_SURVIVAL_SECONDS", "600");
    let text = sh::logged(&mut command, &context.logs.join("survival.log"))?;
    let said = text.lines().find(|line| line.starts_with("survived "));
    said.map(str::to_owned).ok_or_else(|| "no process was profiled".into())
}

pub(super) fn docs(context: &Context) -> Result<String> {
    sh::logged(
        sh::cargo().args(["doc", "--release", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
        &context.logs.join("docs.log"),
    )?;
    Ok("the documentation builds without a warning".into())
}

pub(super) fn deny(context: &Context) -> Result<String> {
    let text = sh::logged(
        sh::program(tools::cargo_deny()).args(["--all-features", "check", "bans", "licenses", "sources"]),
        &context.logs.join("deny.log"),
    )?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

/// The alert rules by Prometheus' own tool: they load, and each fires when it should and only then.
pub(super) fn rules(context: &Context) -> Result<String> {
    let folder = sh::root().join("alerts");
    let mut rules = Vec::new();
    let mut tests = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.ends_with("_test.yml") {
            tests.push(name);
        } else if name.ends_with(".yml") {
            rules.push(name);
        }
    }
    if rules.is_empty() || tests.len() != rules.len() {
        return Err(format!(
            "{} rule files and {} test files in alerts/: each rule file has its test",
            rules.len(),
            tests.len()
        )
        .into());
    }
    let log = context.logs.join("rules.log");
    sh::logged(sh::program("promtool").current_dir(&folder).args(["check", "rules"]).args(&rules), &log)?;
    sh::logged(sh::program("promtool").current_dir(&folder).args(["test", "rules"]).args(&tests), &log)?;
    Ok(format!("alert rules load and their tests pass: {}", rules.join(", ")))
}

/// The agent's weight, stripped, as `cargo test --release --workspace` left it.
pub(super) fn size(context: &Context) -> Result<String> {
    let binary = sh::release_binary("outrigger");
    let stripped = context.logs.join("outrigger-stripped");
    sh::logged(sh::program("strip").arg("-o").arg(&stripped).arg(&binary), &context.logs.join("strip.log"))?;
    let size = fs::metadata(&stripped)?.len();
    fs::remove_file(&stripped)?;
    weigh("the stripped agent", size, AGENT_SIZE_LIMIT)
}

/// The agent's weight as it is shipped: built by itself, optimised as a whole. That takes minutes.
pub(super) fn size_shipped(context: &Context) -> Result<String> {
    let folder = sh::target_dir().join("shipped");
    let mut build = sh::cargo();
    build.args(["build", "--profile", "dist", "--package", "outrigger-agent"]).env("CARGO_TARGET_DIR", &folder);
    sh::logged(&mut build, &context.logs.join("dist.log"))?;
    weigh("the shipped agent", fs::metadata(folder.join("dist/outrigger"))?.len(), SHIPPED_SIZE_LIMIT)
}

fn weigh(what: &str, size: u64, limit: u64) -> Result<String> {
    let said = format!("{what} has {size} bytes; the gate is {limit}");
    if size > limit { Err(said.into()) } else { Ok(said) }
}

pub(super) fn demo(context: &Context) -> Result<String> {
    demo_run(context, &["--seed", "1"], demo::VERIFY_DURATION)
}

/// Five faults and a calm run: the faulted route is named each time, and nothing is reported before a fault or without.
pub(super) fn demo_seeds(context: &Context) -> Result<String> {
    for seed in ["1", "2", "3", "4", "5"] {
        println!("{}", demo_run(context, &["--seed", seed], demo::VERIFY_DURATION)?);
    }
    demo_run(context, &["--fault", "none"], "3m")
}

/// Half an hour without a fault: no incident, and the agent's memory at the end.
pub(super) fn soak(context: &Context) -> Result<String> {
    demo_run(context, &["--fault", "none", "--rate", "10"], "30m")
}

fn demo_run(context: &Context, arguments: &[&str], duration: &str) -> Result<String> {
    let log = context.logs.join(format!("demo{}.log", arguments.join("-")));
    let text = sh::logged(
        sh::program(std::env::current_exe()?).arg("demo").args(arguments).args([
            "--prebuilt",
            "--once",
            "--for",
            duration,
        ]),
        &log,
    )?;
    let verdict = text.lines().rfind(|line| line.starts_with(demo::VERDICT_PREFIX));
    verdict.map(str::to_owned).ok_or_else(|| "the demo ended without a verdict".into())
}

/// What would be uploaded is complete; building it from the archive is part of `--long`.
pub(super) fn package(context: &Context) -> Result<String> {
    package_with(context, &["--no-verify"])
}

pub(super) fn package_build(context: &Context) -> Result<String> {
    package_with(context, &[])
}

fn package_with(context: &Context, flags: &[&str]) -> Result<String> {
    let mut command = sh::cargo();
    command.args(["package", "--allow-dirty"]).args(flags);
    for name in PUBLISHED {
        command.args(["--package", name]);
    }
    sh::logged(&mut command, &context.logs.join("package.log"))?;
    Ok(format!("packaged: {}", PUBLISHED.join(", ")))
}

/// Coverage-guided fuzzing of the parser: libFuzzer, which the C++ compiler builds. The coverage flags are the compiler's
/// own, so that no nightly is needed.
pub(super) fn fuzz(context: &Context) -> Result<String> {
    const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
    if find_program("c++").is_none() {
        return Ok("SKIPPED: no C++ compiler, so no libFuzzer; the seeded mutator ran in `cargo test`".into());
    }
    let folder = sh::root().join("crates/outrigger-exposition");
    // libFuzzer writes what it learns into the first folder, and only reads the kept pages in the second.
    let learnt = folder.join("fuzz/corpus");
    fs::create_dir_all(&learnt)?;
    let mut command = sh::cargo();
    command
        .current_dir(&folder)
        .args(["run", "--release", "--target", env!("TARGET"), "--manifest-path", "fuzz/Cargo.toml", "--"])
        .arg(&learnt)
        .args(["corpus", "-max_total_time=300", "-max_len=1024", "-artifact_prefix=fuzz/"])
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", sh::target_dir().join("fuzz"));
    let text = sh::logged(&mut command, &context.logs.join("fuzz.log"))?;
    let done = text.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("Done");
    Ok(format!("libFuzzer found nothing: {done}"))
}

#[cfg(test)]
mod tests {
    use super::failures;

    #[test]
    fn what_failed_is_told_and_what_passed_is_not() {
        let log = "test a ... ok\ntest b::c ... FAILED\n\nfailures:\n\n---- b::c stdout ----\n\nthread panicked:\n  left: 1\n\n\n\
                   failures:\n    b::c\n\ntest result: FAILED. 1 passed; 1 failed\n";
        assert_eq!(failures(log), "---- b::c stdout ----\nthread panicked:\n  left: 1\n");
        assert_eq!(failures("test a ... ok\n\ntest result: ok. 1 passed; 0 failed\n"), "");
    }
}
