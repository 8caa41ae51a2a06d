//! The host. Convention: [system metrics](https://opentelemetry.io/docs/specs/semconv/system/system-metrics/).

use crate::{Emitter::Agent, Kind, Metric, Unit, label, metric};

/// Share of all processors in use since the last reading.
pub const CPU_UTILIZATION: Metric = metric(
    "system.cpu.utilization",
    "system_cpu_utilization_ratio",
    Kind::Gauge,
    Unit::Ratio,
    &[],
    Agent,
    "Share of the host's processors in use.",
);

/// Memory by state.
pub const MEMORY_USAGE: Metric = metric(
    "system.memory.usage",
    "system_memory_usage_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[label::SYSTEM_MEMORY_STATE],
    Agent,
    "Memory of the host, by state (used, free).",
);

/// Memory in all.
pub const MEMORY_LIMIT: Metric = metric(
    "system.memory.limit",
    "system_memory_limit_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[],
    Agent,
    "Memory of the host in all.",
);

/// Share of the memory that is not available to a new program.
pub const MEMORY_UTILIZATION: Metric = metric(
    "system.memory.utilization",
    "system_memory_utilization_ratio",
    Kind::Gauge,
    Unit::Ratio,
    &[],
    Agent,
    "Share of the host's memory in use.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[CPU_UTILIZATION, MEMORY_USAGE, MEMORY_LIMIT, MEMORY_UTILIZATION];
