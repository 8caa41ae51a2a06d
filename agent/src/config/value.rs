//! A value as it was written, and what it can be read as.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::tell::Row;

/// What stood behind a key, before anybody knows what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// One value: a TOML scalar, a variable, a flag.
    Text(String),
    /// `name=value,name=value` with names and values percent-encoded, as the OpenTelemetry variables have them.
    Encoded(String),
    /// A TOML array, or a flag that was given several times.
    List(Vec<String>),
    /// A TOML table of scalars.
    Table(Vec<(String, String)>),
    /// A TOML array of tables, `[[like.this]]`.
    Rows(Vec<Row>),
}

impl Value {
    pub(crate) fn text(self) -> Result<String, String> {
        match self {
            Self::Text(text) | Self::Encoded(text) => Ok(text),
            Self::List(_) => Err("a list stands here; write one value".to_owned()),
            Self::Table(_) | Self::Rows(_) => Err("a table stands here; write one value".to_owned()),
        }
    }

    /// A list; one text is split at its commas, since variables and flags know no lists.
    pub(crate) fn list(self) -> Result<Vec<String>, String> {
        match self {
            Self::List(list) => Ok(list),
            Self::Text(text) | Self::Encoded(text) => Ok(split(&text).map(str::to_owned).collect()),
            Self::Table(_) | Self::Rows(_) => {
                Err("a table stands here; write a list such as [\"a\", \"b\"]".to_owned())
            }
        }
    }

    /// Pairs; one text is read as `name=value,name=value`. Pairs may be secrets, so an error names only their place.
    pub(crate) fn pairs(self) -> Result<Vec<(String, String)>, String> {
        // A comma or `=` that is encoded belongs to its value, so decoding comes after splitting.
        let decode = if matches!(self, Self::Encoded(_)) { percent_decode } else { str::to_owned };
        let items = match self {
            Self::Table(pairs) => return Ok(pairs),
            other => other.list()?,
        };
        let pair = |(index, item): (usize, &String)| match item.split_once('=') {
            Some((name, value)) => Ok((decode(name.trim()), decode(value.trim()))),
            None => Err(format!("pair {} has no `=`; write name=value", index + 1)),
        };
        items.iter().enumerate().map(pair).collect()
    }

    /// Rows of a table. Only a file can say them; an empty text or list has none.
    pub(crate) fn rows(self) -> Result<Vec<Row>, String> {
        match self {
            Self::Rows(rows) => Ok(rows),
            Self::List(items) if items.is_empty() => Ok(Vec::new()),
            Self::Text(text) if text.is_empty() => Ok(Vec::new()),
            _ => Err("these are tables; write them in the file, each below a line with its name in [[ ]]".to_owned()),
        }
    }

    pub(crate) fn flag(self) -> Result<bool, String> {
        match self.text()?.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("`{other}` is neither true nor false")),
        }
    }

    pub(crate) fn count(self, range: RangeInclusive<usize>) -> Result<usize, String> {
        let text = self.text()?;
        let digits = text.replace('_', "");
        let number: usize = digits.parse().map_err(|_| format!("`{text}` is no whole number"))?;
        within(number, &range, |number| number.to_string())
    }

    pub(crate) fn duration(self, range: RangeInclusive<Duration>) -> Result<Duration, String> {
        let text = self.text()?;
        if text.parse::<f64>().is_ok() {
            return Err(format!("`{text}` has no unit; write a duration such as \"{}s\"", text.trim()));
        }
        let duration = humantime::parse_duration(text.trim())
            .map_err(|_| format!("`{text}` is no duration; write one such as \"5s\" or \"1m 30s\""))?;
        within(duration, &range, format_duration)
    }

    pub(crate) fn bytes(self, range: RangeInclusive<usize>) -> Result<usize, String> {
        let text = self.text()?;
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim() {
            "" | "B" => Some(0),
            "KiB" => Some(10),
            "MiB" => Some(20),
            "GiB" => Some(30),
            _ => None,
        };
        let bytes = number.parse::<usize>().ok().zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
        let bytes = bytes.ok_or_else(|| format!("`{text}` is no size; write one such as 64MiB"))?;
        within(bytes, &range, format_bytes)
    }
}

/// A size in the largest unit that shows it exactly.
pub(crate) fn format_bytes(bytes: usize) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

pub(crate) fn format_duration(duration: Duration) -> String {
    const DAY: u64 = 86_400;
    // Beyond a month the other form counts in months of 30.44 days.
    match (duration.as_secs(), duration.subsec_nanos()) {
        (seconds, 0) if seconds >= DAY && seconds.is_multiple_of(DAY) => format!("{}days", seconds / DAY),
        _ => humantime::format_duration(duration).to_string(),
    }
}

/// The value if it lies in the range, else what to choose instead.
pub(crate) fn within<T: PartialOrd + Copy>(
    value: T,
    range: &RangeInclusive<T>,
    show: impl Fn(T) -> String,
) -> Result<T, String> {
    if range.contains(&value) {
        Ok(value)
    } else {
        let (least, most) = (show(*range.start()), show(*range.end()));
        Err(format!("{} is out of range; choose {least} to {most}", show(value)))
    }
}

/// Undoes `%20` and its like; what is no such escape stays as it is.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).filter(|_| *first == b'%');
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn sizes_are_read_and_shown_the_same() {
        for (written, bytes) in [("1MiB", 1 << 20), ("3 KiB", 3072), ("17", 17), ("2GiB", 2 << 30)] {
            let read = text(written).bytes(1..=usize::MAX).unwrap();
            assert_eq!(read, bytes, "{written}");
            assert_eq!(text(&format_bytes(read)).bytes(1..=usize::MAX).unwrap(), bytes, "{written}");
        }
        assert!(text("99999999999999999999GiB").bytes(1..=usize::MAX).is_err());
        assert!(text("18446744073709551615GiB").bytes(1..=usize::MAX).is_err());
    }

    #[test]
    fn one_text_can_be_a_list_or_pairs() {
        assert_eq!(text("a, b,,").list().unwrap(), ["a", "b"]);
        assert_eq!(text("a=b=c").pairs().unwrap(), [("a".to_owned(), "b=c".to_owned())]);
        assert!(text("a").pairs().is_err());
    }

    #[test]
    fn encoded_pairs_are_split_before_they_are_decoded() {
        let pairs = |text: &str| Value::Encoded(text.to_owned()).pairs();
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs("a=b%2Cc%3Dd, e=f%20g").unwrap(), [own("a", "b,c=d"), own("e", "f g")]);
        assert_eq!(pairs("a%3Db=c").unwrap(), [own("a=b", "c")]);
        assert_eq!(text("a=b%2Cc").pairs().unwrap(), [own("a", "b%2Cc")], "only the standard variables are encoded");
    }

    #[test]
    fn percent_decoding_leaves_other_text_alone() {
        for (text, plain) in [("a%20b", "a b"), ("100%", "100%"), ("%zz", "%zz"), ("%é", "%é"), ("%2", "%2")] {
            assert_eq!(percent_decode(text), plain);
        }
    }
}
