//! Incidents: what went wrong on a target, from the first anomalous route to the last one's recovery.
//!
//! At most one incident is open per target. It gathers the anomalous routes while it is open, the primary suspect (the
//! one that cost its callers most time) first, and is resolved when none of them is anomalous any more; a route that did not
//! recover, but was taken as the new normal or had no more requests, is told as such. An incident that flares up again on
//! the same route soon afterwards is opened again instead of being told twice. While a target is down nothing is known, so its
//! incident stays as it is and says so. The store keeps the last [`HISTORY`] incidents.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_detect::{Ending, Phase, Shift, Verdict};
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
            let verdict = findings.iter().find(|finding| route.is(finding)).map(|finding| finding.verdict);
            if verdict.is_none_or(|verdict| verdict.phase != Phase::Anomalous) {
                route.settle(verdict, at);
            }
        }
        for finding in findings.iter().filter(anomalous) {
            incident.note(finding, at);
        }
        incident.routes.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        incident.started_at = incident.routes.iter().map(|route| route.started_at).min().unwrap_or(at);
        if incident.routes.iter().all(|route| route.ended.is_some()) {
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
    /// Why it is no longer anomalous, and when that was found.
    ended: Option<(Ending, SystemTime)>,
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
                if route.ended.is_some() {
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
                route.ended = None;
                route.score = finding.verdict.score;
            }
            None => self.routes.push(Affected {
                key: finding.key.clone(),
                signal: finding.signal,
                ended: None,
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
        let unrecovered = || self.routes.iter().filter_map(|route| Some((route, route.unrecovered()?)));
        for (route, end) in unrecovered().take(NAMED_ROUTES) {
            let _ = write!(text, " {} {}: {end}.", route.key.method, route.key.route);
        }
        if let Some(resolved_at) = self.resolved_at {
            // An incident that nobody saw recover is over, but not resolved in the sense of the word.
            let over = if unrecovered().next().is_none() { "Resolved" } else { "Closed" };
            let lasted = lasted(self.started_at, resolved_at);
            let _ = write!(text, " {over} at {} after {lasted}.", clock(resolved_at));
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

    /// Notes that the route is no longer anomalous, by its verdict if it still has one.
    fn settle(&mut self, verdict: Option<&Verdict>, at: SystemTime) {
        let ending = match verdict {
            Some(Verdict { ended: Some(ending), .. }) => *ending,
            // The route is watched anew: what it is now is learnt as its normal.
            Some(Verdict { phase: Phase::WarmingUp, .. }) => Ending::Adopted,
            Some(_) => Ending::Recovered,
            // The route is gone from the target's page.
            None => Ending::Idle { seconds: 0.0 },
        };
        self.ended.get_or_insert((ending, at));
    }

    /// How the route ended, in words, unless it is anomalous or recovered.
    fn unrecovered(&self) -> Option<String> {
        let (ending, at) = self.ended?;
        match ending {
            Ending::Recovered => None,
            Ending::Adopted => Some(format!("taken as the new normal after {}", lasted(self.started_at, at))),
            Ending::Idle { seconds } => {
                let ago = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                Some(format!("no more requests since {}", clock(at.checked_sub(ago).unwrap_or(at))))
            }
        }
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
            state: if self.ended.is_none() { "anomalous" } else { "recovered" },
            ended: self.ended.map(|(ending, _)| match ending {
                Ending::Recovered => "recovered",
                Ending::Adopted => "adopted",
                Ending::Idle { .. } => "idle",
            }),
            started_at: Time(self.started_at),
            score: self.score,
            before,
            during,
            requests: total.requests,
            requests_affected: total.affected,
            summary: match self.unrecovered() {
                Some(end) => format!("{}; {end}", self.shift),
                None => self.shift.to_string(),
            },
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

fn lasted(from: SystemTime, to: SystemTime) -> humantime::FormattedDuration {
    let lasted = to.duration_since(from).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(lasted.as_secs()))
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
    /// Why it is no longer anomalous: `recovered`, `adopted` as the new normal, or `idle`, without requests.
    ended: Option<&'static str>,
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
