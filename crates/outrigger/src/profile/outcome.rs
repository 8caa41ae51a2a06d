//! What became of the requests for a profile.

use std::time::Instant;

use ::metrics::{Gauge, Label};
use outrigger_semconv::{label, profile};

use crate::Metrics;
use crate::metrics::{register_counter, register_gauge, register_histogram};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cpu,
    Heap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    Busy,
    Invalid,
    Cancelled,
    Failed,
    Unsupported,
}

const OUTCOMES: [Outcome; 6] =
    [Outcome::Taken, Outcome::Busy, Outcome::Invalid, Outcome::Cancelled, Outcome::Failed, Outcome::Unsupported];

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Heap => "heap",
        }
    }
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Busy => "busy",
            Self::Invalid => "invalid",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Unsupported => "unsupported",
        }
    }
}

/// A request, counted however it ends. Dropped before its end is known, it was cancelled.
pub(super) struct Request {
    metrics: Metrics,
    kind: Kind,
    outcome: Outcome,
    begun: Instant,
}

impl Request {
    pub(super) fn new(metrics: &Metrics, kind: Kind) -> Self {
        Self { metrics: metrics.clone(), kind, outcome: Outcome::Cancelled, begun: Instant::now() }
    }

    pub(super) fn ended(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        count(&self.metrics, self.kind, self.outcome, 1);
        if self.outcome == Outcome::Taken {
            let labels = vec![Label::new(label::PROFILE_TYPE, self.kind.as_str())];
            let duration = self.metrics.resolve(|recorder| register_histogram(recorder, &profile::DURATION, labels));
            duration.handle.record(self.begun.elapsed().as_secs_f64());
        }
    }
}

/// A profile that is under way, until it is dropped.
pub(super) struct Active(Gauge);

impl Active {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let active = Self(gauge(metrics));
        active.0.set(1.0);
        active
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.set(0.0);
    }
}

/// Puts every series on the page, so that its first rise can be seen.
pub(super) fn announce(metrics: &Metrics) {
    for kind in [Kind::Cpu, Kind::Heap] {
        OUTCOMES.iter().for_each(|outcome| count(metrics, kind, *outcome, 0));
    }
    gauge(metrics).set(0.0);
}

fn gauge(metrics: &Metrics) -> Gauge {
    metrics.resolve(|recorder| register_gauge(recorder, &profile::ACTIVE, Vec::new())).handle
}

fn count(metrics: &Metrics, kind: Kind, outcome: Outcome, requests: u64) {
    let labels =
        vec![Label::new(label::PROFILE_TYPE, kind.as_str()), Label::new(label::PROFILE_OUTCOME, outcome.as_str())];
    metrics.resolve(|recorder| register_counter(recorder, &profile::REQUESTS, labels)).handle.increment(requests);
}
