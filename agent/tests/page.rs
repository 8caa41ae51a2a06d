//! `/metrics` of the agent: only what the catalogue has, in both formats, and without a word from Prometheus' own linter.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use outrigger_exposition::{Format, Kind, families};
use outrigger_semconv as semconv;
use outrigger_testkit::http;
use support::{Agent, DEADLINE, Service, shop};

/// An agent that has seen traffic, so that every family has a point.
fn busy_agent(service: &Service) -> Agent {
    let agent = Agent::start(&[&service.target], &["--otlp-endpoint", "http://127.0.0.1:9"]);
    let mut requests = 0;
    agent.wait("a rate and a CPU share", |agent| {
        requests += 5;
        service.show(&shop(1000, requests, requests));
        agent.value("outrigger_route_request_rate", &[]) > 0.0 && agent.value("system_cpu_utilization_ratio", &[]) > 0.0
    });
    agent
}

#[test]
fn every_family_is_in_the_catalogue_with_its_kind_and_labels() {
    let service = Service::start(&shop(1000, 0, 0));
    let agent = busy_agent(&service);
    for (accept, format) in [("text/plain", Format::Text), (Format::ACCEPT, Format::OpenMetrics)] {
        let url = format!("{}/metrics", agent.url);
        let answer = http::request("GET", &url, &[("accept", accept)], b"", DEADLINE).unwrap();
        assert_eq!(answer.header("content-type"), Some(format.content_type()));
        let page = families(&answer.body, format);
        assert_eq!((page.parsed.bad_lines, page.problems.len()), (0, 0), "{:?}", page.problems);
        assert_eq!(page.parsed.eof, format == Format::OpenMetrics);
        for family in &page.families {
            let name =
                if family.kind == Kind::Counter { format!("{}_total", family.name) } else { family.name.clone() };
            let metric = semconv::find(&name).unwrap_or_else(|| panic!("{name} is not in the catalogue"));
            assert_ne!(metric.emitter, semconv::Emitter::Library, "{name} is the library's to emit");
            let kind = match metric.kind {
                semconv::Kind::Counter => Kind::Counter,
                semconv::Kind::Gauge => Kind::Gauge,
                semconv::Kind::Histogram(_) => Kind::Histogram,
            };
            assert_eq!(family.kind, kind, "{name}");
            assert_eq!(family.help.as_deref(), Some(metric.help), "{name}");
            for point in &family.points {
                for label in &point.labels {
                    assert!(metric.labels.contains(&label.name.as_str()), "{name} has the label {}", label.name);
                }
            }
        }
        let shown =
            |metric: &semconv::Metric| page.families.iter().any(|f| metric.name.trim_end_matches("_total") == f.name);
        let absent: Vec<_> =
            semconv::agent::ALL.iter().filter(|metric| !shown(metric)).map(|metric| metric.name).collect();
        // A score comes after warm-up, and a forecast once a limit is neared; both may outlast this test.
        let late = ["outrigger_anomaly_score", "outrigger_saturation_full_in_seconds"];
        assert!(absent.iter().all(|name| late.contains(name)), "{absent:?}");
    }
}

#[test]
fn promtool_has_no_complaint_but_the_listed_names() {
    let service = Service::start(&shop(1000, 0, 0));
    let agent = busy_agent(&service);
    let Some(complaints) = outrigger_testkit::promtool::check_metrics(&agent.get("/metrics").text()) else { return };
    let excused = |line: &&String| semconv::PROMTOOL_EXCEPTIONS.iter().any(|name| line.starts_with(name));
    let complaints: Vec<_> = complaints.iter().filter(|line| !excused(line)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_probes_tell_life_and_readiness() {
    let service = Service::start(&shop(1000, 0, 0));
    let agent = Agent::start(&[&service.target], &[]);
    agent.wait("readiness", |agent| agent.get("/-/ready").status == 200);
    assert_eq!(agent.get("/-/healthy").text(), "healthy\n");
    assert_eq!(agent.get("/nothing").status, 404);
    assert_eq!(agent.get("/api/v1/incidents").text(), r#"{"version":1,"incidents":[]}"#);
}
