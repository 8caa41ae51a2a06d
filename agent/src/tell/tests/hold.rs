//! What is held back, grouped and graded.

use super::*;
use http_body_util::BodyExt as _;

/// What a channel counted for a reason: held, held now, dropped.
fn counted(world: &mut World, channel: Channel, reason: Reason) -> [u64; 3] {
    let at = Reason::ALL.iter().position(|known| *known == reason).unwrap();
    let health = world.teller.health.of(channel);
    [health.held[at], health.on_hold[at], health.skipped[at]]
}

pub(super) fn row(cells: &[(&str, &str)]) -> Row {
    let cell = |(name, text): &(&str, &str)| Cell { name: (*name).into(), values: vec![(*text).into()], line: 0 };
    Row { cells: cells.iter().map(cell).collect(), line: 0 }
}

/// The changes that a channel saw, in their order.
pub(super) fn turns(world: &World, channel: Channel) -> Vec<Turn> {
    world.seen.iter().filter(|seen| seen.0 == channel).map(|seen| seen.2.turn).collect()
}

#[test]
fn a_silence_holds_beginnings_back_drops_what_ends_meanwhile_and_outlives_the_agent() {
    let mut world = World::new();
    let silence = |world: &mut World, route: &str| {
        world.teller.silence(&row(&[("route", route), ("for", "10m"), ("comment", "a move")]), world.now).unwrap();
    };
    silence(&mut world, "/a");
    let kept: KeptTell = serde_json::from_str(&serde_json::to_string(&world.teller.keep()).unwrap()).unwrap();
    world.crash();
    world.teller.restore(kept);
    for slow_routes in [1, 0] {
        world.page(1, slow_routes);
        world.save();
        assert_eq!(world.attempt(true), 0);
    }
    for channel in Channel::ALL {
        assert_eq!(counted(&mut world, channel, Reason::Silenced), [1, 0, 2], "{channel:?}");
    }
    // Another route that the silence does not speak of.
    world.page(300, 2);
    world.save();
    assert_eq!(world.attempt(true), 3);
    // What was told is told to its end, whoever silences it meanwhile.
    silence(&mut world, "*");
    world.page(1, 0);
    world.save();
    assert_eq!(world.attempt(true), 3);
    assert_eq!(turns(&world, Channel::Alertmanager), [Turn::Opened, Turn::Resolved]);
    // One that lasts longer than its silence is told afterwards.
    world.page(200, 1);
    world.save();
    assert_eq!(world.attempt(true), 0);
    assert_eq!(counted(&mut world, Channel::Webhook, Reason::Silenced), [2, 1, 2]);
    world.page(600, 1);
    world.save();
    assert_eq!(world.attempt(true), 3);
    assert_eq!(counted(&mut world, Channel::Webhook, Reason::Silenced), [2, 0, 2]);
}

#[test]
fn what_waits_for_the_end_of_quiet_days_is_told_then() {
    let mut world = World::new();
    // From Tuesday to Thursday.
    let quiet = TellSettings { quiet_hours: vec!["Tue-Wed 00:00-24:00".parse().unwrap()], ..settings() };
    world.teller.set(&quiet, "");
    world.affected = 1;
    for slow_routes in [1, 0] {
        world.page(1, slow_routes);
        world.save();
        assert_eq!(world.attempt(true), 0);
    }
    world.save();
    world.crash();
    world.teller.set(&quiet, "");
    world.now += Duration::from_secs(40 * 3600);
    world.expire();
    assert_eq!(world.attempt(true), 2);
    assert_eq!(turns(&world, Channel::Slack), [Turn::Opened, Turn::Resolved]);
    assert_eq!(world.teller.health().channels.map(|health| health.expired), [0; 3]);
}

#[test]
fn the_end_of_what_waited_for_days_is_told_too_also_where_each_goes_alone_and_few_a_minute() {
    let mut world = World::new();
    let quiet = TellSettings {
        quiet_hours: vec!["Tue-Wed 00:00-24:00".parse().unwrap()],
        webhook_template: Some(Template::read_json("{}").unwrap()),
        rate_limit: 1,
        ..settings()
    };
    world.teller.set(&quiet, "");
    world.affected = 1;
    for slow_routes in [1, 0] {
        world.page(1, slow_routes);
        world.save();
        assert_eq!(world.attempt(true), 0);
    }
    world.now += Duration::from_secs(40 * 3600);
    for _ in 0..4 {
        world.expire();
        world.attempt(true);
        world.save();
        world.now += Duration::from_secs(31);
    }
    for channel in [Channel::Webhook, Channel::Slack] {
        assert_eq!(turns(&world, channel), [Turn::Opened, Turn::Resolved], "{channel:?}");
    }
    assert_eq!(world.expire(), [0; 3]);
}

/// A pool that is full.
pub(super) fn pool(since: SystemTime) -> Sign {
    Sign {
        subject: Subject::resource("pool", "orders"),
        signal: Signal::Saturation,
        role: Role::Opens,
        severity: Severity::Warning,
        score: 9.0,
        since,
        words: "the pool is full".to_owned(),
        before: None,
        now: None,
        requests: 0,
        affected: 0,
        seconds: 0.0,
        aftermath_seconds: 0.0,
    }
}

#[test]
fn a_silence_of_a_subject_is_not_about_what_joins_it() {
    let mut world = World::new();
    world.signs = vec![pool(world.now)];
    world.teller.silence(&row(&[("subject", "pool*"), ("for", "1h")]), world.now).unwrap();
    world.page(1, 0);
    world.save();
    assert_eq!(world.attempt(true), 0);
    assert_eq!(counted(&mut world, Channel::Slack, Reason::Silenced), [1, 1, 0]);
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 3, "a slow route is no pool");
}

#[test]
fn what_is_critical_waits_five_minutes_at_most_although_it_comes_and_goes() {
    for (affected, longest) in [(9, 6), (1, 60)] {
        let mut world = World::new();
        world.teller.set(&TellSettings { flap_after: 1, ..settings() }, "");
        world.affected = affected;
        let mut told = Vec::new();
        for minute in 0..60_u32 {
            for slow_routes in [1, 0] {
                world.page(30, slow_routes);
                world.save();
                let before = world.seen.len();
                world.attempt(true);
                told.extend((slow_routes == 1 && world.seen.len() > before).then_some(minute));
            }
        }
        let pauses: Vec<_> = told.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.iter().all(|pause| (5..=longest).contains(pause)), "{told:?}");
        assert_eq!(pauses.len() >= 9, affected == 9, "{told:?}");
    }
}

#[test]
fn quiet_hours_hold_what_is_not_grave_and_sum_it_up_in_one_message() {
    let mut world = World::new();
    // It is 22:13:20 of a Tuesday.
    let quiet = TellSettings { quiet_hours: vec!["Tue 22:00-07:00".parse().unwrap()], ..settings() };
    world.teller.set(&quiet, "");
    world.affected = 1;
    for slow_routes in [1, 0, 1, 0] {
        world.page(1000, slow_routes);
        world.save();
        assert_eq!(world.attempt(true), 0);
    }
    assert_eq!(counted(&mut world, Channel::Slack, Reason::QuietHours), [2, 4, 0]);
    world.affected = 9;
    world.page(1000, 1);
    world.save();
    assert_eq!(world.attempt(true), 3, "this one is critical");
    world.page(10, 0);
    world.save();
    world.attempt(true);
    world.seen.clear();
    world.now += Duration::from_secs(9 * 3600);
    assert_eq!(world.attempt(true), 2);
    for channel in [Channel::Webhook, Channel::Slack] {
        assert_eq!(turns(&world, channel), [Turn::Opened, Turn::Resolved, Turn::Opened, Turn::Resolved]);
    }
    assert_eq!(counted(&mut world, Channel::Alertmanager, Reason::QuietHours), [2, 0, 4]);
    assert_eq!(world.attempt(true), 0);
}

#[test]
fn what_comes_and_goes_is_told_less_and_less_also_after_a_restart() {
    let mut world = World::new();
    let settings = TellSettings { flap_after: 3, ..settings() };
    world.teller.set(&settings, "");
    world.affected = 1;
    let mut told = Vec::new();
    for minute in 0..120 {
        for slow_routes in [1, 0] {
            world.page(30, slow_routes);
            world.save();
            let before = turns(&world, Channel::Webhook).len();
            world.attempt(true);
            if slow_routes == 1 && turns(&world, Channel::Webhook).len() > before {
                told.push(minute);
            }
        }
        if minute == 30 {
            world.save();
            world.crash();
            world.teller.set(&settings, "");
        }
    }
    assert_eq!(told[..3], [0, 1, 2]);
    assert!(told.len() < 9, "{told:?}");
    let pauses: Vec<_> = told.windows(2).skip(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| (5..=61).contains(pause)), "{told:?}");
    let ends = turns(&world, Channel::Webhook).into_iter().filter(|turn| *turn == Turn::Resolved).count();
    assert_eq!(ends, told.len(), "each beginning that was told has its end");
    let [.., skipped] = counted(&mut world, Channel::Webhook, Reason::Flapping);
    assert!(skipped > 0);
}

#[test]
fn too_many_messages_wait_and_then_go_together() {
    let mut world = World::new();
    world.teller.set(&TellSettings { rate_limit: 2, ..settings() }, "");
    for _ in 0..4 {
        for slow_routes in [1, 0] {
            world.page(1, slow_routes);
            world.save();
            world.attempt(true);
        }
    }
    assert_eq!(turns(&world, Channel::Webhook).len(), 2);
    let [held, now, dropped] = counted(&mut world, Channel::Webhook, Reason::RateLimited);
    assert_eq!((held, now, dropped), (6, 6, 0));
    world.now += Duration::from_secs(60);
    world.attempt(true);
    assert_eq!(turns(&world, Channel::Webhook).len(), 8);
    assert_eq!(counted(&mut world, Channel::Webhook, Reason::RateLimited), [6, 0, 0]);
}

#[test]
fn rules_mute_grade_and_choose_destinations() {
    let mut world = World::new();
    let rule = |cells: &[(&str, &str)]| TellRule::read(&row(cells)).unwrap();
    let rules = vec![
        rule(&[("route", "/a"), ("to", "slack"), ("severity", "critical")]),
        rule(&[("route", "*"), ("mute", "true")]),
    ];
    world.teller.set(&TellSettings { rules, min_severity: Severity::Critical, ..settings() }, "");
    world.affected = 1;
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 1);
    assert_eq!(turns(&world, Channel::Slack), [Turn::Opened]);
    assert_eq!(counted(&mut world, Channel::Webhook, Reason::Muted)[0], 1);
    // What was begun to be told is told to its end, whatever the rules say since.
    world.teller.set(&TellSettings { rules: vec![rule(&[("target", "*"), ("mute", "true")])], ..settings() }, "");
    world.page(1, 0);
    world.save();
    world.attempt(true);
    assert_eq!(turns(&world, Channel::Slack), [Turn::Opened, Turn::Resolved]);
    world.page(1000, 1);
    world.save();
    assert_eq!(world.attempt(true), 0);
}

#[test]
fn a_false_alarm_ends_what_fires_and_stays_so() {
    use crate::incident::Mark;
    let mut world = World::new();
    world.page(1, 1);
    world.save();
    world.attempt(true);
    let id = world.seen[0].1.clone();
    let mark = |world: &mut World, false_alarm| {
        let at = world.now;
        world.incidents.mark(&id, Mark::new(false_alarm, String::new(), at));
        world.save();
        world.attempt(true);
        world.save();
    };
    mark(&mut world, true);
    world.crash();
    // It goes on, ends, and begins again: nobody is told.
    for slow_routes in [1, 0, 1, 0] {
        world.page(1, slow_routes);
        world.save();
        world.attempt(true);
    }
    world.page(1, 1);
    assert_eq!(turns(&world, Channel::Webhook), [Turn::Opened, Turn::Resolved]);
    assert_eq!(turns(&world, Channel::Alertmanager)[..2], [Turn::Opened, Turn::Resolved]);
    assert_eq!(turns(&world, Channel::Alertmanager)[2..], [Turn::Resolved], "the next agent sends the end again");
    mark(&mut world, false);
    assert_eq!(turns(&world, Channel::Slack), [Turn::Opened, Turn::Resolved, Turn::Reopened]);
}

#[test]
fn changes_of_one_message_are_tried_alone_after_it_was_not_taken() {
    let mut world = World::new();
    world.page(1, 1);
    world.page(1, 0);
    world.save();
    world.attempt(false);
    assert_eq!(turns(&world, Channel::Webhook).len(), 2);
    world.attempt(false);
    assert_eq!(turns(&world, Channel::Webhook).len(), 3, "one alone");
    world.attempt(true);
    world.attempt(true);
    assert_eq!(turns(&world, Channel::Webhook).len(), 5);
    assert_eq!(world.attempt(true), 0);
}

proptest! {
    #[test]
    fn no_row_panics(name in "target|route|signal|cause|until|for|comment|to|mute|\\PC{0,9}", text in "\\PC{0,30}") {
        let row = row(&[(&name, &text), ("target", "*")]);
        let _ = TellRule::read(&row);
        let _ = Silence::read(&row, Some(UNIX_EPOCH));
        let _ = Silence::read(&row, None);
    }
}

#[tokio::test]
async fn what_is_due_together_goes_in_one_message_with_a_key_of_its_own() {
    let mut world = World::new();
    for slow_routes in [1, 0] {
        world.page(1, slow_routes);
    }
    let mut bodies = Vec::new();
    let mut destinations = std::mem::take(&mut world.teller.destinations);
    for at in destinations.iter_mut().filter(|at| at.channel != Channel::Alertmanager) {
        for _attempt in 0..2 {
            let due = world.teller.due(at, &mut world.incidents, world.now, false);
            let (request, count) = world.teller.request(at, &world.incidents, &due, world.now).unwrap();
            assert_eq!(count, due.len());
            let request = request.unwrap();
            let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            bodies.push((key, serde_json::from_slice::<serde_json::Value>(&body).unwrap()));
        }
    }
    let [(key, body), again, (slack_key, text), ..] = bodies.as_slice() else { panic!("{bodies:?}") };
    assert!(key.starts_with("group/") && key == slack_key, "{key}");
    assert_eq!((key, body), (&again.0, &again.1), "the same at each attempt");
    assert_eq!((&body["event"], &body["key"]), (&"group".into(), &key.as_str().into()));
    let events: Vec<_> = body["notifications"].as_array().unwrap().iter().map(|one| one["event"].as_str()).collect();
    assert_eq!(events, [Some("opened"), Some("resolved")]);
    let text = text["text"].as_str().unwrap();
    assert!(text.contains("*Incident opened on") && text.contains("\n\n*Incident resolved on"), "{text}");
}

#[tokio::test]
async fn what_does_not_fit_into_a_text_goes_with_the_next() {
    let mut world = World::new();
    let long = format!("{} {{{{ key }}}}", "x".repeat(12_000));
    world.teller.set(&TellSettings { slack_template: Some(Template::read(&long).unwrap()), ..settings() }, "");
    for slow_routes in [1, 0, 1, 0, 1] {
        world.page(1, slow_routes);
    }
    let mut at = world.teller.destinations.pop().unwrap();
    let (mut texts, mut counts) = (String::new(), Vec::new());
    while let due = world.teller.due(&mut at, &mut world.incidents, world.now, false)
        && let Some((request, count)) = world.teller.request(&at, &world.incidents, &due, world.now)
    {
        let body = request.unwrap().into_body().collect().await.unwrap().to_bytes();
        texts.push_str(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["text"].as_str().unwrap());
        counts.push(count);
        for (id, event, _) in &due[..count] {
            world.incidents.get_mut(id).unwrap().accept(&at.key, *event, Some(world.now));
        }
    }
    assert_eq!(counts, [2, 2, 1]);
    for key in ["opened/1", "resolved/2", "reopened/3", "resolved/4", "reopened/5"] {
        assert_eq!(texts.matches(key).count(), 1, "{key}");
    }
}

#[derive(Clone, Debug)]
enum Move {
    Page { seconds: u64, slow_routes: usize, affected: u64 },
    Save,
    Attempt { is_taken: bool },
    Silence { route: &'static str, length: &'static str },
}

fn a_move() -> impl Strategy<Value = Move> {
    let affected = prop_oneof![Just(1_u64), Just(9)];
    let routes = prop_oneof![Just("/a"), Just("*"), Just("/none")];
    let lengths = prop_oneof![Just("10s"), Just("5m"), Just("30m")];
    prop_oneof![
        4 => (1..200_u64, 0..=3_usize, affected)
            .prop_map(|(seconds, slow_routes, affected)| Move::Page { seconds, slow_routes, affected }),
        2 => Just(Move::Save),
        3 => any::<bool>().prop_map(|is_taken| Move::Attempt { is_taken }),
        1 => (routes, lengths).prop_map(|(route, length)| Move::Silence { route, length }),
    ]
}

proptest! {
    /// Whatever is silenced, waits for the morning, comes and goes or is too much: in the end each change was told or is
    /// counted among what was dropped, and nothing waits for ever.
    #[test]
    fn each_change_is_told_or_counted(moves in proptest::collection::vec(a_move(), 1..60)) {
        let mut world = World::new();
        let quiet_hours = vec!["Tue 22:30-23:00".parse().unwrap()];
        world.teller.set(&TellSettings { quiet_hours, rate_limit: 3, flap_after: 2, ..settings() }, "");
        for next in moves {
            match next {
                Move::Page { seconds, slow_routes, affected } => {
                    world.affected = affected;
                    world.page(seconds, slow_routes);
                }
                Move::Save => world.save(),
                Move::Attempt { is_taken } => drop(world.attempt(is_taken)),
                Move::Silence { route, length } => {
                    drop(world.teller.silence(&row(&[("route", route), ("for", length)]), world.now));
                }
            }
        }
        for _ in 0..90 {
            world.page(120, 0);
            world.save();
            world.attempt(true);
        }
        let all: u64 = world.incidents.all_mut().map(|incident| u64::from(incident.sequence)).sum();
        for channel in [Channel::Webhook, Channel::Slack] {
            let told: usize = world.changes(channel).values().map(BTreeMap::len).sum();
            let health = *world.teller.health.of(channel);
            prop_assert_eq!(told as u64 + health.skipped.iter().sum::<u64>(), all, "{:?} {:?}", channel, health);
            prop_assert_eq!((health.pending, health.on_hold), (0, ByReason::default()));
        }
        // Whoever was told of a beginning was told of its end.
        for channel in [Channel::Webhook, Channel::Slack] {
            for (id, changes) in world.changes(channel) {
                prop_assert!(changes.keys().last().is_some_and(|last| last % 2 == 0), "{:?} {} {:?}", channel, id, changes);
            }
        }
    }
}

/// What an agent kept that knew nothing of holds.
#[test]
fn what_older_agents_kept_is_read() {
    let told: Told =
        serde_json::from_str(r#"{"updates": 1, "face": "", "accepted": {"webhook-1": {"sequence": 3}}}"#).unwrap();
    assert_eq!(told.waiting(4).count(), 1);
    assert_eq!(serde_json::from_str::<KeptTell>("{}").unwrap(), KeptTell::default());
}
