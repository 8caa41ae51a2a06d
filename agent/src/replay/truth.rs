//! The score of a replay against a truth file: which faults were on, when, and what should have been found.
//!
//! A line of JSON for each change, as the shop's `--truth-file` writes them: `{"id", "kind", "routes", "cause", "start",
//! "end"}`, times in RFC 3339. The last line of an id counts; one without an end was on until the last page. A fault is
//! found by an incident that was noticed while it was on or up to a minute later, or that had it among its routes. An
//! incident that overlaps no fault is a false alarm.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::report::Found;
use crate::picture::incident::{length, seconds};
use crate::picture::svg::moment;
use crate::time::Time;

/// A fault that was on.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Fault {
    id: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    routes: Vec<String>,
    #[serde(default)]
    cause: String,
    start: Time,
    #[serde(default)]
    end: Option<Time>,
}

/// How one fault was dealt with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    id: String,
    kind: String,
    routes: Vec<String>,
    start: Time,
    /// The incident that found it.
    incident: Option<String>,
    /// Seconds from the start to the notice.
    delay_seconds: Option<f64>,
    cause: String,
    /// The cause that was named first.
    cause_named: Option<String>,
    cause_right: bool,
}

/// All of them, and what was flagged without a fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Score {
    faults: usize,
    found: usize,
    median_delay_seconds: Option<f64>,
    causes_right: usize,
    /// Ids of the incidents that overlap no fault.
    false_alarms: Vec<String>,
    verdicts: Vec<Verdict>,
}

/// Seconds for which a fault is still noticed after its end.
const GRACE: f64 = 60.0;
/// Seconds by which an onset may be estimated too early.
const EARLY: f64 = 30.0;

/// Reads a truth file.
pub(crate) fn read(text: &str) -> Result<Vec<Fault>, String> {
    let mut order = Vec::new();
    let mut faults = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fault: Fault = serde_json::from_str(line).map_err(|error| {
            format!(
                "line {}: {error}; write such as {{\"id\":\"1\",\"routes\":[\"/cart\"],\"cause\":\"cpu\",\
                 \"start\":\"2026-11-21T12:10:00Z\",\"end\":\"2026-11-21T12:15:00Z\"}}",
                number + 1
            )
        })?;
        if !faults.contains_key(&fault.id) {
            order.push(fault.id.clone());
        }
        faults.insert(fault.id.clone(), fault);
    }
    Ok(order.into_iter().filter_map(|id| faults.remove(&id)).collect())
}

/// Holds what was found, between two moments, against the faults of that time.
pub(crate) fn score(faults: &[Fault], found: &[Found], from: f64, to: f64) -> Score {
    let span = |fault: &Fault| (seconds(fault.start), fault.end.map_or(to, seconds));
    let is_played = |fault: &&Fault| span(fault).1 >= from && span(fault).0 <= to;
    let faults: Vec<_> = faults.iter().filter(is_played).collect();
    let overlaps = |fault: &Fault, found: &Found| {
        let (start, end) = span(fault);
        seconds(found.told.started_at) <= end + GRACE && found.told.end().unwrap_or(to) >= start - EARLY
    };
    let verdict = |fault: &&Fault| {
        let (start, end) = span(fault);
        let finds = |found: &&Found| {
            let detected = seconds(found.told.detected_at);
            let has_route = found.told.routes.iter().any(|route| fault.routes.contains(&route.route));
            (detected >= start && detected <= end + GRACE) || (detected < start && overlaps(fault, found) && has_route)
        };
        let incident = found.iter().filter(finds).min_by(|a, b| a.told.detected_at.0.cmp(&b.told.detected_at.0));
        let named = incident.and_then(|found| found.told.causes.first()).map(|cause| cause.cause.clone());
        Verdict {
            id: fault.id.clone(),
            kind: fault.kind.clone(),
            routes: fault.routes.clone(),
            start: fault.start,
            incident: incident.map(|found| found.told.id.clone()),
            delay_seconds: incident.map(|found| (seconds(found.told.detected_at) - start).max(0.0)),
            cause: fault.cause.clone(),
            cause_right: named.as_ref() == Some(&fault.cause),
            cause_named: named,
        }
    };
    let verdicts: Vec<Verdict> = faults.iter().map(verdict).collect();
    let mut delays: Vec<f64> = verdicts.iter().filter_map(|verdict| verdict.delay_seconds).collect();
    delays.sort_by(f64::total_cmp);
    let is_false = |found: &&Found| !faults.iter().any(|fault| overlaps(fault, found));
    Score {
        faults: verdicts.len(),
        found: delays.len(),
        median_delay_seconds: delays.get(delays.len() / 2).copied(),
        causes_right: verdicts.iter().filter(|verdict| verdict.cause_right).count(),
        false_alarms: found.iter().filter(is_false).map(|found| found.told.id.clone()).collect(),
        verdicts,
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in &self.verdicts {
            let (start, kind, routes) = (moment(seconds(verdict.start)), &verdict.kind, verdict.routes.join(" "));
            match (&verdict.incident, verdict.delay_seconds) {
                (Some(_), Some(delay)) => {
                    let named = verdict.cause_named.as_deref().unwrap_or("unknown");
                    let right =
                        if verdict.cause_right { "right".to_owned() } else { format!("but it is {}", verdict.cause) };
                    writeln!(f, "found  {start} {kind} {routes}: after {}, cause {named}, {right}", length(delay))?;
                }
                _ => writeln!(f, "missed {start} {kind} {routes}")?,
            }
        }
        for id in &self.false_alarms {
            writeln!(f, "false alarm: incident {id}")?;
        }
        write!(f, "{} of {} faults found", self.found, self.faults)?;
        if let Some(delay) = self.median_delay_seconds {
            write!(f, ", median delay {}", length(delay))?;
        }
        write!(f, "; {} causes right; {} false alarms", self.causes_right, self.false_alarms.len())
    }
}
