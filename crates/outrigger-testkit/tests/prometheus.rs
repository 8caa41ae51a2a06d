//! Prometheus scrapes and evaluates, Alertmanager notifies, promtool lints: each with real input, then all together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use outrigger_testkit::{
    Alertmanager, Folder, Prometheus, PrometheusConfig, WebhookSink,
    http::{Response, Server},
    promtool, wait_for, wait_until,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use support::Traces;

const SOON: Duration = Duration::from_secs(30);
const PAGE: &str = "# HELP things_total Things.\n# TYPE things_total counter\nthings_total 3\n";

fn page(body: &'static str) -> Server {
    Server::start(move |_| Response::text_with_type(200, "text/plain; version=0.0.4", body))
}

#[test]
fn prometheus_scrapes_a_page_and_survives_a_kill() {
    let target = page(PAGE);
    let config = PrometheusConfig::new().scrape("good", target.address()).interval(Duration::from_millis(200));
    let Some(mut prometheus) = Prometheus::start(config.clone()) else { return };
    let traces = Traces::of(prometheus.process(), prometheus.port());
    prometheus.wait_value(SOON, "up", |up| up == 1.0);
    assert_eq!(prometheus.value("things_total{job=\"good\"}"), Some(3.0));
    assert_eq!(prometheus.value("no_such_series"), None);
    assert_eq!(prometheus.targets()[0]["health"], "up");
    assert!(prometheus.try_query("sum(").is_err_and(|why| why.contains("parse error")));
    assert_eq!(prometheus.complaints(), Vec::<String>::new());

    let other = page(PAGE);
    prometheus.reload(&config.scrape("other", other.address()));
    prometheus.wait_value(SOON, "count(up == 1)", |targets| targets == 2.0);

    prometheus.kill();
    traces.assert_port_closed();
    prometheus.restart();
    prometheus.wait_value(SOON, "up{job=\"other\"}", |up| up == 1.0);
    let traces = Traces::of(prometheus.process(), prometheus.port());
    drop(prometheus);
    traces.assert_nothing_left();
}

#[test]
fn prometheus_complains_of_a_page_that_it_cannot_parse() {
    let target = page("things_total{ 3\n");
    let config = PrometheusConfig::new().scrape("bad", target.address()).interval(Duration::from_millis(200));
    let Some(prometheus) = Prometheus::start(config) else { return };
    wait_until(SOON, "a complaint", || !prometheus.complaints().is_empty());
    assert_eq!(prometheus.value("up"), Some(0.0));
}

#[test]
fn native_histograms_and_remote_write_can_be_switched_on() {
    let config = PrometheusConfig::new().feature("native-histograms").remote_write_receiver();
    let Some(prometheus) = Prometheus::start(config) else { return };
    // An empty snappy block is an empty write request: a receiver that is off answers 404.
    let answer =
        outrigger_testkit::http::post(&format!("{}/api/v1/write", prometheus.url()), "application/x-protobuf", [0]);
    assert_eq!(answer.expect("Prometheus answers").status, 204);
    assert!(prometheus.log().contains("native histogram support enabled"), "{}", prometheus.log());
}

#[test]
fn promtool_lints_pages_and_rules() {
    let Some(clean) = promtool::check_metrics(PAGE) else { return };
    assert_eq!(clean, Vec::<String>::new());
    let complaints = promtool::check_metrics("# HELP a_count A.\n# TYPE a_count gauge\na_count 1\n").expect("found");
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].starts_with("a_count ") && complaints[0].contains("\"_count\""), "{complaints:?}");

    let folder = Folder::new("rules");
    let good = folder.write("good.yml", r#"{"groups":[{"name":"g","rules":[{"record":"a:b","expr":"sum(a)"}]}]}"#);
    let bad = folder.write("bad.yml", r#"{"groups":[{"name":"g","rules":[{"record":"a:b","expr":"sum("}]}]}"#);
    assert!(promtool::check_rules(&good).expect("found").status.success());
    assert!(!promtool::check_rules(&bad).expect("found").status.success());

    let test = |expected: &str| {
        let tests = json!({"rule_files": [good], "tests": [{
            "interval": "1m",
            "input_series": [{"series": "a{x=\"1\"}", "values": "1 1"}, {"series": "a{x=\"2\"}", "values": "2 2"}],
            "promql_expr_test": [{"expr": "a:b", "eval_time": "1m", "exp_samples": [{"labels": "a:b", "value": expected.parse::<f64>().ok()}]}]
        }]});
        promtool::test_rules(folder.write("test.yml", tests.to_string())).expect("found")
    };
    let right = test("3");
    assert!(right.status.success(), "{}", right.log);
    assert!(!test("4").status.success());
}

#[test]
fn an_alert_travels_from_a_page_to_a_webhook() {
    let ill = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&ill);
    let target = Server::start(move |_| {
        let value = u8::from(state.load(Ordering::SeqCst));
        Response::text_with_type(200, "text/plain; version=0.0.4", format!("ill {value}\n"))
    });
    let sink = WebhookSink::start();
    let Some(alertmanager) = Alertmanager::start(Some(&sink.url("/hook"))) else { return };
    let folder = Folder::new("rules");
    let rules = folder.write("rules.yml", r#"{"groups":[{"name":"g","rules":[{"alert":"Ill","expr":"ill == 1"}]}]}"#);
    let config = PrometheusConfig::new()
        .scrape("patient", target.address())
        .interval(Duration::from_millis(200))
        .rule_file(rules)
        .alertmanager(alertmanager.address());
    let Some(prometheus) = Prometheus::start(config) else { return };

    let alerts = wait_for(SOON, "the alert in Alertmanager", || Some(alertmanager.alerts()).filter(|a| !a.is_empty()));
    assert_eq!(alerts[0]["labels"]["alertname"], "Ill");
    assert_eq!(prometheus.alerts()[0]["state"], "firing");
    let request = sink.wait_for(SOON, "the firing notice", |request| request.text().contains("firing"));
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
    assert_eq!(request.json()["alerts"][0]["labels"]["alertname"], "Ill");

    ill.store(false, Ordering::SeqCst);
    sink.wait_for(SOON, "the resolved notice", |request| request.json()["status"] == "resolved");

    let traces = Traces::of(alertmanager.process(), alertmanager.port());
    drop(prometheus);
    drop(alertmanager);
    traces.assert_nothing_left();
}

#[test]
fn alertmanager_takes_posted_alerts_and_keeps_running_without_a_webhook() {
    let Some(mut alertmanager) = Alertmanager::start(None) else { return };
    alertmanager.post(&json!([{"labels": {"alertname": "Posted", "route": "/products/{id}"}}]));
    wait_until(SOON, "the posted alert", || {
        alertmanager.alerts().iter().any(|alert| alert["labels"]["route"] == "/products/{id}")
    });
    let traces = Traces::of(alertmanager.process(), alertmanager.port());
    alertmanager.kill();
    traces.assert_port_closed();
    alertmanager.restart();
    assert_eq!(alertmanager.alerts(), Vec::<serde_json::Value>::new());
}
