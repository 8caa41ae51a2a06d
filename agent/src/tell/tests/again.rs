//! What is told once more: after a mark, at another address, of what ended; and why something is not.

use http_body_util::BodyExt as _;

use super::hold::{row, turns};
use super::*;
use crate::incident::Mark;

/// Marks the first incident as a false alarm, and tells it.
fn mark(world: &mut World) -> String {
    let id = world.seen[0].1.clone();
    world.incidents.mark(&id, Mark::new(true, "a backup".to_owned(), world.now));
    world.save();
    world.attempt(true);
    world.save();
    id
}

#[test]
fn what_came_after_a_false_alarm_is_told_in_the_same_incident_and_the_mark_stays() {
    let mut world = World::new();
    world.page(1, 1);
    world.save();
    world.attempt(true);
    let id = mark(&mut world);
    // It flares up again, as it was: nothing new.
    for slow_routes in [1, 0, 1] {
        world.page(1, slow_routes);
        world.save();
        assert_eq!(world.attempt(true), 0);
    }
    assert!(!world.incidents.any_firing(TARGET));
    world.page(1, 2);
    world.save();
    assert_eq!(world.attempt(true), 3, "another route");
    let all = [Turn::Opened, Turn::Resolved, Turn::Reopened];
    for channel in Channel::ALL {
        assert_eq!(turns(&world, channel), all, "{channel:?}");
    }
    let view = serde_json::to_value(world.incidents.get(&id).unwrap().view()).unwrap();
    assert_eq!((&view["mark"]["false_alarm"], &view["mark"]["note"]), (&true.into(), &"a backup".into()));
    assert!(view["mark"]["outgrown_at"].is_string(), "{view}");
    assert_eq!((world.incidents.false_alarms(TARGET), world.incidents.any_firing(TARGET)), (1, true));

    world.save();
    world.crash();
    world.page(1, 2);
    world.save();
    world.seen.clear();
    world.attempt(true);
    assert!(turns(&world, Channel::Slack).is_empty(), "the next agent knows that it was told");
    mark(&mut world);
    world.page(1, 2);
    world.save();
    assert_eq!(turns(&world, Channel::Slack), [Turn::Resolved], "a person may say so again");
    world.page(1, 3);
    world.save();
    world.attempt(true);
    world.page(1, 0);
    world.save();
    world.attempt(true);
    assert_eq!(turns(&world, Channel::Slack), [Turn::Resolved, Turn::Reopened, Turn::Resolved]);
}

#[test]
fn an_alert_that_ended_is_sent_again_for_a_while_unless_a_newer_one_is_the_same() {
    let mut world = World::new();
    let resent = |world: &mut World| {
        // The interval is over.
        world.teller.destinations[0].sent = None;
        world.seen.clear();
        assert!(world.attempt(true) <= 1, "nobody else is told again");
        turns(world, Channel::Alertmanager)
    };
    for slow_routes in [1, 0] {
        world.page(1, slow_routes);
        world.save();
        world.attempt(true);
    }
    assert_eq!(world.attempt(true), 0, "not before the interval is over");
    assert_eq!(resent(&mut world), [Turn::Resolved]);
    world.save();
    world.crash();
    world.now += alert::ENDS_FOR - Duration::from_secs(1);
    assert_eq!(resent(&mut world), [Turn::Resolved]);
    assert_eq!(world.teller.health().channels[0].pending, 0, "it was taken");
    world.now += Duration::from_secs(1);
    assert!(resent(&mut world).is_empty());

    for slow_routes in [1, 0, 1] {
        world.page(300, slow_routes);
        world.save();
        world.attempt(true);
    }
    assert_eq!(resent(&mut world), [Turn::Opened], "the older one is the same alert");
}

#[test]
fn the_end_of_what_was_never_told_is_not_sent_again() {
    let mut world = World::new();
    world.teller.silence(&row(&[("route", "*"), ("for", "1h")]), world.now).unwrap();
    for slow_routes in [1, 0, 0] {
        world.page(1, slow_routes);
        world.save();
        assert_eq!(world.attempt(true), 0);
    }
}

#[tokio::test]
async fn an_alert_ends_after_the_next_tick_and_the_longest_request() {
    for (interval, timeout, ahead) in [(1, 10, 240), (300, 10, 1200), (1, 120, 480)] {
        let mut world = World::new();
        world.teller.set(&TellSettings { timeout: Duration::from_secs(timeout), ..settings() }, "");
        world.teller.set_interval(Duration::from_secs(interval));
        world.page(1, 1);
        let mut at = world.teller.destinations.remove(0);
        let due = world.teller.due(&mut at, &mut world.incidents, world.now, false);
        let (request, _) = world.teller.request(&at, &world.incidents, &due, world.now).unwrap();
        let body = request.unwrap().into_body().collect().await.unwrap().to_bytes();
        let alerts: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let ends_at = crate::time::Time(world.now + Duration::from_secs(ahead)).to_string();
        assert_eq!(alerts[0]["endsAt"], ends_at);
    }
}

#[tokio::test]
async fn what_was_taken_is_taken_although_its_answer_never_ends() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri: http::Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of").unwrap();
        stream
    });
    let settings = TellSettings { webhook: Some(uri.clone()), ..TellSettings::default() };
    let client = Client::new([&uri]).unwrap();
    let request = Destination::all(&settings).remove(0).json(b"{}".to_vec(), Vec::new());
    assert_eq!(send(&client, request, Duration::from_secs(60)).await, Outcome::Taken);
    drop(server.join().unwrap());
}

#[test]
fn what_waits_goes_to_a_new_address_and_is_counted_where_there_is_none() {
    let moved = TellSettings { webhook: Some("https://b/other".parse().unwrap()), slack: None, ..settings() };
    for is_restarted in [false, true] {
        let mut world = World::new();
        world.page(1, 1);
        world.save();
        world.attempt(true);
        world.page(1, 0);
        world.save();
        if is_restarted {
            let kept = world.teller.keep();
            world.crash();
            world.teller = Teller::new(&moved, "");
            world.teller.restore(kept);
        } else {
            world.teller.set(&moved, "");
        }
        world.page(1, 0);
        world.save();
        world.seen.clear();
        assert_eq!(world.attempt(true), 2);
        assert_eq!(turns(&world, Channel::Webhook), [Turn::Resolved], "what was told before is not told anew");
        assert_eq!(turns(&world, Channel::Alertmanager), [Turn::Resolved]);
        assert_eq!(world.teller.health().channels.map(|health| health.forgotten), [0, 0, 1]);
        world.page(1, 0);
        assert_eq!(world.teller.health().channels.map(|health| health.forgotten), [0, 0, 1], "once");
    }
}

#[test]
fn a_reopening_is_silenced_also_while_the_end_before_it_waits() {
    let mut world = World::new();
    world.page(1, 1);
    world.save();
    world.attempt(true);
    world.page(1, 0);
    world.teller.silence(&row(&[("route", "*"), ("for", "10m")]), world.now).unwrap();
    world.page(1, 1);
    world.save();
    world.attempt(true);
    world.save();
    assert_eq!(world.attempt(true), 0);
    for channel in [Channel::Webhook, Channel::Slack] {
        assert_eq!(turns(&world, channel), [Turn::Opened, Turn::Resolved], "{channel:?}");
    }
    assert_eq!(turns(&world, Channel::Alertmanager), [Turn::Opened], "it ends there by itself");
    world.page(600, 1);
    world.save();
    assert_eq!(world.attempt(true), 3);
    assert_eq!(turns(&world, Channel::Slack), [Turn::Opened, Turn::Resolved, Turn::Reopened]);
}

#[test]
fn an_incident_says_why_nobody_is_told_of_it() {
    let held = |world: &mut World| {
        world.page(1, 1);
        world.save();
        let attempts = world.attempt(true);
        let incident = world.incidents.newest(TARGET).unwrap();
        let held = world.teller.held(incident, world.now);
        (attempts, held.map(|held| (held.reason, held.until.map(|until| until.0))))
    };
    let mut world = World::new();
    assert_eq!(held(&mut world), (3, None));

    let mut world = World::new();
    world.teller.silence(&row(&[("route", "/a"), ("for", "1h")]), world.now).unwrap();
    let until = Some(world.now + Duration::from_secs(3600));
    assert_eq!(held(&mut world), (0, Some((Reason::Silenced, until))));
    world.now += Duration::from_secs(3600);
    assert_eq!(held(&mut world), (3, None));

    let rule = |cells: &[(&str, &str)]| vec![TellRule::read(&row(cells)).unwrap()];
    let quiet_hours = vec!["Tue 22:00-07:00".parse().unwrap()];
    for (settings, told, reason) in [
        (TellSettings { rules: rule(&[("route", "*"), ("mute", "true")]), ..settings() }, 0, Some(Reason::Muted)),
        (TellSettings { rules: rule(&[("route", "*"), ("to", "slack")]), ..settings() }, 1, None),
        (TellSettings { min_severity: Severity::Critical, ..settings() }, 0, Some(Reason::Severity)),
        (TellSettings { min_score: 100, ..settings() }, 0, Some(Reason::Score)),
        (TellSettings { quiet_hours, ..settings() }, 0, Some(Reason::QuietHours)),
        (TellSettings::default(), 0, None),
    ] {
        let mut world = World::new();
        world.affected = 1;
        world.teller.set(&settings, "");
        assert_eq!(held(&mut world), (told, reason.map(|reason| (reason, None))));
    }
}

#[test]
fn a_link_leads_to_the_page_of_the_incident() {
    assert_eq!(alert::link("https://outrigger.example/shop/", "1-1"), "https://outrigger.example/shop/incidents/1-1");
}
