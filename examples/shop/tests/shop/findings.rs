//! Statements that are badly written, on the shop's own routes: found where they are, and nowhere else.

use crate::backend::{Backend, on_each_database};
use serde_json::json;

on_each_database!(a_list_read_row_by_row_shows_the_same_products);

fn a_list_read_row_by_row_shows_the_same_products(on: &Backend) {
    let shop = on.shop();
    let pages = ["/products?limit=30", "/search?q=oak&limit=30"];
    let good = pages.map(|page| shop.get(page).json());
    let selects = || shop.metric("db_client_operation_duration_seconds", &[("db_collection_name", "products")]);
    let before = selects();
    shop.fault("n-plus-one", &json!({"share": 1, "routes": ["/products", "/search"]}));
    let bad = pages.map(|page| shop.get(page).json());
    assert_eq!(good, bad);
    assert!(selects() - before >= 60.0, "30 statements for each page");
}
