//! Incidents: what went wrong on a target, from the first anomalous route to the last one's recovery.
//!
//! At most one incident is open per target about its requests. It gathers the anomalous routes while it is open, the primary suspect (the
//! one that cost its callers most time) first, and is resolved when none of them is anomalous any more; a route that did not
//! recover, but was taken as the new normal or had no more requests, is told as such. An incident that flares up again on
//! the same route soon afterwards is opened again instead of being told twice. While a target is down nothing is known, so its
//! incident stays as it is and says so. What lasts for hours, an error budget that is spent too fast or a resource that fills,
//! has incidents of its own (see [`Scope`]), unless requests suffer at the time. How many are kept, and for how long, is a setting; open ones are always kept.

mod apart;
mod cause;
mod kept;
mod moved;
mod opening;
mod record;
mod summary;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_detect::{Phase, Verdict};

use crate::derive::RouteKey;
use crate::tell::Told;
use crate::watch::{Role, Sign, Signal, Spent, Watches};
pub(crate) use cause::{AddedTime, Cause, Evidence, Explanation, KeptEvidence, Trouble};
pub(crate) use kept::is_id;
pub use opening::Severity;
pub(crate) use opening::{Opening, Part};
pub(crate) use record::{Incident, Mark, Scope};
pub(crate) use view::{IncidentView, IncidentsView};

/// How incidents are kept.
#[derive(Clone, Debug)]
pub struct IncidentSettings {
    /// The most incidents that are kept; the oldest resolved one goes first. Default: 200.
    pub keep: usize,
    /// How long a resolved incident is kept. Default: 90 days.
    pub keep_for: Duration,
}

impl Default for IncidentSettings {
    fn default() -> Self {
        Self { keep: 200, keep_for: Duration::from_secs(90 * 86_400) }
    }
}

/// One about requests that was resolved no longer ago than this is opened again by the same route and signal.
const REOPEN_WITHIN: Duration = Duration::from_secs(120);

/// All incidents, newest first.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    settings: IncidentSettings,
    list: VecDeque<Incident>,
    opened: u64,
    /// Those that were dropped and are still on disk.
    dropped: Vec<String>,
    /// Destinations that still waited for word of those, once for each of them.
    untold: Vec<String>,
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
    /// Takes in all verdicts on a target's latest page, which was scraped at `at`, and what else is not as it should be.
    pub(crate) fn update(
        &mut self,
        target: &str,
        at: SystemTime,
        findings: &[Finding<'_>],
        signs: &[Sign],
    ) -> Option<Change> {
        let anomalous = |finding: &&Finding<'_>| finding.verdict.phase == Phase::Anomalous;
        let mut change = None;
        if self.open(target).is_none() {
            if !findings.iter().any(|finding| anomalous(&finding)) && !signs.iter().any(|sign| sign.role == Role::Opens)
            {
                return None;
            }
            change = Some(self.begin(target, &Scope::Requests, at, |incident| {
                let is_again = |finding: &Finding<'_>| incident.routes.iter().any(|route| route.is(finding));
                findings.iter().any(|finding| anomalous(&finding) && is_again(finding)) || incident.knows_one_of(signs)
            }));
        }
        let incident = self.open_mut(target)?;
        let was_firing = incident.is_firing();
        incident.silent_since = None;
        incident.unsaved = true;
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
        // What has an incident of its own stands beside this one.
        let role = |sign: &Sign| if sign.role == Role::Apart { Role::Supports } else { sign.role };
        incident.take_signs(signs.iter().map(|sign| (sign, role(sign))), at);
        incident.date(at);
        if incident.is_firing() && !was_firing {
            change = Some(Change::Reopened);
        }
        if !incident.lasts() {
            incident.end(at);
            change = Some(Change::Resolved);
        }
        change
    }

    /// Notes what may be the cause of a target's open incident.
    pub(crate) fn explain(&mut self, target: &str, explanation: Explanation) {
        if let Some(incident) = self.open_mut(target) {
            incident.causes = explanation.causes;
            incident.added_time = explanation.added_time;
            incident.weigh_profile();
        }
    }

    /// Adds what the detectors of a target's routes know beside their verdicts.
    pub(crate) fn detail(&mut self, target: &str, watches: &Watches) {
        let Some(incident) = self.open_mut(target) else { return };
        let anomalous = watches.iter().filter(|(_, watch)| watch.phase() == Phase::Anomalous);
        anomalous.for_each(|(key, watch)| incident.detail(key, watch));
    }

    /// Adds what the open incident about the requests of a target spent of error budgets since this was last called; when it
    /// has just opened, since its onset.
    pub(crate) fn spend(&mut self, target: &str, spent: impl FnOnce(Option<SystemTime>) -> Vec<Spent>) {
        let Some(incident) = self.open_mut(target) else { return };
        let is_first = incident.spent.is_empty();
        for spent in spent(is_first.then_some(incident.started_at)) {
            match incident.spent.iter_mut().find(|known| known.objective == spent.objective) {
                Some(known) => known.add(&spent),
                None => incident.spent.push(spent),
            }
        }
    }

    /// Notes that a target does not answer since `since`.
    pub(crate) fn target_is_silent(&mut self, target: &str, since: SystemTime) {
        for incident in self.list.iter_mut().filter(|incident| incident.target == target && incident.is_open()) {
            incident.silent_since.get_or_insert_with(|| {
                incident.unsaved = true;
                since
            });
        }
    }

    /// The open incident about the requests of a target.
    pub(crate) fn open(&self, target: &str) -> Option<&Incident> {
        self.newest(target).filter(|incident| incident.is_open())
    }

    /// Whether any incident is open on a target that nobody called a false alarm.
    pub(crate) fn any_firing(&self, target: &str) -> bool {
        self.list.iter().any(|incident| incident.target == target && incident.is_open() && incident.is_firing())
    }

    /// The newest incident about the requests of a target, open or not.
    pub(crate) fn newest(&self, target: &str) -> Option<&Incident> {
        self.list.iter().find(|incident| incident.is_of(target, &Scope::Requests))
    }

    fn open_mut(&mut self, target: &str) -> Option<&mut Incident> {
        self.list.iter_mut().find(|incident| incident.is_of(target, &Scope::Requests) && incident.is_open())
    }

    /// Opens a target's incident: its last one if that was the same trouble, which `is_same` tells, else a new one.
    fn begin(
        &mut self,
        target: &str,
        scope: &Scope,
        at: SystemTime,
        is_same: impl FnOnce(&Incident) -> bool,
    ) -> Change {
        let newest = self.list.iter_mut().find(|incident| incident.is_of(target, scope));
        if let Some(newest) = newest
            && let Some(resolved_at) = newest.resolved_at
            && at.duration_since(resolved_at).unwrap_or_default() <= scope.reopens_within()
            && is_same(newest)
        {
            newest.resolved_at = None;
            // It may be for another reason this time.
            newest.causes.clear();
            newest.added_time.clear();
            newest.sequence = newest.sequence.saturating_add(u32::from(newest.is_firing()));
            return Change::Reopened;
        }
        self.opened += 1;
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
            moved: Vec::new(),
            scope: scope.clone(),
            spent: Vec::new(),
            sequence: 1,
            causes: Vec::new(),
            added_time: Vec::new(),
            mark: None,
            profile: None,
            told: Told::default(),
            unsaved: true,
        });
        self.forget(at);
        Change::Opened
    }
}
