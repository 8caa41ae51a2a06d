//! Background tasks: spawned, consuming a queue, periodic. No OpenTelemetry convention exists; these names are ours.

use crate::{Emitter::Library, Kind, Metric, Unit, buckets, label, metric};

const TASK: &[&str] = &[label::TASK_NAME];

/// One run of a task, its retries included.
pub const DURATION: Metric = metric(
    "task.duration",
    "task_duration_seconds",
    Kind::Histogram(buckets::TASK_SECONDS),
    Unit::Seconds,
    &[label::TASK_NAME, label::TASK_OUTCOME, label::ERROR_TYPE],
    Library,
    "Duration of background tasks.",
);

/// Runs that have begun and not ended.
pub const ACTIVE: Metric =
    metric("task.active", "task_active", Kind::Gauge, Unit::One, TASK, Library, "Background tasks that run now.");

/// Attempts after the first.
pub const RETRIES: Metric = metric(
    "task.retries",
    "task_retries_total",
    Kind::Counter,
    Unit::One,
    TASK,
    Library,
    "Attempts of background tasks that were made again after a failure.",
);

/// What waits in a task's queue.
pub const QUEUE_DEPTH: Metric = metric(
    "task.queue.depth",
    "task_queue_depth",
    Kind::Gauge,
    Unit::One,
    TASK,
    Library,
    "Items that wait in the queue of a background task.",
);

/// How long the oldest item of a task's queue has waited.
pub const QUEUE_OLDEST_AGE: Metric = metric(
    "task.queue.oldest_age",
    "task_queue_oldest_age_seconds",
    Kind::Gauge,
    Unit::Seconds,
    TASK,
    Library,
    "Age of the oldest item that waits in the queue of a background task.",
);

/// How late a periodic task begins.
pub const LATENESS: Metric = metric(
    "task.lateness",
    "task_lateness_seconds",
    Kind::Histogram(buckets::TASK_SECONDS),
    Unit::Seconds,
    TASK,
    Library,
    "Time between when a periodic task was due and when it began.",
);

/// Times at which a periodic task was due and did not run, since it ran still.
pub const TICKS_MISSED: Metric = metric(
    "task.ticks.missed",
    "task_ticks_missed_total",
    Kind::Counter,
    Unit::One,
    TASK,
    Library,
    "Times at which a periodic task was due and was left out.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[DURATION, ACTIVE, RETRIES, QUEUE_DEPTH, QUEUE_OLDEST_AGE, LATENESS, TICKS_MISSED];
