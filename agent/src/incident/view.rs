//! Incidents as the API shows them.

use std::time::SystemTime;

use outrigger_detect::{Ending, Shift};
use serde::{Serialize, Serializer};

use super::Incidents;
use super::record::{Affected, Incident};
use crate::watch::Signal;

/// `GET /api/v1/incidents`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IncidentsView {
    version: u32,
    pub(crate) incidents: Vec<IncidentView>,
}

impl Incidents {
    /// All incidents as the API shows them, newest first.
    pub(crate) fn view(&self) -> IncidentsView {
        IncidentsView { version: 1, incidents: self.list.iter().map(Incident::view).collect() }
    }
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

impl Incident {
    pub(super) fn view(&self) -> IncidentView {
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

impl Affected {
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
