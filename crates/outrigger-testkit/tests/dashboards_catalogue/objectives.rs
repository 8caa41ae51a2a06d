//! What the dashboards draw and the alerts compare with are the catalogue's objectives, and every objective is there.

use super::{
    alerts, dashboards, promql, rule_files,
    rules::{Alert, RuleFile},
};
use outrigger_semconv::objective::{self, Measure, Objective};
use outrigger_testkit::grafana::Dashboard;
use serde_json::Value;

/// Windows of a burn-rate alert and the pace they stand for: SRE workbook, "Alerting on SLOs".
const PACES: [(&str, &str, f64); 4] = [("1h", "5m", 14.4), ("6h", "30m", 6.0), ("1d", "2h", 3.0), ("3d", "6h", 1.0)];

/// The alerts that compare with an objective itself rather than burn its budget.
const THRESHOLD_ALERTS: [(&str, Objective); 5] = [
    ("DatabaseLatencyHigh", objective::DATABASE_LATENCY),
    ("ConnectionPoolSaturated", objective::POOL_USE),
    ("CacheHitRatioLow", objective::CACHE_HITS),
    ("HostCpuHigh", objective::CPU),
    ("HostMemoryHigh", objective::MEMORY),
];

#[test]
fn dashboards_draw_the_objectives_and_nothing_else() {
    let mut drawn = Vec::new();
    for file in dashboards() {
        for panel in Dashboard::load(&file).panels() {
            for thresholds in thresholds(panel) {
                let objective = objective_of(panel, thresholds);
                if panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "dashed" {
                    drawn.push(objective.name);
                }
            }
        }
    }
    for objective in objective::ALL {
        assert!(drawn.contains(&objective.name), "no panel draws a line at {}", objective.name);
    }
}

/// All the thresholds of a panel that hold a number.
fn thresholds(panel: &Value) -> Vec<&Value> {
    let properties = panel["fieldConfig"]["overrides"].as_array().into_iter().flatten();
    let properties = properties.flat_map(|set| set["properties"].as_array().into_iter().flatten());
    let overrides = properties.filter(|property| property["id"] == "thresholds").map(|property| &property["value"]);
    let all = overrides.chain([&panel["fieldConfig"]["defaults"]["thresholds"]]);
    all.filter(|thresholds| thresholds["steps"].as_array().is_some_and(|steps| steps.len() > 1)).collect()
}

/// The objective that a panel's thresholds are: of a metric that it shows, at its value, red on the wrong side.
fn objective_of(panel: &Value, thresholds: &Value) -> &'static Objective {
    let steps = thresholds["steps"].as_array().unwrap();
    let (base, step) = (&steps[0], &steps[1]);
    assert_eq!(steps.len(), 2, "{}", panel["title"]);
    assert!(base["value"].is_null(), "{}", panel["title"]);
    let queries: String = Dashboard::queries_of(panel).into_iter().map(|query| query.expr).collect();
    let objective = objective::ALL
        .iter()
        .find(|objective| queries.contains(objective.metric) && step["value"].as_f64() == Some(objective.threshold))
        .unwrap_or_else(|| panic!("{}: {} is no objective of what it shows", panel["title"], step["value"]));
    let good_above = objective.measure == Measure::AtLeast;
    let colours = if good_above { ("red", "green") } else { ("green", "red") };
    assert_eq!(
        (base["color"].as_str(), step["color"].as_str()),
        (Some(colours.0), Some(colours.1)),
        "{}",
        panel["title"]
    );
    objective
}

#[test]
fn alerts_compare_with_the_objectives() {
    for (name, objective) in THRESHOLD_ALERTS {
        let warning = severity(name, "warning").unwrap_or_else(|| panic!("no warning {name}"));
        let (operator, threshold) = comparisons(&warning)[0].clone();
        let good_above = objective.measure == Measure::AtLeast;
        assert_eq!(operator, if good_above { "<" } else { ">" }, "{name}");
        assert_close(threshold, objective.threshold, name);
        if let Some(critical) = severity(name, "critical") {
            let worse = comparisons(&critical)[0].1;
            assert!((worse > threshold) != good_above, "{name}: critical at {worse}, warning at {threshold}");
        }
        if let Measure::Quantile { quantile } = objective.measure {
            assert_close(recorded_quantile(objective.metric), quantile, name);
        }
    }
}

#[test]
fn budgets_are_the_objectives_and_burn_at_the_known_paces() {
    let Measure::Quantile { quantile } = objective::API_LATENCY.measure else { panic!("a latency is a quantile") };
    for (name, ratio, budget) in [
        ("HttpAvailabilityBudgetBurn", "job:http_server_failures:ratio_rate", objective::AVAILABILITY.threshold),
        ("HttpLatencyBudgetBurn", "job:http_server_slow_requests:ratio_rate", 1.0 - quantile),
    ] {
        let twins: Vec<Alert> = alerts().into_iter().filter(|alert| alert.name == name).collect();
        assert_eq!(twins.len(), PACES.len(), "{name}");
        for (long, short, pace) in PACES {
            let alert = twins.iter().find(|alert| alert.labels.get("window").is_some_and(|window| window == long));
            let alert = alert.unwrap_or_else(|| panic!("{name} has no window {long}"));
            let read = promql::read(&alert.expr).unwrap();
            let metrics: Vec<&str> = read.selectors.iter().map(|selector| selector.metric.as_str()).collect();
            assert_eq!(metrics[..2], [format!("{ratio}{long}"), format!("{ratio}{short}")], "{}", alert.title());
            for (operator, threshold) in &read.comparisons[..2] {
                assert_eq!(operator, ">");
                assert_close(*threshold, pace * budget, &alert.title());
                assert!(*threshold < 1.0, "{}: no service can fail that much", alert.title());
            }
        }
    }
}

#[test]
fn slow_is_what_the_latency_objective_calls_slow() {
    let bounds: Vec<String> = rule_files()
        .iter()
        .flat_map(RuleFile::recordings)
        .filter(|(name, _)| *name == "job:http_server_slow_requests:rate5m")
        .flat_map(|(_, expression)| promql::read(expression).unwrap().selectors)
        .flat_map(|selector| selector.matchers)
        .filter_map(|(label, _, value)| (label == "le").then_some(value))
        .collect();
    assert_eq!(bounds, [objective::API_LATENCY.threshold.to_string()]);
}

fn severity(name: &str, severity: &str) -> Option<Alert> {
    alerts().into_iter().find(|alert| alert.name == name && alert.labels["severity"] == severity)
}

fn comparisons(alert: &Alert) -> Vec<(String, f64)> {
    promql::read(&alert.expr).unwrap().comparisons
}

/// The quantile that the rules record of a histogram.
fn recorded_quantile(metric: &str) -> f64 {
    let bucket = format!("{metric}_bucket");
    let calls = rule_files()
        .iter()
        .flat_map(RuleFile::recordings)
        .flat_map(|(_, expression)| promql::read(expression).unwrap().selectors)
        .filter(|selector| selector.metric == bucket)
        .flat_map(|selector| selector.calls)
        .filter(|call| call.name == "histogram_quantile")
        .map(|call| call.numbers[0])
        .collect::<Vec<_>>();
    assert_eq!(calls.len(), 1, "quantiles of {metric}: {calls:?}");
    calls[0]
}

fn assert_close(left: f64, right: f64, what: &str) {
    assert!((left - right).abs() < 1e-9, "{what}: {left} is not {right}");
}
