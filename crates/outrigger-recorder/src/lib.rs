//! A recorder for the [`metrics`] facade that keeps counters, gauges and histograms in constant memory and writes them
//! as Prometheus text or OpenMetrics, piece by piece.
//!
//! See [`Recorder`] for a program. Nothing runs in the background and nothing needs upkeep: an observation is counted
//! where it is made, in atomics, and a page adds up what stands there.
//!
//! # Names
//!
//! Names are written in the classic alphabet: other characters become `_`. Label names of others (`__...`, and `le` on a
//! histogram) get `exported_` in front; of labels with one name the last holds; a label without a value is left out, as
//! Prometheus does. Keys that then have the same labels are **one series**, in whatever order and spelling they came.
//!
//! A name has one kind, the one it was first registered with, and no two metrics may write samples of one name: a gauge
//! `x_count` beside a histogram `x` is refused. What is recorded of a refused metric is counted in
//! `outrigger_series_dropped_total`, and said once in the log.
//!
//! OpenMetrics keeps one more name for a counter or histogram `x`: readers refuse a whole page that has a metric
//! `x_created` beside it. Of two such metrics the one that came second is left off OpenMetrics pages, with all its series,
//! and said once in the log; the other formats and [`Recorder::families`] have both.
//!
//! # Bounds
//!
//! | what | how much | beyond it |
//! |---|---|---|
//! | series of a metric | 10,000 ([`Builder::series_limit`]) | one series `otel_metric_overflow="true"` |
//! | metrics | 1,000 ([`Builder::metric_limit`]) | counted only |
//! | labels of a series | 127, of 16 KiB together | the overflow series |
//! | buckets of a histogram | 1,000 | [`BuildError`] |
//!
//! What is folded or refused is counted in `outrigger_series_dropped_total{metric}`, observations that are NaN or infinite
//! are left out and counted in `outrigger_observations_invalid_total{metric}`.
//!
//! # Exactness
//!
//! No observation is lost or counted twice, whatever happens at once. A histogram's `_count` is the sum of its buckets in
//! every page. Its `_sum` is read before the counts and written after them: what is in `_sum` is in `_count` too, and
//! what a thread was just recording may be in `_count` alone until the next page. A sum that would overflow stays at the
//! largest finite number.
//!
//! # Idle series
//!
//! With [`Builder::idle_timeout`], a page leaves out the series that were not written for so long; it is a page (or
//! [`Recorder::families`]) that looks, as nothing runs in between. A gauge that is set to the value it had was written.
//! - When nobody holds a handle of such a series, it is removed: its memory is free and it counts against no limit. It
//!   begins at zero when it is registered again.
//! - While a handle is still held somewhere, the series is only hidden. As soon as that handle writes, the series is back
//!   with its whole value: what was written to a cached handle is never lost.
//!
//! # Memory
//!
//! Memory depends on the number of series, never on the number of observations. A counter or gauge with three labels
//! takes some 640 bytes, labels and index included, and a histogram some 100 more and 8 for each bucket. Native buckets
//! take 2.6 KiB at most.
//!
//! A histogram that several threads write at once, found by their collisions, gets stripes: for each processor (2 to 16
//! of them) a copy of its counts and sum on cache lines of its own, 128 bytes with up to 15 buckets. It keeps them.

#![deny(missing_docs)]

mod alias;
mod builder;
mod cell;
#[cfg(feature = "exemplars")]
pub mod exemplar;
mod family;
mod format;
mod labels;
mod lock;
mod name;
mod output;
mod page;
mod piece;
mod recorder;
mod registry;
mod sync;

pub use builder::{BuildError, Builder, Matcher};
pub use format::PageFormat;
pub use page::Page;
pub use recorder::Recorder;

/// The program of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
