//! OTLP, read by a receiver that shares no code with ours.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use outrigger_exposition::{Format, Value, families};
use outrigger_testkit::OtlpReceiver;
use support::{Agent, DEADLINE, Service, shop};

#[test]
fn a_stranger_reads_the_same_counts_that_the_page_shows() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let page = shop(1_700_000_000, 7, 4);
    let service = Service::start(&page);
    let agent = Agent::start(&[&service.target], &["--otlp-endpoint", &receiver.http_endpoint()]);

    let point = receiver.wait_point(DEADLINE, "http.server.request.duration", |_| true);
    let read = families(page.as_bytes(), Format::Text);
    let family = read.families.iter().find(|family| family.name == "http_server_request_duration_seconds").unwrap();
    let Value::Histogram(expected) = &family.points[0].value else { panic!("{family:?}") };
    assert_eq!(point["type"], "histogram");
    assert_eq!((&point["unit"], &point["temporality"]), (&"s".into(), &"cumulative".into()), "{point}");
    assert_eq!(point["explicit_bounds"], serde_json::json!(expected.bounds));
    assert_eq!(point["bucket_counts"], serde_json::json!(expected.counts));
    assert_eq!(point["count"], expected.count());
    assert_eq!(point["sum"].as_f64(), expected.sum);
    assert_eq!(point["start_time_unix_nano"].as_u64(), Some(1_700_000_000_000_000_000));
    assert_eq!(point["attributes"]["http.route"], "/products/{id}");
    assert_eq!(point["attributes"]["http.response.status_code"], 200);
    assert_eq!(point["resource"]["service.name"], "shop");
    assert_eq!(point["resource"]["service.version"], "1.2.3");
    assert_eq!(point["resource"]["service.instance.id"], service.target.as_str());

    let own = receiver.wait_point(DEADLINE, "outrigger.tick.duration", |_| true);
    assert_eq!(own["resource"]["service.name"], "outrigger");
    let up = receiver.wait_point(DEADLINE, "outrigger.target.up", |point| point["value"] == 1.0);
    assert_eq!(up["attributes"]["target"], service.target.as_str());
    agent.wait("the count of pushes", |agent| {
        agent.value("outrigger_otlp_exports_total", &[("outcome", "success")]) >= 2.0
    });
    assert_eq!(agent.value("outrigger_otlp_dropped_points_total", &[]), 0.0);
}

#[test]
fn what_was_scraped_during_a_short_outage_arrives_in_order() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let service = Service::start(&shop(1_700_000_000, 1, 0));
    receiver.refuse(Some(503), Some(1));
    let agent = Agent::start(&[&service.target], &["--otlp-endpoint", &receiver.http_endpoint()]);
    agent.wait("failed pushes", |agent| {
        agent.value("outrigger_otlp_exports_total", &[("outcome", "failure")]) >= 1.0
            && agent.value("outrigger_scrapes_total", &[("outcome", "success")]) >= 3.0
    });
    receiver.refuse(None, None);
    let points = || receiver.points("http.server.request.duration");
    agent.wait("the waiting points", |_| points().len() >= 3);
    let times: Vec<u64> = points().iter().map(|point| point["time_unix_nano"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(agent.value("outrigger_otlp_dropped_points_total", &[]), 0.0);
    let log = agent.process.log();
    assert!(log.contains("takes no data") && log.contains("takes data again"), "{log}");
}

#[test]
fn data_that_is_refused_for_good_is_counted_and_not_sent_again() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let service = Service::start(&shop(1_700_000_000, 1, 0));
    receiver.refuse(Some(400), None);
    let agent = Agent::start(&[&service.target], &["--otlp-endpoint", &receiver.http_endpoint()]);
    agent.wait("rejected points", |agent| {
        agent.value("outrigger_otlp_dropped_points_total", &[("reason", "rejected")]) > 0.0
    });
    receiver.refuse(None, None);
    agent.wait("deliveries", |agent| agent.value("outrigger_otlp_exports_total", &[("outcome", "success")]) >= 1.0);
}
