//! Each fault, switched as an operator does, and seen as a customer and on the metrics page.

use crate::backend::{Backend, on_each_database};
use crate::support::{PATIENCE, Shop, assert_error};
use outrigger_testkit::{Folder, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

on_each_database!(
    errors_fail_requests_and_are_counted_as_failures,
    a_starved_pool_makes_everybody_wait,
    a_flushed_cache_is_loaded_anew
);

fn setting(share: f64, strength_ms: u64, route: &str) -> Value {
    json!({"share": share, "strength_ms": strength_ms, "routes": [route]})
}

fn errors_fail_requests_and_are_counted_as_failures(on: &Backend) {
    let shop = on.shop();
    let counted = [("http_route", "/search"), ("http_response_status_code", "500"), ("error_type", "500")];
    let failures = || shop.metric("http_server_request_duration_seconds", &counted);
    assert_eq!(shop.get("/search?q=oak").status, 200);
    shop.fault("errors", &setting(1.0, 1, "/search"));
    for _ in 0..3 {
        assert_error(&shop.get("/search?q=oak"), 500, "internal", "");
    }
    assert_eq!(shop.get("/products").status, 200, "another route fails, too");
    assert_eq!(failures(), 3.0);
    shop.end_fault("errors");
    assert_eq!(shop.get("/search?q=oak").status, 200);
    assert_eq!(failures(), 3.0);
}

#[test]
fn a_share_of_the_requests_is_hit() {
    let shop = Shop::start();
    shop.fault("errors", &json!({"share": 0.5, "routes": ["/search"]}));
    let failed = (0..60).filter(|_| shop.get("/search?q=oak&limit=1").status == 500).count();
    // Beyond these, a fair coin falls once in a hundred million runs.
    assert!((8..=52).contains(&failed), "{failed} of 60");
}

#[test]
fn a_slow_dependency_is_waited_for() {
    let shop = Shop::start();
    shop.fault("slow-dependency", &setting(1.0, 300, "/products/{id}"));
    let begun = Instant::now();
    assert_eq!(shop.get("/products/1").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

fn a_starved_pool_makes_everybody_wait(on: &Backend) {
    let shop = on.shop_with(&["--max-connections", "2"]);
    shop.fault("pool-starvation", &setting(1.0, 1_500, "/products"));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(shop.get("/products?limit=1").status, 200));
        }
        let pool = [("db_client_connection_pool_name", "shop")];
        let waiting = || shop.metric("db_client_connection_pending_requests", &pool);
        wait_until(PATIENCE, "callers wait for a connection", || waiting() >= 1.0);
        // The pool's gauges are sampled each second.
        let used = [("db_client_connection_pool_name", "shop"), ("db_client_connection_state", "used")];
        wait_until(PATIENCE, "all connections are in use", || shop.metric("db_client_connection_count", &used) == 2.0);
    });
    shop.end_fault("pool-starvation");
    assert_eq!(shop.metric("db_client_connection_max", &[]), 2.0);
    assert_eq!(shop.get("/search?q=oak").status, 200);
}

fn a_flushed_cache_is_loaded_anew(on: &Backend) {
    let shop = on.shop();
    let lookups = |result: &str| {
        shop.metric("cache_requests_total", &[("cache_name", "bought_together"), ("cache_result", result)])
    };
    let look = || (0..5).for_each(|_| assert_eq!(shop.get("/products/1").status, 200));
    look();
    assert_eq!((lookups("hit"), lookups("miss")), (4.0, 1.0));
    shop.fault("cache-flush", &json!({"share": 1, "routes": ["/products/{id}"]}));
    look();
    assert_eq!((lookups("hit"), lookups("miss")), (4.0, 6.0));
    assert_eq!(shop.metric("cache_load_duration_seconds", &[("cache_name", "bought_together")]), 6.0);
    shop.end_fault("cache-flush");
    look();
    assert_eq!((lookups("hit"), lookups("miss")), (9.0, 6.0));
}

#[test]
fn a_burning_cpu_computes() {
    let shop = Shop::start();
    let before = shop.metric("process_cpu_seconds_total", &[]);
    shop.fault("cpu-burn", &setting(1.0, 500, "/search"));
    let begun = Instant::now();
    assert_eq!(shop.get("/search?q=oak").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(500));
    // It computes for half a second of the clock, of which a busy machine gives it a part.
    let burnt = shop.metric("process_cpu_seconds_total", &[]) - before;
    assert!(burnt > 0.02, "{burnt} s");
}

#[test]
fn wrong_settings_are_refused_by_field_and_change_nothing() {
    let shop = Shop::start();
    let put = |name: &str, body: &Value| shop.admin_send("PUT", &format!("/faults/{name}"), Some(body));
    assert_error(&put("errors", &json!({"share": 2, "routes": ["/cart"]})), 400, "invalid_field", "share: ");
    assert_error(&put("cpu-burn", &setting(0.5, 10_001, "/cart")), 400, "invalid_field", "strength_ms: ");
    assert_error(&put("errors", &setting(0.5, 1, "/nowhere")), 400, "invalid_field", "/products/{id}");
    assert_error(&put("cache-flush", &setting(0.5, 1, "/orders")), 400, "invalid_field", "/products/{id}");
    assert_error(&put("n-plus-one", &setting(0.5, 1, "/orders")), 400, "invalid_field", "/search");
    assert_error(&put("slow-query", &json!({"share": 1, "routes": ["/cart"]})), 400, "invalid_field", "strength_ms: ");
    assert_error(&put("errors", &json!([])), 400, "invalid_field", "body: ");
    assert_error(&put("meteor", &setting(0.5, 1, "/cart")), 404, "unknown_fault", "slow-dependency");
    assert_error(&shop.admin_send("DELETE", "/faults/meteor", None), 404, "unknown_fault", "cpu-burn");
    let faults = shop.admin_send("GET", "/faults", None).json();
    let faults = faults["faults"].as_array().unwrap();
    let names: Vec<_> = faults.iter().map(|fault| fault["name"].as_str().unwrap()).collect();
    let known = ["slow-dependency", "errors", "pool-starvation", "cache-flush", "cpu-burn"];
    assert_eq!(names, [&known[..], &["n-plus-one", "missing-index", "slow-query"]].concat());
    assert!(faults.iter().all(|fault| fault["active"].is_null()));
}

#[test]
fn customers_cannot_reach_the_switches() {
    let shop = Shop::start();
    assert_error(&shop.get("/faults"), 404, "not_found", "");
    let setting = setting(1.0, 1, "/search");
    assert_error(&shop.send("PUT", "/faults/errors", None, Some(&setting)), 404, "not_found", "");
    assert_error(&shop.get("/metrics"), 404, "not_found", "");
    assert_eq!(shop.get("/search?q=oak").status, 200);
}

#[test]
fn the_truth_file_tells_when_what_was_on() {
    let folder = Folder::new("truth");
    let file = folder.path().join("truth.jsonl");
    let shop = Shop::with(&["--truth-file", file.to_str().unwrap()]);
    let lines = || -> Vec<Value> {
        fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(lines(), Vec::<Value>::new());
    shop.end_fault("errors");
    assert_eq!(lines().len(), 0, "what was not on does not end");

    shop.fault("slow-dependency", &setting(0.25, 70, "/search"));
    let begun = &lines()[0];
    assert_eq!((&begun["kind"], &begun["cause"]), (&json!("slow-dependency"), &json!("dependency")));
    assert_eq!(
        (&begun["share"], &begun["strength_ms"], &begun["routes"]),
        (&json!(0.25), &json!(70), &json!(["/search"]))
    );
    assert!(begun["end"].is_null());
    // A new setting ends the old one.
    shop.fault("slow-dependency", &setting(0.5, 70, "/search"));
    shop.fault("errors", &json!({"share": 1, "routes": ["/cart", "/orders"]}));
    shop.end_fault("slow-dependency");
    // And so does the end of the shop.
    assert!(shop.process.stop(PATIENCE).unwrap().success());

    let lines = lines();
    assert_eq!(lines.len(), 6);
    let starts: Vec<&Value> = lines.iter().filter(|line| line["end"].is_null()).collect();
    assert_eq!(starts.len(), 3);
    for start in starts {
        let same: Vec<&Value> = lines.iter().filter(|line| line["id"] == start["id"]).collect();
        assert_eq!(same.len(), 2, "{start}");
        let (begin, end) = (same[0]["start"].as_str().unwrap(), same[1]["end"].as_str().unwrap());
        // RFC 3339 in UTC sorts as text.
        assert!(begin.ends_with('Z') && begin.len() == 24 && begin <= end, "{begin} {end}");
        for field in ["kind", "cause", "share", "strength_ms", "routes", "start"] {
            assert_eq!(same[0][field], same[1][field]);
        }
    }
}
