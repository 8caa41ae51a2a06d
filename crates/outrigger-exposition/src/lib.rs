//! Metric families and the two text formats that carry them: Prometheus text 0.0.4 and OpenMetrics 1.0.
//!
//! - [`parse`] reads a page as a stream of borrowed slices handed to a [`Visitor`]: no allocation, and a bad line is
//!   reported and skipped, never fatal to its neighbours.
//!
//! ```
//! use outrigger_exposition::{Format, Sample, Visitor, parse};
//!
//! struct Sum(f64);
//! impl Visitor for Sum {
//!     fn sample(&mut self, sample: &Sample<'_>) {
//!         self.0 += sample.value;
//!     }
//! }
//! let mut sum = Sum(0.0);
//! let parsed = parse(b"requests_total{route=\"/cart\"} 3\n", Format::Text, &mut sum);
//! assert_eq!((parsed.samples, parsed.bad_lines, sum.0), (1, 0, 3.0));
//! ```
//!
//! The crate does no I/O, starts nothing, and has no dependencies and no features.

#![deny(missing_docs)]

mod comment;
mod cursor;
mod escape;
mod format;
mod labels;
mod model;
mod number;
mod parse;
mod sample;

pub use escape::Escaped;
pub use format::Format;
pub use labels::{Labels, LabelsIter, MAX_LABELS};
pub use model::{BucketExemplar, Exemplar, Family, Histogram, Kind, Label, Point, Quantile, Summary, Value};
pub use parse::{LineError, MAX_LINE, Parsed, Reason, Visitor, parse};
pub use sample::{ExemplarRef, Sample};
