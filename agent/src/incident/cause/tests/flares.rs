//! Incidents that outlast their first trouble.

use super::super::*;
use super::service::{CALM, Second, Service};

const SLOW: Second = Second { statement_seconds: 1.04, use_seconds: 1.05, ..CALM };
const BUSY: Second = Second { cpu: 0.9, ..CALM };

/// The first cause of trouble that has cost so much.
fn first(service: &mut Service, onset: SystemTime, added_seconds: f64) -> Option<CauseKind> {
    let causes = service.explain(&Trouble { onset, added_seconds, failed: 0.0 })?;
    causes.first().map(|cause| cause.cause)
}

#[test]
fn trouble_that_follows_on_other_trouble_is_explained_by_itself() {
    let mut service = Service::new();
    service.serve(61, CALM);
    let onset = service.now();
    service.serve(20, SLOW);
    assert_eq!(first(&mut service, onset, 20.0), Some(CauseKind::SlowQuery));
    for calm in [0, 100, 1000] {
        service.serve(calm, CALM);
        let onset = service.now();
        service.serve(10, BUSY);
        // It may be what is left of the first.
        assert_eq!(first(&mut service, onset, 5.0), None);
        service.serve(2, BUSY);
        assert_eq!(first(&mut service, onset, 6.0), Some(CauseKind::Cpu), "after {calm} s");
    }
}

#[test]
fn what_came_in_while_something_else_kept_an_incident_open_is_no_normal() {
    let mut service = Service::new();
    service.serve(61, CALM);
    let began = service.now();
    for _ in 0..10 {
        service.serve(90, SLOW);
        service.evidence.hold(began);
    }
    let onset = service.now();
    service.serve(10, SLOW);
    assert_eq!(first(&mut service, onset, 10.0), Some(CauseKind::SlowQuery));
}

#[test]
fn what_an_incident_cost_before_a_restart_says_nothing_of_the_next_one() {
    let mut service = Service::new();
    service.serve(61, CALM);
    let onset = service.now();
    service.serve(10, SLOW);
    assert_eq!(first(&mut service, onset, 20.0), Some(CauseKind::SlowQuery));
    service.evidence = Evidence::restore(service.evidence.keep().unwrap());
    service.evidence.calm();
    assert!(service.evidence.recent.is_empty(), "what the incident brought is no normal");
    service.serve(61, CALM);
    let onset = service.now();
    service.serve(10, BUSY);
    assert_eq!(first(&mut service, onset, 8.0), Some(CauseKind::Cpu));
}
