use super::*;
use crate::watch::Subject;
use outrigger_detect::{CauseKind, Ending, ErrorShift, LatencyShift, Quantiles, Shift};

const TARGET: &str = "127.0.0.1:9464";

fn key(route: &str) -> RouteKey {
    RouteKey { method: "GET".to_owned(), route: route.to_owned() }
}

fn slow(requests: u64, affected: u64, added_seconds: f64) -> Verdict {
    let before = Quantiles { p50: 0.01, p95: 0.05, p99: 0.1 };
    let shift = LatencyShift {
        onset_seconds_ago: 4.0,
        before,
        during: Quantiles { p99: 0.6, ..before },
        bound: 0.25,
        share_before: 0.01,
        share_during: 0.3,
        requests,
        affected,
        added_seconds,
    };
    Verdict { phase: Phase::Anomalous, score: 9.0, shift: Some(Shift::Latency(shift)), ended: None }
}

fn failing(requests: u64, affected: u64) -> Verdict {
    let shift = ErrorShift { onset_seconds_ago: 2.0, ratio_before: 0.0, ratio_during: 0.5, requests, affected };
    Verdict { phase: Phase::Anomalous, score: 9.0, shift: Some(Shift::Errors(shift)), ended: None }
}

const CALM: Verdict = Verdict { phase: Phase::Calm, score: 0.0, shift: None, ended: None };

/// Incidents after each step of findings, a second apart.
struct Story {
    incidents: Incidents,
    now: SystemTime,
}

impl Story {
    fn new() -> Self {
        Self { incidents: Incidents::default(), now: UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
    }

    fn step(&mut self, findings: &[(&str, Signal, Verdict)]) -> Option<Change> {
        self.now += Duration::from_secs(1);
        let keys: Vec<_> = findings.iter().map(|(route, ..)| key(route)).collect();
        let findings: Vec<_> = findings
            .iter()
            .zip(&keys)
            .map(|((_, signal, verdict), key)| Finding { key, signal: *signal, verdict })
            .collect();
        self.incidents.update(TARGET, self.now, &findings, &[])
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self.incidents.view(usize::MAX)).unwrap()
    }
}

#[test]
fn an_incident_opens_gathers_routes_and_is_resolved_when_all_are_calm() {
    let mut story = Story::new();
    let latency = Signal::Latency;
    assert_eq!(story.step(&[("/a", latency, CALM), ("/b", latency, CALM)]), None);
    assert_eq!(story.json()["incidents"].as_array().unwrap().len(), 0);

    assert_eq!(story.step(&[("/a", latency, slow(10, 3, 1.0)), ("/b", latency, CALM)]), Some(Change::Opened));
    assert_eq!(story.step(&[("/a", latency, slow(20, 6, 2.0)), ("/b", latency, slow(9, 9, 5.0))]), None);
    let json = story.json();
    let incident = &json["incidents"][0];
    assert_eq!(incident["state"], "open");
    assert_eq!(incident["routes"][0]["route"], "/b", "the one that cost most comes first");
    assert_eq!(incident["requests_affected"], 15);
    assert_eq!(incident["started_at"], "2023-11-14T22:13:19.000Z", "the earliest onset, brought up to date");
    assert_eq!(incident["detected_at"], "2023-11-14T22:13:22.000Z");
    let summary = incident["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("GET /b slower than usual since 2023-11-14T22:13:19Z: requests over 250 ms"),
        "{summary}"
    );
    assert!(summary.contains("Also: GET /a slower than usual."), "{summary}");

    assert_eq!(story.step(&[("/a", latency, CALM), ("/b", latency, slow(10, 10, 6.0))]), None);
    assert_eq!(story.json()["incidents"][0]["routes"][1]["state"], "recovered");
    assert_eq!(story.step(&[("/a", latency, CALM), ("/b", latency, CALM)]), Some(Change::Resolved));
    let json = story.json();
    assert_eq!(json["incidents"][0]["state"], "resolved");
    assert_eq!(json["incidents"][0]["resolved_at"], "2023-11-14T22:13:25.000Z");
    assert_eq!(json["incidents"].as_array().unwrap().len(), 1);
}

#[test]
fn an_incident_says_why_it_ended() {
    let latency = Signal::Latency;
    let recovered = Verdict { ended: Some(Ending::Recovered), ..CALM };
    let adopted = Verdict { phase: Phase::WarmingUp, ended: Some(Ending::Adopted), ..CALM };
    let idle = Verdict { ended: Some(Ending::Idle { seconds: 300.0 }), ..CALM };
    for (last, ended, words) in [
        (recovered, "recovered", " in 4 s. Cause unknown. Resolved at 2023-11-14T23:13:22Z after 1h 5s."),
        (
            adopted,
            "adopted",
            " GET /a: taken as the new normal after 1h 5s. Closed at 2023-11-14T23:13:22Z after 1h 5s.",
        ),
        (
            idle,
            "idle",
            " GET /a: no more requests since 2023-11-14T23:08:22Z. Closed at 2023-11-14T23:13:22Z after 1h 5s.",
        ),
    ] {
        let mut story = Story::new();
        story.step(&[("/a", latency, slow(10, 3, 1.0))]);
        story.now += Duration::from_secs(3600);
        assert_eq!(story.json()["incidents"][0]["routes"][0]["ended"], serde_json::Value::Null);
        assert_eq!(story.step(&[("/a", latency, last)]), Some(Change::Resolved));
        // What is calm or learnt afterwards changes nothing about the end.
        story.step(&[("/a", latency, CALM)]);
        let json = story.json();
        let incident = &json["incidents"][0];
        let summary = incident["summary"].as_str().unwrap();
        assert!(summary.ends_with(words), "{summary}");
        let route = &incident["routes"][0];
        assert_eq!((&incident["state"], &route["state"]), (&"resolved".into(), &"recovered".into()));
        assert_eq!(route["ended"], ended);
        let told = route["summary"].as_str().unwrap();
        assert_eq!(told.ends_with(" in 4 s"), ended == "recovered", "{told}");
    }
}

#[test]
fn an_open_incident_tells_of_the_routes_that_ended_without_recovery() {
    let mut story = Story::new();
    let latency = Signal::Latency;
    story.step(&[("/a", latency, slow(10, 3, 1.0)), ("/b", latency, slow(9, 9, 5.0))]);
    // Route /a is gone from the page.
    assert_eq!(story.step(&[("/b", latency, slow(10, 10, 6.0))]), None);
    let summary = story.incidents.open(TARGET).unwrap().summary();
    assert!(summary.ends_with(" GET /a: no more requests since 2023-11-14T22:13:22Z."), "{summary}");
    assert_eq!(story.json()["incidents"][0]["routes"][1]["ended"], "idle");
    // It comes back as bad as it was.
    story.step(&[("/a", latency, slow(10, 3, 1.0)), ("/b", latency, slow(11, 11, 7.0))]);
    assert!(!story.incidents.open(TARGET).unwrap().summary().contains("no more requests"));
    assert_eq!(story.json()["incidents"][0]["routes"][1]["ended"], serde_json::Value::Null);
}

#[test]
fn the_same_route_flaring_up_soon_opens_the_same_incident_and_adds_up() {
    let mut story = Story::new();
    story.step(&[("/a", Signal::Latency, slow(10, 4, 1.0))]);
    assert_eq!(story.step(&[("/a", Signal::Latency, CALM)]), Some(Change::Resolved));
    assert_eq!(story.step(&[("/a", Signal::Latency, slow(5, 2, 1.0))]), Some(Change::Reopened));
    story.step(&[("/a", Signal::Latency, slow(6, 3, 1.0))]);
    let json = story.json();
    assert_eq!(json["incidents"].as_array().unwrap().len(), 1);
    assert_eq!(json["incidents"][0]["routes"][0]["requests"], 16);
    assert_eq!(json["incidents"][0]["requests_affected"], 7);
    assert_eq!(json["incidents"][0]["resolved_at"], serde_json::Value::Null);
    assert_eq!(json["incidents"][0]["sequence"], 3, "opened, resolved, opened again");

    story.step(&[("/a", Signal::Latency, CALM)]);
    assert_eq!(
        story.step(&[("/b", Signal::Latency, slow(5, 2, 1.0))]),
        Some(Change::Opened),
        "another route is another incident"
    );
    story.step(&[("/b", Signal::Latency, CALM)]);
    story.now += REOPEN_WITHIN;
    assert_eq!(story.step(&[("/b", Signal::Latency, slow(5, 2, 1.0))]), Some(Change::Opened), "and so is a later one");
}

#[test]
fn the_calm_after_the_last_affected_request_does_not_thin_the_figures() {
    let mut story = Story::new();
    story.step(&[("/a", Signal::Latency, slow(10, 4, 1.0))]);
    story.step(&[("/a", Signal::Latency, slow(20, 8, 2.0))]);
    story.step(&[("/a", Signal::Latency, slow(900, 8, 2.0))]);
    let json = story.json();
    assert_eq!(json["incidents"][0]["routes"][0]["requests"], 20);
    assert_eq!(json["incidents"][0]["started_at"], "2023-11-14T22:13:18.000Z");
}

#[test]
fn a_request_that_was_slow_and_failed_counts_once() {
    let mut story = Story::new();
    story.step(&[("/a", Signal::Latency, slow(10, 4, 1.0)), ("/a", Signal::Errors, failing(10, 6))]);
    let json = story.json();
    assert_eq!(json["incidents"][0]["requests_affected"], 6);
    assert_eq!(json["incidents"][0]["routes"][0]["signal"], "errors");
    assert_eq!(json["incidents"][0]["routes"][0]["during"]["error_ratio"], 0.5);
    assert_eq!(json["incidents"][0]["routes"][0]["during"]["p50"], serde_json::Value::Null);
    assert_eq!(json["incidents"][0]["routes"][1]["during"]["p99"], 0.6);
}

#[test]
fn a_silent_target_leaves_its_incident_open_and_says_so() {
    let mut story = Story::new();
    story.step(&[("/a", Signal::Latency, slow(10, 4, 1.0))]);
    story.incidents.target_is_silent(TARGET, story.now);
    story.incidents.target_is_silent(TARGET, story.now + Duration::from_secs(9));
    let summary = story.incidents.open(TARGET).unwrap().summary();
    assert!(
        summary.ends_with("The target has not answered since 2023-11-14T22:13:21Z; nothing newer is known."),
        "{summary}"
    );
    story.step(&[("/a", Signal::Latency, slow(12, 5, 1.0))]);
    assert!(!story.incidents.open(TARGET).unwrap().summary().contains("not answered"));
}

#[test]
fn history_is_bounded_and_never_forgets_what_is_open() {
    let mut incidents =
        Incidents { settings: IncidentSettings { keep: 20, ..IncidentSettings::default() }, ..Incidents::default() };
    let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let (route, bad) = (key("/a"), slow(10, 4, 1.0));
    let finding = |verdict| [Finding { key: &route, signal: Signal::Latency, verdict }];
    incidents.update("open", at, &finding(&bad), &[]);
    for number in 0..40 {
        let target = format!("t{number}");
        incidents.update(&target, at, &finding(&bad), &[]);
        incidents.update(&target, at, &finding(&CALM), &[]);
    }
    assert_eq!(incidents.list.len(), 20);
    assert_eq!(incidents.take_dropped().len(), 21);
    assert_eq!(incidents.take_dropped().len(), 0);

    let later = at + incidents.settings.keep_for + Duration::from_secs(1);
    incidents.forget(later);
    assert_eq!((incidents.list.len(), incidents.take_dropped().len()), (1, 19));
    assert!(incidents.open("open").is_some());
}

#[test]
fn what_was_kept_goes_on_where_it_was() {
    let mut story = Story::new();
    let latency = Signal::Latency;
    story.step(&[("/a", latency, slow(10, 4, 1.0))]);
    story.step(&[("/a", latency, CALM)]);
    story.now += REOPEN_WITHIN;
    story.step(&[("/b", latency, slow(10, 4, 1.0)), ("/c", Signal::Errors, failing(9, 3))]);
    story.step(&[("/b", latency, slow(20, 5, 2.0))]);
    let id = story.incidents.newest(TARGET).unwrap().id.clone();
    let mark = Mark::new(true, "a backup".to_owned(), story.now);
    assert!(story.incidents.mark(&id, mark.clone()).is_some() && story.incidents.mark("0-0", mark).is_none());

    let before = story.json();
    let kept = story.incidents.take_unsaved();
    assert_eq!((kept.len(), story.incidents.take_unsaved().len()), (2, 0));
    story.incidents.still_unsaved(&[id.clone(), "0-0".to_owned()]);
    assert_eq!(story.incidents.take_unsaved().len(), 1);
    let text = serde_json::to_string(&kept).unwrap();
    let read: Vec<Incident> = serde_json::from_str(&text).unwrap();
    let restore = |watched| {
        Incidents::restore(&IncidentSettings::default(), read.clone(), story.now, |target| watched && target == TARGET)
    };
    let unwatched = restore(false);
    assert!(unwatched.open(TARGET).is_none());
    let words = unwatched.newest(TARGET).unwrap().summary();
    assert!(words.contains(" GET /b: not watched any more since 2023-11-14T22:15:24Z. Closed at"), "{words}");

    story.incidents = restore(true);
    assert_eq!(story.json(), before);
    assert_eq!(story.incidents.false_alarms(TARGET), 1);
    assert_eq!(story.step(&[("/b", latency, CALM)]), Some(Change::Resolved));
    assert_eq!(story.incidents.newest(TARGET).unwrap().id, id);
}

#[test]
fn of_two_that_were_left_open_the_older_one_is_closed() {
    let mut story = Story::new();
    story.step(&[("/a", Signal::Latency, slow(10, 4, 1.0))]);
    let mut kept = story.incidents.take_unsaved();
    kept.push(Incident { id: "1-1".to_owned(), detected_at: UNIX_EPOCH, ..kept[0].clone() });
    let incidents = Incidents::restore(&IncidentSettings::default(), kept, story.now, |_| true);
    let open: Vec<_> = incidents.list.iter().map(|incident| incident.resolved_at.is_none()).collect();
    assert_eq!(open, [true, false]);
}

#[test]
fn only_ids_are_ids() {
    let story = &mut Story::new();
    story.step(&[("/a", Signal::Latency, slow(10, 4, 1.0))]);
    assert!(is_id(&story.incidents.newest(TARGET).unwrap().id));
    for text in ["", "-", "1-", "-1", "1", "../x-1", "1-1/..", "1-a", "G-1", "1-1\0", "1--1", &"1".repeat(99)] {
        assert!(!is_id(text), "{text}");
    }
}

#[test]
fn trouble_is_what_routes_suffer_now_and_since_they_do() {
    let mut story = Story::new();
    let latency = Signal::Latency;
    let trouble = |story: &Story| story.incidents.open(TARGET).and_then(Incident::trouble).unwrap();
    story.step(&[("/a", latency, slow(10, 4, 20.0))]);
    let cause = Cause { cause: CauseKind::Cpu, strength: 0.8, subject: None, evidence: String::new() };
    story.incidents.explain(TARGET, Explanation { causes: vec![cause], ..Explanation::default() });
    story.step(&[("/a", latency, CALM)]);
    story.now += Duration::from_secs(60);
    assert_eq!(story.step(&[("/a", latency, slow(5, 2, 0.5))]), Some(Change::Reopened));
    let again = Trouble { onset: story.now - Duration::from_secs(4), added_seconds: 0.5, failed: 0.0 };
    assert_eq!(trouble(&story), again, "of the first time nothing");
    assert_eq!(story.json()["incidents"][0]["causes"], serde_json::json!([]), "it may be for another reason");
    assert_eq!(story.json()["incidents"][0]["started_at"], "2023-11-14T22:13:17.000Z");

    story.now += Duration::from_secs(60);
    story.step(&[("/a", latency, CALM), ("/b", Signal::Errors, failing(9, 5))]);
    let other = Trouble { onset: story.now - Duration::from_secs(2), added_seconds: 0.0, failed: 5.0 };
    assert_eq!(trouble(&story), other, "of the one that recovered nothing");
}

#[test]
fn causes_are_told_in_the_view_and_the_likeliest_in_the_summary() {
    let mut story = Story::new();
    story.step(&[("/search", Signal::Latency, slow(100, 30, 12.0))]);
    let cause = |cause, strength, subject: Option<&str>| Cause {
        cause,
        strength,
        subject: subject.map(str::to_owned),
        evidence: "it is so".to_owned(),
    };
    let trouble = story.incidents.open(TARGET).and_then(Incident::trouble).unwrap();
    assert_eq!((trouble.added_seconds, trouble.failed), (12.0, 0.0));
    let causes =
        [cause(CauseKind::ConnectionPool, 0.8, Some("shop")), cause(CauseKind::Dependency, 0.4, None)].to_vec();
    let part = outrigger_detect::PartKind::CacheLoad;
    let added_time = vec![AddedTime { part, subject: Some("prices".to_owned()), seconds: 3.0, share: 0.25 }];
    story.incidents.explain(TARGET, Explanation { causes, added_time });
    let incident = &story.json()["incidents"][0];
    let told = serde_json::json!([{"part": "cache_load", "subject": "prices", "seconds": 3.0, "share": 0.25}]);
    assert_eq!(incident["added_time"], told);
    assert_eq!(incident["causes"][0]["cause"], "connection_pool");
    assert_eq!(incident["causes"][0]["subject"], "shop");
    assert!(incident["causes"][0]["advice"].as_str().unwrap().contains("holds connections"), "{incident}");
    assert_eq!(incident["causes"][1]["strength"], 0.4);
    let summary = incident["summary"].as_str().unwrap();
    assert!(summary.contains(" Likely cause: the pool of connections is exhausted (shop): it is so."), "{summary}");

    // Once all routes have recovered there is nothing left to explain, and what was said stays.
    story.step(&[("/search", Signal::Latency, CALM)]);
    assert_eq!(story.incidents.open(TARGET), None);
    assert_eq!(story.json()["incidents"][0]["causes"][0]["cause"], "connection_pool");
}

/// A resource that fills, as the agent's own detectors see it.
fn full(subject: &str, severity: Severity, at: SystemTime) -> Sign {
    Sign {
        subject: Subject::resource("pool", subject),
        signal: Signal::Saturation,
        role: Role::Apart,
        severity,
        score: 1.0,
        since: at,
        words: "10 of 10 in use".to_owned(),
        before: None,
        now: Some(1.0),
        requests: 0,
        affected: 0,
        seconds: 0.0,
        aftermath_seconds: 120.0,
    }
}

#[test]
fn what_fills_beside_a_false_alarm_has_an_incident_of_its_own_unless_the_mark_was_about_it() {
    let key = key("/a");
    let (mut incidents, mut at) = (Incidents::default(), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let mut page = |incidents: &mut Incidents, signs: &[(&str, Severity)]| {
        at += Duration::from_secs(1);
        let signs: Vec<_> = signs.iter().map(|(name, severity)| full(name, *severity, at)).collect();
        let slow = slow(10, 3, 1.0);
        incidents.update(TARGET, at, &[Finding { key: &key, signal: Signal::Latency, verdict: &slow }], &signs);
        let changes = incidents.update_apart(TARGET, at, &signs);
        changes.into_iter().map(|(_, change)| change).collect::<Vec<_>>()
    };
    let soon = ("orders", Severity::Warning);
    assert_eq!(page(&mut incidents, &[soon]), [], "it stands in the incident of those who suffer");
    let id = incidents.newest(TARGET).unwrap().id.clone();
    incidents.mark(&id, Mark::new(true, String::new(), UNIX_EPOCH));
    assert_eq!(page(&mut incidents, &[soon]), [], "a person saw it");
    let full = ("orders", Severity::Critical);
    assert_eq!(page(&mut incidents, &[full]), [Change::Opened], "it is graver than it was");
    assert_eq!(page(&mut incidents, &[full, ("users", Severity::Warning)]), [Change::Opened], "and this one is new");
    assert!(!incidents.get(&id).unwrap().is_firing(), "the requests are what they were");

    // The same of an incident about a resource itself.
    let own = incidents.all_open(TARGET).find(|incident| incident.id != id).unwrap().id.clone();
    for (severity, changes) in [(Severity::Warning, vec![]), (Severity::Critical, vec![Change::Reopened])] {
        if severity == Severity::Warning {
            incidents.mark(&own, Mark::new(true, String::new(), UNIX_EPOCH));
            let known = incidents.get(&own).unwrap();
            assert!(known.is_open() && !known.is_firing());
        }
        assert_eq!(page(&mut incidents, &[full, ("users", severity)]), changes, "{severity:?}");
    }
}

#[test]
fn what_older_agents_marked_stays_silent_until_something_new_comes() {
    let mut story = Story::new();
    story.step(&[("/a", Signal::Latency, slow(10, 3, 1.0))]);
    let id = story.incidents.newest(TARGET).unwrap().id.clone();
    story.incidents.mark(&id, Mark::new(true, String::new(), story.now));
    let mut kept = serde_json::to_value(story.incidents.take_unsaved()).unwrap();
    kept[0]["mark"].as_object_mut().unwrap().remove("outgrown_at");
    let kept: Vec<Incident> = serde_json::from_value(kept).unwrap();
    story.incidents = Incidents::restore(&IncidentSettings::default(), kept, story.now, |_| true);
    assert_eq!(story.step(&[("/a", Signal::Latency, slow(20, 6, 1.0))]), None);
    let failing = ("/checkout", Signal::Errors, failing(9, 9));
    assert_eq!(story.step(&[("/a", Signal::Latency, slow(20, 6, 1.0)), failing]), Some(Change::Reopened));
    assert!(story.incidents.any_firing(TARGET));
    assert_eq!(story.incidents.get(&id).unwrap().sequence, 3);
}
