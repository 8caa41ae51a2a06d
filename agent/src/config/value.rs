//! A value as it was written, and what it can be read as.

use std::time::Duration;

/// What stood behind a key, before anybody knows what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// One value: a TOML scalar, a variable, a flag.
    Text(String),
    /// A TOML array, or a flag that was given several times.
    List(Vec<String>),
    /// A TOML table of scalars.
    Table(Vec<(String, String)>),
}

impl Value {
    pub(crate) fn text(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::List(_) => Err("a list stands here; write one value".to_owned()),
            Self::Table(_) => Err("a table stands here; write one value".to_owned()),
        }
    }

    /// A list; one text is split at its commas, since variables and flags know no lists.
    pub(crate) fn list(self) -> Result<Vec<String>, String> {
        match self {
            Self::List(list) => Ok(list),
            Self::Text(text) => Ok(split(&text).map(str::to_owned).collect()),
            Self::Table(_) => Err("a table stands here; write a list such as [\"a\", \"b\"]".to_owned()),
        }
    }

    /// Pairs; one text is read as `name=value,name=value`.
    pub(crate) fn pairs(self) -> Result<Vec<(String, String)>, String> {
        let items = match self {
            Self::Table(pairs) => return Ok(pairs),
            Self::List(list) => list,
            Self::Text(text) => split(&text).map(str::to_owned).collect(),
        };
        items
            .iter()
            .map(|item| match item.split_once('=') {
                Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
                None => Err(format!("`{item}` has no `=`; write name=value")),
            })
            .collect()
    }

    pub(crate) fn flag(self) -> Result<bool, String> {
        match self.text()?.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("`{other}` is neither true nor false")),
        }
    }

    pub(crate) fn count(self, least: usize, most: usize) -> Result<usize, String> {
        let text = self.text()?;
        let digits = text.replace('_', "");
        let number: usize = digits.parse().map_err(|_| format!("`{text}` is no whole number"))?;
        within(number, least, most, |number| number.to_string())
    }

    pub(crate) fn duration(self, least: Duration, most: Duration) -> Result<Duration, String> {
        let text = self.text()?;
        if text.parse::<f64>().is_ok() {
            return Err(format!("`{text}` has no unit; write a duration such as \"{}s\"", text.trim()));
        }
        let duration = humantime::parse_duration(text.trim())
            .map_err(|_| format!("`{text}` is no duration; write one such as \"5s\" or \"1m 30s\""))?;
        within(duration, least, most, |duration| humantime::format_duration(duration).to_string())
    }

    pub(crate) fn bytes(self, least: usize, most: usize) -> Result<usize, String> {
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
        within(bytes, least, most, format_bytes)
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

fn within<T: PartialOrd + Copy>(value: T, least: T, most: T, show: impl Fn(T) -> String) -> Result<T, String> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{} is out of range; choose {} to {}", show(value), show(least), show(most)))
    }
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
            let read = text(written).bytes(1, usize::MAX).unwrap();
            assert_eq!(read, bytes, "{written}");
            assert_eq!(text(&format_bytes(read)).bytes(1, usize::MAX).unwrap(), bytes, "{written}");
        }
        assert!(text("99999999999999999999GiB").bytes(1, usize::MAX).is_err());
        assert!(text("18446744073709551615GiB").bytes(1, usize::MAX).is_err());
    }

    #[test]
    fn one_text_can_be_a_list_or_pairs() {
        assert_eq!(text("a, b,,").list().unwrap(), ["a", "b"]);
        assert_eq!(text("a=b=c").pairs().unwrap(), [("a".to_owned(), "b=c".to_owned())]);
        assert!(text("a").pairs().is_err());
    }
}
