//! Metric families and the two text formats that carry them: Prometheus text 0.0.4 and OpenMetrics 1.0.
//!
//! - [`parse`] reads a page as a stream of borrowed slices handed to a [`Visitor`]: no allocation, and a bad line is
//!   reported and skipped, never fatal to its neighbours.
//! - [`families`] stands on top of it and builds owned [`Family`] values: samples grouped under their `# TYPE`,
//!   histograms with counts per bucket instead of cumulative ones.
//! - [`Encoder`] writes families, owned or borrowed, into any [`std::fmt::Write`].
//!
//! ```
//! use outrigger_exposition::{Encoder, Format, Sample, Value, Visitor, families, parse};
//!
//! let page = b"# TYPE requests_total counter\nrequests_total{route=\"/cart\"} 3\n";
//!
//! // As a stream, without allocating:
//! struct Sum(f64);
//! impl Visitor for Sum {
//!     fn sample(&mut self, sample: &Sample<'_>) {
//!         self.0 += sample.value;
//!     }
//! }
//! let mut sum = Sum(0.0);
//! let parsed = parse(page, Format::Text, &mut sum);
//! assert_eq!((parsed.samples, parsed.bad_lines, sum.0), (1, 0, 3.0));
//!
//! // As families, and back out in the other format:
//! let read = families(page, Format::Text);
//! assert_eq!(read.families[0].name, "requests");
//! assert_eq!(read.families[0].points[0].value, Value::Counter(3.0));
//! let mut encoder = Encoder::new(Format::OpenMetrics, String::new());
//! for family in &read.families {
//!     encoder.family(family)?;
//! }
//! assert_eq!(
//!     encoder.finish()?,
//!     "# TYPE requests counter\nrequests_total{route=\"/cart\"} 3\n# EOF\n",
//! );
//! # Ok::<(), outrigger_exposition::EncodeError>(())
//! ```
//!
//! The crate does no I/O and starts nothing. Its two dependencies spell numbers, `itoa` whole ones and `zmij` the
//! others: without them a histogram of twelve buckets takes half as many instructions more.
//!
//! # Features
//! - `protobuf`, off by default: encoder and decoder of Prometheus' protobuf format, which native histograms need.

#![deny(missing_docs)]

mod assemble;
mod collect;
mod comment;
mod cursor;
mod encode;
mod escape;
mod families;
mod format;
mod fuzz;
mod labels;
mod model;
mod number;
mod parse;
mod points;
#[cfg(feature = "protobuf")]
pub mod protobuf;
mod sample;
mod scan;
mod write;

pub use encode::{EncodeError, Encoder, Extra, Header, ValueRef};
pub use escape::Escaped;
pub use families::{BadLine, Families, Limits, Problem, ProblemKind, families, families_within};
pub use format::Format;
#[doc(hidden)]
pub use fuzz::fuzz_one;
pub use labels::{Labels, LabelsIter, MAX_LABELS};
pub use model::{
    BucketExemplar, Exemplar, Family, Histogram, Kind, Label, NativeBuckets, NativeHistogram, Point, Quantile, Summary,
    Value,
};
pub use parse::{LineError, MAX_LINE, Parsed, Reason, Visitor, parse};
pub use points::Points;
pub use sample::{ExemplarRef, Sample};

/// The program of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
