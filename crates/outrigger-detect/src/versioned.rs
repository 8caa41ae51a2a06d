//! What is kept with the version of its format.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::StateError;

/// Something kept, and the version of its format: only `VERSION` is read, any other is known by its number alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Versioned<const VERSION: u32, T> {
    // The version is written first, and by its name it stays first where a format sorts its keys: what follows is
    // read only if the version is known.
    version: u32,
    watch: Option<T>,
}

impl<const VERSION: u32, T> Versioned<VERSION, T> {
    pub(crate) fn new(watch: T) -> Self {
        Self { version: VERSION, watch: Some(watch) }
    }

    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// What was kept, if it is of the version that is read.
    pub(crate) fn open(self) -> Result<T, StateError> {
        if self.version != VERSION {
            return Err(StateError::UnknownVersion { found: self.version, supported: VERSION });
        }
        self.watch.ok_or(StateError::Damaged { what: "nothing follows the version" })
    }
}

impl<'de, const VERSION: u32, T: Deserialize<'de>> Deserialize<'de> for Versioned<VERSION, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("State", &["version", "watch"], Reader(PhantomData))
    }
}

/// Reads the version, and the rest only if it is of that version: another may look different altogether.
struct Reader<const VERSION: u32, T>(PhantomData<T>);

impl<'de, const VERSION: u32, T: Deserialize<'de>> Visitor<'de> for Reader<VERSION, T> {
    type Value = Versioned<VERSION, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a detector state that begins with its version")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut kept = match map.next_key::<String>()? {
            Some(key) if key == "version" => Versioned { version: map.next_value()?, watch: None },
            _ => return Err(de::Error::custom("a detector state begins with its version")),
        };
        while let Some(key) = map.next_key::<String>()? {
            if kept.version == VERSION && key == "watch" {
                kept.watch = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(kept)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let version = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let watch = if version == VERSION { seq.next_element()?.flatten() } else { None };
        Ok(Versioned { version, watch })
    }
}
