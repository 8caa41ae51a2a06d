//! Since when the target's process counts: one start, kept until the process is another one.
//!
//! What a page tells as `process_start_time_seconds` is not fixed. Many exporters add it up anew at every page, from the
//! machine's boot time, which moves whenever the clock is set. So another start alone is no restart. It is one if a counter
//! fell too, or if the process is younger than the last page that was read, which the process before it served. Age is
//! measured on the clock at hand and so stays true when that clock is set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The start of a target's process, in seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessStart {
    /// What the first page of this process told.
    pub(super) kept: Option<f64>,
    /// What the last page told.
    told: Option<f64>,
    /// The last page is the first one of another process.
    #[serde(skip)]
    pub(super) restarted: bool,
}

impl ProcessStart {
    /// Takes in what a page `told` that was scraped at `at`, `since_last` after the page before it. `fell` says that one
    /// of its counters is lower than on that page.
    pub(super) fn update(&mut self, told: Option<f64>, at: SystemTime, since_last: Duration, fell: bool) {
        self.restarted = false;
        let Some(told) = told else { return };
        let before = self.told.replace(told);
        let now = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let is_young = now - told < since_last.as_secs_f64() + CLOCK_SLACK;
        let moved = before.is_some_and(|before| (told - before).abs() > DRIFT);
        self.restarted = moved && (fell || is_young);
        if self.restarted || self.kept.is_none() {
            self.kept = Some(told);
        }
    }
}

/// Seconds by which a start may differ from page to page: clocks drift, and boot times are whole seconds.
const DRIFT: f64 = 1.5;
/// Seconds by which the clocks of target and agent may differ.
const CLOCK_SLACK: f64 = 2.0;
