//! Tasks that run again and again.

use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::caught::Caught;
use super::failure_log::FailureLog;
use super::{Backoff, Outcome, Task};

impl Task {
    /// A job that is due at fixed times: at once, and then each period.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn example(metrics: outrigger::Metrics) {
    /// # async fn clean_up() -> std::io::Result<()> { Ok(()) }
    /// let job = metrics.task("clean_up").every(Duration::from_secs(60)).start(clean_up);
    /// // ... and at the service's end, once the run in progress has ended:
    /// job.stop().await;
    /// # }
    /// ```
    pub fn every(&self, period: Duration) -> Periodic {
        Periodic {
            task: self.clone(),
            period: period.max(SHORTEST),
            first: Duration::ZERO,
            missed: MissedTickBehavior::Skip,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

/// Tokio leaves out no times where a tick is no later than this: it catches up then.
const SKIPS_FROM: Duration = Duration::from_millis(5);

/// The shortest period.
const SHORTEST: Duration = Duration::from_millis(1);

/// A job that has not begun: what [`Task::every`] returns.
///
/// Runs never overlap: one that is due while the one before lasts begins late, or is left out.
#[derive(Clone, Debug)]
#[must_use = "a job does nothing until it is started"]
pub struct Periodic {
    task: Task,
    period: Duration,
    first: Duration,
    missed: MissedTickBehavior,
    backoff: Backoff,
}

impl Periodic {
    /// How long until the first run. Defaults to none.
    pub const fn after(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// What becomes of the times that passed while a run lasted, or while it paused after a panic. Defaults to [`MissedTickBehavior::Skip`]: one run at
    /// once, the rest left out and counted, and then at the old times again.
    pub const fn missed(mut self, missed: MissedTickBehavior) -> Self {
        self.missed = missed;
        self
    }

    /// How long to wait after runs that panicked one after the other, beside the period; its full length, without jitter.
    /// Defaults to 1 s, 2 s, ... 60 s.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Starts it. A failure or a panic of one run is counted and logged, and the next run comes. Of a failure only its name
    /// is known here: see [`start_with`](Self::start_with).
    ///
    /// # Panics
    /// Outside a Tokio runtime, as [`tokio::spawn`].
    pub fn start<F>(self, job: impl FnMut() -> F + Send + 'static) -> Job
    where
        F: Future<Output: Outcome + Send> + Send + 'static,
    {
        self.start_with(job, |output: &F::Output| output.failure())
    }

    /// Like [`start`](Self::start), for any output: the closure names its failure, out of a small set, or says `None`, as
    /// with [`Task::run_with`]. It sees what nobody else will, and can log it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn example(metrics: outrigger::Metrics) {
    /// # async fn clean_up() -> std::io::Result<()> { Ok(()) }
    /// let job = metrics.task("clean_up").every(Duration::from_secs(60)).start_with(clean_up, |result| {
    ///     let error = result.as_ref().err()?;
    ///     tracing::warn!(%error, "the clean-up failed");
    ///     Some("io")
    /// });
    /// # job.stop().await;
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a Tokio runtime, as [`tokio::spawn`].
    pub fn start_with<F, C>(self, job: impl FnMut() -> F + Send + 'static, failure: C) -> Job
    where
        F: Future<Output: Send> + Send + 'static,
        C: Fn(&F::Output) -> Option<&'static str> + Send + Sync + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        // Known from now on, at zero.
        self.task.ticks_missed().increment(0);
        Job { stop, running: tokio::spawn(self.run(job, failure, stopped)) }
    }

    async fn run<F, C>(self, mut job: impl FnMut() -> F + Send, failure: C, stopped: oneshot::Receiver<()>)
    where
        F: Future,
        C: Fn(&F::Output) -> Option<&'static str>,
    {
        let log = FailureLog::default();
        let judge = |output: &F::Output| log.of(&self.task, failure(output));
        // A handle that is dropped leaves the job alone.
        let mut stopped = pin!(async {
            if stopped.await.is_err() {
                pending().await
            }
        });
        let first = Instant::now().checked_add(self.first).unwrap_or_else(Instant::now);
        let mut ticks = tokio::time::interval_at(first, self.period);
        ticks.set_missed_tick_behavior(self.missed);
        let mut panics = 0_u32;
        loop {
            let due = tokio::select! {
                biased;
                () = &mut stopped => return,
                due = ticks.tick() => due,
            };
            self.begins(due.elapsed());
            // The call of the closure is part of the run, and of what may panic.
            if (Caught { future: self.task.run_with(async { job().await }, &judge) }).await.is_ok() {
                panics = 0;
                continue;
            }
            let pause = self.backoff.ceiling(panics);
            panics = panics.saturating_add(1);
            tracing::error!(task = self.task.name(), panics, ?pause, "a periodic task panicked; it will run again");
            tokio::select! {
                biased;
                () = &mut stopped => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn begins(&self, late: Duration) {
        self.task.lateness().record(late.as_secs_f64());
        if self.missed == MissedTickBehavior::Skip && late > SKIPS_FROM {
            let missed = late.as_nanos() / self.period.as_nanos();
            self.task.ticks_missed().increment(u64::try_from(missed).unwrap_or(u64::MAX));
        }
    }
}

/// A periodic job that runs. Dropped, it runs on, as a task of Tokio does.
pub struct Job {
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Job {
    /// Ends it, and waits for the run in progress. Put a timeout round it to wait no longer than that, and then the run goes
    /// on by itself.
    pub async fn stop(self) {
        // Where nobody listens any more, it has ended with its runtime.
        self.stop.send(()).ok();
        self.running.await.ok();
    }

    /// Ends it at once: the run in progress is cancelled at its next await.
    pub fn abort(self) {
        self.running.abort();
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("ended", &self.running.is_finished()).finish_non_exhaustive()
    }
}
