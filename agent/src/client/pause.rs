//! Pauses between attempts: they double, up to a bound, with jitter.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

const FIRST: Duration = Duration::from_millis(500);

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    next: Duration,
    longest: Duration,
    longest_asked: Duration,
}

impl Pause {
    /// Half a second at first, never more than `longest`, or than `longest_asked` if the other side asks for a time.
    pub(crate) fn new(longest: Duration, longest_asked: Duration) -> Self {
        Self { next: FIRST, longest, longest_asked }
    }

    /// Pauses are no longer than this from now on, whatever the other side asks for.
    pub(crate) fn limit(&mut self, longest: Duration) {
        *self = Self { next: self.next.min(longest), longest, longest_asked: longest };
    }

    /// All is well: the next pause is the first again.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// How long to wait now; what the other side asked for counts, within its bound.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        // Between half of the pause and all of it, so that many agents do not come back at once.
        let own = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(self.longest);
        asked.map_or(own, |asked| asked.min(self.longest_asked))
    }
}

/// `Retry-After` in seconds; its other form, a date, is left to our own pauses.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_stay_between_half_and_whole() {
        let longest = Duration::from_secs(30);
        let mut pause = Pause::new(longest, longest * 2);
        let mut whole = FIRST;
        for _ in 0..100 {
            let next = pause.next(None);
            assert!((whole / 2..=whole).contains(&next), "{next:?}");
            whole = (whole * 2).min(longest);
        }
        assert_eq!(pause.next(Some(longest * 9)), longest * 2);
        pause.reset();
        assert!(pause.next(None) <= FIRST);
    }
}
