//! What is watched beside routes, by the real program over real sockets.

use std::time::Duration;

use outrigger_testkit::{Signal, wait_for};

use crate::support::{Agent, DEADLINE, Service, data_dir, shop};

/// A budget is spent too fast once the time that was seen makes it so: half a minute of nothing but failures, and a moment.
const BURNING: Duration = Duration::from_secs(120);

/// A page whose route fails always, beside a pool.
fn failing(requests: u32) -> String {
    let page = shop(1000, requests, 0).replace("status_code=\"200\"", "status_code=\"500\"");
    format!(
        "{page}db_client_connection_max{{db_client_connection_pool_name=\"shop\"}} 10\n\
         db_client_connection_count{{db_client_connection_pool_name=\"shop\",db_client_connection_state=\"used\"}} 4\n"
    )
}

#[test]
fn a_service_that_always_failed_spends_its_error_budget_through_a_kill_of_the_agent() {
    let service = Service::start(&failing(100));
    let folder = data_dir();
    let agent = Agent::start_in(&folder, &[&service.target], &[]);
    let mut requests = 100;
    let mut incident = |agent: &Agent| {
        wait_for(BURNING, "an incident about the budget", || {
            requests += 50;
            service.show(&failing(requests));
            let found = agent.get("/api/v1/incidents").json()["incidents"].as_array().unwrap().clone();
            assert!(found.len() <= 1, "{found:#?}");
            found.into_iter().find(|incident| incident["scope"] == "budget" && incident["state"] == "open")
        })
    };
    let opened = incident(&agent);
    let moved = &opened["moved"][0];
    assert_eq!((&moved["subject"]["kind"], &moved["signal"]), (&"service".into(), &"burn".into()), "{opened:#}");
    assert_eq!(moved["severity"], "critical");
    assert!(agent.value("outrigger_slo_burn_rate", &[("objective", "availability"), ("window", "1h")]) > 14.4);
    assert_eq!(agent.value("outrigger_incident_open", &[]), 1.0);
    assert!((agent.value("outrigger_saturation_ratio", &[("subject", "pool shop")]) - 0.4).abs() < 1e-9);
    let file = folder.join(format!("incidents/{}.json", opened["id"].as_str().unwrap()));
    wait_for(DEADLINE, "the incident on disk", || file.exists().then_some(()));

    agent.process.signal(Signal::Kill);
    agent.process.wait_exit(DEADLINE);
    let agent = Agent::start_in(&folder, &[&service.target], &[]);
    assert_eq!(incident(&agent)["id"], opened["id"]);
}
