//! The Tokio runtime: how busy its workers are, what waits, and how late it runs what is ready.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = outrigger::install()?;
//! metrics.watch_runtime(); // the runtime that this runs in
//! # Ok(())
//! # }
//! ```
//!
//! A program with several runtimes gives each a name with [`watch`].
//!
//! # What it emits
//!
//! All with `tokio_runtime_name`.
//!
//! | metric | kind | |
//! |---|---|---|
//! | `tokio_runtime_scheduling_delay_seconds` | histogram | how late a ready task runs |
//! | `tokio_runtime_utilization_ratio` | gauge | the share of the last second that the workers were busy |
//! | `tokio_runtime_busy_time_seconds_total` | counter | the same as a sum over all workers, in whole seconds |
//! | `tokio_runtime_parks_total` | counter | times that a worker found nothing to do |
//! | `tokio_runtime_workers` | gauge | |
//! | `tokio_runtime_alive_tasks` | gauge | spawned, and not ended |
//! | `tokio_runtime_global_queue_depth` | gauge | ready, and in the queue that all workers share |
//!
//! A program that is built with `--cfg tokio_unstable` gets, summed over the workers, what else Tokio counts:
//! `tokio_runtime_blocking_threads`, `tokio_runtime_idle_blocking_threads`, `tokio_runtime_blocking_queue_depth`,
//! `tokio_runtime_local_queue_depth` (gauges), `tokio_runtime_spawned_tasks_total`, `tokio_runtime_polls_total`,
//! `tokio_runtime_steals_total`, `tokio_runtime_overflows_total`, `tokio_runtime_forced_yields_total` (counters).
//! Busy time, parks and these counters need a processor with atomics of 64 bits.
//!
//! # The probe
//!
//! Four times a second a thread of our own wakes a task in the runtime, which looks at the clock as soon as it runs. The
//! time between is what every task suffers that becomes ready at that moment: a full queue, workers held up by code that
//! blocks, a processor that others have. While a probe is late, the next ones cannot be sent; the observations that they
//! would have made are added when it arrives, so that a standstill of two seconds counts as the eight late probes that
//! it was, and not as one (what Gil Tene calls coordinated omission).
//!
//! # Cost
//!
//! One thread per runtime, which sleeps but for four short moments a second, and one task. On a machine whose runtime was
//! otherwise idle, all of it took 0.033 % of a processor (`cargo run --release --example runtime_cost 150`).

mod probe;
mod sampler;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

use tokio::runtime::Handle;

use self::sampler::Sampler;
use crate::Metrics;

pub use self::sampler::{PROBE_INTERVAL, SAMPLE_INTERVAL};

impl Metrics {
    /// Watches the runtime that this is called in, under the name `main`: [`watch`] with its [`Handle`].
    ///
    /// Outside of a runtime nothing is watched, and a warning says so.
    pub fn watch_runtime(&self) -> RuntimeWatch {
        if let Ok(runtime) = Handle::try_current() {
            return watch(self, "main", &runtime);
        }
        tracing::warn!("watch_runtime() was called outside a Tokio runtime: nothing is watched");
        RuntimeWatch { stop: Arc::default(), thread: None }
    }
}

/// Watches a runtime under the given name, until it ends or [`RuntimeWatch::stop`] is called; the watch may be dropped.
///
/// Two runtimes need two names: with one, their numbers would overwrite each other.
///
/// ```
/// use outrigger::{Metrics, runtime};
///
/// let imports = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// runtime::watch(&Metrics::global(), "imports", imports.handle());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn watch(metrics: &Metrics, name: impl Into<Cow<'static, str>>, runtime: &Handle) -> RuntimeWatch {
    let name = name.into();
    let stop = Arc::new(AtomicBool::new(false));
    let sampler = Sampler::new(metrics.clone(), name.clone(), runtime.clone(), Arc::clone(&stop));
    let thread = std::thread::Builder::new().name("outrigger-runtime".to_owned()).spawn(move || sampler.run());
    let thread = match thread {
        Ok(thread) => Some(thread.thread().clone()),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                runtime = %name,
                "the runtime is not watched: its thread could not be started"
            );
            None
        }
    };
    RuntimeWatch { stop, thread }
}

/// A runtime that is watched. Dropping it leaves it so.
#[derive(Debug)]
pub struct RuntimeWatch {
    stop: Arc<AtomicBool>,
    thread: Option<Thread>,
}

impl RuntimeWatch {
    /// Ends it. The gauges keep what they showed last.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread {
            thread.unpark();
        }
    }
}
