//! An incident as it is told to others: what it is called, how grave it is, what it looks like.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::moved::Moved;
use super::record::{Affected, Incident, Mark};
use crate::watch::{Role, Signal, Subject};

/// From this share of affected requests on, an incident is critical.
const CRITICAL_SHARE: f64 = 0.2;

/// The suspect and how grave it was when an incident was first told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// What the service calls itself, if it does.
    #[serde(default)]
    pub(crate) service: Option<String>,
    /// Empty if the suspect is no route.
    pub(crate) method: String,
    pub(crate) route: String,
    /// The suspect, if it is no route.
    #[serde(default)]
    pub(crate) subject: Option<String>,
    pub(crate) signal: Signal,
    pub(crate) severity: Severity,
}

/// One thing that an incident is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part<'a> {
    /// Empty if it is no route.
    pub(crate) route: &'a str,
    /// Empty if it is a route.
    pub(crate) subject: String,
    pub(crate) signal: Signal,
    pub(crate) severity: Severity,
    lasts: bool,
}

/// How grave an incident is, by the gravest of its routes that are anomalous, and of what else moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Less than a fifth of the route's requests were affected; or it can wait for days, as a slow leak can.
    Warning,
    /// A fifth of them or more; or it cannot wait, as a full pool cannot.
    Critical,
}

impl Severity {
    pub(crate) const ALL: [Self; 2] = [Self::Warning, Self::Critical];

    /// Reads the value of a `severity` label.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|severity| severity.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is neither warning nor critical"))
    }

    /// The value of an alert's `severity` label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Incident {
    pub(crate) fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }

    pub(crate) fn began_at(&self) -> SystemTime {
        self.started_at
    }

    /// Whether it is worth an alert: it is open, and nobody called all of it a false alarm. The sequence counts how often
    /// this changed.
    pub(crate) fn is_firing(&self) -> bool {
        self.is_open() && !self.mark.as_ref().is_some_and(Mark::silences)
    }

    /// When it ended, or was called a false alarm.
    pub(crate) fn over_at(&self) -> Option<SystemTime> {
        let marked_at = self.mark.as_ref().filter(|mark| mark.silences()).map(|mark| mark.at);
        self.resolved_at.into_iter().chain(marked_at).min()
    }

    /// Every route that is anomalous, or was, what else opened the incident, and what would have one of its own if this one
    /// did not stand for it.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let is_open = self.is_open();
        let routes = self.routes.iter().map(move |route| Part {
            route: &route.key.route,
            subject: String::new(),
            signal: route.signal,
            severity: route.severity(),
            lasts: is_open && route.ended.is_none(),
        });
        let moved = self.moved.iter().filter(|moved| moved.role != Role::Supports || moved.is_apart());
        routes.chain(moved.map(move |moved| {
            let (route, subject) = match &moved.subject {
                Subject::Route(key) => (key.route.as_str(), String::new()),
                subject => ("", subject.to_string()),
            };
            // What is full is grave, also where it stands in the incident of those who suffer from it; what that spends of a
            // budget is as grave as they are.
            let weighs = moved.role != Role::Supports || moved.signal == Signal::Saturation;
            let severity = if weighs { moved.severity } else { Severity::Warning };
            Part { route, subject, signal: moved.signal, severity, lasts: is_open && moved.ended_at.is_none() }
        }))
    }

    /// The gravest of what goes on, or of all once nothing does, where each thing is as grave as this says.
    pub(crate) fn gravest(&self, severity: impl Fn(&Part<'_>) -> Severity) -> Severity {
        let gravest = self.parts().map(|part| (part.lasts, severity(&part))).max();
        gravest.map_or(Severity::Warning, |(_, severity)| severity)
    }

    /// The likeliest cause in one word.
    pub(crate) fn likeliest(&self) -> Option<String> {
        let cause = serde_json::to_value(self.causes.first()?.cause).ok()?;
        cause.as_str().map(str::to_owned)
    }

    /// The suspect as it stands now.
    pub(crate) fn opening(&self) -> Opening {
        let Some(suspect) = self.routes.first() else { return self.opening_of_moved() };
        Opening {
            service: None,
            method: suspect.key.method.clone(),
            route: suspect.key.route.clone(),
            subject: None,
            signal: suspect.signal,
            severity: self.gravest(|part| part.severity),
        }
    }

    /// How far from usual the farthest of its routes is; none if it is about no route.
    pub(crate) fn highest_score(&self) -> Option<f64> {
        self.routes.iter().map(|route| route.score).max_by(f64::total_cmp)
    }

    /// Whether something fills or burns that would have an incident of its own.
    pub(crate) fn holds_another(&self) -> bool {
        self.moved.iter().any(|moved| moved.is_apart() && moved.ended_at.is_none())
    }

    fn opening_of_moved(&self) -> Opening {
        let suspect = self.moved.first();
        let key = suspect.and_then(|moved| match &moved.subject {
            Subject::Route(key) => Some(key.clone()),
            _ => None,
        });
        Opening {
            service: None,
            subject: suspect.filter(|_| key.is_none()).map(|moved| moved.subject.to_string()),
            method: key.as_ref().map(|key| key.method.clone()).unwrap_or_default(),
            route: key.map(|key| key.route).unwrap_or_default(),
            signal: suspect.map_or(Signal::Latency, |moved| moved.signal),
            severity: self.gravest(|part| part.severity),
        }
    }

    /// What a reader would notice: the suspect, how many routes are affected, the likeliest cause, the function that grew,
    /// and whether the target answers. It is compared and never shown.
    pub(crate) fn face(&self) -> String {
        let Opening { method, route, subject, signal, .. } = self.opening();
        let silent = if self.silent_since.is_some() { ", silent" } else { "" };
        let cause = self.causes.first().map(|cause| (cause.cause, &cause.subject));
        let culprit = self.profile.as_ref().and_then(|note| note.culprit()).map(|function| &function.name);
        let culprit = culprit.map_or(String::new(), |name| format!(", {name}"));
        let subject = subject.unwrap_or_default();
        let (signal, routes) = (signal.as_str(), self.routes.len());
        let moved = self.moved.iter().filter(|moved| moved.role != Role::Supports).count();
        format!("{method} {route}{subject} {signal}, {routes} routes, {moved} more, {cause:?}{culprit}{silent}")
    }
}

impl Affected {
    fn severity(&self) -> Severity {
        let total = self.total();
        let is_critical = total.affected as f64 >= CRITICAL_SHARE * total.requests as f64;
        if is_critical { Severity::Critical } else { Severity::Warning }
    }
}

impl Moved {
    /// Whether it has incidents of its own, unless requests suffer at the time.
    fn is_apart(&self) -> bool {
        matches!(self.signal, Signal::Burn | Signal::Saturation)
    }
}
