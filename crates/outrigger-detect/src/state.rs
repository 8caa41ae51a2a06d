//! Keeping a detector across a restart of its host.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    errors::ErrorMemory,
    interval::{Interval, are_bounds},
    tracker::Tracker,
    versioned::Versioned,
};

/// The format of [`State`] that this release reads and writes.
const VERSION: u32 = 3;

/// What a detector knows: serialisable, opaque, and versioned.
///
/// A restored detector gives the verdicts that the original would have given, if the format keeps floating-point numbers
/// exactly (`serde_json` does so with its feature `float_roundtrip`; without it the last digit may differ).
/// A state of another version is read without error, and refused by `restore` with both versions named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(Versioned<VERSION, Watch>);

/// What is known, by the kind of detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Watch {
    Latency { bounds: Vec<f64>, tracker: Box<Tracker> },
    Errors(Box<ErrorMemory>),
}

impl State {
    /// The version of the format.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    pub(crate) fn of_latency(bounds: Vec<f64>, tracker: Tracker) -> Self {
        Self(Versioned::new(Watch::Latency { bounds, tracker: Box::new(tracker) }))
    }

    pub(crate) fn of_errors(memory: ErrorMemory) -> Self {
        Self(Versioned::new(Watch::Errors(Box::new(memory))))
    }

    /// Bounds and tracker of a latency detector, if they can be trusted.
    pub(crate) fn open_latency(self) -> Result<(Vec<f64>, Tracker), StateError> {
        let Watch::Latency { bounds, mut tracker } = self.0.open()? else {
            return Err(StateError::WrongSignal { found: "error", expected: "latency" });
        };
        if bounds.len() > Interval::MAX_BOUNDS || !are_bounds(&bounds) {
            return Err(StateError::Damaged { what: "the bounds are not ascending numbers" });
        }
        if !tracker.is_sound(bounds.len() + 1) {
            return Err(StateError::Damaged { what: "counts, blocks and bounds do not agree" });
        }
        tracker.pauses.fit(bounds.len() + 1);
        Ok((bounds, *tracker))
    }

    /// What an error detector knows, if it can be trusted.
    pub(crate) fn open_errors(self) -> Result<ErrorMemory, StateError> {
        match self.0.open()? {
            Watch::Errors(memory) if memory.is_sound() => Ok(*memory),
            Watch::Errors(_) => Err(StateError::Damaged { what: "counts and evidence do not agree" }),
            Watch::Latency { .. } => Err(StateError::WrongSignal { found: "latency", expected: "error" }),
        }
    }
}

/// Why a kept state cannot be taken up again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The state was written by a release whose format this one does not know.
    UnknownVersion {
        /// The version that the state carries.
        found: u32,
        /// The version that this release reads and writes.
        supported: u32,
    },
    /// The state belongs to the other kind of detector.
    WrongSignal {
        /// The kind of detector that the state was taken from.
        found: &'static str,
        /// The kind of detector that should take it up.
        expected: &'static str,
    },
    /// The state contradicts itself: it was damaged or edited.
    Damaged {
        /// What does not hold.
        what: &'static str,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion { found, supported } => {
                write!(
                    f,
                    "detector state has version {found}, this release reads version {supported}: set it aside and warm up again"
                )
            }
            Self::WrongSignal { found, expected } => {
                write!(f, "detector state is of the {found} detector, not of the {expected} detector")
            }
            Self::Damaged { what } => write!(f, "detector state is damaged: {what}; set it aside and warm up again"),
        }
    }
}

impl std::error::Error for StateError {}
