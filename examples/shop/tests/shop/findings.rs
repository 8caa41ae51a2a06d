//! Statements that are badly written, on the shop's own routes: found where they are, and nowhere else.

use crate::backend::{Backend, on_each_database};
use crate::support::PATIENCE;
use serde_json::json;

on_each_database!(a_list_read_row_by_row_is_found_by_its_route);

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
