//! Failures of a route against its own baseline.

use crate::{ErrorInterval, ErrorSettings, Phase, State, StateError, Verdict, interval::elapsed};

/// Finds routes that fail more often than they use to, and than the objective allows. One detector watches one route.
#[derive(Clone, Debug)]
pub struct ErrorDetector {
    settings: ErrorSettings,
}

impl ErrorDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: ErrorSettings) -> Self {
        Self { settings }
    }

    /// Takes up a kept state under the given settings.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to a latency detector, or is damaged.
    pub fn restore(settings: ErrorSettings, state: State) -> Result<Self, StateError> {
        state.check()?;
        Ok(Self { settings })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &ErrorSettings {
        &self.settings
    }

    /// What the detector knows, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> State {
        State::default()
    }

    /// Takes in one interval and answers where the route stands.
    pub fn observe(&mut self, interval: ErrorInterval) -> Verdict {
        let _ = elapsed(interval.seconds);
        Verdict { phase: Phase::WarmingUp, score: 0.0, shift: None }
    }
}
