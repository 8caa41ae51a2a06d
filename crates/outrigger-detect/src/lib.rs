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
//!     detector.observe(&Interval { bounds: &bounds, delta: &delta, sum, seconds: 1.0, reset: false })
//! };
//! for _ in 0..60 {
//!     feed([19, 1, 0, 0, 0], 0.5);
//! }
//! let verdict = (0..10).map(|_| feed([12, 1, 0, 7, 0], 2.9)).last().unwrap();
//! assert_eq!(verdict.phase, Phase::Anomalous);
//! println!("{}", verdict.shift.unwrap()); // requests over 250 ms went from 0 % to 35 %; the median did not move ...
//! ```
#![deny(missing_docs)]

mod baseline;
mod errors;
mod evidence;
mod history;
mod interval;
mod latency;
mod quantile;
mod settings;
mod state;
mod tracker;
mod verdict;

pub use errors::ErrorDetector;
pub use interval::{ErrorInterval, Interval};
pub use latency::LatencyDetector;
pub use quantile::quantile;
pub use settings::{ErrorSettings, LatencySettings, Pace};
pub use state::{State, StateError};
pub use verdict::{ErrorShift, LatencyShift, Phase, Quantiles, Shift, Verdict};
