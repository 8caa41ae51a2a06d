//! Attempts after a failure.

use std::time::Duration;

use tokio::time::Instant;

use super::{Backoff, Task};

/// How often and how long something is tried. See [`Task::retry`].
///
/// ```
/// use std::time::Duration;
/// use outrigger::task::{Backoff, Retry};
///
/// let retry = Retry::default()
///     .attempts(3)
///     .backoff(Backoff::new(Duration::from_millis(50), Duration::from_secs(2)))
///     .deadline(Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    attempts: u32,
    backoff: Backoff,
    deadline: Duration,
}

/// Five attempts, the default [`Backoff`], a minute in all.
impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, backoff: Backoff::default(), deadline: Duration::from_secs(60) }
    }
}

impl Retry {
    /// The most attempts, the first included; 0 counts as 1. Defaults to 5.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How long to wait between attempts. Defaults to the default of [`Backoff`].
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// No attempt begins later than this after the first. One that has begun is not cut. Defaults to a minute.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long to wait after `made` attempts (from 1) that took `spent` so far, if there is another.
    fn next(&self, made: u32, spent: Duration) -> Option<Duration> {
        if made >= self.attempts {
            return None;
        }
        let delay = self.backoff.delay(made - 1);
        (spent.saturating_add(delay) <= self.deadline).then_some(delay)
    }
}

impl Task {
    /// Runs an operation, and again after each failure as the policy says: one run, with one duration and outcome.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn retry<T, E, F>(&self, policy: &Retry, operation: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.run(self.attempts(policy, |_| true, operation)).await
    }

    /// Like [`retry`](Self::retry), after those failures only that can go away.
    ///
    /// ```
    /// # use std::io::{Error, ErrorKind};
    /// # async fn example(metrics: outrigger::Metrics) -> Result<(), Error> {
    /// # async fn import() -> Result<(), Error> { Ok(()) }
    /// let retry = outrigger::task::Retry::default();
    /// metrics.task("import").retry_if(&retry, |error| error.kind() == ErrorKind::TimedOut, import).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn retry_if<T, E, F>(
        &self,
        policy: &Retry,
        retryable: impl Fn(&E) -> bool,
        operation: impl FnMut() -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.run(self.attempts(policy, retryable, operation)).await
    }

    /// The attempts alone, their retries counted, for a run that is counted otherwise: within a longer one, or by
    /// [`run_with`](Self::run_with).
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn attempts<T, E, F>(
        &self,
        policy: &Retry,
        retryable: impl Fn(&E) -> bool,
        mut operation: impl FnMut() -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.retries().increment(0);
        let start = Instant::now();
        let mut made = 0_u32;
        loop {
            let error = match operation().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            made = made.saturating_add(1);
            let Some(delay) = policy.next(made, start.elapsed()).filter(|_| retryable(&error)) else {
                return Err(error);
            };
            tokio::time::sleep(delay).await;
            self.retries().increment(1);
        }
    }
}
