//! A bound on what a kind of warning may write to the log.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Lets a few lines through in each second.
#[derive(Default)]
pub(crate) struct LogLimit(Mutex<Window>);

#[derive(Default)]
struct Window {
    start: Option<Instant>,
    logged: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Whether a line may be written now; if so, how many could not be since the last one.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.start.is_none_or(|start| now.saturating_duration_since(start) >= WINDOW) {
            window.start = Some(now);
            window.logged = 0;
        }
        if window.logged >= LINES {
            window.suppressed += 1;
            return None;
        }
        window.logged += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

const WINDOW: Duration = Duration::from_secs(1);
const LINES: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second_and_the_rest_is_counted() {
        let log = LogLimit::default();
        let start = Instant::now();
        let admitted = (0..25).filter(|_| log.admit(start) == Some(0)).count();
        assert_eq!(admitted, 10);
        assert_eq!(log.admit(start + WINDOW / 2), None);
        assert_eq!(log.admit(start + WINDOW), Some(16));
        assert_eq!(log.admit(start + WINDOW), Some(0));
    }
}
