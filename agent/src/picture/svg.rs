//! What all drawings share: escaped text, axes, and the way times and durations are written.

use std::fmt::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use crate::time::writable;

/// Text that was written by others, made safe for elements and attributes.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML has no way to say these, and nobody can read them.
                other if other.is_control() && !matches!(other, '\n' | '\t') => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A place in a picture, in pixels, with a digit behind the point.
pub(crate) struct Px(pub(crate) f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() } else { 0.0 };
        if tenths % 10.0 == 0.0 { write!(f, "{:.0}", tenths / 10.0) } else { write!(f, "{:.1}", tenths / 10.0) }
    }
}

/// A latency in the unit that a reader expects.
pub(crate) struct Latency(pub(crate) f64);

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            seconds if seconds >= 0.9995 => (seconds, "s"),
            seconds if seconds >= 0.000_999_5 => (seconds * 1e3, "ms"),
            seconds => (seconds * 1e6, "µs"),
        };
        write!(f, "{} {unit}", Short(value))
    }
}

/// A number with as many digits as it deserves, three at most.
pub(crate) struct Short(pub(crate) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0.abs() {
            value if value >= 99.95 => 0,
            value if value >= 9.995 => 1,
            _ => 2,
        };
        let text = format!("{:.digits$}", self.0);
        f.write_str(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
    }
}

/// A share as a percentage.
pub(crate) struct Percent(pub(crate) f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 * 100.0 {
            0.0 => f.write_str("0 %"),
            percent if percent < 0.01 => f.write_str("< 0.01 %"),
            percent => write!(f, "{} %", Short(percent)),
        }
    }
}

/// A moment of UTC, from seconds since the epoch, such as `2026-11-21T18:24:10Z`.
pub(crate) fn moment(seconds: f64) -> String {
    let since = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    let time = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_seconds(writable(time)).to_string()
}

/// The time of day of a moment: `18:24:10`.
pub(crate) fn clock(seconds: f64) -> String {
    moment(seconds).get(11..19).unwrap_or_default().to_owned()
}

/// Round times between two moments, at most about `most` of them, with the words for each.
pub(crate) fn time_ticks(from: f64, to: f64, most: f64) -> Vec<(f64, String)> {
    const STEPS: [f64; 18] = [
        1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0,
        43_200.0, 86_400.0, 604_800.0,
    ];
    let least = (to - from) / most;
    let step = STEPS.into_iter().find(|step| *step >= least).unwrap_or(least);
    if step.is_nan() || step <= 0.0 {
        return Vec::new();
    }
    let first = (from / step).ceil();
    let count = ((to / step).floor() - first).clamp(-1.0, 100.0) as i64;
    let word = |at: f64| {
        let moment = moment(at);
        let part = if step >= 86_400.0 {
            5..10
        } else if step >= 60.0 {
            11..16
        } else {
            11..19
        };
        moment.get(part).unwrap_or_default().to_owned()
    };
    (0..=count).map(|number| (first + number as f64) * step).map(|at| (at, word(at))).collect()
}

/// The next number of the form 1, 2 or 5 times a power of ten: where an axis ends.
pub(super) fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|round| *round >= value).unwrap_or(value)
}

/// A straight line between two points.
pub(super) fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let (x1, y1, x2, y2) = (Px(from.0), Px(from.1), Px(to.0), Px(to.1));
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
}

/// Words at a point; the class says how they are aligned.
pub(super) fn text(svg: &mut String, class: &str, (x, y): (f64, f64), words: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", Px(x), Px(y), Text(words));
}
