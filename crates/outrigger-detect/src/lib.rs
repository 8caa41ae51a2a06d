//! Streaming detection of latency and error anomalies on histogram deltas: numbers in, verdicts out.
//!
//! A detector watches one route. It is fed the change of the route's bucket counters, interval by interval, learns what is
//! normal for this route, and answers each interval with a [`Verdict`]: warming up, calm, or anomalous since when and how.
//! It reads no clock, does no I/O and spawns nothing; time is the sum of the `seconds` it is fed.
//!
//! ```
//! use outrigger_detect::{Interval, LatencyDetector, LatencySettings, Phase};
//!
//! let mut detector = LatencyDetector::new(LatencySettings::default());
//! let bounds = [0.05, 0.1, 0.25, 0.5];
//! let mut feed = |delta: [u64; 5], sum| {
//!     detector.observe(&Interval { at: f64::NAN, bounds: &bounds, delta: &delta, sum, seconds: 1.0, reset: false })
//! };
//! for _ in 0..60 {
//!     feed([19, 1, 0, 0, 0], 0.5);
//! }
//! let verdict = (0..10).map(|_| feed([12, 1, 0, 7, 0], 2.9)).last().unwrap();
//! assert_eq!(verdict.phase, Phase::Anomalous);
//! println!("{}", verdict.shift.unwrap()); // requests over 250 ms went from 0 % to 35 %; the median did not move ...
//! ```
//!
//! [`LatencyDetector`] works on [`Interval`]s of a histogram, [`ErrorDetector`] weighs counts of failures in sequence.
//! For every bucket bound the former keeps the share of requests above it as a baseline, with the noise that this share has shown,
//! and compares six recent windows with it. An anomaly opens when an excess is beyond chance and noise, matters, and lasts;
//! [`LatencySettings`] and [`ErrorSettings`] say what that means in numbers. A [`Shift`] tells what moved.
//!
//! A detector with 15 bounds takes less than 4 KiB and allocates nothing while it runs, but one small vector as an anomaly
//! opens. Its [`State`] can be kept with serde and taken up again. [`quantile`] reads a quantile off a histogram.
//!
//! Any other series, a rate, a queue, CPU or memory, goes to a [`PointDetector`], which ranks each value among the peaks
//! that the series has shown and compares it with the same time of day. A [`TrafficDetector`] finds drops and surges of
//! a request rate, and a [`Forecast`] says when what fills up reaches its limit. A
//! [`BurnRate`] says when the error budget of an objective is spent too fast. [`rank_components`] names the component of a
//! call graph that makes another one slow, [`attribute`] the likely cause by what one service measures of itself.
#![deny(missing_docs)]

mod baseline;
mod burn;
mod bursts;
mod cause;
mod episode;
mod errors;
mod evidence;
mod forecast;
mod history;
mod hours;
mod interval;
mod latency;
mod longterm;
mod native;
mod noise;
mod point;
mod quantile;
mod rhythm;
mod search;
mod series;
mod settings;
mod state;
mod sway;
mod tracker;
mod traffic;
mod verdict;
mod versioned;
mod words;

pub use burn::{Burn, BurnRate, BurnSettings, Urgency};
pub use cause::{
    Attribution, CauseKind, Component, Observation, Part, PartKind, Portion, Suspect, Symptoms, attribute, decompose,
    rank_components,
};
pub use errors::ErrorDetector;
pub use forecast::{Forecast, Outlook, Toward};
pub use interval::{ErrorInterval, Interval};
pub use latency::LatencyDetector;
pub use native::{NativeFold, native_bucket};
pub use point::{PointDetector, PointSettings, PointVerdict, Unusual};
pub use quantile::quantile;
pub use series::SeriesState;
pub use settings::{ErrorSettings, LatencySettings, Pace};
pub use state::{State, StateError};
pub use traffic::{TrafficChange, TrafficDetector, TrafficSettings, TrafficVerdict};
pub use verdict::{Distribution, Ending, ErrorShift, LatencyShift, Phase, Quantiles, Shift, Verdict};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
