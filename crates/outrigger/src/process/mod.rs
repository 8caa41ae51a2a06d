//! The service's own process: CPU, memory, threads, file descriptors, start.
//!
//! A page made by [`install()`](crate::install) or [`standalone()`](crate::standalone), here or in
//! [`exporter`](crate::exporter), carries them: the process is read when the page is asked for, and costs nothing in
//! between. With a recorder of your own, call [`record`] before you render its page:
//!
//! ```
//! use outrigger::{Metrics, process};
//!
//! # #[cfg(target_os = "linux")]
//! process::record(&Metrics::global())?;
//! # Ok::<(), process::ReadError>(())
//! ```
//!
//! # What it emits
//!
//! | metric | kind | from |
//! |---|---|---|
//! | `process_cpu_time_seconds_total` | counter, `cpu_mode` = `user`, `system` | `/proc/self/stat` |
//! | `process_cpu_seconds_total` | counter | the same |
//! | `process_memory_usage_bytes`, `process_resident_memory_bytes` | gauges | `/proc/self/statm` |
//! | `process_thread_count` | gauge | `/proc/self/stat` |
//! | `process_start_time_seconds` | gauge | the same, and `btime` of `/proc/stat` |
//! | `process_unix_file_descriptor_count`, `process_open_fds` | gauges | `/proc/self/fd` |
//! | `process_max_fds` | gauge | `/proc/self/limits`; absent when unlimited |
//!
//! Each quantity has OpenTelemetry's name and the classic name of the Prometheus client libraries. On systems other than
//! Linux nothing is read, and a warning says so once.
//!
//! # Limits
//!
//! Through [`record`], CPU time has a resolution of one second: the `metrics` facade knows whole counters only. A page
//! of [`install()`](crate::install) has the kernel's own, a hundredth of a second.

#[cfg(any(feature = "exporter", feature = "recorder"))]
pub(crate) mod families;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod parse;

use std::io;

use ::metrics::Label;
use outrigger_semconv::{Kind, Metric, label, process};

use crate::Metrics;
use crate::metrics::{register_counter, register_gauge};

/// Reads the process and writes what it finds to the recorder.
///
/// # Errors
/// When the operating system cannot tell; on systems other than Linux, always.
pub fn record(metrics: &Metrics) -> Result<(), ReadError> {
    for Sample { metric, mode, value } in read()?.samples() {
        let labels: Vec<Label> = mode.map(|mode| Label::new(label::CPU_MODE, mode)).into_iter().collect();
        metrics.resolve(|recorder| match metric.kind {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole seconds of CPU time, >= 0"
            )]
            Kind::Counter => register_counter(recorder, metric, labels).absolute(value as u64),
            Kind::Gauge | Kind::Histogram(_) => register_gauge(recorder, metric, labels).set(value),
        });
    }
    Ok(())
}

/// Why the process could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file under `/proc` could not be read.
    #[error("{path} could not be read")]
    Io {
        /// The file.
        path: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file under `/proc` was not as expected.
    #[error("{path} has no readable {field}")]
    Format {
        /// The file.
        path: &'static str,
        /// What was looked for.
        field: &'static str,
    },
    /// This system is not Linux.
    #[error("process metrics are read from /proc, which only Linux has: none are emitted on this system")]
    Unsupported,
}

/// What the system says of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing can be read there yet"))]
struct Reading {
    cpu_user_seconds: f64,
    cpu_system_seconds: f64,
    resident_bytes: f64,
    threads: f64,
    start_seconds: f64,
    open_fds: f64,
    /// `None` is unlimited.
    max_fds: Option<f64>,
}

struct Sample {
    metric: &'static Metric,
    mode: Option<&'static str>,
    value: f64,
}

impl Reading {
    /// Every sample, those of one family side by side.
    fn samples(&self) -> impl Iterator<Item = Sample> {
        let plain = |metric, value| Some(Sample { metric, mode: None, value });
        let mode = |mode, value| Some(Sample { metric: &process::CPU_TIME, mode: Some(mode), value });
        [
            mode("user", self.cpu_user_seconds),
            mode("system", self.cpu_system_seconds),
            plain(&process::CPU_SECONDS, self.cpu_user_seconds + self.cpu_system_seconds),
            plain(&process::MEMORY_USAGE, self.resident_bytes),
            plain(&process::RESIDENT_MEMORY, self.resident_bytes),
            plain(&process::THREAD_COUNT, self.threads),
            plain(&process::START_TIME, self.start_seconds),
            plain(&process::UNIX_FILE_DESCRIPTOR_COUNT, self.open_fds),
            plain(&process::OPEN_FDS, self.open_fds),
            self.max_fds.and_then(|max| plain(&process::MAX_FDS, max)),
        ]
        .into_iter()
        .flatten()
    }
}

#[cfg(target_os = "linux")]
fn read() -> Result<Reading, ReadError> {
    linux::read()
}

#[cfg(not(target_os = "linux"))]
fn read() -> Result<Reading, ReadError> {
    Err(ReadError::Unsupported)
}
