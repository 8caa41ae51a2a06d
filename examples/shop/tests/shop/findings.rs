//! Statements that are badly written, on the shop's own routes: found where they are, and nowhere else.

use crate::backend::{Backend, on_each_database};
use crate::support::{PATIENCE, Shop};
use outrigger_testkit::wait_until;
use serde_json::json;

on_each_database!(a_list_read_row_by_row_is_found_by_its_route, a_slow_statement_is_logged_by_its_shape);

fn a_list_read_row_by_row_is_found_by_its_route(on: &Backend) {
    let shop = on.shop();
    let found = |route: &str| shop.metric("db_client_n_plus_one_total", &[("http_route", route)]);
    let pages = ["/products?limit=30", "/search?q=oak&limit=30"];
    let good = pages.map(|page| shop.get(page).json());
    for id in 1..=12 {
        assert_eq!(shop.get(&format!("/products/{id}")).status, 200);
    }
    assert_eq!(shop.metric("db_client_n_plus_one_total", &[]), 0.0, "{}", shop.process.log());

    shop.fault("n-plus-one", &json!({"share": 1, "routes": ["/products", "/search"]}));
    let bad = pages.map(|page| shop.get(page).json());
    assert_eq!(good, bad);
    assert_eq!((found("/products"), found("/search")), (1.0, 1.0));
    assert_eq!(shop.metric("db_client_n_plus_one_total", &[]), 2.0);
    // The log has what a metric cannot: how often, and which statement.
    let line = shop.process.wait_line(PATIENCE, r#"route="/search""#);
    assert!(line.contains("count=30") && line.contains("WHERE p.id = ?"), "{line}");

    shop.end_fault("n-plus-one");
    assert_eq!(pages.map(|page| shop.get(page).json()), good);
    assert_eq!(shop.metric("db_client_n_plus_one_total", &[]), 2.0);
}

fn a_slow_statement_is_logged_by_its_shape(on: &Backend) {
    let shop = on.shop_with(&["--slow-query", "1s", "--request-timeout", "1m"]);
    let slow = || shop.metric("db_client_slow_queries_total", &[("db_system_name", on.system())]);
    look_around(&shop);
    assert_eq!(slow(), 0.0, "{}", shop.process.log());
    // More than the threshold also where a fast machine counts it off sooner.
    shop.fault("slow-query", &json!({"share": 1, "strength_ms": 4_000, "routes": ["/cart"]}));
    let customer = shop.customer();
    assert_eq!(customer.send("GET", "/cart", None).status, 200);
    assert_eq!(slow(), 1.0);
    let line = shop.process.wait_line(PATIENCE, "outrigger::db");
    let shape = if matches!(on, Backend::Sqlite) { "step < ?" } else { "pg_sleep(?)" };
    let (_, statement) = line.split_once("statement=").unwrap_or_else(|| panic!("{line}"));
    assert!(statement.contains(shape) && !statement.contains("4000"), "{line}");
    shop.end_fault("slow-query");
    look_around(&shop);
    assert_eq!(slow(), 1.0, "{}", shop.process.log());
}

#[test]
fn a_scan_without_an_index_is_named_with_its_column() {
    let Some(on) = Backend::postgres() else { return };
    // Every statement is slow enough to be looked at.
    let shop = on.shop_with(&["--slow-query", "0s"]);
    look_around(&shop);
    let found = |finding: &str| {
        let labels = [("db_plan_finding", finding), ("db_collection_name", "order_items")];
        shop.metric("db_client_plan_findings_total", &labels)
    };
    // Plans are looked at in the order in which their statements came: those above before this one.
    shop.fault("missing-index", &json!({"share": 1, "routes": ["/search"]}));
    wait_until(PATIENCE, "the index that is missing", || {
        assert_eq!(shop.get("/search?q=oak").status, 200);
        found("missing_index") == 1.0
    });
    assert_eq!(found("sequential_scan"), 1.0);
    assert_eq!(shop.metric("db_client_plan_findings_total", &[]), 2.0, "{}", shop.process.log());
    assert!(shop.metric("db_client_plan_explains_total", &[("outcome", "success")]) > 5.0);
    let line = shop.process.wait_line(PATIENCE, "unit_price_cents");
    assert!(line.contains("order_items") && line.contains("WARN"), "{line}");
}

/// Every page once, as the shop is meant to answer it.
fn look_around(shop: &Shop) {
    for page in ["/products", "/products?category=Garden", "/search?q=oak", "/products/1", "/products/10001"] {
        assert!(matches!(shop.get(page).status, 200 | 404), "{page}");
    }
    let customer = shop.customer();
    assert_eq!(customer.put_into_cart(1, 1).status, 200);
    let order = customer.check_out();
    customer.wait_status(order, "notified");
}
