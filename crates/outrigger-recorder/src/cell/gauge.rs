//! Gauges.

use metrics::GaugeFn;

use super::activity::Activity;
use crate::sync::{AtomicU64, Ordering};

/// A value that can go either way.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    bits: AtomicU64,
    pub(crate) activity: Activity,
}

impl Gauge {
    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::SeqCst))
    }
}

impl GaugeFn for Gauge {
    /// A step that is not finite is left out: no later step could undo it.
    #[inline]
    fn increment(&self, value: f64) {
        if value.is_finite() {
            let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
            let _ = self.bits.fetch_update(Ordering::SeqCst, Ordering::Relaxed, add);
            self.activity.note();
        }
    }

    #[inline]
    fn decrement(&self, value: f64) {
        self.increment(-value);
    }

    #[inline]
    fn set(&self, value: f64) {
        self.bits.store(value.to_bits(), Ordering::SeqCst);
        self.activity.note();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_sets() {
        let gauge = Gauge::default();
        gauge.increment(2.5);
        gauge.decrement(4.0);
        assert_eq!(gauge.value(), -1.5);
        for step in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            gauge.increment(step);
            gauge.decrement(step);
        }
        assert_eq!(gauge.value(), -1.5);
        gauge.set(f64::NAN);
        assert!(gauge.value().is_nan());
        gauge.set(f64::INFINITY);
        assert_eq!(gauge.value(), f64::INFINITY);
        gauge.set(-0.0);
        assert_eq!(gauge.value().to_bits(), (-0.0_f64).to_bits());
    }
}
