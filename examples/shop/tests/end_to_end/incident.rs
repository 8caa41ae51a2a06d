//! A fault is reported with its route, its numbers and its time, and resolved when it is over.

use crate::world::{BUSY_ROUTE, SOON, World};
use outrigger_testkit::{http, wait_for, wait_until};
use std::time::Duration;

#[test]
fn a_slow_dependency_is_named_while_it_lasts() {
    let Some(world) = World::new() else { return };
    let _shop = world.start_shop();
    let _agent = world.start_agent();
    let _load = world.start_load(4, "10m");
    world.wait_warm();
    assert_eq!(world.incidents(), Vec::<serde_json::Value>::new(), "nothing was wrong so far");

    world.break_route("slow-dependency", 0.6, 400, BUSY_ROUTE);
    let incident = wait_for(SOON, "an incident on the slowed route", || {
        world.incidents().into_iter().find(|incident| incident["routes"][0]["route"] == BUSY_ROUTE)
    });
    assert_eq!((&incident["state"], &incident["target"]), (&"open".into(), &world.target().into()));
    let route = &incident["routes"][0];
    assert_eq!(
        (&route["method"], &route["signal"], &route["state"]),
        (&"GET".into(), &"latency".into(), &"anomalous".into())
    );
    let quantile =
        |when: &str, which: &str| route[when][which].as_f64().unwrap_or_else(|| panic!("{when} {which}: {route}"));
    assert!(quantile("before", "p95") < 0.4 && quantile("during", "p95") >= 0.4, "{route}");
    assert!(route["requests_affected"].as_u64().is_some_and(|requests| requests > 0), "{route}");
    assert!(incident["summary"].as_str().is_some_and(|summary| summary.contains(BUSY_ROUTE)), "{incident}");

    // Both clocks are this machine's; RFC 3339 in UTC sorts as text. The onset may be told to the tick before.
    let truth = &world.truth()[0];
    assert_eq!((&truth["kind"], &truth["routes"][0]), (&"slow-dependency".into(), &BUSY_ROUTE.into()));
    assert!(incident["detected_at"].as_str() > truth["start"].as_str(), "{incident} {truth}");
    wait_until(SOON, "the gauge of open incidents", || world.agent_sample("outrigger_incident_open", "") == Some(1.0));

    world.mend("slow-dependency");
    let id = &incident["id"];
    let resolved = wait_for(Duration::from_secs(60), "the incident's end", || {
        world.incidents().into_iter().find(|incident| incident["id"] == *id && incident["state"] == "resolved")
    });
    assert!(resolved["resolved_at"].as_str() > resolved["detected_at"].as_str(), "{resolved}");
    wait_until(SOON, "the gauge of open incidents", || world.agent_sample("outrigger_incident_open", "") == Some(0.0));
    let truth = world.truth();
    assert!(truth.iter().any(|line| line["id"] == truth[0]["id"] && line["end"].is_string()), "{truth:?}");
}

#[test]
fn a_function_that_burns_the_cpu_is_named_by_the_incidents_profile() {
    let Some(world) = World::new() else { return };
    let _shop = world.start_shop();
    let _agent = world.start_agent();
    let _load = world.start_load(4, "10m");
    world.wait_warm();
    wait_until(SOON * 2, "a calm profile", || {
        world.agent_sample("outrigger_profile_taken_total", "profile_purpose=\"calm\"") >= Some(1.0)
    });
    world.break_route("cpu-burn", 0.8, 400, BUSY_ROUTE);
    let incident = wait_for(SOON * 3, "an incident with a profile", || {
        world.incidents().into_iter().find(|incident| incident["profile"].is_object())
    });
    let profile = &incident["profile"];
    // Inlined it may be one of several names, so the function is known by where it is called.
    let function = &profile["functions"][0];
    let named = format!("{} {}", function["name"], function["callers"]);
    assert!(named.contains("burn"), "{profile:#}");
    assert!(function["during"].as_f64() > function["before"].as_f64(), "{profile:#}");
    assert!(incident["summary"].as_str().is_some_and(|summary| summary.contains("burn")), "{incident:#}");
    for (number, begin) in ["\x1f", "<?xml", "<?xml"].iter().enumerate() {
        let link = profile["links"][number].as_str().expect("a link");
        let file = http::get(&format!("{}{link}", world.agent_url())).expect("the agent answers");
        assert_eq!(file.status, 200, "{link}");
        assert!(file.body.starts_with(begin.as_bytes()), "{link}");
        assert!(number == 0 || file.text().contains("burn"), "{link}");
    }
}
