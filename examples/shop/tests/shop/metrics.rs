//! The page that the shop shows to its agent.

use crate::backend::{Backend, on_each_database};
use crate::support::PATIENCE;
use outrigger_exposition::{Format, Kind, Value, families};
use outrigger_semconv as catalogue;
use outrigger_testkit::wait_until;
use std::collections::BTreeSet;

on_each_database!(
    the_page_holds_the_catalogues_metrics_and_nothing_else,
    requests_are_counted_by_their_route,
    background_work_is_seen,
    a_backlog_has_a_depth_and_an_age
);

fn the_page_holds_the_catalogues_metrics_and_nothing_else(on: &Backend) {
    let shop = on.shop();
    let customer = shop.customer();
    assert_eq!(shop.get("/search?q=oak").status, 200);
    assert_eq!(shop.get("/products/1").status, 200);
    assert_eq!(shop.get("/nowhere").status, 404);
    assert_eq!(customer.put_into_cart(1, 1).status, 200);
    let order = customer.check_out();
    customer.wait_status(order, "notified");

    let page = families(shop.metrics_page().as_bytes(), Format::Text);
    assert!(page.bad_lines.is_empty(), "{:?}", page.bad_lines);
    assert!(page.problems.is_empty(), "{:?}", page.problems);
    let mut names = BTreeSet::new();
    for family in &page.families {
        let metric = catalogue::find(&family.name)
            .or_else(|| catalogue::find(&format!("{}_total", family.name)))
            .unwrap_or_else(|| panic!("{} is not in the catalogue", family.name));
        names.insert(metric.name);
        assert_eq!(family.help.as_deref(), Some(metric.help), "{}", family.name);
        let kind = match metric.kind {
            catalogue::Kind::Counter => Kind::Counter,
            catalogue::Kind::Gauge => Kind::Gauge,
            catalogue::Kind::Histogram(_) => Kind::Histogram,
        };
        assert_eq!(family.kind, kind, "{}", family.name);
        assert!(!family.points.is_empty(), "{} has no samples", family.name);
        for point in &family.points {
            for label in &point.labels {
                assert!(metric.labels.contains(&label.name.as_str()), "{} has a label {}", family.name, label.name);
            }
            if let Value::Histogram(histogram) = &point.value {
                assert_eq!(Some(histogram.bounds.as_slice()), metric.bounds(), "{}", family.name);
            }
        }
    }
    // What a reader of the shop's code is promised: requests, statements, the pool, both caches, the process.
    for metric in [
        catalogue::http::SERVER_REQUEST_DURATION,
        catalogue::http::SERVER_ACTIVE_REQUESTS,
        catalogue::db::CLIENT_OPERATION_DURATION,
        catalogue::db::CLIENT_CONNECTION_COUNT,
        catalogue::db::CLIENT_CONNECTION_MAX,
        catalogue::db::CLIENT_CONNECTION_WAIT_TIME,
        catalogue::cache::REQUESTS,
        catalogue::cache::LOAD_DURATION,
        catalogue::cache::ENTRIES,
        catalogue::process::RESIDENT_MEMORY,
        catalogue::runtime::SCHEDULING_DELAY,
        catalogue::task::DURATION,
        catalogue::resilience::BREAKER_STATE,
        catalogue::library::TARGET_INFO,
    ] {
        assert!(names.contains(metric.name), "{} is missing", metric.name);
    }
}

fn requests_are_counted_by_their_route(on: &Backend) {
    let shop = on.shop();
    let count = |route: &str, status: &str| {
        let labels = [("http_route", route), ("http_response_status_code", status)];
        shop.metric("http_server_request_duration_seconds", &labels)
    };
    for id in 1..=7 {
        assert_eq!(shop.get(&format!("/products/{id}")).status, 200);
    }
    assert_eq!(shop.get("/products/10001").status, 404);
    for path in ["/nowhere", "/.env", "/faults"] {
        assert_eq!(shop.get(path).status, 404);
    }
    assert_eq!(count("/products/{id}", "200"), 7.0);
    assert_eq!(count("/products/{id}", "404"), 1.0);
    assert_eq!(count("_unmatched", "404"), 3.0);
    let selects =
        [("db_operation_name", "SELECT"), ("db_collection_name", "products"), ("db_system_name", on.system())];
    assert!(shop.metric("db_client_operation_duration_seconds", &selects) >= 8.0);
}

fn background_work_is_seen(on: &Backend) {
    let shop = on.shop_with(&["--restock-interval", "100ms"]);
    let customer = shop.customer();
    assert_eq!(customer.put_into_cart(1, 1).status, 200);
    let order = customer.check_out();
    customer.wait_status(order, "notified");

    let runs =
        |task: &str| shop.metric("task_duration_seconds", &[("task_name", task), ("task_outcome", "success")]) as u64;
    wait_until(PATIENCE, "the order's run", || runs("order") == 1);
    wait_until(PATIENCE, "deliveries", || runs("delivery") > 2);
    wait_until(PATIENCE, "the first sweep", || runs("order_sweep") == 1);
    assert!(shop.metric("task_lateness_seconds", &[("task_name", "delivery")]) > 2.0);
    let charged = [("dependency", "payments"), ("breaker_result", "success")];
    assert_eq!(shop.metric("resilience_breaker_calls_total", &charged), 1.0);
    let closed = [("dependency", "payments"), ("breaker_state", "closed")];
    assert_eq!(shop.metric("resilience_breaker_state", &closed), 1.0);
}

/// Orders that nobody works on wait in their table, and are counted there.
fn a_backlog_has_a_depth_and_an_age(on: &Backend) {
    let shop = on.shop_with(&["--payment-latency", "10m"]);
    let customer = shop.customer();
    for id in 1..=3 {
        assert_eq!(customer.put_into_cart(id, 1).status, 200);
        customer.check_out();
    }
    let of_orders = [("task_name", "order")];
    wait_until(PATIENCE, "three orders", || shop.metric("task_queue_depth", &of_orders) == 3.0);
    assert!(shop.metric("task_queue_oldest_age_seconds", &of_orders) > 0.0);
}
