//! Counters.

use metrics::CounterFn;

use super::activity::Activity;
use crate::sync::{AtomicU64, Ordering};

/// The highest count, so far from the end of the integers that no ordinary increment wraps past it.
const MOST: u64 = 1 << 63;

/// An increment that is added without looking; 2^31 of them fit between [`MOST`] and the end of the integers.
const ORDINARY: u64 = u32::MAX as u64;

/// A sum that never goes back.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    value: AtomicU64,
    pub(crate) activity: Activity,
}

impl Counter {
    pub(crate) fn value(&self) -> u64 {
        self.value.load(Ordering::SeqCst).min(MOST)
    }
}

impl CounterFn for Counter {
    #[inline]
    fn increment(&self, value: u64) {
        if value <= ORDINARY {
            self.value.fetch_add(value, Ordering::SeqCst);
        } else {
            let add = |old: u64| Some(old.saturating_add(value).min(MOST.max(old)));
            let _ = self.value.fetch_update(Ordering::SeqCst, Ordering::Relaxed, add);
        }
        self.activity.note();
    }

    fn absolute(&self, value: u64) {
        self.value.fetch_max(value.min(MOST), Ordering::SeqCst);
        self.activity.note();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back() {
        let counter = Counter::default();
        counter.increment(2);
        counter.absolute(1);
        assert_eq!(counter.value(), 2);
        counter.absolute(10);
        counter.increment(1);
        assert_eq!(counter.value(), 11);
        for value in [u64::MAX, 1, u64::MAX, ORDINARY, MOST] {
            counter.increment(value);
            assert_eq!(counter.value(), MOST, "after {value}");
        }
        counter.absolute(u64::MAX);
        assert_eq!(counter.value(), MOST);
    }
}
