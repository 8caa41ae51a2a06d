//! Tasks that run again and again.

use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::caught::Caught;
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

    /// What becomes of the times that passed while a run lasted. Defaults to [`MissedTickBehavior::Skip`]: one run at
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

    /// Starts it. A failure or a panic of one run is counted and logged, and the next run comes.
    ///
    /// # Panics
    /// Outside a Tokio runtime, as [`tokio::spawn`].
    pub fn start<F>(self, job: impl FnMut() -> F + Send + 'static) -> Job
    where
        F: Future<Output: Outcome + Send> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        // Known from now on, at zero.
        self.task.ticks_missed().increment(0);
        Job { stop, running: tokio::spawn(self.run(job, stopped)) }
    }

    async fn run<F>(self, mut job: impl FnMut() -> F + Send, stopped: oneshot::Receiver<()>)
    where
        F: Future<Output: Outcome>,
    {
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
            if (Caught { future: self.task.run(async { job().await }) }).await.is_ok() {
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
        if self.missed == MissedTickBehavior::Skip {
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
