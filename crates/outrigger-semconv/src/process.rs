//! One process: OpenTelemetry's names, and the classic ones that every Prometheus client library uses.
//!
//! The library emits them for its own process, without further labels. The agent emits them with `target`: the process
//! behind each scraped target, and `self` for the agent.

use crate::{Emitter::Both, Kind, Metric, Unit, label, metric};

/// CPU time by mode.
pub const CPU_TIME: Metric = metric(
    "process.cpu.time",
    "process_cpu_time_seconds_total",
    Kind::Counter,
    Unit::Seconds,
    &[label::CPU_MODE, label::TARGET],
    Both,
    "CPU time of the process, by mode.",
);

/// Resident memory.
pub const MEMORY_USAGE: Metric = metric(
    "process.memory.usage",
    "process_memory_usage_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[label::TARGET],
    Both,
    "Physical memory in use by the process.",
);

/// Threads.
pub const THREAD_COUNT: Metric = metric(
    "process.thread.count",
    "process_thread_count",
    Kind::Gauge,
    Unit::One,
    &[label::TARGET],
    Both,
    "Threads of the process.",
);

/// Open file descriptors.
pub const UNIX_FILE_DESCRIPTOR_COUNT: Metric = metric(
    "process.unix.file_descriptor.count",
    "process_unix_file_descriptor_count",
    Kind::Gauge,
    Unit::One,
    &[label::TARGET],
    Both,
    "File descriptors that the process holds open.",
);

/// CPU time, user and system together: the classic name.
pub const CPU_SECONDS: Metric = metric(
    "process.cpu",
    "process_cpu_seconds_total",
    Kind::Counter,
    Unit::Seconds,
    &[label::TARGET],
    Both,
    "User and system CPU time of the process.",
);

/// Resident memory: the classic name.
pub const RESIDENT_MEMORY: Metric = metric(
    "process.resident_memory",
    "process_resident_memory_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[label::TARGET],
    Both,
    "Resident memory of the process.",
);

/// Start, as seconds since the Unix epoch.
pub const START_TIME: Metric = metric(
    "process.start_time",
    "process_start_time_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[label::TARGET],
    Both,
    "Start of the process, in seconds since the Unix epoch.",
);

/// Open file descriptors: the classic name.
pub const OPEN_FDS: Metric = metric(
    "process.open_fds",
    "process_open_fds",
    Kind::Gauge,
    Unit::One,
    &[label::TARGET],
    Both,
    "Open file descriptors of the process.",
);

/// The limit on file descriptors: the classic name.
pub const MAX_FDS: Metric = metric(
    "process.max_fds",
    "process_max_fds",
    Kind::Gauge,
    Unit::One,
    &[label::TARGET],
    Both,
    "The most file descriptors that the process may open.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[
    CPU_TIME,
    MEMORY_USAGE,
    THREAD_COUNT,
    UNIX_FILE_DESCRIPTOR_COUNT,
    CPU_SECONDS,
    RESIDENT_MEMORY,
    START_TIME,
    OPEN_FDS,
    MAX_FDS,
];
