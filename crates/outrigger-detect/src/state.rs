//! Keeping a detector across a restart of its host.

use std::fmt;

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

/// What a detector knows: serialisable in any serde format, opaque, and versioned.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct State {
    version: u32,
}

impl State {
    pub(crate) fn check(&self) -> Result<(), StateError> {
        Ok(())
    }
}
