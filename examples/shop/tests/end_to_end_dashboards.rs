//! Dashboards and rules against the real thing: the shop under load, broken on purpose, watched by the agent, scraped by a
//! Prometheus that has the rules loaded. Every query that Grafana would make is made, and every one must find data.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "end_to_end/world.rs"]
#[allow(dead_code, reason = "shared with the other tests of the whole product, which use the rest")]
mod world;

use outrigger_testkit::{
    Prometheus, PrometheusConfig,
    grafana::{Choices, Dashboard, Query},
    wait_for, wait_until,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use world::{BUSY_ROUTE, SOON, World};

const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);
/// What the dashboards show: all of the test's time.
const RANGE: Duration = Duration::from_secs(600);
/// For the slowest rules to see their first samples, and for `IncidentOpen` to have waited.
const DATA: Duration = Duration::from_secs(90);

#[test]
fn dashboards_and_rules_find_their_data_in_a_service_that_fails() {
    let Some(world) = World::new() else { return };
    let mut config = PrometheusConfig::new()
        .interval(SCRAPE_INTERVAL)
        .scrape("shop", world.target())
        .scrape("outrigger", world.agent_address());
    for file in files("alerts", ".yml") {
        if !file.to_string_lossy().ends_with("_test.yml") {
            config = config.rule_file(file);
        }
    }
    let Some(prometheus) = Prometheus::start(config) else { return };

    let _shop = world.start_shop();
    let _agent = world.start_agent();
    let _load = world.start_load(4, "10m");

    // An incident and failed requests.
    world.wait_warm();
    world.break_route("slow-dependency", 0.6, 400, BUSY_ROUTE);
    world.break_route("errors", 0.5, 1, "/search");
    prometheus.wait_value(SOON, "max(outrigger_incident_open)", |open| open == 1.0);

    for file in files("dashboards", ".json") {
        check_dashboard(&prometheus, &Dashboard::load(file));
    }
    check_rules(&prometheus);
    check_incident_alert(&prometheus);
}

/// Makes every query of the dashboard, with all values of the variables chosen, and with one.
fn check_dashboard(prometheus: &Prometheus, dashboard: &Dashboard) {
    let queries = dashboard.queries();
    assert!(!queries.is_empty());
    let (all, one) = wait_for(SOON, "choices for every variable", || choices(prometheus, dashboard));
    for query in &queries {
        ask(prometheus, query, &one);
    }
    for query in &queries {
        let what = format!("data for {:?} ({})", query.asker, query.expr);
        wait_until(DATA, &what, || has_data(&ask(prometheus, query, &all)));
    }
}

/// The variables with *All* chosen, and with the first value of each; `None` while one has no values.
fn choices(prometheus: &Prometheus, dashboard: &Dashboard) -> Option<(Choices, Choices)> {
    let mut all = Choices::new(RANGE, SCRAPE_INTERVAL);
    let mut one = all.clone();
    for variable in dashboard.variables() {
        let values = prometheus.label_values(&all.fill(&variable.selector), &variable.label);
        all.choose_all(&variable);
        one.choose(&variable, values.first()?);
    }
    Some((all, one))
}

fn ask(prometheus: &Prometheus, query: &Query, choices: &Choices) -> Value {
    let promql = choices.fill(&query.expr);
    let answer = match query.instant {
        true => prometheus.try_query(&promql),
        false => prometheus.try_query_range(&promql, RANGE, choices.step()),
    };
    answer.unwrap_or_else(|error| panic!("{}: {error}\n{promql}", query.asker))
}

/// Whether any series has a value that can be drawn.
fn has_data(answer: &Value) -> bool {
    let drawable = |point: &Value| point[1].as_str().is_some_and(|value| value != "NaN");
    answer.as_array().expect("an array of series").iter().any(|series| {
        drawable(&series["value"]) || series["values"].as_array().is_some_and(|points| points.iter().any(drawable))
    })
}

/// Every rule is healthy, its expression can be asked by itself, and every recording rule records.
fn check_rules(prometheus: &Prometheus) {
    let rules = wait_for(SOON, "every rule to be evaluated", || {
        Some(prometheus.rules()).filter(|rules| rules.iter().all(|rule| rule["health"] != "unknown"))
    });
    assert!(!rules.is_empty());
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{}: {}", rule["name"], rule["lastError"]);
        let expression = rule["query"].as_str().unwrap();
        prometheus.try_query(expression).unwrap_or_else(|error| panic!("{}: {error}", rule["name"]));
    }
    for rule in rules.iter().filter(|rule| rule["type"] == "recording") {
        let name = rule["name"].as_str().unwrap();
        wait_until(SOON, &format!("{name} to be recorded"), || has_data(&prometheus.query(name)));
    }
}

/// The incident's alert fires and names the route that was slowed.
fn check_incident_alert(prometheus: &Prometheus) {
    let alert = wait_for(DATA, "IncidentOpen to fire", || {
        let alerts = prometheus.alerts().into_iter();
        alerts.filter(|alert| alert["state"] == "firing").find(|alert| alert["labels"]["alertname"] == "IncidentOpen")
    });
    let description = alert["annotations"]["description"].as_str().unwrap();
    assert!([BUSY_ROUTE, "/search"].iter().any(|route| description.contains(route)), "{description}");
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert!(!files.is_empty(), "no {ending} in {}", folder.display());
    files
}
