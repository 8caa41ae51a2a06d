//! Targets that misbehave, over real sockets: each costs itself only, and the agent says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod native;
mod profile;
mod replay;
mod signals;
mod store;
mod support;
mod tell;

use std::net::TcpListener;

use outrigger_testkit::http::Response;
use support::{Agent, Service, shop};

fn route<'a>(status: &'a serde_json::Value, target: &str) -> &'a serde_json::Value {
    let targets = status["targets"].as_array().unwrap();
    &targets.iter().find(|entry| entry["target"] == target).unwrap()["routes"][0]
}

#[test]
fn routes_get_rate_errors_and_quantiles() {
    let service = Service::start(&shop(1000, 0, 0));
    let agent = Agent::start(&[&service.target], &[]);
    agent.wait("the first page", |agent| agent.value("outrigger_target_up", &[]) == 1.0);
    let mut requests = 0;
    agent.wait("a rate", |agent| {
        requests += 1;
        service.show(&shop(1000, requests, 0));
        agent.value("outrigger_route_request_rate", &[("http_route", "/products/{id}")]) > 0.0
    });
    let p95 = agent.value("outrigger_route_latency_seconds", &[("percentile", "p95")]);
    assert!(p95 > 0.09 && p95 <= 0.1, "{p95}");

    let status = agent.get("/api/v1/status").json();
    assert_eq!(status["version"], 1);
    let route = route(&status, &service.target);
    assert_eq!((&route["method"], &route["route"]), (&"GET".into(), &"/products/{id}".into()), "{status}");
    assert_eq!(route["phase"], "warming_up");
    assert_eq!(route["error_ratio"], 0.0);
    assert!(agent.get("/").text().contains("/products/{id}"), "the page lists the route");
}

#[test]
fn a_target_that_dies_is_down_and_the_other_goes_on() {
    let (dying, living) = (Service::start(&shop(1000, 1, 0)), Service::start(&shop(1000, 1, 0)));
    let (dead, alive) = (dying.target.clone(), living.target.clone());
    let agent = Agent::start(&[&dead, &alive], &[]);
    agent.wait("both answer", |agent| agent.value("outrigger_target_up", &[]) == 2.0);
    drop(dying);
    agent.wait("one is down", |agent| agent.value("outrigger_target_up", &[("target", &dead)]) == 0.0);
    assert_eq!(agent.value("outrigger_target_up", &[("target", &alive)]), 1.0);
    assert_eq!(agent.value("outrigger_collector_success", &[("collector", "scrape")]), 0.0);

    let before = agent.value("outrigger_scrapes_total", &[("target", &alive), ("outcome", "success")]);
    agent.wait("the other is scraped on", |agent| {
        agent.value("outrigger_scrapes_total", &[("target", &alive), ("outcome", "success")]) >= before + 2.0
    });
    let status = agent.get("/api/v1/status").json();
    let entry = status["targets"].as_array().unwrap().iter().find(|entry| entry["target"] == *dead).unwrap();
    assert_eq!(entry["up"], false);
    assert!(entry["last_error"].as_str().unwrap().contains("refused"), "{entry}");
    assert!(agent.process.log().contains("the target cannot be scraped"), "{}", agent.process.log());
}

#[test]
fn a_target_that_hangs_delays_nobody() {
    // Accepts connections (the backlog does) and never says a word.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let hung = hanging.local_addr().unwrap().to_string();
    let service = Service::start(&shop(1000, 1, 0));
    let agent = Agent::start(&[&hung, &service.target], &["--scrape-timeout", "900ms"]);
    agent.wait("three scrapes of the other", |agent| {
        agent.value("outrigger_scrapes_total", &[("target", &service.target), ("outcome", "success")]) >= 3.0
    });
    agent.wait("failures of the hanging one", |agent| {
        agent.value("outrigger_scrapes_total", &[("target", &hung), ("outcome", "failure")]) >= 2.0
    });
    let status = agent.get("/api/v1/status").json();
    assert_eq!(status["targets"][0]["last_error"], "did not send its page within 900ms");
    assert_eq!(status["targets"][1]["up"], true);
}

#[test]
fn a_page_that_is_no_metrics_page_is_a_failure_with_its_reason() {
    let service = Service::start("<!doctype html>\n<p>hello</p>\n");
    let agent = Agent::start(&[&service.target], &[]);
    let last_error = |agent: &Agent| agent.get("/api/v1/status").json()["targets"][0]["last_error"].to_string();
    agent.wait("the failure", |agent| last_error(agent).contains("the page holds no metrics; line 1: "));
    assert!(agent.value("outrigger_scrape_bad_lines_total", &[]) >= 2.0);

    service.answer(Response::plain(404, "no such page"));
    agent.wait("the status", |agent| last_error(agent).contains("404 Not Found; is the path right?"));
    service.show("good 1\nbad{ 2\n");
    agent.wait("a bad line harms no neighbour", |agent| {
        agent.value("outrigger_target_up", &[]) == 1.0 && agent.value("outrigger_scrape_samples", &[]) == 1.0
    });
}

#[test]
fn a_page_that_is_too_long_loses_families_and_counts_them() {
    let mut page = shop(1000, 1, 0) + "# TYPE padding gauge\n";
    for number in 0..100_000 {
        page.push_str(&format!("padding{{number=\"{number}\"}} 1\n"));
    }
    let service = Service::start(&page);
    let folder = outrigger_testkit::Folder::new("limits");
    let file = folder.write("outrigger.toml", "page_limit = '1MiB'");
    let agent = Agent::start(&[&service.target], &["--config", &file.to_string_lossy()]);
    agent.wait("the page", |agent| agent.value("outrigger_target_up", &[]) == 1.0);
    assert!(agent.value("outrigger_samples_dropped_total", &[("reason", "page_limit")]) >= 100_000.0);
    assert_eq!(agent.value("outrigger_scrape_samples", &[]), 8.0, "what stands before the long family is all there");
}

#[test]
fn a_family_with_too_many_series_costs_itself() {
    let mut page = shop(1000, 1, 0) + "# TYPE padding gauge\n";
    for number in 0..1000 {
        page.push_str(&format!("padding{{number=\"{number}\"}} 1\n"));
    }
    let service = Service::start(&page);
    let folder = outrigger_testkit::Folder::new("limits");
    let file = folder.write("outrigger.toml", "series_limit = 500");
    let agent = Agent::start(&[&service.target], &["--config", &file.to_string_lossy()]);
    agent.wait("the page", |agent| agent.value("outrigger_target_up", &[]) == 1.0);
    assert!(agent.value("outrigger_samples_dropped_total", &[("reason", "series_limit")]) >= 1000.0);
    assert_eq!(agent.value("outrigger_routes", &[]), 1.0);
    assert!(agent.value("outrigger_series", &[]) < 500.0);
}

#[test]
fn a_restart_of_the_target_is_no_burst_of_requests() {
    let service = Service::start(&shop(1000, 5000, 5000));
    let agent = Agent::start(&[&service.target], &[]);
    agent.wait("two pages", |agent| agent.value("outrigger_scrapes_total", &[("outcome", "success")]) >= 2.0);
    service.show(&shop(2000, 3, 0));
    let mut highest: f64 = 0.0;
    agent.wait("pages after the restart", |agent| {
        highest = highest.max(agent.value("outrigger_route_request_rate", &[]));
        agent.value("outrigger_scrapes_total", &[("outcome", "success")]) >= 6.0
    });
    assert!(highest <= 4.0, "three requests since the restart became {highest} per second");
    assert_eq!(agent.get("/api/v1/incidents").json()["incidents"].as_array().unwrap().len(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_behind_a_loopback_target_is_found() {
    // The service runs in this very process, so its figures are ours.
    let service = Service::start(&shop(1000, 1, 0));
    let agent = Agent::start(&[&service.target], &[]);
    let of = |agent: &Agent, target: &str| agent.value("process_resident_memory_bytes", &[("target", target)]);
    agent.wait("both processes", |agent| of(agent, &service.target) > 0.0 && of(agent, "self") > 0.0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let threads: f64 = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap();
    let found = agent.value("process_thread_count", &[("target", &service.target)]);
    assert!((found - threads).abs() <= 16.0, "this process has {threads} threads, the one found has {found}");
    assert_eq!(agent.value("outrigger_collector_success", &[("collector", "process")]), 1.0);
    assert_eq!(agent.value("outrigger_collector_success", &[("collector", "host")]), 1.0);
    agent.wait("a CPU share", |agent| agent.value("system_cpu_utilization_ratio", &[]) > 0.0);
}
