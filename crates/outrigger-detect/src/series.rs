//! Keeping what detectors of single series know across a restart of their host.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{StateError, burn::BurnMemory, forecast::ForecastMemory, point::PointMemory, traffic::TrafficMemory};

/// The format of [`SeriesState`] that this release reads and writes.
const VERSION: u32 = 1;

/// What a [`PointDetector`](crate::PointDetector), a [`Forecast`](crate::Forecast), a
/// [`TrafficDetector`](crate::TrafficDetector) or a [`BurnRate`](crate::BurnRate) knows: serialisable, opaque, and versioned like [`State`](crate::State).
///
/// A restored detector gives the verdicts that the original would have given, if the format keeps floating-point numbers
/// exactly. A state of another version is read without error, and refused by `restore` with both versions named.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesState {
    // Written first, and first by its name where a format sorts its keys: what follows is read only if it is known.
    version: u32,
    watch: Option<Watch>,
}

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
        self.version
    }

    pub(crate) fn new(watch: Watch) -> Self {
        Self { version: VERSION, watch: Some(watch) }
    }

    pub(crate) fn open(self) -> Result<Watch, StateError> {
        if self.version != VERSION {
            return Err(StateError::UnknownVersion { found: self.version, supported: VERSION });
        }
        self.watch.ok_or(StateError::Damaged { what: "nothing follows the version" })
    }
}

impl<'de> Deserialize<'de> for SeriesState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("SeriesState", &["version", "watch"], StateVisitor)
    }
}

/// Reads the version, and the rest only if it is of that version.
struct StateVisitor;

impl<'de> Visitor<'de> for StateVisitor {
    type Value = SeriesState;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the state of a series' detector that begins with its version")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SeriesState, A::Error> {
        let mut state = match map.next_key::<String>()? {
            Some(key) if key == "version" => SeriesState { version: map.next_value()?, watch: None },
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<SeriesState, A::Error> {
        let version = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let watch = if version == VERSION { seq.next_element()?.flatten() } else { None };
        Ok(SeriesState { version, watch })
    }
}
