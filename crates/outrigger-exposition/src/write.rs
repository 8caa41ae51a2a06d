//! Numbers and text as the encoder spells them.

use std::fmt::{self, Display, Formatter, Write};

use crate::scan;

/// Writes a value: the shortest digits that read back as the same float, with an exponent only where zeros would be
/// counted.
pub(crate) fn write_float(out: &mut impl Write, value: f64) -> fmt::Result {
    // Below 2^53 every digit of a whole number counts. Zero may be negative.
    let whole = value as i64;
    if whole != 0 && whole as f64 == value && whole.unsigned_abs() < 1 << 53 {
        if whole < 0 {
            out.write_char('-')?;
        }
        return out.write_str(Digits::default().of(whole.unsigned_abs()));
    }
    if let Some(word) = word(value) {
        out.write_str(word)
    } else if (1e-5..1e16).contains(&value.abs()) {
        let mut digits = zmij::Buffer::new();
        let text = digits.format_finite(value);
        out.write_str(text.strip_suffix(".0").unwrap_or(text))
    } else if value == 0.0 {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    }
}

/// The digits of a whole number, on the stack.
#[derive(Default)]
pub(crate) struct Digits(itoa::Buffer);

impl Digits {
    #[inline]
    pub(crate) fn of(&mut self, number: u64) -> &str {
        self.0.format(number)
    }
}

/// The value of `le` and `quantile`, in OpenMetrics' canonical spelling (`0.5`, `1.0`, `1e+06`) in **both** formats.
///
/// A label is compared as text, so `le="1"` in one format and `le="1.0"` in the other would be two series. Prometheus 3
/// turns every spelling into this one when it scrapes, and Go's client has always written it in OpenMetrics.
pub(crate) struct Bound(pub(crate) f64);

impl Display for Bound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if let Some(word) = word(value) {
            return f.write_str(word);
        }
        // Go's `strconv.FormatFloat(value, 'g', -1, 64)` leaves plain decimals at these powers.
        if value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
            return fmt::Debug::fmt(&value, f);
        }
        let mut digits = Scientific::default();
        write!(digits, "{value:e}")?;
        let (mantissa, exponent) = digits.as_str().split_once('e').ok_or(fmt::Error)?;
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        write!(f, "{mantissa}e{sign}{exponent:0>2}")
    }
}

fn word(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// Room for a float in scientific notation (at most 17 digits, point, two signs, `e`, three digits), on the stack.
#[derive(Default)]
struct Scientific {
    bytes: [u8; 32],
    len: usize,
}

impl Scientific {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl Write for Scientific {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// A timestamp in OpenMetrics' decimal seconds, exactly.
pub(crate) struct Seconds(pub(crate) i64);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, milliseconds) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        if milliseconds == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{milliseconds:03}") }
    }
}

/// Writes `text` with backslashes, line feeds and, if `quotes`, double quotes escaped.
#[inline]
pub(crate) fn escaped(out: &mut impl Write, text: &str, quotes: bool) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = scan::find_special(rest.as_bytes(), quotes) {
        let (plain, special) = rest.split_at(at);
        out.write_str(plain)?;
        let mut characters = special.chars();
        out.write_str(match characters.next() {
            Some('\n') => "\\n",
            Some('"') => "\\\"",
            _ => "\\\\",
        })?;
        rest = characters.as_str();
    }
    out.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (1e16, "1e16"),
            (1e-5, "0.00001"),
            (1e-6, "1e-6"),
            (f64::MAX, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut written = String::new();
            write_float(&mut written, value).unwrap();
            assert_eq!(written, text);
            assert_eq!(crate::number::float(text).map(|read| format!("{read:?}")), Some(format!("{value:?}")));
        }
    }

    #[test]
    fn floats_agree_with_the_standard_library() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut plain, mut ties) = (0, 0);
        for round in 0..300_000 {
            let value = match round % 4 {
                0 => f64::from_bits(rng.u64(..)),
                1 => (rng.f64() - 0.5) * 10_f64.powi(rng.i32(-7..20)),
                2 => rng.i64(..) as f64 / 10_f64.powi(rng.i32(0..8)),
                _ => rng.i32(-100_000..100_000).into(),
            };
            if !value.is_finite() {
                continue;
            }
            let is_plain = value == 0.0 || (1e-5..1e16).contains(&value.abs());
            plain += u32::from(is_plain);
            let mut written = String::new();
            write_float(&mut written, value).unwrap();
            let expected = if is_plain { format!("{value}") } else { format!("{value:e}") };
            // Of two shortest spellings that are as close to the float the standard library takes the upper one, zmij
            // the even one, as Go and Python do: 1196014486897859.25 ends with .3 or with .2.
            assert_eq!(written.len(), expected.len(), "{written} {expected}");
            assert_eq!(written.parse(), Ok(value), "{expected}");
            ties += u32::from(written != expected);
        }
        assert!(plain > 100_000 && ties < plain / 50, "{plain} {ties}");
    }

    #[test]
    fn bounds_as_go_spells_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-10, "1.5e-10"),
            (0.5, "0.5"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (10.0, "10.0"),
            (100_000.0, "100000.0"),
            (1_000_000.0, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (-1_048_576.5, "-1.0485765e+06"),
            (1e100, "1e+100"),
            (f64::MIN, "-1.7976931348623157e+308"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(Bound(value).to_string(), text);
        }
    }

    #[test]
    fn seconds() {
        for (milliseconds, text) in [
            (0, "0"),
            (1, "0.001"),
            (-1, "-0.001"),
            (1_520_879_607_789, "1520879607.789"),
            (1_520_879_607_000, "1520879607"),
            (i64::MAX, "9223372036854775.807"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(Seconds(milliseconds).to_string(), text);
            assert_eq!(crate::number::seconds(text), Some(milliseconds));
        }
    }

    #[test]
    fn escapes() {
        let escape = |quotes| {
            let mut out = String::new();
            escaped(&mut out, "a\\b\n\"é\"", quotes).unwrap();
            out
        };
        assert_eq!(escape(true), r#"a\\b\n\"é\""#);
        assert_eq!(escape(false), r#"a\\b\n"é""#);
    }
}
