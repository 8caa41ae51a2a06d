//! Scopes that the service names.

use std::panic::{AssertUnwindSafe, catch_unwind};

use outrigger::Metrics;
use outrigger_semconv::{label, library, profile};

use crate::support::Page;

pub(crate) async fn scopes_are_timed_and_their_names_capped(metrics: Metrics) {
    const PRICE: (&str, &str) = (label::PROFILE_SCOPE, "checkout.price");
    for _ in 0..3 {
        drop(metrics.profile_scope("checkout.price"));
    }
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let _timed = metrics.profile_scope("checkout.price");
        panic!("on purpose");
    }));
    assert!(panics.is_err());
    let page = Page::of(&metrics);
    assert_eq!(page.count(&profile::SCOPE_DURATION, &[PRICE]), 3);
    assert_eq!(page.count(&profile::SCOPE_DURATION, &[PRICE, (label::ERROR_TYPE, "panic")]), 1);

    for number in 0..300 {
        drop(metrics.profile_scope(&format!("scope {number}")));
    }
    let page = Page::of(&metrics);
    assert!(page.series(&profile::SCOPE_DURATION).len() <= 202);
    assert_eq!(page.total(&profile::SCOPE_DURATION), 304, "every one is counted");
    let dropped = page.number(&library::SERIES_DROPPED, &[(label::METRIC, profile::SCOPE_DURATION.name)]);
    assert_eq!(dropped, Some(102.0));
}
