//! What suffers as well as it may be to blame.

use super::super::*;
use super::service::{CALM, Machine, Second, Service};

#[test]
fn a_statement_that_may_suffer_is_no_missing_index_and_its_plan_is_told_all_the_same() {
    let slow = Second { statement_seconds: 1.04, use_seconds: 1.05, unserved: 1.0, ..CALM };
    let cause = |doing| Service::causes(doing, 2.0, 0.0).remove(0);
    let sure = cause(slow);
    assert!(sure.cause == CauseKind::MissingIndex && sure.strength > 0.9, "{sure:?}");
    // The service's own threads wait for processors.
    let short = cause(Second { machine: Machine { crowded: 0.95, ..CALM.machine }, ..slow });
    assert!(short.cause == CauseKind::SlowQuery && short.strength <= 0.55, "{short:?}");
    assert!(short.evidence.contains("its plan was found to read rows"), "{short:?}");
    assert!(short.evidence.contains("it may suffer itself"), "{short:?}");
}

#[test]
fn the_time_that_requests_lost_is_told_by_parts() {
    let mut service = Service::new();
    service.serve(61, CALM);
    let onset = service.now();
    service.serve(10, Second { statement_seconds: 1.04, use_seconds: 1.05, cpu: 1.4, ..CALM });
    let told = service.evidence.explain(&Trouble { onset, added_seconds: 20.0, failed: 0.0 }).unwrap().added_time;
    let parts: Vec<_> = told.iter().map(|added| (added.part, added.subject.as_deref())).collect();
    let expected =
        [(PartKind::Database, Some("SELECT products")), (PartKind::Cpu, None), (PartKind::Unaccounted, None)];
    assert_eq!(parts, expected, "{told:?}");
    assert!((told.iter().map(|added| added.seconds).sum::<f64>() - 20.0).abs() < 1e-6, "{told:?}");
    assert!((told.iter().map(|added| added.share).sum::<f64>() - 1.0).abs() < 1e-6, "{told:?}");
}

#[test]
fn more_requests_of_a_heavy_route_are_no_more_statements_for_each() {
    let mut service = Service::new();
    let (mut light, mut heavy) = (0, 0);
    let mut serve = |service: &mut Service, seconds: u32, of_heavy: u32| {
        for _ in 0..seconds {
            light += 9;
            heavy += of_heavy;
            let mut text = String::new();
            let mut histogram = |name: &str, labels: &str, count: u32, seconds: f64| {
                text.push_str(&format!("# TYPE {name} histogram\n{name}_bucket{{{labels},le=\"+Inf\"}} {count}\n"));
                text.push_str(&format!("{name}_sum{{{labels}}} {seconds}\n{name}_count{{{labels}}} {count}\n"));
            };
            let statements = light + 20 * heavy;
            let select = "db_operation_name=\"SELECT\"";
            histogram("db_client_operation_duration_seconds", select, statements, f64::from(statements) * 0.005);
            let mut route = |route: &str, count: u32, each: f64| {
                let labels = format!("http_request_method=\"GET\",http_route=\"{route}\"");
                histogram("http_server_request_duration_seconds", &labels, count, f64::from(count) * each);
            };
            route("/light", light, 0.01);
            route("/heavy", heavy, 0.1);
            service.scrape(text);
        }
    };
    serve(&mut service, 61, 1);
    let onset = service.now();
    serve(&mut service, 10, 9);
    let causes = service.explain(&Trouble { onset, added_seconds: 1.0, failed: 0.0 }).unwrap();
    let strength = causes.iter().find(|cause| cause.cause == CauseKind::NPlusOne).map(|cause| cause.strength);
    assert!(strength.is_some_and(|strength| strength <= 0.5), "{causes:?}");
}
