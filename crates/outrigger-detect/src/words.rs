//! Numbers as a person reads them.

use std::fmt;

/// A number with three significant digits: `0.0125`, `3.2`, `118`, `45200`, `1.2e12`.
pub(crate) struct Number(pub(crate) f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        let size = number.abs();
        if size == 0.0 || !size.is_finite() {
            return f.write_str(if size == 0.0 { "0" } else { "?" });
        }
        let magnitude = size.log10().floor() as i32;
        if !(-4..9).contains(&magnitude) {
            return write!(f, "{number:.1e}");
        }
        let decimals = usize::try_from(2 - magnitude).unwrap_or(0);
        let text = format!("{number:.decimals$}");
        f.write_str(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
    }
}

/// A length of time, from seconds: `45 s`, `40 min`, `3.5 h`, `4 days`.
pub(crate) struct Lasting(pub(crate) f64);

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        if seconds < 100.0 {
            write!(f, "{seconds:.0} s")
        } else if seconds < 5970.0 {
            write!(f, "{:.0} min", seconds / 60.0)
        } else if seconds < 36.0 * 3600.0 {
            write!(f, "{} h", Number((seconds / 360.0).round() / 10.0))
        } else {
            write!(f, "{} days", Number((seconds / 8640.0).round() / 10.0))
        }
    }
}

/// A share as a percentage of two digits or three: `0.12 %`, `2.8 %`, `120 %`.
pub(crate) struct Share(pub(crate) f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        let rounded = if percent < 10.0 { (percent * 10.0).round() / 10.0 } else { percent.round() };
        write!(f, "{} %", Number(if percent < 0.1 { percent } else { rounded }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Lasting, Number};

    #[test]
    fn times_have_a_unit_of_their_size() {
        for (seconds, text) in
            [(45.2, "45 s"), (2400.0, "40 min"), (12_600.0, "3.5 h"), (36_000.0, "10 h"), (345_600.0, "4 days")]
        {
            assert_eq!(Lasting(seconds).to_string(), text);
        }
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.01251, "0.0125"),
            (3.2, "3.2"),
            (9.999, "10"),
            (-118.4, "-118"),
            (45_200.0, "45200"),
            (1.23e12, "1.2e12"),
            (1e-9, "1.0e-9"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(Number(number).to_string(), text);
        }
    }
}
