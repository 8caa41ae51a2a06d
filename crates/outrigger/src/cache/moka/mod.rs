//! moka's caches, future and sync, with what happens in them counted.

mod future;
mod sync;

use ::moka::notification::RemovalCause;

pub use self::future::MokaCache;
pub use self::sync::MokaSyncCache;

use super::{CacheMetrics, EvictionCause};

/// For a listener of your own: `move |_, _, cause| metrics.evicted(cause.into())`.
impl From<RemovalCause> for EvictionCause {
    fn from(cause: RemovalCause) -> Self {
        match cause {
            RemovalCause::Expired => Self::Expired,
            RemovalCause::Explicit => Self::Explicit,
            RemovalCause::Replaced => Self::Replaced,
            RemovalCause::Size => Self::Size,
        }
    }
}

/// What follows moka's own count and weight.
#[derive(Clone, Debug)]
struct Followed {
    metrics: CacheMetrics,
    /// Whether the weight of an entry is its bytes.
    bytes: bool,
}

impl Followed {
    fn new(metrics: CacheMetrics) -> Self {
        Self { metrics, bytes: false }
    }

    /// Counts a look-up, and writes the gauges if they have changed: two loads and two comparisons otherwise.
    #[inline]
    fn looked_up(&self, hit: bool, entries: impl Fn() -> u64, weight: impl Fn() -> u64) {
        if hit {
            self.metrics.hit();
        } else {
            self.metrics.miss();
        }
        self.follow(entries, weight);
    }

    #[inline]
    fn follow(&self, entries: impl Fn() -> u64, weight: impl Fn() -> u64) {
        self.metrics.follow_entries(entries);
        if self.bytes {
            self.metrics.follow_size(weight);
        }
    }
}
