//! What a tier remembers of a key, and for how long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A value, or that there is none.
#[derive(Debug)]
pub(super) struct Held<V> {
    /// `None` is a remembered absence.
    pub(super) value: Option<V>,
    pub(super) fresh_until: Instant,
    /// The end of the window in which it may be served while it is refreshed.
    pub(super) stale_until: Instant,
    /// Not before this is a refresh tried, or tried again. It changes in place: an entry put anew would count as one
    /// that was replaced.
    pub(super) retry_at: Mutex<Instant>,
    pub(super) tags: Arc<[Box<str>]>,
    /// Redis' count of invalidations when this was last known to be valid.
    pub(super) verified: u64,
}

impl<V> Held<V> {
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.fresh_until
    }

    pub(super) fn is_usable(&self, now: Instant) -> bool {
        now < self.stale_until
    }

    pub(super) fn retry_at(&self) -> Instant {
        *self.retry_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn retry_not_before(&self, moment: Instant) {
        *self.retry_at.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }
}

/// How long values live.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lifetimes {
    pub(super) ttl: Duration,
    /// The share of a lifetime that chance may take off.
    pub(super) jitter: f64,
    pub(super) stale: Duration,
    pub(super) negative_ttl: Duration,
}

impl Lifetimes {
    /// How long a value loaded now is fresh, and how long it may be served stale after that.
    pub(super) fn draw(&self, present: bool, chance: f64) -> (Duration, Duration) {
        let (ttl, stale) = if present { (self.ttl, self.stale) } else { (self.negative_ttl, Duration::ZERO) };
        (jittered(ttl, self.jitter, chance), stale)
    }

    /// The longest that anything can be remembered.
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "asked for by Redis"))]
    pub(super) fn longest(&self) -> Duration {
        self.ttl.saturating_add(self.stale).max(self.negative_ttl)
    }
}

/// A lifetime less a random part of it. Never longer than asked for, so that the bound that somebody set holds.
fn jittered(ttl: Duration, share: f64, chance: f64) -> Duration {
    let keep = 1.0 - share.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
    Duration::try_from_secs_f64(ttl.as_secs_f64() * keep).map_or(ttl, |jittered| jittered.min(ttl))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn jitter_shortens_within_its_share(seconds in 0.0..1e7_f64, share in 0.0..=1.0_f64, chance in 0.0..=1.0_f64) {
            let ttl = Duration::from_secs_f64(seconds);
            let jittered = jittered(ttl, share, chance);
            prop_assert!(jittered <= ttl);
            prop_assert!(jittered.as_secs_f64() >= seconds * (1.0 - share) - 1e-6);
        }

        #[test]
        fn entries_of_one_moment_do_not_expire_in_one(share in 0.05..=1.0_f64, seed: u64) {
            let lifetimes = Lifetimes {
                ttl: Duration::from_secs(60),
                jitter: share,
                stale: Duration::from_secs(5),
                negative_ttl: Duration::from_secs(1),
            };
            let mut random = fastrand::Rng::with_seed(seed);
            let drawn: Vec<_> = (0..1_000).map(|_| lifetimes.draw(true, random.f64()).0.as_secs_f64()).collect();
            // In tenths of the range, each has its part: nothing like all at once.
            let least = 60.0 * (1.0 - share);
            for tenth in 0..10 {
                let (from, to) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
                let within = |ttl: &&f64| (from..to).contains(&((**ttl - least) / (60.0 * share)));
                let count = drawn.iter().filter(within).count();
                prop_assert!((40..=180).contains(&count), "{count} of 1,000 in one tenth");
            }
        }
    }

    #[test]
    fn absent_values_live_by_their_own_time_and_are_never_stale() {
        let lifetimes = Lifetimes {
            ttl: Duration::from_secs(60),
            jitter: 0.0,
            stale: Duration::from_secs(30),
            negative_ttl: Duration::from_secs(3),
        };
        assert_eq!(lifetimes.draw(true, 0.5), (Duration::from_secs(60), Duration::from_secs(30)));
        assert_eq!(lifetimes.draw(false, 0.5), (Duration::from_secs(3), Duration::ZERO));
        assert_eq!(lifetimes.longest(), Duration::from_secs(90));
    }
}
