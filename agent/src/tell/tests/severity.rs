//! How grave an incident is told to be.

use super::*;

#[test]
fn an_incident_is_told_once_it_is_grave_enough() {
    let mut world = World::new();
    world.teller.set(&TellSettings { min_severity: Severity::Critical, ..settings() }, "");
    world.affected = 1;
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 0);
    world.affected = 2;
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 3);
    let labels = world.incidents.all_mut().map(|incident| alert::labels(incident)).next().unwrap();
    assert_eq!((labels["severity"].as_str(), labels["service_name"].as_str()), ("critical", "shop"));
}

#[test]
fn an_incident_is_told_once_it_is_far_enough_from_usual() {
    let mut world = World::new();
    let highest = |world: &mut World| world.incidents.all_mut().find_map(|incident| incident.highest_score()).unwrap();
    world.page(1, 1);
    let score = highest(&mut world);
    assert!(score >= 1.0, "{score}");
    let mut world = World::new();
    world.teller.set(&TellSettings { min_score: score as usize + 1, ..settings() }, "");
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 0);
    world.teller.set(&TellSettings { min_score: score as usize, ..settings() }, "");
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 3);
}

/// The present severity at the webhook and in Slack's templates, and that of the alert's label.
fn severities(world: &World) -> (&'static str, String, String) {
    let incident = world.incidents.get(&world.seen[0].1).unwrap();
    let body = alert::body(std::iter::once((incident, 1)), "", world.now, Duration::ZERO);
    let alerts: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let at = |part: &str| alerts[0][part]["severity"].as_str().unwrap().to_owned();
    (incident.severity().as_str(), at("labels"), at("annotations"))
}

#[test]
fn what_becomes_critical_before_anybody_was_told_is_told_as_critical() {
    let mut world = World::new();
    let quiet = TellSettings { quiet_hours: vec!["Tue 22:00-07:00".parse().unwrap()], ..settings() };
    world.teller.set(&quiet, "");
    world.affected = 1;
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 0);
    world.affected = 9;
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 3);
    assert_eq!(severities(&world), ("critical", "critical".to_owned(), "critical".to_owned()));
}

#[test]
fn what_becomes_critical_later_is_told_so_and_stays_the_same_alert() {
    for is_taken in [true, false] {
        let mut world = World::new();
        world.affected = 1;
        world.page(1, 1);
        world.save();
        world.attempt(is_taken);
        world.affected = 9;
        world.page(100, 1);
        world.save();
        assert_eq!(severities(&world), ("critical", "warning".to_owned(), "critical".to_owned()));
        world.attempt(true);
        world.attempt(true);
        let is_update = |seen: &&(Channel, String, Event)| seen.2.turn == Turn::Updated;
        assert_eq!(world.seen.iter().filter(is_update).count(), 1, "{:?}", world.seen);
        world.save();
        world.crash();
        assert_eq!(severities(&world), ("critical", "warning".to_owned(), "critical".to_owned()));
    }
}

#[test]
fn a_rule_says_how_grave_it_is_whatever_it_becomes() {
    let mut world = World::new();
    let cell = |name: &str, text: &str| Cell { name: name.into(), values: vec![text.into()], line: 0 };
    let row = Row { cells: vec![cell("route", "/a"), cell("severity", "warning")], line: 0 };
    world.teller.set(&TellSettings { rules: vec![TellRule::read(&row).unwrap()], ..settings() }, "");
    for affected in [1, 9] {
        world.affected = affected;
        world.page(100, 1);
    }
    world.save();
    assert_eq!(world.attempt(true), 3);
    assert_eq!(severities(&world), ("warning", "warning".to_owned(), "warning".to_owned()));
}
