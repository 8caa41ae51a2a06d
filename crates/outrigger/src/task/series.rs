//! The series of tasks.

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, Label};
use outrigger_semconv::{Metric, label, task};

use super::Task;
use super::outcome::OTHER_FAILURE;
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge, register_histogram};
use crate::named::Named;
use crate::series::{Histograms, LabelSet};

/// Everything about tasks that [`Metrics`](crate::Metrics) keeps.
pub(crate) struct Tasks {
    pub(super) named: Named<Series>,
    failures: Histograms<Failure>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { named: Named::new(&task::DURATION), failures: Histograms::new(&task::DURATION, FAILURES) }
    }
}

/// Pairs of a task and a kind of failure.
const FAILURES: usize = 1000;

/// The series of one task, its failures left out: their kinds are an open set.
pub(super) struct Series {
    name: Arc<str>,
    active: Late<Gauge>,
    success: Late<Histogram>,
    cancelled: Late<Histogram>,
    panic: Late<Histogram>,
    retries: Late<Counter>,
    queue_depth: Late<Gauge>,
    queue_oldest_age: Late<Gauge>,
    lateness: Late<Histogram>,
    ticks_missed: Late<Counter>,
}

impl Series {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            active: Late::default(),
            success: Late::default(),
            cancelled: Late::default(),
            panic: Late::default(),
            retries: Late::default(),
            queue_depth: Late::default(),
            queue_oldest_age: Late::default(),
            lateness: Late::default(),
            ticks_missed: Late::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// How a run ended.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    Success,
    Failure(&'static str),
    Cancelled,
    Panic,
}

/// The name of what failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Failure(&'static str);

impl LabelSet for Failure {
    fn labels(self, name: &str) -> Vec<Label> {
        vec![
            Label::new(label::TASK_NAME, name.to_owned()),
            Label::new(label::TASK_OUTCOME, "failure"),
            Label::new(label::ERROR_TYPE, self.0),
        ]
    }

    fn folded(self) -> Self {
        Self(OTHER_FAILURE)
    }
}

impl Task {
    /// Another run. Returns whether its gauge is kept: a recorder installed before its end must not see the end only.
    #[inline]
    pub(super) fn began(&self) -> bool {
        let slot = &self.shared.series.active;
        if let Some(active) = slot.known() {
            active.increment(1.0);
            return true;
        }
        self.gauge(slot, &task::ACTIVE).increment(1.0);
        slot.known().is_some()
    }

    /// One run less; `kept` is what [`began`](Self::began) returned.
    #[inline]
    pub(super) fn ended(&self, ending: Ending, took: Duration, kept: bool) {
        match self.shared.series.active.known() {
            Some(active) if kept => active.decrement(1.0),
            None if !self.shared.metrics.is_installed() => {
                self.gauge(&self.shared.series.active, &task::ACTIVE).decrement(1.0);
            }
            _ => {}
        }
        match ending {
            Ending::Success => self.record(&self.shared.series.success, "success", took),
            Ending::Cancelled => self.record(&self.shared.series.cancelled, "cancelled", took),
            Ending::Panic => self.record(&self.shared.series.panic, "panic", took),
            Ending::Failure(kind) => {
                let failures = &self.shared.metrics.tasks().failures;
                let row = failures.row(self.name());
                failures.record(&self.shared.metrics, &row, Failure(kind), took.as_secs_f64());
            }
        }
    }

    #[inline]
    fn record(&self, slot: &Late<Histogram>, outcome: &'static str, took: Duration) {
        if let Some(known) = slot.known() {
            return known.record(took.as_secs_f64());
        }
        slot.get(&self.shared.metrics, |recorder| {
            let labels = vec![self.label(), Label::new(label::TASK_OUTCOME, outcome)];
            register_histogram(recorder, &task::DURATION, labels)
        })
        .record(took.as_secs_f64());
    }

    pub(super) fn queue_depth(&self) -> Gauge {
        self.gauge(&self.shared.series.queue_depth, &task::QUEUE_DEPTH)
    }

    pub(super) fn queue_oldest_age(&self) -> Gauge {
        self.gauge(&self.shared.series.queue_oldest_age, &task::QUEUE_OLDEST_AGE)
    }

    /// Sets the gauges of the queue to zero, those that were ever set.
    pub(super) fn queue_gone(&self) {
        for gauge in [&self.shared.series.queue_depth, &self.shared.series.queue_oldest_age] {
            if let Some(gauge) = gauge.known() {
                gauge.set(0.0);
            }
        }
    }

    pub(super) fn retries(&self) -> Counter {
        self.counter(&self.shared.series.retries, &task::RETRIES)
    }

    pub(super) fn ticks_missed(&self) -> Counter {
        self.counter(&self.shared.series.ticks_missed, &task::TICKS_MISSED)
    }

    pub(super) fn lateness(&self) -> Histogram {
        self.shared
            .series
            .lateness
            .get(&self.shared.metrics, |recorder| register_histogram(recorder, &task::LATENESS, vec![self.label()]))
    }

    fn gauge(&self, slot: &Late<Gauge>, metric: &Metric) -> Gauge {
        slot.get(&self.shared.metrics, |recorder| register_gauge(recorder, metric, vec![self.label()]))
    }

    fn counter(&self, slot: &Late<Counter>, metric: &Metric) -> Counter {
        slot.get(&self.shared.metrics, |recorder| register_counter(recorder, metric, vec![self.label()]))
    }

    fn label(&self) -> Label {
        Label::new(label::TASK_NAME, Arc::clone(&self.shared.series.name))
    }
}
