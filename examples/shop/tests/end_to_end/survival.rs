//! Each part may be killed at any moment: the others go on and say so, and its return raises no alarm.

use crate::world::{BUSY_ROUTE, SOON, World};
use outrigger_testkit::{http, wait_for, wait_until};
use serde_json::Value;
use std::time::Duration;

const CALM: Vec<Value> = Vec::new();

#[test]
fn each_part_outlives_the_others() {
    let Some(world) = World::new() else { return };
    let shop = world.start_shop();
    let agent = world.start_agent();
    let load = world.start_load(3, "10m");
    world.wait_warm();

    // The shop dies.
    shop.kill();
    let down = world.wait_up(false);
    assert!(down["last_error"].as_str().is_some_and(|error| error.contains("refused")), "{down}");
    assert_eq!(world.agent_sample("outrigger_target_up", ""), Some(0.0));
    agent.wait_line(SOON, "cannot be scraped");
    assert!(agent.running() && load.running());
    assert_eq!(http::get(&format!("{}/-/healthy", world.agent_url())).map(|answer| answer.status).ok(), Some(200));

    // It comes back with counters at zero and a cold cache: nothing that anybody should be woken for.
    drop(shop);
    let shop = world.start_shop();
    world.wait_up(true);
    world.wait_scrapes(20);
    let status = world.status();
    let busy = status["routes"].as_array().and_then(|routes| routes.iter().find(|route| route["route"] == BUSY_ROUTE));
    let busy = busy.unwrap_or_else(|| panic!("{BUSY_ROUTE} is not watched any more: {status}"));
    assert!(busy["requests_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "the load goes on: {busy}");
    assert_eq!(busy["phase"], "calm", "the detector still knows the route: {busy}");
    assert_eq!(world.incidents(), CALM);

    // The agent dies; nobody else notices, and it comes back to its work.
    agent.kill();
    assert!(shop.running() && load.running());
    let before = requests(&world);
    wait_until(SOON, "more requests without an agent", || requests(&world) > before + 20.0);
    drop(agent);
    let agent = world.start_agent();
    world.wait_up(true);
    wait_for(SOON, "rates from the new agent", || {
        let status = world.status();
        status["routes"].as_array()?.iter().find(|route| route["requests_per_second"].as_f64() > Some(0.0)).cloned()
    });

    // The load generator dies, after it has told of the errors that it met while the shop was away.
    load.signal(outrigger_testkit::Signal::Term);
    assert!(load.wait_exit(SOON).success(), "{}", load.log());
    let report = world.report();
    let steps = report["total"]["steps"].as_array().expect("a list of steps");
    let refused = steps.iter().filter_map(|step| step["errors_connect"].as_u64()).sum::<u64>();
    assert!(refused > 0 && report["total"]["errors"].as_u64() >= Some(refused), "{report}");
    let load = world.start_load(3, "10m");
    let before = requests(&world);
    wait_until(SOON, "the new load", || requests(&world) > before);
    load.kill();
    wait_until(Duration::from_secs(60), "the traffic's end in the agent's view", || {
        let status = world.status();
        let routes = status["routes"].as_array().expect("a list of routes");
        status["up"] == true && routes.iter().all(|route| route["requests_per_second"].as_f64().unwrap_or(0.0) == 0.0)
    });
    assert!(shop.running() && agent.running());
    assert_eq!(world.incidents(), CALM);
}

/// All requests that the shop's page shows.
fn requests(world: &World) -> f64 {
    let page = world.shop_page();
    let counts = page.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count{"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
