//! More room for a histogram that several threads write at once.

use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::thread;

use crate::sync::{AtomicU64, Ordering};

/// Copies of a histogram's slots, each on cache lines of its own, that a reader adds up. A thread keeps to one of them
/// until it meets another there.
#[derive(Debug)]
pub(crate) struct Stripes {
    lines: Box<[Line]>,
    /// Lines of one stripe.
    width: usize,
    /// One less than the number of stripes, which is a power of two.
    mask: usize,
    /// Counts of one stripe; the slot behind them is the sum.
    buckets: usize,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

/// Slots on a line.
const LINE: usize = 8;

thread_local! {
    /// The stripe that this thread keeps to; none yet is `usize::MAX`.
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The next thread's stripe.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Beyond so many stripes a reader's work grows more than writers gain.
const MOST: usize = 16;

impl Stripes {
    pub(crate) fn new(buckets: usize) -> Self {
        let stripes = thread::available_parallelism().map_or(2, usize::from).next_power_of_two().clamp(2, MOST);
        let width = (buckets + 1).div_ceil(LINE);
        Self { lines: (0..stripes * width).map(|_| Line::default()).collect(), width, mask: stripes - 1, buckets }
    }

    #[inline]
    pub(crate) fn add(&self, bucket: usize, count: u64, product: f64) {
        let mut mine = MINE.get();
        if mine == usize::MAX {
            mine = NEXT.fetch_add(1, Ordering::Relaxed);
            MINE.set(mine);
        }
        let stripe = mine & self.mask;
        if let (Some(slot), Some(sum)) = (self.slot(stripe, bucket), self.slot(stripe, self.buckets)) {
            slot.fetch_add(count, Ordering::Relaxed);
            if !add_to_sum(sum, product) {
                MINE.set(mine.wrapping_add(1) & (usize::MAX >> 1));
            }
        }
    }

    pub(crate) fn sum(&self) -> f64 {
        let sums = (0..=self.mask).filter_map(|stripe| self.slot(stripe, self.buckets));
        sums.map(|sum| f64::from_bits(sum.load(Ordering::SeqCst))).sum()
    }

    pub(crate) fn add_counts_to(&self, counts: &mut [u64]) {
        for stripe in 0..=self.mask {
            for (bucket, count) in counts.iter_mut().enumerate() {
                let more = self.slot(stripe, bucket).map_or(0, |slot| slot.load(Ordering::Relaxed));
                *count = count.saturating_add(more);
            }
        }
    }

    #[inline(always)]
    fn slot(&self, stripe: usize, index: usize) -> Option<&AtomicU64> {
        self.lines.get(stripe * self.width + index / LINE).map(|line| &line.0[index % LINE])
    }
}

/// Adds to a sum that is kept as bits and stays finite. False when another thread came between.
#[inline(always)]
pub(crate) fn add_to_sum(sum: &AtomicU64, value: f64) -> bool {
    let mut alone = true;
    let mut old = sum.load(Ordering::Relaxed);
    loop {
        let new = (f64::from_bits(old) + value).clamp(f64::MIN, f64::MAX).to_bits();
        match sum.compare_exchange_weak(old, new, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => return alone,
            Err(now) => {
                // A weak exchange may fail by itself; only a changed value is another thread.
                alone &= now == old;
                old = now;
            }
        }
    }
}
