//! What happens when there is too much of something.

use crate::backend::{Backend, on_each_database};
use crate::support::{PATIENCE, assert_error};
use outrigger_testkit::wait_until;
use serde_json::json;
use std::thread;

on_each_database!(a_request_that_takes_too_long_is_given_up, more_requests_than_allowed_are_refused);

fn a_request_that_takes_too_long_is_given_up(on: &Backend) {
    let shop = on.shop_with(&["--request-timeout", "100ms"]);
    shop.fault("slow-dependency", &json!({"share": 1, "strength_ms": 10_000, "routes": ["/search"]}));
    assert_error(&shop.get("/search?q=oak"), 504, "timeout", "");
    assert_eq!(shop.get("/products").status, 200);
    let counted = [("http_route", "/search"), ("http_response_status_code", "504")];
    assert_eq!(shop.metric("http_server_request_duration_seconds", &counted), 1.0);
}

fn more_requests_than_allowed_are_refused(on: &Backend) {
    let shop = on.shop_with(&["--max-in-flight", "1"]);
    shop.fault("slow-dependency", &json!({"share": 1, "strength_ms": 10_000, "routes": ["/search"]}));
    thread::scope(|scope| {
        let slow = scope.spawn(|| shop.get("/search?q=oak").status);
        let in_flight = || shop.metric("http_server_active_requests", &[("http_request_method", "GET")]);
        wait_until(PATIENCE, "the slow request is under way", || in_flight() == 1.0);
        let refused = shop.get("/products");
        assert_error(&refused, 503, "overloaded", "");
        assert_eq!(refused.header("retry-after"), Some("1"));
        // The admin listener has room of its own.
        shop.end_fault("slow-dependency");
        assert!(matches!(slow.join().unwrap(), 200 | 504));
    });
    assert_eq!(shop.get("/products").status, 200);
}
