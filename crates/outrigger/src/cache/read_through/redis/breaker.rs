//! Leaves a server alone that does not answer, so that its timeout is not added to every look-up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::read_through::shared::later;

/// Closed while the server answers. Opens at so many failures in a row; is then left alone for a while that doubles each
/// time, until one probe in the background is answered.
#[derive(Debug)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug)]
struct State {
    failures: u32,
    /// Set while it is open: when to probe.
    probe_at: Option<Instant>,
    probing: bool,
    pause: Duration,
}

/// What one who wants to ask the server is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Ask,
    LeaveOut,
    /// Leave it out, and see to a probe: nobody else does.
    Probe,
}

const FAILURES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Breaker {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { failures: 0, probe_at: None, probing: false, pause: FIRST_PAUSE }))
    }

    pub(super) fn admit(&self) -> Admission {
        let mut state = self.state();
        match state.probe_at {
            None => Admission::Ask,
            Some(at) if at <= Instant::now() && !state.probing => {
                state.probing = true;
                Admission::Probe
            }
            Some(_) => Admission::LeaveOut,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().probe_at.is_none()
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        // While it is open, only the probe's word counts: it has brought the server up to date.
        if state.probe_at.is_none() {
            state.failures = 0;
        }
    }

    /// Says whether the breaker opens by this.
    pub(super) fn failed(&self) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let opens = state.probe_at.is_none() && state.failures >= FAILURES;
        if opens {
            state.open();
        }
        opens
    }

    /// Opens at one failure. Says whether it opens by this.
    pub(super) fn trip(&self) -> bool {
        let mut state = self.state();
        let opens = state.probe_at.is_none();
        if opens {
            state.open();
        }
        opens
    }

    pub(super) fn probed(&self, answered: bool) {
        let mut state = self.state();
        state.probing = false;
        if answered {
            *state = State { failures: 0, probe_at: None, probing: false, pause: FIRST_PAUSE };
        } else {
            state.open();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&mut self) {
        // Up to a quarter off, so that many processes do not knock at once.
        self.probe_at = Some(later(Instant::now(), self.pause.mul_f64(1.0 - 0.25 * fastrand::f64())));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_at_failures_in_a_row_and_closes_by_a_probe() {
        let breaker = Breaker::new();
        for _ in 0..FAILURES - 1 {
            assert!(!breaker.failed());
        }
        breaker.succeeded();
        for _ in 0..FAILURES - 1 {
            assert!(!breaker.failed());
        }
        assert_eq!(breaker.admit(), Admission::Ask);
        assert!(breaker.failed() && !breaker.is_closed());
        assert_eq!(breaker.admit(), Admission::LeaveOut);

        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(breaker.admit(), Admission::Probe);
        assert_eq!(breaker.admit(), Admission::LeaveOut, "one probe at a time");
        breaker.succeeded();
        assert!(!breaker.is_closed(), "an answer that was under way is no probe");
        breaker.probed(false);
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(breaker.admit(), Admission::LeaveOut, "the pause has doubled");
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(breaker.admit(), Admission::Probe);
        breaker.probed(true);
        assert_eq!(breaker.admit(), Admission::Ask);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_have_a_bound() {
        let breaker = Breaker::new();
        for _ in 0..FAILURES {
            breaker.failed();
        }
        for _ in 0..100 {
            tokio::time::advance(LONGEST_PAUSE).await;
            assert_eq!(breaker.admit(), Admission::Probe);
            breaker.probed(false);
        }
    }
}
