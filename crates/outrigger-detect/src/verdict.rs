//! What a detector answers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a detector stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Still learning what is normal: nothing is judged. A route with little traffic may stay here for long.
    #[default]
    WarmingUp,
    /// As usual.
    Calm,
    /// Worse than usual, persistently and by an amount that matters.
    Anomalous,
}

/// The answer to one interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Where the detector stands after the interval.
    pub phase: Phase,
    /// How far the worst recent window is above the baseline, in standard deviations of the route's own noise: finite,
    /// never negative, 0 while nothing is judged (warm-up, grace after a restart). A high score alone opens no
    /// anomaly: the change must also matter and last.
    pub score: f64,
    /// What moved: present exactly while the phase is [`Phase::Anomalous`], and brought up to date by every interval.
    pub shift: Option<Shift>,
    /// Why the anomaly ended: present exactly in the one interval that ends it.
    pub ended: Option<Ending>,
}

/// Why a route is no longer [`Phase::Anomalous`]. Only the first of these is good news.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Recent requests are like the baseline again.
    Recovered,
    /// It did not recover: after [`Pace::adopt_seconds`](crate::Pace::adopt_seconds), or because the histogram came with
    /// other bounds, the route as it is now is learnt as the new normal.
    Adopted,
    /// Nobody knows: there were no requests for [`Pace::idle_seconds`](crate::Pace::idle_seconds).
    Idle {
        /// Seconds since the interval of the last request ended.
        seconds: f64,
    },
}

/// How a route differs from its baseline. `Display` says it in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// From a [`LatencyDetector`](crate::LatencyDetector).
    Latency(LatencyShift),
    /// From an [`ErrorDetector`](crate::ErrorDetector).
    Errors(ErrorShift),
}

impl Shift {
    /// Seconds between the estimated onset and the end of the latest interval.
    #[must_use]
    pub fn onset_seconds_ago(&self) -> f64 {
        match self {
            Self::Latency(shift) => shift.onset_seconds_ago,
            Self::Errors(shift) => shift.onset_seconds_ago,
        }
    }

    /// Requests since the onset.
    #[must_use]
    pub fn requests(&self) -> u64 {
        match self {
            Self::Latency(shift) => shift.requests,
            Self::Errors(shift) => shift.requests,
        }
    }

    /// Requests since the onset that were slower, or failed, in excess of the baseline.
    #[must_use]
    pub fn affected(&self) -> u64 {
        match self {
            Self::Latency(shift) => shift.affected,
            Self::Errors(shift) => shift.affected,
        }
    }
}

/// How the latency of a route differs from its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyShift {
    /// Seconds between the estimated onset and the end of the latest interval. The onset is the most likely change
    /// point, so it lies before the verdict that reported it first.
    pub onset_seconds_ago: f64,
    /// Quantiles of the baseline.
    pub before: Quantiles,
    /// Quantiles since the onset.
    pub during: Quantiles,
    /// The bucket bound, in seconds, that the shift is told by: the highest of those that markedly more requests exceed.
    pub bound: f64,
    /// Share of the baseline's requests that took longer than `bound`.
    pub share_before: f64,
    /// Share of the requests since the onset that took longer than `bound`.
    pub share_during: f64,
    /// Requests since the onset.
    pub requests: u64,
    /// Requests since the onset that took longer than `bound` in excess of the baseline's share.
    pub affected: u64,
    /// Seconds that the requests since the onset took beyond what as many took in the baseline on average: the time
    /// lost, by which routes can be ranked. Never negative.
    pub added_seconds: f64,
}

/// How requests spread over the buckets of a histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Upper bounds of the buckets in seconds; the last bucket has none.
    pub bounds: Vec<f64>,
    /// The share of the baseline's requests in each bucket, one more than there are bounds.
    pub before: Vec<f64>,
    /// The share of the requests since the onset in each bucket.
    pub during: Vec<f64>,
}

/// How the error ratio of a route differs from its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ErrorShift {
    /// Seconds between the estimated onset and the end of the latest interval.
    pub onset_seconds_ago: f64,
    /// Share of failed requests in the baseline.
    pub ratio_before: f64,
    /// Share of failed requests since the onset.
    pub ratio_during: f64,
    /// Requests since the onset.
    pub requests: u64,
    /// Requests since the onset that failed in excess of the baseline's share.
    pub affected: u64,
}

/// Three latency quantiles in seconds, interpolated in their buckets (see [`quantile`](crate::quantile)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(shift) => shift.fmt(f),
            Self::Errors(shift) => shift.fmt(f),
        }
    }
}

impl fmt::Display for LatencyShift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "requests over {} went from {} to {}; ",
            Seconds(self.bound),
            Percent(self.share_before),
            Percent(self.share_during)
        )?;
        moved(f, "the median", self.before.p50, self.during.p50)?;
        f.write_str(", ")?;
        moved(f, "p95", self.before.p95, self.during.p95)?;
        f.write_str(", ")?;
        moved(f, "p99", self.before.p99, self.during.p99)?;
        since(f, self.affected, self.requests, "slower", self.onset_seconds_ago)
    }
}

impl fmt::Display for ErrorShift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed requests went from {} to {}", Percent(self.ratio_before), Percent(self.ratio_during))?;
        since(f, self.affected, self.requests, "failed", self.onset_seconds_ago)
    }
}

fn moved(f: &mut fmt::Formatter<'_>, what: &str, before: f64, during: f64) -> fmt::Result {
    // Below a quarter the buckets' interpolation decides, not the service.
    if during > before * 1.25 {
        write!(f, "{what} rose from {} to {}", Seconds(before), Seconds(during))
    } else if during < before * 0.75 {
        write!(f, "{what} fell from {} to {}", Seconds(before), Seconds(during))
    } else {
        write!(f, "{what} did not move ({})", Seconds(during))
    }
}

fn since(f: &mut fmt::Formatter<'_>, affected: u64, requests: u64, how: &str, seconds: f64) -> fmt::Result {
    write!(f, "; {affected} of {requests} requests {how} beyond the usual in {}", Seconds(seconds))
}

/// A time in the unit that a reader expects: `12 ms`, `1.5 s`, `3 min`.
struct Seconds(f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        if seconds >= 120.0 {
            write!(f, "{:.0} min", seconds / 60.0)
        } else if seconds >= 9.95 {
            write!(f, "{seconds:.0} s")
        } else if seconds >= 0.9995 {
            let text = format!("{seconds:.1}");
            write!(f, "{} s", text.strip_suffix(".0").unwrap_or(&text))
        } else if seconds >= 0.00995 {
            write!(f, "{:.0} ms", seconds * 1e3)
        } else {
            let text = format!("{:.1}", seconds * 1e3);
            write!(f, "{} ms", text.strip_suffix(".0").unwrap_or(&text))
        }
    }
}

/// A share as a percentage with as many digits as it deserves.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        if percent > 0.0 && percent < 0.05 {
            f.write_str("< 0.1 %")
        } else if percent < 9.95 {
            let text = format!("{percent:.1}");
            write!(f, "{} %", text.strip_suffix(".0").unwrap_or(&text))
        } else {
            write!(f, "{percent:.0} %")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorShift, LatencyShift, Percent, Quantiles, Seconds};

    #[test]
    fn shifts_speak() {
        let shift = LatencyShift {
            onset_seconds_ago: 42.3,
            before: Quantiles { p50: 0.012, p95: 0.081, p99: 0.21 },
            during: Quantiles { p50: 0.013, p95: 0.29, p99: 1.2 },
            bound: 0.25,
            share_before: 0.011,
            share_during: 0.048,
            requests: 812,
            affected: 30,
            added_seconds: 9.0,
        };
        assert_eq!(
            shift.to_string(),
            "requests over 250 ms went from 1.1 % to 4.8 %; the median did not move (13 ms), p95 rose from 81 ms to 290 ms, \
             p99 rose from 210 ms to 1.2 s; 30 of 812 requests slower beyond the usual in 42 s"
        );
        let shift =
            ErrorShift { onset_seconds_ago: 200.0, ratio_before: 0.0, ratio_during: 0.25, requests: 20, affected: 5 };
        assert_eq!(
            shift.to_string(),
            "failed requests went from 0 % to 25 %; 5 of 20 requests failed beyond the usual in 3 min"
        );
    }

    #[test]
    fn numbers_keep_the_digits_they_deserve() {
        for (seconds, text) in [
            (0.0, "0 ms"),
            (0.0025, "2.5 ms"),
            (0.01, "10 ms"),
            (0.9994, "999 ms"),
            (1.0, "1 s"),
            (7.53, "7.5 s"),
            (42.3, "42 s"),
            (119.0, "119 s"),
            (600.0, "10 min"),
        ] {
            assert_eq!(Seconds(seconds).to_string(), text);
        }
        for (share, text) in
            [(0.0, "0 %"), (0.0001, "< 0.1 %"), (0.011, "1.1 %"), (0.05, "5 %"), (0.333, "33 %"), (1.0, "100 %")]
        {
            assert_eq!(Percent(share).to_string(), text);
        }
    }
}
