//! The list, search, and pages that are not there.

use crate::backend::{Backend, on_each_database};
use crate::support::assert_error;
use outrigger_testkit::http::request;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

on_each_database!(
    cursors_lead_past_every_product_exactly_once,
    a_category_has_its_own_pages,
    search_takes_words_and_nothing_but_words,
    wrong_requests_get_an_error_that_says_what_is_wrong
);

fn cursors_lead_past_every_product_exactly_once(on: &Backend) {
    let shop = on.shop();
    let mut seen = Vec::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let page = shop.get(&format!("/products?limit=100{cursor}")).json();
        seen.extend(page["products"].as_array().unwrap().iter().map(|product| product["id"].as_i64().unwrap()));
        next = page["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    assert_eq!(seen, (1..=10_000).collect::<Vec<i64>>());
}

fn a_category_has_its_own_pages(on: &Backend) {
    let shop = on.shop();
    let mut seen = BTreeSet::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let page = shop.get(&format!("/products?category=Garden&limit=77{cursor}")).json();
        for product in page["products"].as_array().unwrap() {
            assert_eq!(product["category"], "Garden");
            assert!(seen.insert(product["id"].as_i64().unwrap()), "{product} twice");
        }
        next = page["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    assert!((200..800).contains(&seen.len()), "{}", seen.len());
    assert_eq!(shop.get("/products?category=Nowhere").json(), json!({"products": [], "next_cursor": null}));
}

fn search_takes_words_and_nothing_but_words(on: &Backend) {
    let shop = on.shop();
    let hits = |query: &str| shop.get(&format!("/search?q={query}")).json()["products"].as_array().unwrap().len();
    assert_eq!(hits("kettle"), 20);
    assert!(hits("kett") > 0, "the last word may be unfinished");
    assert_eq!(hits("xyzzy"), 0);
    // FTS5's operators, quotes and column filters are plain words, or nothing.
    for hostile in ["oak+AND", "%22oak", "name%3Aoak", "oak*", "NEAR(oak)", "%27%3B--"] {
        let response = shop.get(&format!("/search?q={hostile}"));
        assert!(matches!(response.status, 200 | 400), "{hostile}: {}", response.text());
    }
    assert_error(&shop.get("/search?q="), 400, "invalid_field", "q: ");
    assert_error(&shop.get("/search?q=%21%21"), 400, "invalid_field", "q: ");
    assert_error(&shop.get(&format!("/search?q={}", "a".repeat(101))), 400, "invalid_field", "q: ");
    assert_error(&shop.get("/search"), 400, "invalid_query", "q");
}

fn wrong_requests_get_an_error_that_says_what_is_wrong(on: &Backend) {
    let shop = on.shop();
    for cursor in ["1", "p1", "p1ffffffffffffffff", "p2000000000000000a"] {
        assert_error(&shop.get(&format!("/products?cursor={cursor}")), 400, "invalid_field", "cursor");
    }
    for limit in ["0", "101"] {
        assert_error(&shop.get(&format!("/products?limit={limit}")), 400, "invalid_field", "limit");
    }
    assert_error(&shop.get("/products?limit=many"), 400, "invalid_query", "limit");
    assert_error(&shop.get("/products?page=2"), 400, "invalid_query", "page");
    for id in ["x", "0", "-1", "99999999999999999999"] {
        assert_error(&shop.get(&format!("/products/{id}")), 400, "invalid_field", "id");
    }
    assert_error(&shop.get("/products/10001"), 404, "not_found", "product");
    assert_error(&shop.get("/nowhere"), 404, "not_found", "page");
    assert_error(&shop.send("DELETE", "/products", None, None), 405, "method_not_allowed", "");
    assert_error(&shop.post("/users", &json!({"email": "x".repeat(20_000)})), 413, "body_too_large", "");
    let plain = [("content-type", "text/plain")];
    let response = request("POST", &format!("{}/users", shop.url), &plain, b"{}", Duration::from_secs(10)).unwrap();
    assert_error(&response, 415, "not_json", "");
    let json = [("content-type", "application/json")];
    let response = request("POST", &format!("{}/users", shop.url), &json, b"{", Duration::from_secs(10)).unwrap();
    assert_error(&response, 400, "invalid_json", "");
}
