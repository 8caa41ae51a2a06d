//! Calls that are made again.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower::retry::Policy;

use super::series::Exhausted;
use super::{Backoff, Classify, Dependency, UnlessRejected};

/// How often a call is made. See [`Dependency::retry`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetrySettings {
    attempts: u32,
    backoff: Backoff,
    budget: f64,
}

/// Three attempts, the default [`Backoff`], a budget of a fifth.
impl Default for RetrySettings {
    fn default() -> Self {
        Self { attempts: 3, backoff: Backoff::default(), budget: 0.2 }
    }
}

impl RetrySettings {
    /// The most attempts for a call, the first included; 0 counts as 1. Defaults to 3.
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

    /// How many retries there may be for each call that went well, so that a dependency in need is not asked many times as
    /// often as before; ten more may come at first. In thousandths; 1 and more, or no number, is no limit. Defaults to 0.2.
    #[must_use]
    pub const fn budget(mut self, budget: f64) -> Self {
        self.budget = budget;
        self
    }
}

impl Dependency {
    /// A policy for tower's [`RetryLayer`](tower::retry::RetryLayer), which makes calls again that ended in an error other
    /// than a breaker's [`Rejected`](super::Rejected): see [`UnlessRejected`]. Its clones share the budget: make one policy
    /// for all calls.
    ///
    /// Requests must be `Clone`, and should be such that a second one does no harm.
    #[must_use]
    pub fn retry(&self, settings: RetrySettings) -> RetryPolicy {
        self.retry_on(settings, UnlessRejected)
    }

    /// Like [`retry`](Self::retry), with what is to be tried again said by a closure over the result. See [`Classify`].
    #[must_use]
    pub fn retry_on<C>(&self, settings: RetrySettings, failure: C) -> RetryPolicy<C> {
        // Known from now on, at zero.
        self.retries().increment(0);
        self.exhausted(Exhausted::Attempts).increment(0);
        self.exhausted(Exhausted::Budget).increment(0);
        RetryPolicy {
            dependency: self.clone(),
            settings,
            failure,
            budget: Arc::new(Budget::of(settings.budget)),
            made: 0,
        }
    }
}

/// When a call is made again, counted: what [`Dependency::retry`] returns.
#[derive(Clone, Debug)]
pub struct RetryPolicy<C = UnlessRejected> {
    dependency: Dependency,
    settings: RetrySettings,
    failure: C,
    budget: Arc<Budget>,
    /// Attempts of this call: tower clones the policy for each.
    made: u32,
}

impl<C> RetryPolicy<C> {
    /// Makes a call that is no service's, and makes it again as the policy says.
    ///
    /// Round [`Breaker::call`](super::Breaker::call), the policy is one that leaves alone what the breaker rejected:
    ///
    /// ```
    /// use outrigger::resilience::{BreakerSettings, CallError, RetrySettings};
    /// # async fn query() -> std::io::Result<u32> { Ok(7) }
    /// # async fn example(metrics: outrigger::Metrics) -> Result<u32, CallError<std::io::Error>> {
    /// let payments = metrics.dependency("payments");
    /// let breaker = payments.breaker(BreakerSettings::default());
    /// let retry = payments.retry_on(RetrySettings::default(), |result: &Result<u32, CallError<std::io::Error>>| {
    ///     matches!(result, Err(CallError::Inner(_)))
    /// });
    /// retry.call(|| breaker.call(query())).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn call<T, E, F>(&self, mut operation: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let mut made = 0;
        loop {
            let result = operation().await;
            match self.next(&mut made, &result) {
                Some(wait) => wait.await,
                None => return result,
            }
        }
    }

    fn next<T, E>(&self, made: &mut u32, result: &Result<T, E>) -> Option<RetryDelay>
    where
        C: Classify<T, E>,
    {
        *made = made.saturating_add(1);
        if !self.failure.is_failure(result) {
            // An error that is not to be tried again, as a rejection, says nothing good of the dependency.
            if result.is_ok() {
                self.budget.deposit();
            }
            return None;
        }
        let exhausted = if *made >= self.settings.attempts {
            Exhausted::Attempts
        } else if !self.budget.withdraw() {
            Exhausted::Budget
        } else {
            let retry = Retry { dependency: self.dependency.clone(), budget: Arc::clone(&self.budget), is_made: false };
            return Some(RetryDelay { sleep: tokio::time::sleep(self.settings.backoff.delay(*made - 1)), retry });
        };
        self.dependency.exhausted(exhausted).increment(1);
        None
    }
}

impl<R: Clone, T, E, C: Classify<T, E>> Policy<R, T, E> for RetryPolicy<C> {
    type Future = RetryDelay;

    fn retry(&mut self, _: &mut R, result: &mut Result<T, E>) -> Option<RetryDelay> {
        let mut made = self.made;
        let wait = self.next(&mut made, result);
        self.made = made;
        wait
    }

    fn clone_request(&mut self, request: &R) -> Option<R> {
        Some(request.clone())
    }
}

pin_project! {
    /// The wait before a retry, which counts at its end: dropped before, it gives the budget back.
    pub struct RetryDelay {
        #[pin]
        sleep: Sleep,
        retry: Retry,
    }
}

impl Future for RetryDelay {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        ready!(this.sleep.poll(context));
        this.retry.made();
        Poll::Ready(())
    }
}

impl fmt::Debug for RetryDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryDelay").field("sleep", &self.sleep).finish_non_exhaustive()
    }
}

/// A retry that the budget has been charged with.
struct Retry {
    dependency: Dependency,
    budget: Arc<Budget>,
    is_made: bool,
}

impl Retry {
    fn made(&mut self) {
        if !std::mem::replace(&mut self.is_made, true) {
            self.dependency.retries().increment(1);
        }
    }
}

impl Drop for Retry {
    fn drop(&mut self) {
        if !self.is_made {
            self.budget.add(RETRY);
        }
    }
}

/// What is left of the retries that are allowed, in thousandths of one.
#[derive(Debug)]
struct Budget {
    left: AtomicI64,
    /// For each call that went well; `None` is no limit.
    share: Option<i64>,
}

const RETRY: i64 = 1_000;

/// The most that is saved up, and what there is at first.
const MOST: i64 = 10 * RETRY;

impl Budget {
    fn of(share: f64) -> Self {
        let limited = share < 1.0;
        #[allow(clippy::cast_possible_truncation, reason = "between 0 and 1,000")]
        let thousandths = (share.clamp(0.0, 1.0) * 1e3).round() as i64;
        // The smallest share is some share.
        let thousandths = if share > 0.0 { thousandths.max(1) } else { thousandths };
        Self { left: AtomicI64::new(MOST), share: limited.then_some(thousandths) }
    }

    fn deposit(&self) {
        if let Some(share) = self.share {
            self.add(share);
        }
    }

    fn add(&self, thousandths: i64) {
        let add = |left: i64| (left < MOST).then_some((left + thousandths).min(MOST));
        // Full is as good as added.
        self.left.fetch_update(Relaxed, Relaxed, add).ok();
    }

    fn withdraw(&self) -> bool {
        let take = |left: i64| (left >= RETRY).then_some(left - RETRY);
        self.share.is_none() || self.left.fetch_update(Relaxed, Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_bounds_retries_by_what_went_well() {
        let budget = Budget::of(0.5);
        assert_eq!((0..20).filter(|_| budget.withdraw()).count(), 10, "what there is at first");
        budget.deposit();
        assert!(!budget.withdraw(), "half a retry");
        budget.deposit();
        assert!(budget.withdraw());
        (0..1_000).for_each(|_| budget.deposit());
        assert_eq!((0..20).filter(|_| budget.withdraw()).count(), 10, "no more is saved up");
        let smallest = Budget::of(1e-9);
        (0..10).for_each(|_| assert!(smallest.withdraw()));
        (0..1_000).for_each(|_| smallest.deposit());
        assert!(smallest.withdraw() && !smallest.withdraw(), "a thousandth for each");
        let none = Budget::of(0.0);
        (0..10).for_each(|_| assert!(none.withdraw()));
        (0..1_000).for_each(|_| none.deposit());
        assert!(!none.withdraw());
        for unlimited in [1.0, f64::INFINITY, f64::NAN] {
            let budget = Budget::of(unlimited);
            assert!((0..1_000).all(|_| budget.withdraw()), "{unlimited}");
        }
    }
}
