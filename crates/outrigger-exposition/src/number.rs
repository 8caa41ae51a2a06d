//! Numbers as pages spell them: values, and timestamps in milliseconds or seconds.

/// A value or a bound in any spelling that the formats or their exporters use: `1`, `0.25`, `1e-3`, `NaN`, `+Inf`.
pub(crate) fn float(text: &str) -> Option<f64> {
    plain_decimal(text.as_bytes()).or_else(|| text.parse().ok())
}

/// Milliseconds since the epoch, as text 0.0.4 writes them: an integer.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Milliseconds since the epoch from OpenMetrics' decimal seconds. Digits are read as digits, since 0.001 has no exact
/// float: what the encoder writes comes back exactly. Finer digits are rounded half away from zero.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..)?),
        [b'+', ..] => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_decimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if digits.len() < 2 && !digits.bytes().all(|byte| byte.is_ascii_digit()) || digits.is_empty() {
        return None;
    }
    if !(is_decimal(whole) && is_decimal(fraction)) {
        return milliseconds_of(text.parse().ok()?);
    }
    let mut total: i128 = if whole.is_empty() { 0 } else { whole.parse::<i128>().ok()?.checked_mul(1000)? };
    let mut decimals = fraction.bytes().map(|byte| i128::from(byte - b'0'));
    for unit in [100, 10, 1] {
        total += unit * decimals.next().unwrap_or(0);
    }
    total += i128::from(decimals.next().is_some_and(|digit| digit >= 5));
    i64::try_from(if negative { -total } else { total }).ok()
}

fn milliseconds_of(seconds: f64) -> Option<i64> {
    let milliseconds = (seconds * 1000.0).round();
    // Above this floats are coarser than anything a clock says, and the cast would clip.
    (milliseconds.abs() < 9.2e18).then_some(milliseconds as i64)
}

/// Integers and short decimals, which is nearly every value of a page. Both the digits and the power of ten are exact
/// floats here, so the one division rounds correctly (Clinger, "How to read floating point numbers accurately", 1990).
/// `None` means "ask the standard library".
fn plain_decimal(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 18] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17];
    const EXACT: u64 = 1 << 53;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    // Seventeen digits and a point cannot overflow the sum.
    if digits.len() > 18 {
        return None;
    }
    let mut mantissa = 0_u64;
    let mut point = None;
    for (index, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(index),
            _ => return None,
        }
    }
    let decimals = point.map_or(0, |point| digits.len() - point - 1);
    let has_digits = digits.len() > usize::from(point.is_some());
    if !has_digits || mantissa > EXACT {
        return None;
    }
    let value = mantissa as f64 / POWERS.get(decimals)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_agree_with_the_standard_library() {
        for text in [
            "0",
            "-0",
            "+0",
            "1",
            "-1",
            "+1",
            "007",
            "0.5",
            ".5",
            "5.",
            "-.5",
            "123456.789",
            "9007199254740992",
            "9007199254740993",
            "99999999999999999",
            "999999999999999999",
            "0.1",
            "0.30000000000000004",
            "1e3",
            "1E-3",
            "1.7976931348623157e308",
            "5e-324",
            "0.00000000000000001",
            "1234567890.1234567",
            "12345678901234567890",
        ] {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(float(text).map(f64::to_bits), Some(expected.to_bits()), "{text}");
        }
    }

    #[test]
    fn special_values() {
        for text in ["NaN", "nan", "+NaN", "-nan"] {
            assert!(float(text).unwrap().is_nan(), "{text}");
        }
        for text in ["+Inf", "Inf", "inf", "+inf", "Infinity"] {
            assert_eq!(float(text), Some(f64::INFINITY), "{text}");
        }
        assert_eq!(float("-Inf"), Some(f64::NEG_INFINITY));
        for text in ["", ".", "+", "-", "-.", "1.2.3", "0x1", "1_000", "--1", "1,5", "e5", " 1"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps() {
        assert_eq!(milliseconds("1395066363000"), Some(1_395_066_363_000));
        assert_eq!(milliseconds("-1"), Some(-1));
        assert_eq!(milliseconds("1.5"), None);
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(1000)),
            ("1520879607.789", Some(1_520_879_607_789)),
            ("1520879607.7894", Some(1_520_879_607_789)),
            ("1520879607.7895", Some(1_520_879_607_790)),
            ("-0.5", Some(-500)),
            (".5", Some(500)),
            ("5.", Some(5000)),
            ("1.5e3", Some(1_500_000)),
            ("9223372036854775.807", Some(i64::MAX)),
            ("-9223372036854775.808", Some(i64::MIN)),
            ("9223372036854775.808", None),
            ("1e300", None),
            ("NaN", None),
            ("+Inf", None),
            ("", None),
            (".", None),
            ("-", None),
            ("1.2.3", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
