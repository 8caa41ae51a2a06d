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
