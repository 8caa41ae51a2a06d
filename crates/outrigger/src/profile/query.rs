//! What a request may say about its profile.

use std::time::Duration;

/// What was asked for, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) seconds: u32,
    pub(super) hz: u32,
}

impl Query {
    /// Reads `seconds=10&hz=99`, or says what would be right.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, String> {
        let mut read = Self { seconds: SECONDS.default, hz: HZ.default };
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "seconds" => read.seconds = SECONDS.read(value)?,
                "hz" => read.hz = HZ.read(value)?,
                _ => return Err(format!("{} is no parameter here: there are {SECONDS} and {HZ}\n", shown(key))),
            }
        }
        Ok(read)
    }

    pub(super) fn duration(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// The rate at which no more samples can come than are wanted at most: each processor uses a second of CPU time per
    /// second.
    pub(super) fn rate(self, processors: usize) -> u32 {
        let processors = u32::try_from(processors).unwrap_or(u32::MAX).max(1);
        let most = MOST_SAMPLES / self.seconds.saturating_mul(processors).max(1);
        self.hz.min(most).max(1)
    }
}

struct Range {
    key: &'static str,
    most: u32,
    default: u32,
}

const SECONDS: Range = Range { key: "seconds", most: 60, default: 10 };
const HZ: Range = Range { key: "hz", most: 1000, default: 99 };
/// What is sampled is kept until the answer is made, so it needs a bound.
const MOST_SAMPLES: u32 = 50_000;

impl Range {
    fn read(&self, value: &str) -> Result<u32, String> {
        let number = value.parse().ok().filter(|number| (1..=self.most).contains(number));
        number.ok_or_else(|| format!("{}={} cannot be: {self}\n", self.key, shown(value)))
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is a whole number from 1 to {}, {} by default", self.key, self.most, self.default)
    }
}

/// What a client sent, fit to be shown to it.
fn shown(text: &str) -> String {
    text.chars().take(32).filter(|c| c.is_ascii_graphic()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_a_default_and_what_is_wrong_is_named_with_its_range() {
        let read = |text: &str| Query::parse(Some(text));
        assert_eq!(Query::parse(None), Ok(Query { seconds: 10, hz: 99 }));
        assert_eq!(read(""), Ok(Query { seconds: 10, hz: 99 }));
        assert_eq!(read("hz=1000&seconds=60"), Ok(Query { seconds: 60, hz: 1000 }));
        for (query, key, range) in [
            ("seconds=0", "seconds=0", "from 1 to 60"),
            ("seconds=61", "seconds=61", "from 1 to 60"),
            ("seconds=", "seconds=", "from 1 to 60"),
            ("seconds", "seconds=", "from 1 to 60"),
            ("hz=-1", "hz=-1", "from 1 to 1000"),
            ("hz=1e3", "hz=1e3", "from 1 to 1000"),
            ("hz=4294967297", "hz=4294967297", "from 1 to 1000"),
            ("second=1", "second", "seconds is a whole number from 1 to 60"),
        ] {
            let why = read(query).unwrap_err();
            assert!(why.starts_with(key) && why.contains(range), "{query}: {why}");
        }
        let why = read(&format!("hz={}", "9\r\n<".repeat(1000))).unwrap_err();
        assert!(why.len() < 120 && why.lines().count() == 1, "{why}");
    }

    #[test]
    fn samples_have_a_bound_on_any_machine() {
        for processors in [1, 2, 64, 4096, usize::MAX] {
            for (seconds, hz) in [(1, 1), (10, 99), (60, 1000)] {
                let rate = u64::from(Query { seconds, hz }.rate(processors));
                assert!((1..=u64::from(hz)).contains(&rate));
                let samples = rate * u64::from(seconds) * u64::try_from(processors.min(512)).unwrap();
                assert!(samples <= 50_000, "{processors} {seconds} {hz}");
            }
        }
        assert_eq!(Query { seconds: 10, hz: 99 }.rate(2), 99);
        assert_eq!(Query { seconds: 60, hz: 1000 }.rate(2), 416);
    }
}
