//! Postgres is killed under load: the metrics tell it, the shop stays, and all is well when it is back.

use crate::world::{SOON, World};
use outrigger_testkit::{Postgres, Signal, http, wait_until};
use std::time::Duration;

const REQUESTS: &str = "http_server_request_duration_seconds_count";

#[test]
fn the_shop_outlives_its_database() {
    let (Some(world), Some(mut postgres)) = (World::new(), Postgres::start()) else { return };
    let world = world.with_postgres(&postgres);
    let shop = world.start_shop();
    let load = world.start_load(5, "10m");
    let answered = || world.shop_sum(REQUESTS, &[]);
    let failed = || world.shop_sum(REQUESTS, &["http_response_status_code=\"5"]);
    let ordered = || world.shop_sum(REQUESTS, &["http_route=\"/orders\"", "http_response_status_code=\"201\""]);
    let ready = || http::get(&format!("http://{}/-/ready", world.target())).is_ok_and(|answer| answer.status == 200);
    wait_until(SOON, "orders", || ordered() > 5.0);
    assert!(ready());

    // Postgres dies. Some pages are cached; whatever else is asked for is refused, and counted.
    postgres.kill();
    wait_until(SOON, "failed requests", || failed() > 5.0);
    let pool = ["db_client_connection_pool_name=\"shop\""];
    wait_until(SOON, "timeouts of the pool", || world.shop_sum("db_client_connection_timeouts_total", &pool) > 0.0);
    assert!(shop.running(), "{}", shop.log());

    postgres.restart();
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
