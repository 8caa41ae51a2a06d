//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential backoff with full jitter: before retry `n` (from 0) a random time up to `base` × 2ⁿ, at most `cap`.
///
/// Callers who failed together come back spread over the whole time instead of together again (Brooker, "Exponential
/// Backoff And Jitter").
///
/// ```
/// use std::time::Duration;
/// use outrigger::task::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
/// assert_eq!(backoff.ceiling(3), Duration::from_millis(800));
/// assert!(backoff.delay(3) <= Duration::from_millis(800));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Backoff {
    /// A backoff that begins with `base` and stays at `cap`. Nothing is longer than a day.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap: if cap.as_secs() < LONGEST.as_secs() { cap } else { LONGEST } }
    }

    /// The longest wait before retry `retry`, counted from 0.
    #[must_use]
    pub fn ceiling(&self, retry: u32) -> Duration {
        let factor = 1_u32.checked_shl(retry).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// A random wait before retry `retry`, counted from 0.
    #[must_use]
    pub fn delay(&self, retry: u32) -> Duration {
        self.ceiling(retry).mul_f64(fastrand::f64())
    }
}

/// 100 ms, 200 ms, ... 10 s.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn waits_double_up_to_the_cap(base in any::<u64>(), cap in any::<u64>(), retry in any::<u32>()) {
            let backoff = Backoff::new(Duration::from_nanos(base), Duration::from_secs(cap));
            let ceiling = backoff.ceiling(retry);
            assert!(ceiling <= LONGEST && ceiling <= Duration::from_secs(cap).min(LONGEST));
            assert!(backoff.ceiling(retry.saturating_add(1)) >= ceiling);
            assert!(backoff.delay(retry) <= ceiling);
            if let Some(exact) = Duration::from_nanos(base).checked_mul(2_u32.saturating_pow(retry)) {
                assert_eq!(ceiling, exact.min(Duration::from_secs(cap)).min(LONGEST));
            }
        }
    }
}
