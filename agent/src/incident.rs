//! Incidents: what went wrong on a target, from the first anomalous route to the last one's recovery.
//!
//! At most one incident is open per target. It gathers the anomalous routes while it is open, the primary suspect (the
//! one that cost its callers most time) first, and is resolved when all of them are calm. One that flares up again on the
//! same route soon afterwards is opened again instead of being told twice. While a target is down nothing is known, so its
//! incident stays as it is and says so. The store keeps the last [`HISTORY`] incidents.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_detect::{Phase, Shift, Verdict};
use serde::{Serialize, Serializer};

use crate::derive::RouteKey;
use crate::watch::Signal;

/// The most incidents that are kept; the oldest resolved one goes first.
pub(crate) const HISTORY: usize = 200;
/// An incident that was resolved no longer ago than this is opened again by the same route and signal.
const REOPEN_WITHIN: Duration = Duration::from_secs(120);
/// What a failed request weighs beside a slow one, in seconds: its caller has to come again.
const FAILURE_SECONDS: f64 = 1.0;

/// All incidents, newest first.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    list: VecDeque<Incident>,
    opened: u64,
}

/// What a verdict says of one route, as incidents take it in.
pub(crate) struct Finding<'a> {
    pub(crate) key: &'a RouteKey,
    pub(crate) signal: Signal,
    pub(crate) verdict: &'a Verdict,
}

/// What became of a target's incident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    Opened,
    Reopened,
    Resolved,
}

impl Incidents {
    /// Takes in all verdicts on a target's latest page, which was scraped at `at`.
    pub(crate) fn update(&mut self, target: &str, at: SystemTime, findings: &[Finding<'_>]) -> Option<Change> {
        let anomalous = |finding: &&Finding<'_>| finding.verdict.phase == Phase::Anomalous;
        let mut change = None;
        if self.open(target).is_none() {
            findings.iter().find(anomalous)?;
            change = Some(self.begin(target, at, findings));
        }
        let incident = self.open_mut(target)?;
        incident.silent_since = None;
        for route in &mut incident.routes {
            let finding = findings.iter().filter(anomalous).find(|finding| route.is(finding));
            if finding.is_none() {
                route.settle();
            }
        }
        for finding in findings.iter().filter(anomalous) {
            incident.note(finding, at);
        }
        incident.routes.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        incident.started_at = incident.routes.iter().map(|route| route.started_at).min().unwrap_or(at);
        if incident.routes.iter().all(|route| !route.is_anomalous) {
            incident.resolved_at = Some(at);
            change = Some(Change::Resolved);
        }
        change
    }

    /// Notes that a target does not answer since `since`.
    pub(crate) fn target_is_silent(&mut self, target: &str, since: SystemTime) {
        if let Some(incident) = self.open_mut(target) {
            incident.silent_since.get_or_insert(since);
        }
    }

    /// The open incident of a target.
    pub(crate) fn open(&self, target: &str) -> Option<&Incident> {
        self.list.iter().find(|incident| incident.target == target && incident.resolved_at.is_none())
    }

    /// The newest incident of a target, open or not.
    pub(crate) fn newest(&self, target: &str) -> Option<&Incident> {
        self.list.iter().find(|incident| incident.target == target)
    }

    /// All incidents as the API shows them, newest first.
    pub(crate) fn view(&self) -> IncidentsView {
        IncidentsView { version: 1, incidents: self.list.iter().map(Incident::view).collect() }
    }

    fn open_mut(&mut self, target: &str) -> Option<&mut Incident> {
        self.list.iter_mut().find(|incident| incident.target == target && incident.resolved_at.is_none())
    }

    /// Opens a target's incident: its last one if it is the same trouble again, else a new one.
    fn begin(&mut self, target: &str, at: SystemTime, findings: &[Finding<'_>]) -> Change {
        let newest = self.list.iter_mut().find(|incident| incident.target == target);
        if let Some(newest) = newest
            && let Some(resolved_at) = newest.resolved_at
            && at.duration_since(resolved_at).unwrap_or_default() <= REOPEN_WITHIN
            && findings.iter().any(|finding| {
                finding.verdict.phase == Phase::Anomalous && newest.routes.iter().any(|route| route.is(finding))
            })
        {
            newest.resolved_at = None;
            return Change::Reopened;
        }
        self.opened += 1;
        if self.list.len() >= HISTORY
            && let Some(oldest) = self.list.iter().rposition(|incident| incident.resolved_at.is_some())
        {
            self.list.remove(oldest);
        }
        let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.list.push_front(Incident {
            // Unique across restarts of the agent, and sorted by time.
            id: format!("{millis:x}-{}", self.opened),
            target: target.to_owned(),
            started_at: at,
            detected_at: at,
            resolved_at: None,
            silent_since: None,
            routes: Vec::new(),
        });
        Change::Opened
    }
}

/// One incident.
#[derive(Debug)]
pub(crate) struct Incident {
    pub(crate) id: String,
    target: String,
    started_at: SystemTime,
    detected_at: SystemTime,
    resolved_at: Option<SystemTime>,
    silent_since: Option<SystemTime>,
    routes: Vec<Affected>,
}

/// One signal of one route in an incident.
#[derive(Debug)]
struct Affected {
    key: RouteKey,
    signal: Signal,
    is_anomalous: bool,
    started_at: SystemTime,
    score: f64,
    shift: Shift,
    /// What earlier flares in the same incident added up to.
    earlier: Toll,
    /// What the current or last flare adds up to.
    latest: Toll,
}

/// What an anomaly cost.
#[derive(Clone, Copy, Debug, Default)]
struct Toll {
    requests: u64,
    affected: u64,
    seconds: f64,
}

impl Incident {
    fn note(&mut self, finding: &Finding<'_>, at: SystemTime) {
        let Some(shift) = finding.verdict.shift else { return };
        let ago = Duration::try_from_secs_f64(shift.onset_seconds_ago()).unwrap_or_default();
        let started_at = at.checked_sub(ago).unwrap_or(at);
        let latest = toll(&shift);
        match self.routes.iter_mut().find(|route| route.is(finding)) {
            Some(route) => {
                if !route.is_anomalous {
                    // It flares up again.
                    route.earlier = route.total();
                    (route.shift, route.latest) = (shift, latest);
                } else if latest.affected > route.latest.affected {
                    // What comes after the last affected request is recovery, and would only thin the figures.
                    (route.shift, route.latest) = (shift, latest);
                    if route.earlier.requests == 0 {
                        // The onset becomes clearer with time.
                        route.started_at = started_at;
                    }
                }
                route.is_anomalous = true;
                route.score = finding.verdict.score;
            }
            None => self.routes.push(Affected {
                key: finding.key.clone(),
                signal: finding.signal,
                is_anomalous: true,
                started_at,
                score: finding.verdict.score,
                shift,
                earlier: Toll::default(),
                latest,
            }),
        }
    }

    /// Requests that were slower or failed beyond the usual. One that was both counts once.
    fn requests_affected(&self) -> u64 {
        let of = |route: &Affected| route.total().affected;
        let same = |a: &Affected, b: &Affected| a.key == b.key;
        self.routes
            .iter()
            .enumerate()
            .filter(|(index, route)| !self.routes.iter().take(*index).any(|earlier| same(earlier, route)))
            .map(|(_, route)| self.routes.iter().filter(|other| same(other, route)).map(of).max().unwrap_or(0))
            .sum()
    }

    /// The incident in words.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        if let Some((suspect, others)) = self.routes.split_first() {
            let _ = write!(text, "{} since {}", suspect.title(), clock(suspect.started_at));
            let _ = write!(text, ": {}.", suspect.shift);
            if !others.is_empty() {
                let names: Vec<_> = others.iter().take(NAMED_ROUTES).map(Affected::title).collect();
                let _ = write!(text, " Also: {}", names.join(", "));
                match others.len().saturating_sub(NAMED_ROUTES) {
                    0 => text.push('.'),
                    more => {
                        let _ = write!(text, " and {more} more.");
                    }
                }
            }
        }
        if let Some(resolved_at) = self.resolved_at {
            let lasted = resolved_at.duration_since(self.started_at).unwrap_or_default();
            let lasted = humantime::format_duration(Duration::from_secs(lasted.as_secs()));
            let _ = write!(text, " Resolved at {} after {lasted}.", clock(resolved_at));
        } else if let Some(silent_since) = self.silent_since {
            let _ = write!(text, " The target has not answered since {}; nothing newer is known.", clock(silent_since));
        }
        text
    }

    fn view(&self) -> IncidentView {
        IncidentView {
            id: self.id.clone(),
            target: self.target.clone(),
            state: if self.resolved_at.is_some() { "resolved" } else { "open" },
            started_at: Time(self.started_at),
            detected_at: Time(self.detected_at),
            resolved_at: self.resolved_at.map(Time),
            requests_affected: self.requests_affected(),
            summary: self.summary(),
            routes: self.routes.iter().map(Affected::view).collect(),
        }
    }
}

/// The most routes that a summary names beside the suspect.
const NAMED_ROUTES: usize = 4;

impl Affected {
    fn is(&self, finding: &Finding<'_>) -> bool {
        self.key == *finding.key && self.signal == finding.signal
    }

    fn settle(&mut self) {
        self.is_anomalous = false;
    }

    fn total(&self) -> Toll {
        let (earlier, latest) = (self.earlier, self.latest);
        Toll {
            requests: earlier.requests.saturating_add(latest.requests),
            affected: earlier.affected.saturating_add(latest.affected),
            seconds: earlier.seconds + latest.seconds,
        }
    }

    /// What the route cost its callers, in seconds: the primary suspect is the one with the most.
    fn weight(&self) -> f64 {
        self.total().seconds
    }

    fn title(&self) -> String {
        let what = match self.signal {
            Signal::Latency => "slower than usual",
            Signal::Errors => "failing more than usual",
        };
        format!("{} {} {what}", self.key.method, self.key.route)
    }

    fn view(&self) -> RouteView {
        let (before, during) = match self.shift {
            Shift::Latency(shift) => {
                let level = |q: outrigger_detect::Quantiles| Level {
                    p50: Some(q.p50),
                    p95: Some(q.p95),
                    p99: Some(q.p99),
                    error_ratio: None,
                };
                (level(shift.before), level(shift.during))
            }
            Shift::Errors(shift) => {
                let level = |ratio| Level { error_ratio: Some(ratio), ..Level::default() };
                (level(shift.ratio_before), level(shift.ratio_during))
            }
        };
        let total = self.total();
        RouteView {
            method: self.key.method.clone(),
            route: self.key.route.clone(),
            signal: self.signal,
            state: if self.is_anomalous { "anomalous" } else { "recovered" },
            started_at: Time(self.started_at),
            score: self.score,
            before,
            during,
            requests: total.requests,
            requests_affected: total.affected,
            summary: self.shift.to_string(),
        }
    }
}

fn toll(shift: &Shift) -> Toll {
    let seconds = match shift {
        Shift::Latency(shift) => shift.added_seconds,
        Shift::Errors(shift) => shift.affected as f64 * FAILURE_SECONDS,
    };
    Toll { requests: shift.requests(), affected: shift.affected(), seconds }
}

fn clock(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// `GET /api/v1/incidents`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IncidentsView {
    version: u32,
    pub(crate) incidents: Vec<IncidentView>,
}

/// One incident as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IncidentView {
    id: String,
    pub(crate) target: String,
    pub(crate) state: &'static str,
    pub(crate) started_at: Time,
    detected_at: Time,
    resolved_at: Option<Time>,
    pub(crate) requests_affected: u64,
    pub(crate) summary: String,
    pub(crate) routes: Vec<RouteView>,
}

/// One route of an incident as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RouteView {
    pub(crate) method: String,
    pub(crate) route: String,
    signal: Signal,
    state: &'static str,
    started_at: Time,
    score: f64,
    before: Level,
    during: Level,
    requests: u64,
    requests_affected: u64,
    summary: String,
}

/// Where a route stood; what its signal does not speak of is absent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Level {
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    error_ratio: Option<f64>,
}

/// A time in JSON: RFC 3339 in UTC, to the millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) SystemTime);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_rfc3339_millis(self.0).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_detect::{ErrorShift, LatencyShift, Quantiles};

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
        Verdict { phase: Phase::Anomalous, score: 9.0, shift: Some(Shift::Latency(shift)) }
    }

    fn failing(requests: u64, affected: u64) -> Verdict {
        let shift = ErrorShift { onset_seconds_ago: 2.0, ratio_before: 0.0, ratio_during: 0.5, requests, affected };
        Verdict { phase: Phase::Anomalous, score: 9.0, shift: Some(Shift::Errors(shift)) }
    }

    const CALM: Verdict = Verdict { phase: Phase::Calm, score: 0.0, shift: None };

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
            self.incidents.update(TARGET, self.now, &findings)
        }

        fn json(&self) -> serde_json::Value {
            serde_json::to_value(self.incidents.view()).unwrap()
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

        story.step(&[("/a", Signal::Latency, CALM)]);
        assert_eq!(
            story.step(&[("/b", Signal::Latency, slow(5, 2, 1.0))]),
            Some(Change::Opened),
            "another route is another incident"
        );
        story.step(&[("/b", Signal::Latency, CALM)]);
        story.now += REOPEN_WITHIN;
        assert_eq!(
            story.step(&[("/b", Signal::Latency, slow(5, 2, 1.0))]),
            Some(Change::Opened),
            "and so is a later one"
        );
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
        let mut incidents = Incidents::default();
        let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let (route, bad) = (key("/a"), slow(10, 4, 1.0));
        let finding = |verdict| [Finding { key: &route, signal: Signal::Latency, verdict }];
        incidents.update("open", at, &finding(&bad));
        for number in 0..HISTORY * 2 {
            let target = format!("t{number}");
            incidents.update(&target, at, &finding(&bad));
            incidents.update(&target, at, &finding(&CALM));
        }
        assert_eq!(incidents.list.len(), HISTORY);
        assert!(incidents.open("open").is_some());
    }
}
