//! Times as people and files write them: RFC 3339 in UTC, to the millisecond.
//!
//! `#[serde(with = "time")]` and `#[serde(with = "time::maybe")]` read and write a [`SystemTime`] so.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time that displays and serialises itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Time(pub(crate) SystemTime);

/// The last second that RFC 3339 can say: the end of the year 9999.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// The nearest time that can be written down. What stands in files or comes of a clock gone mad may be beyond.
pub(crate) fn writable(time: SystemTime) -> SystemTime {
    time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(writable(self.0)).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self).map_err(D::Error::custom)
    }
}

pub(crate) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    Time(*time).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    Ok(Time::deserialize(deserializer)?.0)
}

/// The same for a time that may be absent.
pub(crate) mod maybe {
    use super::{Deserialize, Deserializer, Serialize, Serializer, SystemTime, Time};

    pub(crate) fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Time).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map(|time| time.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_the_calendar_are_written_as_its_ends() {
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(Time(before).to_string(), "1970-01-01T00:00:00.000Z");
        let beyond = UNIX_EPOCH + LAST + Duration::from_secs(5);
        assert_eq!(Time(beyond).to_string(), "9999-12-31T23:59:59.000Z");
    }

    proptest::proptest! {
        #[test]
        fn a_time_reads_back_to_the_millisecond(millis in 0..253_402_300_799_000_u64) {
            let time = Time(UNIX_EPOCH + Duration::from_millis(millis));
            let json = serde_json::to_string(&time).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z") {
            let json = serde_json::to_string(&text).unwrap();
            if let Ok(time) = serde_json::from_str::<Time>(&json) {
                proptest::prop_assert!(!time.to_string().is_empty());
            }
        }
    }
}
