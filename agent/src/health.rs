//! What the agent counts of its own work.

use std::time::{Duration, SystemTime};

use outrigger_exposition::Histogram;
use outrigger_semconv::buckets::OPERATION_SECONDS;

/// How the scrapes of one target went.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Whether the last scrape worked; `None` before the first.
    pub(crate) up: Option<bool>,
    pub(crate) last_error: Option<String>,
    /// The first failed scrape since the last one that worked.
    pub(crate) down_since: Option<SystemTime>,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) durations: Durations,
    pub(crate) last_duration: Duration,
    /// Samples on the last page.
    pub(crate) samples: u64,
    pub(crate) bad_lines: u64,
    pub(crate) dropped: Dropped,
    /// Incidents opened on the target.
    pub(crate) incidents: u64,
    /// Those that people called false alarms, with the ones that were kept of earlier agents.
    pub(crate) false_alarms: u64,
    /// Anomalies that came by the clock, and were not told.
    pub(crate) expected: u64,
}

impl Health {
    pub(crate) fn is_up(&self) -> bool {
        self.up == Some(true)
    }
}

/// Samples that were not kept, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dropped {
    /// The table of series was full.
    pub(crate) series_limit: u64,
    /// They stood behind the size limit of a page.
    pub(crate) page_limit: u64,
    /// Requests of routes for which the table of routes had no room.
    pub(crate) route_limit: u64,
    /// Calls of dependencies for which the table of dependencies had no room.
    pub(crate) dependency_limit: u64,
}

/// How a collector's last reading went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) success: bool,
    pub(crate) took: Duration,
}

/// A histogram of durations with the catalogue's buckets for operations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Durations {
    counts: [u64; OPERATION_SECONDS.len() + 1],
    sum: f64,
}

impl Durations {
    pub(crate) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = OPERATION_SECONDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += seconds;
    }

    pub(crate) fn histogram(&self) -> Histogram {
        Histogram {
            bounds: OPERATION_SECONDS.to_vec(),
            counts: self.counts.to_vec(),
            sum: Some(self.sum),
            ..Histogram::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_the_last_bucket_takes_the_rest() {
        let mut durations = Durations::default();
        for millis in [1, 2, 5, 60_000] {
            durations.observe(Duration::from_millis(millis));
        }
        let histogram = durations.histogram();
        assert_eq!(histogram.counts[..2], [1, 2]);
        assert_eq!(histogram.counts.last(), Some(&1));
        assert_eq!(histogram.count(), 4);
    }
}
