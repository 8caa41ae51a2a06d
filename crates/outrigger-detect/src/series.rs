//! Keeping what detectors of single series know across a restart of their host.

use serde::{Deserialize, Serialize};

use crate::{
    StateError, burn::BurnMemory, forecast::ForecastMemory, point::PointMemory, traffic::TrafficMemory,
    versioned::Versioned,
};

/// The format of [`SeriesState`] that this release reads and writes.
const VERSION: u32 = 1;

/// What a [`PointDetector`](crate::PointDetector), a [`Forecast`](crate::Forecast), a
/// [`TrafficDetector`](crate::TrafficDetector) or a [`BurnRate`](crate::BurnRate) knows: serialisable, opaque, and versioned like [`State`](crate::State).
///
/// A restored detector gives the verdicts that the original would have given, if the format keeps floating-point numbers
/// exactly. A state of another version is read without error, and refused by `restore` with both versions named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesState(Versioned<VERSION, Watch>);

/// What is known, by kind of detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Watch {
    Point(Box<PointMemory>),
    Forecast(Box<ForecastMemory>),
    Traffic(Box<TrafficMemory>),
    Burn(Box<BurnMemory>),
}

impl Watch {
    /// The error of a detector of the kind `expected` that is given this one.
    pub(crate) fn is_not(&self, expected: &'static str) -> StateError {
        let found = match self {
            Self::Point(_) => "point",
            Self::Forecast(_) => "forecast",
            Self::Traffic(_) => "traffic",
            Self::Burn(_) => "burn rate",
        };
        StateError::WrongSignal { found, expected }
    }
}

impl SeriesState {
    /// The version of the format.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    pub(crate) fn new(watch: Watch) -> Self {
        Self(Versioned::new(watch))
    }

    pub(crate) fn open(self) -> Result<Watch, StateError> {
        self.0.open()
    }
}
