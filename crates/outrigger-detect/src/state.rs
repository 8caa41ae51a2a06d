//! Keeping a detector across a restart of its host.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    errors::ErrorMemory,
    interval::{Interval, are_bounds},
    tracker::Tracker,
};

/// The format of [`State`] that this release reads and writes.
const VERSION: u32 = 3;

/// What a detector knows: serialisable, opaque, and versioned.
///
/// A restored detector gives the verdicts that the original would have given, if the format keeps floating-point numbers
/// exactly (`serde_json` does so with its feature `float_roundtrip`; without it the last digit may differ).
/// A state of another version is read without error, and refused by `restore` with both versions named.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    // The version is written first, and by its name it stays first where a format sorts its keys: what follows is
    // read only if the version is known.
    version: u32,
    watch: Option<Watch>,
}

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
        self.version
    }

    pub(crate) fn of_latency(bounds: Vec<f64>, tracker: Tracker) -> Self {
        Self { version: VERSION, watch: Some(Watch::Latency { bounds, tracker: Box::new(tracker) }) }
    }

    pub(crate) fn of_errors(memory: ErrorMemory) -> Self {
        Self { version: VERSION, watch: Some(Watch::Errors(Box::new(memory))) }
    }

    fn open(self) -> Result<Watch, StateError> {
        if self.version != VERSION {
            return Err(StateError::UnknownVersion { found: self.version, supported: VERSION });
        }
        self.watch.ok_or(StateError::Damaged { what: "nothing follows the version" })
    }

    /// Bounds and tracker of a latency detector, if they can be trusted.
    pub(crate) fn open_latency(self) -> Result<(Vec<f64>, Tracker), StateError> {
        let Watch::Latency { bounds, tracker } = self.open()? else {
            return Err(StateError::WrongSignal { found: "error", expected: "latency" });
        };
        if bounds.len() > Interval::MAX_BOUNDS || !are_bounds(&bounds) {
            return Err(StateError::Damaged { what: "the bounds are not ascending numbers" });
        }
        if !tracker.is_sound(bounds.len() + 1) {
            return Err(StateError::Damaged { what: "counts, blocks and bounds do not agree" });
        }
        Ok((bounds, *tracker))
    }

    /// What an error detector knows, if it can be trusted.
    pub(crate) fn open_errors(self) -> Result<ErrorMemory, StateError> {
        match self.open()? {
            Watch::Errors(memory) if memory.is_sound() => Ok(*memory),
            Watch::Errors(_) => Err(StateError::Damaged { what: "counts and evidence do not agree" }),
            Watch::Latency { .. } => Err(StateError::WrongSignal { found: "latency", expected: "error" }),
        }
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("State", &["version", "watch"], StateVisitor)
    }
}

/// Reads the version, and the rest only if it is of that version: another may look different altogether.
struct StateVisitor;

impl<'de> Visitor<'de> for StateVisitor {
    type Value = State;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a detector state that begins with its version")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<State, A::Error> {
        let mut state = match map.next_key::<String>()? {
            Some(key) if key == "version" => State { version: map.next_value()?, watch: None },
            _ => return Err(de::Error::custom("a detector state begins with its version")),
        };
        while let Some(key) = map.next_key::<String>()? {
            if state.version == VERSION && key == "watch" {
                state.watch = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(state)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<State, A::Error> {
        let version = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let watch = if version == VERSION { seq.next_element()?.flatten() } else { None };
        Ok(State { version, watch })
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
