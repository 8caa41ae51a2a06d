//! An incident as it is told to others: what it is called, how grave it is, what it looks like.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::record::Incident;
use crate::watch::Signal;

/// From this share of affected requests on, an incident is critical.
const CRITICAL_SHARE: f64 = 0.2;

/// The suspect and how grave it was when an incident was first told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// What the service calls itself, if it does.
    #[serde(default)]
    pub(crate) service: Option<String>,
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) signal: Signal,
    pub(crate) severity: Severity,
}

/// How grave an incident is, by its suspect: the route that cost its callers most time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Less than a fifth of the suspect's requests were affected.
    Warning,
    /// A fifth of them or more.
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

    /// Whether it is worth an alert: it is open, and nobody called it a false alarm. The sequence counts how often this
    /// changed.
    pub(crate) fn is_firing(&self) -> bool {
        self.is_open() && !self.is_false_alarm()
    }

    /// When it ended, or was called a false alarm.
    pub(crate) fn over_at(&self) -> Option<SystemTime> {
        let marked_at = self.mark.as_ref().filter(|mark| mark.false_alarm).map(|mark| mark.at);
        self.resolved_at.into_iter().chain(marked_at).min()
    }

    /// Every route that is anomalous, or was, with its signal.
    pub(crate) fn affected(&self) -> impl Iterator<Item = (&str, Signal)> {
        self.routes.iter().map(|route| (route.key.route.as_str(), route.signal))
    }

    /// The likeliest cause in one word.
    pub(crate) fn likeliest(&self) -> Option<String> {
        let cause = serde_json::to_value(self.causes.first()?.cause).ok()?;
        cause.as_str().map(str::to_owned)
    }

    /// The suspect as it stands now.
    pub(crate) fn opening(&self) -> Opening {
        let suspect = self.routes.first();
        let total = suspect.map(|route| route.total()).unwrap_or_default();
        let is_critical = total.affected as f64 >= CRITICAL_SHARE * total.requests as f64;
        Opening {
            service: None,
            method: suspect.map(|route| route.key.method.clone()).unwrap_or_default(),
            route: suspect.map(|route| route.key.route.clone()).unwrap_or_default(),
            signal: suspect.map_or(Signal::Latency, |route| route.signal),
            severity: if is_critical { Severity::Critical } else { Severity::Warning },
        }
    }

    /// What a reader would notice: the suspect, how many routes are affected, the likeliest cause, the function that grew,
    /// and whether the target answers. It is compared and never shown.
    pub(crate) fn face(&self) -> String {
        let Opening { method, route, signal, .. } = self.opening();
        let silent = if self.silent_since.is_some() { ", silent" } else { "" };
        let cause = self.causes.first().map(|cause| (cause.cause, &cause.subject));
        let culprit = self.profile.as_ref().and_then(|note| note.culprit()).map(|function| &function.name);
        let culprit = culprit.map_or(String::new(), |name| format!(", {name}"));
        format!("{method} {route} {}, {} routes, {cause:?}{culprit}{silent}", signal.as_str(), self.routes.len())
    }
}
