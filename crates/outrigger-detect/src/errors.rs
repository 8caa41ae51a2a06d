//! Failures of a route against its own baseline and its objective.

use crate::{
    ErrorInterval, ErrorSettings, ErrorShift, Shift, State, StateError, Verdict,
    interval::elapsed,
    state::Signal,
    tracker::{Outcome, Rules, Sample, Tracker},
};

/// The tail that counts failures.
const FAILED: usize = 1;

/// Finds routes that fail more often than they use to, and than the objective allows. One detector watches one route.
#[derive(Clone, Debug)]
pub struct ErrorDetector {
    settings: ErrorSettings,
    tracker: Tracker,
}

impl ErrorDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: ErrorSettings) -> Self {
        Self { settings, tracker: Tracker::new(FAILED + 1) }
    }

    /// Takes up a kept state under the given settings.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to a latency detector, or is damaged.
    pub fn restore(settings: ErrorSettings, state: State) -> Result<Self, StateError> {
        let (_, tracker) = state.open(Signal::Errors)?;
        Ok(Self { settings, tracker })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &ErrorSettings {
        &self.settings
    }

    /// What the detector knows, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> State {
        State::new(Signal::Errors, Vec::new(), self.tracker.clone())
    }

    /// Takes in one interval and answers where the route stands.
    pub fn observe(&mut self, interval: ErrorInterval) -> Verdict {
        let ErrorInterval { failed, total, seconds, reset } = interval;
        let sample = Sample { tails: &[total, failed.min(total)], spent: 0.0, seconds: elapsed(seconds), reset };
        let ErrorSettings { pace, min_score, min_failures, objective, min_share } = self.settings;
        let rules = Rules {
            pace: &pace,
            min_score,
            min_excess: min_failures as f64 - 0.5,
            min_share,
            min_share_seconds: 0.0,
            young_share: 0.0,
            objective,
            steps: &[],
            at: f64::NAN,
        };
        let Outcome { score, ended } = self.tracker.observe(&sample, &rules, |_, _, _, _| true);
        Verdict { phase: self.tracker.phase(), score, shift: self.shift().map(Shift::Errors), ended }
    }

    fn shift(&self) -> Option<ErrorShift> {
        let episode = self.tracker.episode()?;
        let requests = episode.tails.first().copied().unwrap_or(0);
        let failed = episode.tails.get(FAILED).copied().unwrap_or(0) as f64;
        let ratio_before = self.tracker.baseline().share(FAILED);
        Some(ErrorShift {
            onset_seconds_ago: episode.seconds,
            ratio_before,
            ratio_during: if requests > 0 { failed / requests as f64 } else { 0.0 },
            requests,
            // Floating point rounds huge counts, and may round them up.
            affected: ((failed - requests as f64 * ratio_before).round().max(0.0) as u64).min(requests),
        })
    }
}
