//! The asynchronous runtime, and the allocator. No OpenTelemetry convention exists for Tokio or jemalloc; these names are
//! ours, after the words that Tokio and jemalloc use themselves.

use crate::{Emitter::Library, Kind, Metric, Unit, buckets, label, metric};

const RUNTIME: &[&str] = &[label::TOKIO_RUNTIME_NAME];

macro_rules! of_the_runtime {
    ($($(#[$doc:meta])* $constant:ident: $otel:literal, $name:literal, $kind:ident, $unit:ident, $help:literal;)+) => {
        $(
            $(#[$doc])*
            pub const $constant: Metric =
                metric($otel, $name, Kind::$kind, Unit::$unit, RUNTIME, Library, $help);
        )+
    };
}

of_the_runtime! {
    /// Threads that run tasks.
    WORKERS: "tokio.runtime.workers", "tokio_runtime_workers", Gauge, One,
        "Worker threads of the runtime.";
    /// Tasks that were spawned and have not ended.
    ALIVE_TASKS: "tokio.runtime.alive_tasks", "tokio_runtime_alive_tasks", Gauge, One,
        "Tasks that were spawned and have not ended.";
    /// Tasks that are ready and wait in the queue that all workers share.
    GLOBAL_QUEUE_DEPTH: "tokio.runtime.global_queue.depth", "tokio_runtime_global_queue_depth", Gauge, One,
        "Ready tasks in the queue that all workers share.";
    /// Time that the workers spent running tasks.
    BUSY_TIME: "tokio.runtime.busy_time", "tokio_runtime_busy_time_seconds_total", Counter, Seconds,
        "Time that all workers together spent running tasks and the runtime itself.";
    /// The share of the workers' time of the last second that went into running tasks.
    UTILIZATION: "tokio.runtime.utilization", "tokio_runtime_utilization_ratio", Gauge, Ratio,
        "Share of the last second that the workers spent running tasks, 1 when all of them were busy throughout.";
    /// Times that a worker had nothing to do and went to sleep.
    PARKS: "tokio.runtime.parks", "tokio_runtime_parks_total", Counter, One,
        "Times that a worker found nothing to do and went to sleep.";
    /// Threads for blocking work; with `tokio_unstable`.
    BLOCKING_THREADS: "tokio.runtime.blocking_threads", "tokio_runtime_blocking_threads", Gauge, One,
        "Threads of the blocking pool.";
    /// Threads for blocking work that have none; with `tokio_unstable`.
    IDLE_BLOCKING_THREADS: "tokio.runtime.idle_blocking_threads", "tokio_runtime_idle_blocking_threads", Gauge, One,
        "Threads of the blocking pool without work.";
    /// Blocking work that waits for a thread; with `tokio_unstable`.
    BLOCKING_QUEUE_DEPTH: "tokio.runtime.blocking_queue.depth", "tokio_runtime_blocking_queue_depth", Gauge, One,
        "Blocking work that waits for a thread.";
    /// Ready tasks in the workers' own queues; with `tokio_unstable`.
    LOCAL_QUEUE_DEPTH: "tokio.runtime.local_queue.depth", "tokio_runtime_local_queue_depth", Gauge, One,
        "Ready tasks in the workers' own queues.";
    /// Tasks ever spawned; with `tokio_unstable`.
    SPAWNED_TASKS: "tokio.runtime.spawned_tasks", "tokio_runtime_spawned_tasks_total", Counter, One,
        "Tasks that were spawned.";
    /// Polls of tasks; with `tokio_unstable`.
    POLLS: "tokio.runtime.polls", "tokio_runtime_polls_total", Counter, One,
        "Times that a worker polled a task.";
    /// Tasks taken from another worker's queue; with `tokio_unstable`.
    STEALS: "tokio.runtime.steals", "tokio_runtime_steals_total", Counter, One,
        "Tasks that a worker took from another's queue.";
    /// Tasks moved out of a worker's full queue; with `tokio_unstable`.
    OVERFLOWS: "tokio.runtime.overflows", "tokio_runtime_overflows_total", Counter, One,
        "Times that a worker's own queue was full.";
    /// Tasks that the cooperative budget made yield; with `tokio_unstable`.
    FORCED_YIELDS: "tokio.runtime.forced_yields", "tokio_runtime_forced_yields_total", Counter, One,
        "Times that a task had used up its budget and was made to yield.";
}

/// From being ready to being run, of a task that the probe wakes.
pub const SCHEDULING_DELAY: Metric = metric(
    "tokio.runtime.scheduling_delay",
    "tokio_runtime_scheduling_delay_seconds",
    Kind::Histogram(buckets::DELAY_SECONDS),
    Unit::Seconds,
    RUNTIME,
    Library,
    "How late a task runs that is ready, as a probe finds four times a second.",
);

macro_rules! of_jemalloc {
    ($($(#[$doc:meta])* $constant:ident: $otel:literal, $name:literal, $help:literal;)+) => {
        $(
            $(#[$doc])*
            pub const $constant: Metric = metric($otel, $name, Kind::Gauge, Unit::Bytes, &[], Library, $help);
        )+
    };
}

of_jemalloc! {
    /// What the program asked for and has not given back.
    JEMALLOC_ALLOCATED: "jemalloc.allocated", "jemalloc_allocated_bytes",
        "Bytes that the program allocated and has not freed.";
    /// Pages with at least one allocation.
    JEMALLOC_ACTIVE: "jemalloc.active", "jemalloc_active_bytes",
        "Bytes in pages that hold allocations.";
    /// jemalloc's own.
    JEMALLOC_METADATA: "jemalloc.metadata", "jemalloc_metadata_bytes",
        "Bytes that the allocator needs for itself.";
    /// In physical memory.
    JEMALLOC_RESIDENT: "jemalloc.resident", "jemalloc_resident_bytes",
        "Bytes of the allocator that are in physical memory.";
    /// In use by extents.
    JEMALLOC_MAPPED: "jemalloc.mapped", "jemalloc_mapped_bytes",
        "Bytes in extents that the allocator has mapped.";
    /// Address space that was kept.
    JEMALLOC_RETAINED: "jemalloc.retained", "jemalloc_retained_bytes",
        "Bytes of address space that the allocator keeps instead of unmapping.";
}

/// This module's metrics.
pub const ALL: &[Metric] = &[
    WORKERS,
    ALIVE_TASKS,
    GLOBAL_QUEUE_DEPTH,
    BUSY_TIME,
    UTILIZATION,
    PARKS,
    BLOCKING_THREADS,
    IDLE_BLOCKING_THREADS,
    BLOCKING_QUEUE_DEPTH,
    LOCAL_QUEUE_DEPTH,
    SPAWNED_TASKS,
    POLLS,
    STEALS,
    OVERFLOWS,
    FORCED_YIELDS,
    SCHEDULING_DELAY,
    JEMALLOC_ALLOCATED,
    JEMALLOC_ACTIVE,
    JEMALLOC_METADATA,
    JEMALLOC_RESIDENT,
    JEMALLOC_MAPPED,
    JEMALLOC_RETAINED,
];
