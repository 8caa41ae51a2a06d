//! The caches' second tier: Redis, shared by all shops on the same database.

use crate::backend::{Backend, on_each_database};
use crate::support::{PATIENCE, Shop};
use outrigger_testkit::{Folder, Redis, free_port, wait_until};

on_each_database!(two_shops_share_what_either_has_loaded);

/// A product of which there are three, and never more.
const LAST_PIECE: i64 = 97;

fn two_shops_share_what_either_has_loaded(on: &Backend) {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new("shop");
    let program = on.lasting_program(&folder).args(["--redis", &redis.url(), "--restock-interval", "1h"]);
    let (one, other) = (Shop::run(&program), Shop::run(&program));
    let availability = |shop: &Shop| shop.get(&format!("/products/{LAST_PIECE}")).json()["availability"].clone();
    let loads = |shop: &Shop| shop.metric("cache_load_duration_seconds", &[]);

    assert_eq!(availability(&one), "few");
    assert_eq!(loads(&one), 2.0, "the product, and what is bought with it");
    wait_until(PATIENCE, "the other shop to find both in Redis", || {
        assert_eq!(availability(&other), "few");
        let found = [("cache_tier", "redis"), ("cache_result", "hit")];
        other.metric("cache_tier_requests_total", &found) >= 2.0
    });
    let selects = [("db_system_name", "redis")];
    assert!(other.metric("db_client_operation_duration_seconds", &selects) >= 2.0);

    // A sale in one shop shows in the other.
    let customer = one.customer();
    assert_eq!(customer.put_into_cart(LAST_PIECE, 3).status, 200);
    customer.check_out();
    assert_eq!(availability(&one), "sold_out");
    wait_until(PATIENCE, "the other shop to hear of it", || availability(&other) == "sold_out");
}

#[test]
fn a_redis_that_is_not_there_is_done_without() {
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    let shop = Shop::with(&["--redis", &nobody]);
    for id in 1..=20 {
        assert_eq!(shop.get(&format!("/products/{id}")).status, 200);
    }
    assert!(shop.metric("cache_tier_errors_total", &[("cache_tier", "redis")]) > 0.0);
    assert_eq!(shop.metric("cache_tier_available", &[("cache_name", "product_details")]), 0.0);
    assert!(shop.process.stop(PATIENCE).unwrap().success());
}
