//! What the agent notices beside the latency and errors of routes: a dependency that is slow, a pool that fills, an error
//! budget that burns, traffic that stays away, a figure that is not as usual.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::derive::{DependencyKey, RouteKey};
use crate::incident::Severity;

/// What a verdict says of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signal {
    /// Slower than usual.
    Latency,
    /// Failing more than usual.
    Errors,
    /// Too few requests, or too many.
    Traffic,
    /// An objective's error budget is spent too fast.
    Burn,
    /// Full, or soon to be.
    Saturation,
    /// A figure that is not as usual.
    Level,
}

impl Signal {
    pub(crate) const ALL: [Self; 6] =
        [Self::Latency, Self::Errors, Self::Traffic, Self::Burn, Self::Saturation, Self::Level];

    /// The value of the `signal` label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Errors => "errors",
            Self::Traffic => "traffic",
            Self::Burn => "burn",
            Self::Saturation => "saturation",
            Self::Level => "level",
        }
    }
}

/// What a sign is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Subject {
    /// The service as a whole.
    Service,
    /// One route of it.
    Route(RouteKey),
    /// Something that it calls.
    Dependency(DependencyKey),
    /// Something that it, or its host, has only so much of.
    Resource {
        /// `pool`, `descriptors`, `memory`, `disk`, `cpu`, `hit_ratio`, `waiting`, `queue`.
        resource: String,
        /// Which of them, or empty where there is one.
        name: String,
    },
}

impl Subject {
    pub(crate) fn resource(resource: &str, name: &str) -> Self {
        Self::Resource { resource: resource.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("the service"),
            Self::Route(key) => key.fmt(f),
            Self::Dependency(key) => key.fmt(f),
            Self::Resource { resource, name } => {
                let space = if name.is_empty() { "" } else { " " };
                write!(f, "{}{space}{name}", resource.replace('_', " "))
            }
        }
    }
}

/// What a sign may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// It opens the target's incident, as a slow route does.
    Opens,
    /// It opens an incident of its own, unless requests suffer: then it belongs to theirs. Such things last for hours, and
    /// must not hide what happens meanwhile.
    Apart,
    /// It stands beside an open incident, and opens none.
    Supports,
}

/// Something that is not as it should be. Whoever is no longer on the list of signs is as usual again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sign {
    pub(crate) subject: Subject,
    pub(crate) signal: Signal,
    pub(crate) role: Role,
    pub(crate) severity: Severity,
    /// How unusual, in the measure of its detector.
    pub(crate) score: f64,
    pub(crate) since: SystemTime,
    /// What moved, in a clause.
    pub(crate) words: String,
    /// The figure before and now, in its own unit: seconds, a share, a rate, bytes.
    pub(crate) before: Option<f64>,
    pub(crate) now: Option<f64>,
    /// Requests or calls since it began, those that suffered beyond the usual, and the seconds that this cost them.
    pub(crate) requests: u64,
    pub(crate) affected: u64,
    pub(crate) seconds: f64,
    /// One that stays so long after the requests have recovered, in seconds, is their aftermath and opens nothing.
    pub(crate) aftermath_seconds: f64,
}

/// So many seconds before a moment.
pub(super) fn before(at: SystemTime, seconds: f64) -> SystemTime {
    let ago = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    at.checked_sub(ago).unwrap_or(at)
}

/// Seconds since the epoch; NaN for a clock that stands before it.
pub(super) fn unix(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(f64::NAN, |since| since.as_secs_f64())
}
