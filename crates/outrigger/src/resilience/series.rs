//! The series of a dependency.

use std::sync::Arc;

use ::metrics::{Counter, Gauge, Label};
use outrigger_semconv::{Metric, label, resilience};

use super::{Dependency, State};
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge};

/// The series of one name.
pub(crate) struct Series {
    name: Arc<str>,
    timeouts: Late<Counter>,
    retries: Late<Counter>,
    exhausted: [Late<Counter>; 2],
    states: [Late<Gauge>; 3],
    transitions: [Late<Counter>; 3],
    calls: [Late<Counter>; 4],
}

/// Why a failed call is not tried again.
#[derive(Clone, Copy)]
pub(super) enum Exhausted {
    Attempts,
    Budget,
}

/// What a breaker made of a call.
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    Success,
    Failure,
    Rejected,
    Cancelled,
}

impl Series {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            timeouts: Late::default(),
            retries: Late::default(),
            exhausted: Default::default(),
            states: Default::default(),
            transitions: Default::default(),
            calls: Default::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn of_state<T>(slots: &[Late<T>; 3], state: State) -> &Late<T> {
        let [closed, open, half_open] = slots;
        match state {
            State::Closed => closed,
            State::Open => open,
            State::HalfOpen => half_open,
        }
    }
}

impl Dependency {
    pub(super) fn timeouts(&self) -> Counter {
        self.counter(&self.shared.series.timeouts, &resilience::TIMEOUTS, None)
    }

    pub(super) fn retries(&self) -> Counter {
        self.counter(&self.shared.series.retries, &resilience::RETRIES, None)
    }

    pub(super) fn exhausted(&self, why: Exhausted) -> Counter {
        let [attempts, budget] = &self.shared.series.exhausted;
        let (slot, reason) = match why {
            Exhausted::Attempts => (attempts, "attempts"),
            Exhausted::Budget => (budget, "budget"),
        };
        self.counter(slot, &resilience::RETRIES_EXHAUSTED, Some((label::REASON, reason)))
    }

    pub(super) fn calls(&self, verdict: Verdict) -> Counter {
        let [success, failure, rejected, cancelled] = &self.shared.series.calls;
        let (slot, result) = match verdict {
            Verdict::Success => (success, "success"),
            Verdict::Failure => (failure, "failure"),
            Verdict::Rejected => (rejected, "rejected"),
            Verdict::Cancelled => (cancelled, "cancelled"),
        };
        self.counter(slot, &resilience::BREAKER_CALLS, Some((label::BREAKER_RESULT, result)))
    }

    pub(super) fn transitions(&self, to: State) -> Counter {
        let slot = Series::of_state(&self.shared.series.transitions, to);
        self.counter(slot, &resilience::BREAKER_TRANSITIONS, Some((label::BREAKER_STATE, to.as_str())))
    }

    /// Sets the gauge of each state. `false` while no recorder is there to keep them.
    pub(super) fn set_state(&self, now: State) -> bool {
        for state in State::ALL {
            let slot = Series::of_state(&self.shared.series.states, state);
            let gauge = slot.get(&self.shared.metrics, |recorder| {
                let labels = vec![self.label(), Label::new(label::BREAKER_STATE, state.as_str())];
                register_gauge(recorder, &resilience::BREAKER_STATE, labels)
            });
            gauge.set(if state == now { 1.0 } else { 0.0 });
        }
        self.shared.metrics.is_installed()
    }

    fn counter(&self, slot: &Late<Counter>, metric: &Metric, beside: Option<(&'static str, &'static str)>) -> Counter {
        slot.get(&self.shared.metrics, |recorder| {
            let mut labels = vec![self.label()];
            labels.extend(beside.map(|(name, value)| Label::new(name, value)));
            register_counter(recorder, metric, labels)
        })
    }

    fn label(&self) -> Label {
        Label::new(label::DEPENDENCY, Arc::clone(&self.shared.series.name))
    }
}
