//! Quiet hours: when people sleep, what is not grave waits for the morning.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A part of some days of the week, such as `Mon-Fri 22:00-07:00`. One that ends earlier than it begins ends the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// The days that it begins on, from Monday.
    days: [bool; 7],
    /// Seconds of the day.
    from: i64,
    to: i64,
}

impl QuietHours {
    /// Whether a time lies within, where clocks are so far ahead of UTC.
    pub(super) fn hold(&self, at: SystemTime, offset: UtcOffset) -> bool {
        let since =
            at.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 2));
        let local = since.saturating_add(offset.0);
        let (today, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let end = if self.to > self.from { self.to } else { self.to + DAY };
        // The first of January 1970 was a Thursday.
        let begins =
            |day: i64| usize::try_from((day + 3).rem_euclid(7)).is_ok_and(|at| self.days.get(at) == Some(&true));
        let is_in = |second: i64| (self.from..end).contains(&second);
        (begins(today) && is_in(second)) || (begins(today - 1) && is_in(second + DAY))
    }
}

impl FromStr for QuietHours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` are no hours; write such as \"Mon-Fri 22:00-07:00\", \"Sat,Sun 00:00-24:00\"");
        let mut words = text.split_whitespace().rev();
        let (from, to) = words.next().and_then(|hours| hours.split_once('-')).ok_or_else(wrong)?;
        let (from, to) = (clock(from).ok_or_else(wrong)?, clock(to).ok_or_else(wrong)?);
        let mut days = [true; 7];
        if let Some(word) = words.next() {
            days = [false; 7];
            for part in word.split(',') {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let (first, last) = (weekday(first).ok_or_else(wrong)?, weekday(last).ok_or_else(wrong)?);
                let length = (last + 7 - first) % 7;
                for (index, day) in days.iter_mut().enumerate() {
                    *day |= (index + 7 - first) % 7 <= length;
                }
            }
        }
        if words.next().is_some() || from == DAY || from == to {
            return Err(wrong());
        }
        Ok(Self { days, from, to })
    }
}

fn weekday(text: &str) -> Option<usize> {
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(text))
}

/// Seconds of the day.
fn clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, most: i64| -> Option<i64> {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_plain && *number <= most)
    };
    let seconds = number(hours, 24)? * 3600 + number(minutes, 59)? * 60;
    (seconds <= DAY).then_some(seconds)
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != [true; 7] {
            let days: Vec<_> = DAYS.iter().zip(self.days).filter(|(_, is_on)| *is_on).map(|(day, _)| *day).collect();
            write!(f, "{} ", days.join(","))?;
        }
        let [from, to] =
            [self.from, self.to].map(|seconds| format!("{:02}:{:02}", seconds / 3600, seconds % 3600 / 60));
        write!(f, "{from}-{to}")
    }
}

/// How far clocks are ahead of UTC, in seconds: `+01:00`. There is no table of time zones in the agent, so daylight saving
/// time is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UtcOffset(i64);

impl FromStr for UtcOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no offset; write one such as \"+01:00\" or \"-03:30\"");
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(wrong()),
        };
        clock(rest).filter(|seconds| *seconds <= 14 * 3600).map(|seconds| Self(sign * seconds)).ok_or_else(wrong)
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::from_secs(self.0.unsigned_abs()).as_secs();
        write!(f, "{}{:02}:{:02}", if self.0 < 0 { '-' } else { '+' }, seconds / 3600, seconds % 3600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339_weak(text).unwrap()
    }

    #[test]
    fn hours_belong_to_the_day_they_begin_on() {
        let hours: QuietHours = "Mon-Fri 22:00-07:00".parse().unwrap();
        // 2026-01-02 was a Friday.
        for (time, is_in) in [
            ("2026-01-02T21:59:59Z", false),
            ("2026-01-02T22:00:00Z", true),
            ("2026-01-03T06:59:59Z", true),
            ("2026-01-03T07:00:00Z", false),
            ("2026-01-03T23:00:00Z", false),
            ("2026-01-05T03:00:00Z", false),
            ("2026-01-05T23:00:00Z", true),
        ] {
            assert_eq!(hours.hold(at(time), UtcOffset::default()), is_in, "{time}");
        }
        let weekend: QuietHours = "Sat,Sun 00:00-24:00".parse().unwrap();
        let east = "+05:30".parse().unwrap();
        assert!(weekend.hold(at("2026-01-02T18:30:00Z"), east) && !weekend.hold(at("2026-01-02T18:29:59Z"), east));
        assert!(!weekend.hold(at("2026-01-04T18:30:00Z"), east));
    }

    #[test]
    fn what_is_shown_reads_back_and_nonsense_does_not() {
        for text in ["22:00-07:00", "Sat,Sun 00:00-24:00", "Mon,Tue 01:30-02:00"] {
            assert_eq!(text.parse::<QuietHours>().unwrap().to_string(), text);
        }
        assert_eq!("fri-mon 22:00-23:00".parse::<QuietHours>().unwrap().to_string(), "Mon,Fri,Sat,Sun 22:00-23:00");
        for text in [
            "",
            "Mon",
            "25:00-26:00",
            "Mun 10:00-11:00",
            "10:00-10:00",
            "a Mon 10:00-11:00",
            "1:00-2:00",
            "24:00-01:00",
        ] {
            assert!(text.parse::<QuietHours>().is_err(), "{text}");
        }
        for text in ["+01:00", "-03:30", "+00:00"] {
            assert_eq!(text.parse::<UtcOffset>().unwrap().to_string(), text);
        }
        for text in ["", "1", "é1:00", "+15:00", "Europe/Berlin"] {
            assert!(text.parse::<UtcOffset>().is_err(), "{text}");
        }
    }
}
