//! Incidents as the API shows them.

use outrigger_detect::{CauseKind, Distribution};
use serde::Serialize;

use super::moved::Moved;
use super::record::{Affected, How, Incident, Level};
use super::{AddedTime, Cause};
use super::{Incidents, Severity};
use crate::profile::NoteView;
use crate::tell::HeldView;
use crate::time::Time;
use crate::watch::{Role, Signal, Spent, Subject};

/// `GET /api/v1/incidents`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IncidentsView {
    version: u32,
    pub(crate) incidents: Vec<IncidentView>,
}

impl Incidents {
    /// The newest incidents as the API shows them, newest first, at most `limit`.
    pub(crate) fn view(&self, limit: usize) -> IncidentsView {
        IncidentsView { version: 1, incidents: self.list.iter().take(limit).map(Incident::view).collect() }
    }
}

/// One incident as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IncidentView {
    pub(crate) id: String,
    pub(crate) target: String,
    pub(crate) state: &'static str,
    /// How grave it became, by rules and what it looked like.
    pub(crate) severity: &'static str,
    /// Why nobody is told of it now; absent if somebody is, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<HeldView>,
    /// How often the state changed, from 1.
    sequence: u32,
    pub(crate) started_at: Time,
    detected_at: Time,
    resolved_at: Option<Time>,
    pub(crate) requests_affected: u64,
    pub(crate) summary: String,
    /// `requests`, `budget` or `resource`.
    pub(crate) scope: &'static str,
    pub(crate) routes: Vec<RouteView>,
    /// What moved beside the routes, what opened the incident first.
    pub(crate) moved: Vec<MovedView>,
    /// What it spent of the service's error budgets.
    pub(crate) error_budget: Vec<Spent>,
    /// What may be the cause, the likeliest first; empty while it is unknown.
    pub(crate) causes: Vec<CauseView>,
    /// How the time that requests lost is made up, the most first; empty while it is not known, or nothing is slower.
    pub(crate) added_time: Vec<AddedTime>,
    pub(crate) mark: Option<MarkView>,
    /// What the CPU was used for; absent until that was looked at.
    pub(crate) profile: Option<NoteView>,
}

/// One route of an incident as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RouteView {
    pub(crate) method: String,
    pub(crate) route: String,
    signal: Signal,
    state: &'static str,
    /// Why it is no longer anomalous: `recovered`, `adopted` as the new normal, `idle` without requests, or
    /// `unwatched`, since its target is none of the agent's any more.
    ended: Option<How>,
    started_at: Time,
    score: f64,
    before: Level,
    during: Level,
    requests: u64,
    requests_affected: u64,
    /// How requests spread over the buckets before and during it, as shares; only of latency.
    distribution: Option<Distribution>,
    summary: String,
}

/// Something beside the routes as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MovedView {
    /// Its `kind` is `service`, `route`, `dependency` or `resource`.
    pub(crate) subject: Subject,
    signal: Signal,
    /// `opens`, `apart`, or `supports` what others opened.
    role: Role,
    severity: Severity,
    state: &'static str,
    started_at: Time,
    ended_at: Option<Time>,
    score: f64,
    before: Option<f64>,
    during: Option<f64>,
    requests: u64,
    requests_affected: u64,
    pub(crate) summary: String,
}

/// A cause as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CauseView {
    #[serde(flatten)]
    pub(crate) cause: Cause,
    /// What to do about it.
    pub(crate) advice: &'static str,
}

/// What a person said of an incident.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MarkView {
    pub(crate) false_alarm: bool,
    pub(crate) note: String,
    at: Time,
    /// When something else came, so that the incident is told again.
    pub(crate) outgrown_at: Option<Time>,
}

impl Incident {
    /// As the API shows it.
    pub(crate) fn view(&self) -> IncidentView {
        IncidentView {
            id: self.id.clone(),
            target: self.target.clone(),
            state: if self.resolved_at.is_some() { "resolved" } else { "open" },
            severity: self.severity().as_str(),
            held: None,
            sequence: self.sequence,
            started_at: Time(self.started_at),
            detected_at: Time(self.detected_at),
            resolved_at: self.resolved_at.map(Time),
            requests_affected: self.requests_affected(),
            summary: self.summary(),
            scope: self.scope.as_str(),
            routes: self.routes.iter().map(Affected::view).collect(),
            moved: self.moved.iter().map(Moved::view).collect(),
            error_budget: self.spent.clone(),
            causes: self.causes.iter().map(|cause| self.cause_view(cause)).collect(),
            added_time: self.added_time.clone(),
            profile: self.profile.as_ref().map(|note| note.view(&self.id)),
            mark: self.mark.as_ref().map(|mark| MarkView {
                false_alarm: mark.false_alarm,
                note: mark.note.clone(),
                at: Time(mark.at),
                outgrown_at: mark.outgrown_at.map(Time),
            }),
        }
    }
}

impl Moved {
    fn view(&self) -> MovedView {
        MovedView {
            subject: self.subject.clone(),
            signal: self.signal,
            role: self.role,
            severity: self.severity,
            state: if self.ended_at.is_none() { "anomalous" } else { "recovered" },
            started_at: Time(self.started_at),
            ended_at: self.ended_at.map(Time),
            score: self.score,
            before: self.before,
            during: self.during,
            requests: self.toll.requests,
            requests_affected: self.toll.affected,
            summary: format!("{}: {}", self.title(), self.words),
        }
    }
}

impl Incident {
    /// A cause with the function that grew, where it is one of computing and the profile names one.
    fn cause_view(&self, cause: &Cause) -> CauseView {
        let mut view = CauseView { cause: cause.clone(), advice: cause.advice() };
        if cause.cause == CauseKind::Cpu
            && let Some(note) = &self.profile
            && let Some(function) = note.culprit()
        {
            view.cause.evidence = format!("{}; in the CPU profile, {}", cause.evidence, function.words());
            if !note.files.is_empty() {
                view.advice = "Look at this function, and at the differential flame graph: what is red grew.";
            }
        }
        view
    }
}

impl Affected {
    fn view(&self) -> RouteView {
        let total = self.total();
        RouteView {
            method: self.key.method.clone(),
            route: self.key.route.clone(),
            signal: self.signal,
            state: if self.ended.is_none() { "anomalous" } else { "recovered" },
            ended: self.ended.map(|end| end.how),
            started_at: Time(self.started_at),
            score: self.score,
            before: self.before,
            during: self.during,
            requests: total.requests,
            requests_affected: total.affected,
            distribution: self.distribution.clone(),
            summary: match self.unrecovered() {
                Some(end) => format!("{}; {end}", self.words),
                None => self.words.clone(),
            },
        }
    }
}
