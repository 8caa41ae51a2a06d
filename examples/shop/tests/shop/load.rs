//! The load generator against the shop.

use crate::backend::{Backend, on_each_database};
use crate::support::{PATIENCE, Shop, load_program};
use outrigger_testkit::{Folder, Signal};
use serde_json::Value;
use std::path::Path;

on_each_database!(a_run_goes_through_its_phases_and_its_report_adds_up);

fn report(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} in {value}"))
}

/// What every report promises of its sums.
fn assert_adds_up(report: &Value) {
    let phases = report["phases"].as_array().unwrap();
    let total = &report["total"];
    for phase in phases.iter().chain([total]) {
        let journeys = &phase["journeys"];
        let ends: u64 = ["ordered", "left", "failed", "unfinished"].iter().map(|end| number(journeys, end)).sum();
        assert_eq!(number(journeys, "begun"), ends, "{journeys}");
        let steps = phase["steps"].as_array().unwrap();
        for step in steps {
            let by_status: u64 =
                step["errors_by_status"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
            let errors = by_status
                + ["errors_connect", "errors_timeout", "errors_broken"]
                    .iter()
                    .map(|kind| number(step, kind))
                    .sum::<u64>();
            assert_eq!(number(step, "errors"), errors, "{step}");
            assert_eq!(
                number(step, "requests"),
                number(step, "successes") + number(step, "conflicts") + errors,
                "{step}"
            );
            let [p50, p95, p99, max] = ["p50_ms", "p95_ms", "p99_ms", "max_ms"].map(|field| step[field].as_f64());
            assert!(p50 <= p95 && p95 <= p99 && p99 <= max, "{step}");
        }
        for field in ["requests", "errors"] {
            assert_eq!(number(phase, field), steps.iter().map(|step| number(step, field)).sum::<u64>(), "{phase}");
        }
    }
    for field in ["requests", "errors"] {
        assert_eq!(number(total, field), phases.iter().map(|phase| number(phase, field)).sum::<u64>());
    }
    for field in ["begun", "ordered", "dropped"] {
        let sum: u64 = phases.iter().map(|phase| number(&phase["journeys"], field)).sum();
        assert_eq!(number(&total["journeys"], field), sum);
    }
}

fn step<'a>(phase: &'a Value, name: &str) -> &'a Value {
    phase["steps"].as_array().unwrap().iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn a_run_goes_through_its_phases_and_its_report_adds_up(on: &Backend) {
    let shop = on.shop();
    let folder = Folder::new("load");
    let file = folder.path().join("report.json");
    let finished = load_program(&shop.url)
        .args([
            "--rate",
            "20",
            "--warm-up",
            "2s",
            "--sustained",
            "3s",
            "--peak",
            "1s",
            "--think",
            "10ms",
            "--seed",
            "5",
        ])
        .args(["--users", "10", "--report", file.to_str().unwrap()])
        .run(PATIENCE);
    assert!(finished.status.success(), "{}", finished.log);
    let report = report(&file);
    assert_adds_up(&report);
    assert_eq!((&report["version"], &report["seed"], &report["interrupted"]), (&1.into(), &5.into(), &false.into()));
    let names: Vec<&str> =
        report["phases"].as_array().unwrap().iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["warm-up", "sustained", "peak"]);
    assert_eq!(report["phases"][1]["seconds"], 3.0);

    let total = &report["total"];
    assert_eq!(number(total, "errors"), 0, "{}", finished.log);
    assert!(number(&total["journeys"], "ordered") > 10, "{}", finished.stdout);
    for name in
        ["GET /products", "GET /search", "GET /products/{id}", "POST /users", "POST /sessions", "POST /cart/items"]
    {
        assert!(number(step(total, name), "successes") > 0, "{name}: {}", finished.stdout);
        assert!(finished.stdout.contains(name), "{}", finished.stdout);
    }
    // The two sides agree: nothing was sent that was not counted.
    let served = shop.metric("http_server_request_duration_seconds", &[("http_route", "/search")]);
    let sent = number(step(total, "GET /search"), "requests");
    let unfinished = number(&total["journeys"], "unfinished");
    assert!(served as u64 >= sent && served as u64 <= sent + unfinished, "{served} served, {sent} sent");
    assert_eq!(shop.process.exit_status(), None);
}

#[test]
fn a_signal_brings_the_report() {
    let shop = Shop::start();
    let folder = Folder::new("load");
    let file = folder.path().join("report.json");
    let load =
        load_program(&shop.url).args(["--rate", "50", "--think", "5ms", "--report", file.to_str().unwrap()]).start();
    load.wait_line(PATIENCE, "requests/s");
    load.signal(Signal::Int);
    assert!(load.wait_exit(PATIENCE).success(), "{}", load.log());
    assert!(load.stdout().contains("GET /products/{id}"), "{}", load.log());
    let report = report(&file);
    assert_adds_up(&report);
    assert_eq!(report["interrupted"], true);
    assert!(number(&report["total"], "requests") > 0);
}

#[test]
fn load_outlives_the_shop_and_finds_it_again() {
    let folder = Folder::new("load");
    let (database, file) = (folder.path().join("shop.db"), folder.path().join("report.json"));
    let shop = Shop::with(&["--database", database.to_str().unwrap()]);
    let load = load_program(&shop.url)
        .args(["--rate", "30", "--think", "5ms", "--warm-up", "1s", "--sustained", "10m"])
        .args(["--report", file.to_str().unwrap()])
        .start();
    load.wait_line(PATIENCE, "0 errors");
    shop.process.kill();
    load.wait_line(PATIENCE, "does not answer");

    // The same address, as after a crash.
    let address = shop.url.trim_start_matches("http://").to_owned();
    let again = outrigger_testkit::Program::new(env!("CARGO_BIN_EXE_shop")).args([
        "--listen",
        &address,
        "--admin-listen",
        "127.0.0.1:0",
        "--database",
        database.to_str().unwrap(),
    ]);
    let again = Shop::run(&again);
    load.wait_line(PATIENCE, "answers again");
    outrigger_testkit::wait_until(PATIENCE, "orders arrive at the new shop", || {
        again.metric("http_server_request_duration_seconds", &[("http_route", "/orders")]) > 3.0
    });
    load.signal(Signal::Term);
    assert!(load.wait_exit(PATIENCE).success(), "{}", load.log());
    assert_eq!(load.log().matches("does not answer").count(), 1, "said once: {}", load.log());
    let report = report(&file);
    assert_adds_up(&report);
    let total = &report["total"];
    let refused: u64 = total["steps"].as_array().unwrap().iter().map(|step| number(step, "errors_connect")).sum();
    assert!(refused > 0 && number(&total["journeys"], "failed") > 0, "{total}");
}

#[test]
fn what_is_beyond_the_bound_is_dropped_and_counted() {
    let shop = Shop::start();
    let folder = Folder::new("load");
    let file = folder.path().join("report.json");
    let finished = load_program(&shop.url)
        .args(["--rate", "100", "--warm-up", "0s", "--sustained", "2s", "--peak", "0s", "--think", "1s"])
        .args(["--max-journeys", "5", "--quiet", "--report", file.to_str().unwrap()])
        .run(PATIENCE);
    assert!(finished.status.success(), "{}", finished.log);
    let report = report(&file);
    assert_adds_up(&report);
    let journeys = &report["total"]["journeys"];
    assert!(number(journeys, "begun") >= 5 && number(journeys, "dropped") > 20, "{journeys}");
    assert!(finished.stdout.contains("dropped"), "{}", finished.stdout);
    assert!(!finished.log.contains("requests/s, 0 errors"), "--quiet: {}", finished.log);
}
