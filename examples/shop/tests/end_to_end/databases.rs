//! Postgres and Redis are killed under load: the metrics tell it, the shop stays, and all is well when they are back.

use crate::world::{SOON, World};
use outrigger_testkit::{Postgres, Redis, Signal, http, wait_until};
use std::time::Duration;

const REQUESTS: &str = "http_server_request_duration_seconds_count";

#[test]
fn the_shop_outlives_its_databases() {
    let Some(world) = World::new() else { return };
    let (Some(mut postgres), Some(mut redis)) = (Postgres::start(), Redis::start()) else { return };
    let world = world.with_servers(&postgres, &redis);
    let shop = world.start_shop();
    let load = world.start_load(5, "10m");
    let answered = || world.shop_sum(REQUESTS, &[]);
    let failed = || world.shop_sum(REQUESTS, &["http_response_status_code=\"5"]);
    let ordered = || world.shop_sum(REQUESTS, &["http_route=\"/orders\"", "http_response_status_code=\"201\""]);
    let ready = || http::get(&format!("http://{}/-/ready", world.target())).is_ok_and(|answer| answer.status == 200);
    wait_until(SOON, "orders", || ordered() > 5.0);
    assert!(ready());

    // Redis dies, which costs no customer anything.
    let available = || world.shop_sum("cache_tier_available", &["cache_name=\"product_details\""]);
    let loaded = || world.shop_sum("cache_load_duration_seconds_count", &[]);
    wait_until(SOON, "Redis to be used", || available() == 1.0);
    let before = loaded();
    redis.kill();
    wait_until(SOON, "Redis to be left alone", || available() == 0.0);
    assert!(world.shop_sum("cache_tier_errors_total", &["cache_tier=\"redis\""]) > 0.0);
    wait_until(SOON, "loads without Redis", || loaded() > before + 20.0);
    redis.restart();
    wait_until(SOON, "Redis to be used again", || available() == 1.0);
    assert_eq!(failed(), 0.0, "{}", shop.log());

    // Postgres dies. Some pages are cached; whatever else is asked for is refused, and counted.
    postgres.kill();
    wait_until(SOON, "failed requests", || failed() > 5.0);
    wait_until(SOON, "a shop that is not ready", || !ready());
    let pool = ["db_client_connection_pool_name=\"shop\""];
    wait_until(SOON, "timeouts of the pool", || world.shop_sum("db_client_connection_timeouts_total", &pool) > 0.0);
    assert!(shop.running(), "{}", shop.log());

    postgres.restart();
    wait_until(SOON, "a shop that is ready", ready);
    let before = ordered();
    wait_until(SOON, "orders again", || ordered() > before + 5.0);
    wait_until(SOON, "nothing fails any more", || {
        let (before, end) = (failed(), answered() + 50.0);
        wait_until(SOON, "more requests", || answered() >= end);
        failed() == before
    });

    load.signal(Signal::Term);
    assert!(load.wait_exit(SOON).success(), "{}", load.log());
    assert!(shop.stop(Duration::from_secs(20)).is_some_and(|status| status.success()), "{}", shop.log());
    assert!(!shop.log().contains("panicked"), "{}", shop.log());
}
