//! How grave an incident is told to be.

use super::hold::{pool, row};
use super::*;

impl World {
    /// The labels of every alert that is or was.
    pub(super) fn labels(&mut self) -> Vec<alert::Labels> {
        let mut labels = Vec::new();
        for incident in self.incidents.all_mut() {
            if let Some(event) = incident.current(&self.teller.destinations[0].key) {
                labels.extend(incident.alerts(event).map(|alert| alert::labels(incident, alert.severity)));
            }
        }
        labels
    }
}

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
    let labels = world.labels().remove(0);
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

/// The present severity at the webhook and in Slack's templates, and those of the alerts' labels and annotations.
fn severities(world: &mut World) -> (&'static str, Vec<String>, Vec<String>) {
    let labels = world.labels().into_iter().map(|labels| labels["severity"].clone()).collect();
    let (id, event) = (world.seen[0].1.clone(), world.seen[0].2);
    let incident = world.incidents.get(&id).unwrap();
    let change = Change { incident, event, times: 1, page: "" };
    let alerts: serde_json::Value = serde_json::from_slice(&alert::body(&[change], world.now, Duration::ZERO)).unwrap();
    let annotation = |alert: &serde_json::Value| alert["annotations"]["severity"].as_str().unwrap().to_owned();
    (incident.severity().as_str(), labels, alerts.as_array().unwrap().iter().map(annotation).collect())
}

/// What `severities` tells of an incident with these alerts.
fn told(severity: &'static str, alerts: &[&str]) -> (&'static str, Vec<String>, Vec<String>) {
    (severity, alerts.iter().map(|&alert| alert.to_owned()).collect(), vec![severity.to_owned()])
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
    assert_eq!(severities(&mut world), told("critical", &["critical"]));
}

/// What a destination saw: changes, and how grave they were told to be.
fn seen(world: &World, channel: Channel) -> Vec<(Turn, Severity)> {
    world.seen.iter().filter(|seen| seen.0 == channel).map(|seen| (seen.2.turn, seen.2.severity)).collect()
}

#[test]
fn what_becomes_critical_later_is_a_second_alert_an_update_and_a_message() {
    use Severity::{Critical, Warning};
    for is_taken in [true, false] {
        let mut world = World::new();
        world.affected = 1;
        world.page(1, 1);
        world.save();
        world.attempt(is_taken);
        world.affected = 9;
        world.page(100, 1);
        world.save();
        let graver = told("critical", &["warning", "critical"]);
        assert_eq!(severities(&mut world), graver);
        world.attempt(true);
        world.attempt(true);
        let of = |turn| move |seen: &&(Turn, Severity)| seen.0 == turn;
        assert_eq!(seen(&world, Channel::Webhook).iter().filter(of(Turn::Updated)).count(), 1, "{:?}", world.seen);
        let messages = seen(&world, Channel::Slack);
        let is_told = if is_taken {
            vec![(Turn::Opened, Warning), (Turn::Graver, Critical)]
        } else {
            vec![(Turn::Opened, Warning), (Turn::Opened, Critical)]
        };
        assert_eq!(messages, is_told);
        let mut alerts = seen(&world, Channel::Alertmanager)[1..].to_vec();
        alerts.sort_by_key(|alert| alert.1);
        assert_eq!(alerts, [(Turn::Opened, Warning), (Turn::Opened, Critical)]);
        world.save();
        world.crash();
        assert_eq!(severities(&mut world), graver);
        world.seen.clear();
        world.page(1, 1);
        world.save();
        world.attempt(true);
        assert_eq!((seen(&world, Channel::Alertmanager), seen(&world, Channel::Slack)), (alerts, Vec::new()));
        world.page(1, 0);
        world.save();
        world.seen.clear();
        world.attempt(true);
        let ends = [(Turn::Resolved, Warning), (Turn::Resolved, Critical)];
        assert_eq!(seen(&world, Channel::Alertmanager), ends, "both end");
        assert_eq!(seen(&world, Channel::Slack).len(), 1);
        assert_eq!(world.attempt(true), 0);
    }
}

#[test]
fn what_becomes_graver_may_be_silenced_and_what_was_told_of_it_goes_on() {
    let mut world = World::new();
    world.affected = 1;
    world.page(1, 1);
    world.save();
    world.attempt(true);
    world.teller.silence(&row(&[("route", "*"), ("for", "10m")]), world.now).unwrap();
    world.affected = 9;
    world.page(1, 1);
    world.save();
    world.seen.clear();
    world.teller.destinations[0].sent = None;
    world.attempt(true);
    assert_eq!(seen(&world, Channel::Alertmanager), [(Turn::Opened, Severity::Warning)]);
    assert!(seen(&world, Channel::Slack).is_empty());
    world.page(600, 1);
    world.save();
    world.attempt(true);
    assert_eq!(seen(&world, Channel::Slack), [(Turn::Graver, Severity::Critical)]);
    assert_eq!(seen(&world, Channel::Alertmanager).len(), 3);
}

#[test]
fn a_disk_that_is_full_at_last_pages_although_it_was_told_before() {
    let mut world = World::new();
    let disk = |severity, now| Sign { role: Role::Apart, severity, ..pool(now) };
    for severity in Severity::ALL {
        world.now += Duration::from_secs(100);
        world.incidents.update_apart(TARGET, world.now, &[disk(severity, world.now)]);
        world.teller.prepare(&mut world.incidents, world.now, |_| None);
        world.save();
        world.attempt(true);
    }
    assert!(seen(&world, Channel::Alertmanager).contains(&(Turn::Opened, Severity::Critical)), "{:?}", world.seen);
    assert_eq!(seen(&world, Channel::Slack).len(), 2);
}

#[tokio::test]
async fn slack_is_told_in_words_that_it_is_graver() {
    use http_body_util::BodyExt as _;
    let mut world = World::new();
    world.affected = 1;
    world.page(1, 1);
    world.save();
    world.attempt(true);
    world.affected = 9;
    world.page(1, 1);
    let mut at = world.teller.destinations.pop().unwrap();
    let due = world.teller.due(&mut at, &mut world.incidents, world.now, false);
    let (request, _) = world.teller.request(&at, &world.incidents, &due, world.now).unwrap();
    let body = request.unwrap().into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains("*Incident graver on 127.0.0.1:9464: now critical*"), "{text}");
}

#[test]
fn the_gravest_route_counts_and_each_goes_by_its_own_rule() {
    let rule = |cells: &[(&str, &str)]| TellRule::read(&row(cells)).unwrap();
    let a = |name, text| rule(&[("route", "/a"), (name, text)]);
    let b = |name, text| rule(&[("route", "/b"), (name, text)]);
    for (rules, told, severity) in [
        (vec![], 3, "critical"),
        (vec![a("mute", "true")], 3, "critical"),
        (vec![a("mute", "true"), b("to", "slack")], 1, "critical"),
        (vec![a("severity", "warning"), b("severity", "warning")], 3, "warning"),
        (vec![a("severity", "critical"), b("severity", "warning")], 3, "critical"),
        (vec![a("mute", "true"), b("mute", "true")], 0, ""),
        (vec![rule(&[("target", "*"), ("mute", "true")])], 0, ""),
    ] {
        let mut world = World::new();
        world.teller.set(&TellSettings { rules, ..settings() }, "");
        // The suspect is slow at times, the other route nearly always.
        (world.affected, world.others_affected) = (1, Some(9));
        world.page(1, 2);
        world.save();
        assert_eq!(world.attempt(true), told);
        let shown = world.incidents.all_mut().next().unwrap().severity().as_str();
        assert_eq!(if told == 0 { "" } else { shown }, severity);
    }
}

#[test]
fn a_full_pool_is_told_whatever_is_not_told_of_the_route_that_it_stands_beside() {
    for is_full in [false, true] {
        let mut world = World::new();
        world.teller.set(&TellSettings { min_score: 20, ..settings() }, "");
        world.signs = is_full.then(|| Sign { role: Role::Apart, ..pool(world.now) }).into_iter().collect();
        world.page(1, 1);
        world.save();
        assert_eq!(world.attempt(true), if is_full { 3 } else { 0 });
        let mut world = World::new();
        world.signs = is_full.then(|| Sign { role: Role::Apart, ..pool(world.now) }).into_iter().collect();
        world.teller.silence(&row(&[("route", "/a"), ("for", "1h")]), world.now).unwrap();
        world.page(1, 1);
        world.save();
        assert_eq!(world.attempt(true), if is_full { 3 } else { 0 });
    }
}

#[test]
fn a_rule_says_how_grave_it_is_whatever_it_becomes() {
    let mut world = World::new();
    let rule = TellRule::read(&row(&[("route", "/a"), ("severity", "warning")])).unwrap();
    world.teller.set(&TellSettings { rules: vec![rule], ..settings() }, "");
    for affected in [1, 9] {
        world.affected = affected;
        world.page(100, 1);
    }
    world.save();
    assert_eq!(world.attempt(true), 3);
    assert_eq!(severities(&mut world), told("warning", &["warning"]));
}
