//! What is told, whatever fails and whoever restarts.

mod again;
mod hold;
mod severity;

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use outrigger_detect::{LatencyShift, Phase, Quantiles, Shift, Verdict};
use proptest::prelude::*;

use super::*;
use crate::derive::RouteKey;
use crate::incident::{Finding, IncidentSettings, Severity};
use crate::watch::{Role, Sign, Signal, Subject};

const TARGET: &str = "127.0.0.1:9464";

fn settings() -> TellSettings {
    TellSettings {
        alertmanager: vec!["http://a:9093/api/v2/alerts".parse().unwrap()],
        webhook: Some("https://b/hook".parse().unwrap()),
        slack: Some("https://c/services/x".parse().unwrap()),
        // Every change is to be told, unless a test says otherwise.
        rate_limit: 1000,
        flap_after: 1000,
        ..TellSettings::default()
    }
}

fn slow(affected: u64) -> Verdict {
    let calm = Quantiles { p50: 0.01, p95: 0.05, p99: 0.1 };
    let shift = LatencyShift {
        onset_seconds_ago: 4.0,
        before: calm,
        during: Quantiles { p99: 0.6, ..calm },
        bound: 0.25,
        share_before: 0.01,
        share_during: 0.3,
        requests: 10,
        affected,
        added_seconds: 1.0,
    };
    Verdict { phase: Phase::Anomalous, score: 9.0, shift: Some(Shift::Latency(shift)), ended: None }
}

const CALM: Verdict = Verdict { phase: Phase::Calm, score: 0.0, shift: None, ended: None };

/// An agent that tells, its disk, and what its destinations received.
struct World {
    incidents: Incidents,
    teller: Teller,
    disk: Vec<String>,
    now: SystemTime,
    /// Of ten requests of a slow route, and of those of the others if they differ.
    affected: u64,
    others_affected: Option<u64>,
    /// What the service calls itself.
    service: Option<String>,
    /// What else is not as it should be.
    signs: Vec<Sign>,
    /// Every attempt: destination, incident, change.
    seen: Vec<(Channel, String, Event)>,
}

impl World {
    fn new() -> Self {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let incidents = Incidents::restore(&IncidentSettings::default(), Vec::new(), now, |_| true);
        let teller = Teller::new(&settings(), "http://127.0.0.1:9465");
        Self {
            incidents,
            teller,
            disk: Vec::new(),
            now,
            affected: 3,
            others_affected: None,
            service: Some("shop".to_owned()),
            signs: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// A page on which so many routes are slow.
    fn page(&mut self, seconds: u64, slow_routes: usize) {
        self.now += Duration::from_secs(seconds);
        let keys: Vec<_> =
            ["/a", "/b", "/c"].iter().map(|route| RouteKey { method: "GET".into(), route: (*route).into() }).collect();
        let (first, others, calm) = (slow(self.affected), slow(self.others_affected.unwrap_or(self.affected)), CALM);
        let slow = |index| if index == 0 { &first } else { &others };
        let verdict = |index| if index < slow_routes { slow(index) } else { &calm };
        let findings: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(index, key)| Finding { key, signal: Signal::Latency, verdict: verdict(index) })
            .collect();
        self.incidents.update(TARGET, self.now, &findings, &self.signs);
        let service = self.service.clone();
        self.teller.prepare(&mut self.incidents, self.now, |_| service.clone());
    }

    /// Gives up what nobody took for too long.
    fn expire(&mut self) -> [u64; 3] {
        let destinations = std::mem::take(&mut self.teller.destinations);
        destinations.iter().for_each(|at| self.teller.expire(at, &mut self.incidents, self.now));
        self.teller.destinations = destinations;
        self.teller.health().channels.map(|health| health.expired)
    }

    fn save(&mut self) {
        self.disk = self.incidents.all_mut().map(|incident| serde_json::to_string(incident).unwrap()).collect();
        for incident in self.incidents.all_mut() {
            let stand = incident.stand();
            incident.saved_at(stand);
        }
    }

    /// Another agent goes on with what is on disk.
    fn crash(&mut self) {
        let kept = self.disk.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
        self.incidents = Incidents::restore(&IncidentSettings::default(), kept, self.now, |_| true);
        self.teller = Teller::new(&settings(), "http://127.0.0.1:9465");
    }

    /// One attempt at each destination.
    fn attempt(&mut self, is_taken: bool) -> usize {
        self.teller.health.channels.iter_mut().for_each(|health| health.pending = 0);
        self.teller.health.channels.iter_mut().for_each(|health| health.on_hold = ByReason::default());
        let mut destinations = std::mem::take(&mut self.teller.destinations);
        let mut due = Vec::new();
        for at in &mut destinations {
            let events = self.teller.due(at, &mut self.incidents, self.now, true);
            if at.channel != Channel::Alertmanager && !events.is_empty() {
                at.rate.note(self.now);
            }
            due.push((at.channel, at.key.clone(), events));
        }
        self.teller.destinations = destinations;
        let mut attempts = 0;
        for (channel, destination, events) in due.into_iter().filter(|(.., events)| !events.is_empty()) {
            attempts += 1;
            self.seen.extend(events.iter().map(|(id, event, _)| (channel, id.clone(), *event)));
            let events: Vec<_> = events.into_iter().map(|(id, event, _)| (id, event)).collect();
            note_tries(&mut self.incidents, &destination, &events);
            let later = Outcome::Later { reason: String::new(), after: None };
            let outcome = if is_taken { Outcome::Taken } else { later };
            self.teller.take(Sent { destination, events, outcome }, &mut self.incidents, self.now);
        }
        attempts
    }

    /// The beginnings and ends that a destination saw of each incident.
    fn changes(&self, channel: Channel) -> BTreeMap<String, BTreeMap<u32, BTreeSet<String>>> {
        let mut changes: BTreeMap<String, BTreeMap<u32, BTreeSet<String>>> = BTreeMap::new();
        let seen = self.seen.iter().filter(|(at, _, event)| *at == channel && !event.turn.is_between());
        for (_, id, event) in seen {
            changes.entry(id.clone()).or_default().entry(event.sequence).or_default().insert(event.key(id));
        }
        changes
    }
}

#[derive(Clone, Debug)]
enum Step {
    Page { seconds: u64, slow_routes: usize },
    Save,
    Attempt { is_taken: bool },
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..400_u64, 0..=3_usize).prop_map(|(seconds, slow_routes)| Step::Page { seconds, slow_routes }),
        2 => Just(Step::Save),
        3 => any::<bool>().prop_map(|is_taken| Step::Attempt { is_taken }),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    /// Whatever fails and whenever the agent dies: each change of an incident that was not lost with it reaches each
    /// webhook under one key, and nothing is told that the next agent does not know.
    #[test]
    fn one_change_has_one_key_and_arrives(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Page { seconds, slow_routes } => world.page(seconds, slow_routes),
                Step::Save => world.save(),
                Step::Attempt { is_taken } => drop(world.attempt(is_taken)),
                Step::Crash => world.crash(),
            }
        }
        world.page(1, 0);
        world.save();
        let mut rounds = 0;
        while world.attempt(true) > 0 {
            rounds += 1;
            prop_assert!(rounds < 1000, "it never ends");
        }
        for channel in [Channel::Webhook, Channel::Slack] {
            let changes = world.changes(channel);
            let stand = |incident: &mut Incident| (incident.id.clone(), incident.sequence);
            let known: Vec<_> = world.incidents.all_mut().map(stand).collect();
            prop_assert_eq!(changes.len(), known.len());
            for (id, sequence) in known {
                let told: Vec<_> = changes[&id].iter().map(|(sequence, keys)| (*sequence, keys.len())).collect();
                let expected: Vec<_> = (1..=sequence).map(|number| (number, 1)).collect();
                prop_assert_eq!(&told, &expected, "{:?} {}", channel, id);
                let keys: Vec<_> = changes[&id].values().flatten().cloned().collect();
                for (index, key) in keys.iter().enumerate() {
                    let state = match index { 0 => "opened", odd if odd % 2 == 1 => "resolved", _ => "reopened" };
                    prop_assert_eq!(key, &format!("{id}/{state}/{}", index + 1));
                }
            }
        }
        prop_assert_eq!(world.teller.health().channels.map(|health| health.pending), [0; 3]);
    }

    /// Alertmanager sees one label set from the beginning of an incident to its end, and an end after each beginning.
    #[test]
    fn an_alert_keeps_its_labels(steps in proptest::collection::vec((1..400_u64, 1..=3_usize, any::<bool>()), 1..30)) {
        let mut world = World::new();
        let mut labels = BTreeSet::new();
        for (seconds, slow_routes, is_restarted) in steps {
            world.page(seconds, slow_routes);
            world.save();
            world.attempt(true);
            labels.extend(world.labels());
            if is_restarted {
                world.crash();
                world.service = None;
            }
        }
        world.page(1, 0);
        world.save();
        world.attempt(true);
        labels.extend(world.labels());
        prop_assert_eq!(labels.len(), 1);
        let seen = world.seen.iter().filter(|seen| seen.0 == Channel::Alertmanager);
        let turns: Vec<_> = seen.map(|seen| seen.2.turn).collect();
        prop_assert_eq!(turns.last(), Some(&Turn::Resolved));
        prop_assert_eq!(turns.iter().filter(|turn| **turn == Turn::Resolved).count(), 1);
    }
}

#[test]
fn updates_are_told_at_a_bounded_rate_and_only_when_there_is_something_new() {
    let mut world = World::new();
    let updates = |world: &World| {
        let of = |seen: &&(Channel, String, Event)| seen.0 == Channel::Webhook && seen.2.turn == Turn::Updated;
        world.seen.iter().filter(of).count()
    };
    for second in 0..900 {
        // It looks different once, and the rest of the time the same.
        world.page(1, if second < 100 { 1 } else { 3 });
        world.save();
        world.attempt(true);
    }
    assert_eq!(updates(&world), 1);
    let mut world = World::new();
    for second in 0..30 {
        // Never the same, but all within a minute.
        world.page(1, 1 + second % 3);
        world.save();
        world.attempt(true);
    }
    assert_eq!(updates(&world), 0);
    assert_eq!(world.changes(Channel::Webhook).len(), 1);
}

#[test]
fn what_nobody_takes_for_a_day_is_dropped_and_counted() {
    let mut world = World::new();
    world.page(1, 1);
    world.page(1, 0);
    world.save();
    world.attempt(false);
    world.now += GIVE_UP;
    assert_eq!(world.expire(), [0; 3]);
    world.now += Duration::from_secs(2);
    assert_eq!(world.expire(), [2, 2, 2], "a beginning and an end each");
    assert_eq!(world.attempt(true), 0);
}

#[test]
fn incidents_that_are_forgotten_untold_are_counted() {
    let mut world = World::new();
    let keep_one = IncidentSettings { keep: 1, ..IncidentSettings::default() };
    for _ in 0..2 {
        world.page(1000, 1);
        world.page(1, 0);
    }
    world.incidents.set(&keep_one, world.now);
    world.teller.prepare(&mut world.incidents, world.now, |_| None);
    assert_eq!(world.teller.health().channels.map(|health| health.forgotten), [1; 3]);
}

#[test]
fn what_ended_before_anybody_was_to_be_told_is_not_told() {
    let mut world = World::new();
    world.teller.set(&TellSettings::default(), "");
    world.page(1, 1);
    world.page(1, 0);
    world.teller.set(&settings(), "");
    world.page(1000, 0);
    world.save();
    assert_eq!(world.attempt(true), 0);
    world.page(1, 1);
    world.save();
    assert_eq!(world.attempt(true), 3);
}

#[test]
fn what_is_wrong_with_a_message_is_final_and_all_else_is_tried_again() {
    use destination::judge;
    use http::StatusCode;
    assert_eq!(judge(StatusCode::NO_CONTENT, None), Outcome::Taken);
    for status in [400, 413, 415, 422] {
        let status = StatusCode::from_u16(status).unwrap();
        assert!(matches!(judge(status, None), Outcome::Refused(_)), "{status}");
    }
    let after = Some(Duration::from_secs(7));
    for status in [301, 401, 403, 404, 408, 429, 500, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        assert!(matches!(judge(status, after), Outcome::Later { after: Some(_), .. }), "{status}");
    }
}

#[test]
fn pauses_grow_to_a_bound_and_a_destination_may_ask_for_its_own() {
    let mut world = World::new();
    let destination = world.teller.destinations.last_mut().unwrap();
    let due_in = |destination: &Destination, seconds| destination.is_due(Instant::now() + Duration::from_secs(seconds));
    let later = |after| Outcome::Later { reason: "away".to_owned(), after };
    assert!(due_in(destination, 0));
    destination.note(&later(None));
    assert!(!due_in(destination, 0) && due_in(destination, 1));
    for _ in 0..100 {
        destination.note(&later(None));
    }
    assert!(!due_in(destination, 140) && due_in(destination, 301), "half of five minutes to all of them");
    for (asked, waited) in [(40, 40), (86_400, 300)] {
        destination.note(&later(Some(Duration::from_secs(asked))));
        assert!(!due_in(destination, waited - 5) && due_in(destination, waited + 1), "{asked}");
    }
    // A refusal answers.
    destination.note(&Outcome::Refused("answered 400".to_owned()));
    assert!(!due_in(destination, 0) && due_in(destination, 1));
    destination.note(&Outcome::Taken);
    assert!(due_in(destination, 0));
}

#[test]
fn an_alert_is_sent_again_before_it_ends_whatever_failed_and_is_reloaded() {
    let mut world = World::new();
    let resend_in = |seconds| TellSettings { resend_interval: Duration::from_secs(seconds), ..settings() };
    let due_in =
        |world: &World, seconds| world.teller.destinations[0].is_due(Instant::now() + Duration::from_secs(seconds));
    world.teller.set(&resend_in(60), "");
    for _ in 0..100 {
        world.teller.destinations[0].note(&Outcome::Later { reason: String::new(), after: None });
    }
    assert!(!due_in(&world, 25) && due_in(&world, 61));
    let asked = Some(Duration::from_secs(3600));
    world.teller.destinations[0].note(&Outcome::Later { reason: String::new(), after: asked });
    assert!(!due_in(&world, 55) && due_in(&world, 61));
    world.teller.set(&resend_in(10), "");
    assert!(!due_in(&world, 5) && due_in(&world, 11));
    for _ in 0..100 {
        world.teller.destinations[0].note(&Outcome::Refused(String::new()));
    }
    assert!(!due_in(&world, 4) && due_in(&world, 11), "what Alertmanager refuses is sent less often");
}

#[test]
fn a_service_is_called_what_it_calls_itself() {
    use crate::collect::scrape::{Page, Scrape};
    use outrigger_exposition::Format;
    for (page, name) in [
        ("target_info{service_name=\"shop\"} 1\n", Some("shop")),
        ("target_info{service_name=\"\"} 1\n", None),
        ("target_info{service_version=\"1\"} 1\n", None),
        ("up 1\n", None),
    ] {
        let settings = crate::config::Settings::default();
        let mut target = crate::target::Target::new(TARGET.parse().unwrap(), &settings);
        let bytes = format!("# TYPE target_info gauge\n{page}").into_bytes();
        let page = Ok(Page { bytes, format: Format::Text, cut_samples: 0 });
        target.absorb(&Scrape { started: Instant::now(), at: SystemTime::now(), took: Duration::ZERO, page }, None);
        assert_eq!(target.service().as_deref(), name);
    }
}

/// Case 2 of RFC 4231.
#[test]
fn a_signature_is_hmac_sha256() {
    let secret = Secret::new("Jefe").unwrap();
    let digits = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(message::sign(&secret, b"what do ya want for nothing?"), format!("sha256={digits}"));
}
