//! How often a size was reached before: rank instead of distribution.

use serde::{Deserialize, Serialize};

/// Peaks that are kept. A size that more of them reach is common anyway.
const KEPT: usize = 16;
/// Sizes within this many rows belong to one peak.
const ONE_PEAK: u64 = 5;
/// A remembered peak counts as reached by what comes this near: the tenth time that a queue holds about 40 is no record for
/// holding 44. Less would make a record of the tail of any noise, more would hide what grows.
const TOLERANCE: f64 = 0.15;
/// The longest past that a rank is taken in. Beyond, one more row without the like proves nothing new, and a year's calm
/// would make any ripple a sensation.
const MOST_ROWS: u64 = 500;
/// The most that the size of a record adds: it was a thousand times larger than any other.
const MOST_EXCESS: f64 = 7.0;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Peak {
    /// 0 where there is none.
    size: f64,
    row: u64,
}

/// The largest peaks of one look, each with the row it was seen in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Peaks {
    kept: [Peak; KEPT],
}

impl Peaks {
    /// Lets go of peaks older than `memory` rows.
    pub(super) fn forget(&mut self, row: u64, memory: u64) {
        for peak in &mut self.kept {
            if row.saturating_sub(peak.row) > memory {
                peak.size = 0.0;
            }
        }
    }

    /// The logarithm of rows per peak of this size, and for a record that of how much larger it is than any before. 0 for
    /// sizes up to `floor`, which are rounding.
    pub(super) fn surprise(&self, size: f64, floor: f64, row: u64) -> f64 {
        if size <= floor {
            return 0.0;
        }
        let least = size * (1.0 - TOLERANCE);
        let reached = self.kept.iter().filter(|peak| peak.size > 0.0 && peak.size >= least).count();
        let largest = self.kept.iter().fold(floor, |largest, peak| largest.max(peak.size));
        let rank = ((row.min(MOST_ROWS) + 1) as f64 / (reached + 1) as f64).ln();
        let excess = if size > largest && largest > 0.0 { (size / largest).ln().min(MOST_EXCESS) } else { 0.0 };
        (rank + excess).max(0.0)
    }

    /// Keeps the size if it is among the largest; sizes close in time make one peak.
    pub(super) fn remember(&mut self, size: f64, row: u64) {
        let recent =
            self.kept.iter_mut().rev().find(|peak| peak.size > 0.0 && row.saturating_sub(peak.row) <= ONE_PEAK);
        let place = match recent {
            Some(peak) => Some(peak),
            None => self.kept.iter_mut().min_by(|a, b| a.size.total_cmp(&b.size)),
        };
        if let Some(peak) = place
            && size > peak.size
        {
            *peak = Peak { size, row };
        }
    }

    pub(super) fn is_sound(&self, rows: u64) -> bool {
        self.kept.iter().all(|peak| peak.size.is_finite() && peak.size >= 0.0 && peak.row <= rows)
    }
}
