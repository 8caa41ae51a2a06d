//! Background task metrics: how long they take, how they end, how late they are, and what waits for them.
//!
//! ```
//! use std::time::Duration;
//! use outrigger::{Metrics, task::Retry};
//!
//! # #[derive(Debug)] struct MailError;
//! # async fn send(_: u32) -> Result<(), MailError> { Ok(()) }
//! # async fn clean_up() -> std::io::Result<()> { Ok(()) }
//! async fn run(metrics: &Metrics, mails: tokio::sync::mpsc::Receiver<u32>) {
//!     // Spawned; awaiting `mailer.run(future)` counts the same without a spawn.
//!     let mailer = metrics.task("mailer");
//!     mailer.spawn(send(1));
//!
//!     // Tried again after a failure, with growing waits.
//!     let retry = Retry::default();
//!     let sent = mailer.retry(&retry, || send(2)).await;
//!
//!     // Every minute.
//!     let clean_up = metrics.task("clean_up").every(Duration::from_secs(60)).start(clean_up);
//!
//!     // For each item of a queue, until its senders are gone.
//!     metrics.task("outbox").consume(mails, send).await;
//!     clean_up.stop().await;
//! #   sent.ok();
//! }
//! ```
//!
//! # What it emits
//!
//! All with `task_name`.
//!
//! | metric | kind | from |
//! |---|---|---|
//! | `task_duration_seconds` | histogram, `task_outcome` = `success`, `failure`, `cancelled`, `panic`; `error_type` on failure | every run |
//! | `task_active` | gauge | every run, while it lasts |
//! | `task_retries_total` | counter | [`retry`](Task::retry), each attempt after the first |
//! | `task_queue_depth`, `task_queue_oldest_age_seconds` | gauges | [`consume`](Task::consume), [`watch_queue`](Task::watch_queue), where the queue can tell |
//! | `task_lateness_seconds` | histogram | [`every`](Task::every): from when a run was due to when it began |
//! | `task_ticks_missed_total` | counter | [`every`](Task::every): times that passed while the run before lasted, or while it paused after a panic |
//!
//! A run is a **success** or a **failure** by what it returns: see [`Outcome`]. Dropped or aborted before its end it is
//! **cancelled**, and a panic is told from that. A spawned run begins with the spawn, any other at its first poll.
//!
//! The `error_type` of a `Result` is the name of its error's type, such as `shop::MailError`, as OpenTelemetry has it for
//! languages with exceptions; [`run_with`](Task::run_with) gives a finer one.
//!
//! Where the runs' outputs come back to nobody, with [`every`](Task::every) and [`consume`](Task::consume), each failure is
//! logged by that name, as a warning, ten a second at the most. The error itself is logged by whoever knows how, in the job
//! or in the closure of [`start_with`](Periodic::start_with) and [`consume_with`](Task::consume_with).
//!
//! # Cost
//!
//! Some 385 instructions for each run, and no allocation: two looks at the clock, a gauge twice, a histogram once; the
//! future becomes 32 bytes larger. Asking for a [`Task`] by its name locks a table for reading: keep it where runs are many.
//!
//! # Limits
//!
//! 1,000 names and 1,000 kinds of failure for each [`Metrics`], then `_other`, counted in
//! `outrigger_series_dropped_total`. A name is one that the code gives, never a user's.

mod caught;
mod failure_log;
mod outcome;
mod periodic;
mod queue;
mod retry;
mod run;
mod series;

use std::fmt;
use std::sync::Arc;

use tokio::task::JoinHandle;

pub use self::outcome::{ByOutcome, Judge, Outcome};
pub use self::periodic::{Job, Periodic};
pub use self::queue::{Queue, QueueState, QueueWatch};
pub use self::retry::Retry;
pub use self::run::{Run, Running};
pub(crate) use self::series::Tasks;
pub use crate::backoff::Backoff;

use self::series::Series;
use crate::Metrics;

impl Metrics {
    /// The background task of this name. See [`task`](crate::task).
    #[must_use]
    pub fn task(&self, name: &str) -> Task {
        let series = self.tasks().named.get(self, name, Series::new);
        Task { shared: Arc::new(Shared { metrics: self.clone(), series }) }
    }
}

/// A background task, by its name: what its runs are counted through. A cheap clone. See the [module](self).
#[derive(Clone)]
pub struct Task {
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Metrics,
    series: Arc<Series>,
}

impl Task {
    /// The name, or `_other` past the cap.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.series.name()
    }

    /// Counts the future when it is awaited. What it returns says how it ended.
    ///
    /// ```
    /// # async fn example(metrics: outrigger::Metrics) {
    /// # async fn import() -> std::io::Result<()> { Ok(()) }
    /// let imported = metrics.task("import").run(import()).await;
    /// # }
    /// ```
    pub fn run<F>(&self, future: F) -> Run<F, ByOutcome>
    where
        F: Future<Output: Outcome>,
    {
        Run::new(future, ByOutcome, self.clone())
    }

    /// Like [`run`](Self::run), for any output: the closure names its failure, out of a small set, or says `None`.
    ///
    /// ```
    /// # async fn example(metrics: outrigger::Metrics) {
    /// # async fn import() -> std::io::Result<()> { Ok(()) }
    /// let kind = |result: &std::io::Result<()>| match result.as_ref().map_err(std::io::Error::kind) {
    ///     Ok(()) => None,
    ///     Err(std::io::ErrorKind::TimedOut) => Some("timeout"),
    ///     Err(_) => Some("io"),
    /// };
    /// let imported = metrics.task("import").run_with(import(), kind).await;
    /// # }
    /// ```
    pub fn run_with<F, C>(&self, future: F, failure: C) -> Run<F, C>
    where
        F: Future,
        C: Fn(&F::Output) -> Option<&'static str>,
    {
        Run::new(future, failure, self.clone())
    }

    /// Spawns the future, as [`tokio::spawn`]; its run begins now.
    ///
    /// # Panics
    /// Outside a Tokio runtime, as [`tokio::spawn`].
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Outcome + Send + 'static> + Send + 'static,
    {
        tokio::spawn(self.run(future).begun())
    }

    /// Begins a run that is no future, such as one on a thread of its own: it ends with what [`Running`] is told.
    pub fn start(&self) -> Running {
        Running::start(self.clone())
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.name()).finish_non_exhaustive()
    }
}
