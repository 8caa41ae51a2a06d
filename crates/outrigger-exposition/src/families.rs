//! Owned families from a page: samples grouped under their `# TYPE`.

use std::fmt;

use crate::collect::Collector;
use crate::format::Format;
use crate::model::{Family, Label};
use crate::parse::{LineError, Parsed, Reason, parse};

/// Reads a page to owned families, within [`Limits::default`].
///
/// A sample belongs to the family of the latest `# TYPE` line if that has such a sample, else to the family whose name it
/// bears, else to a new family of [`Kind::Unknown`](crate::Kind::Unknown); so families may interleave and come twice. Points are told apart by
/// labels and timestamp. The buckets of a histogram become counts per bucket, ascending.
///
/// What cannot be put together is left out and reported in [`Families::problems`], the rest of the page stands. A
/// family without samples is kept if it has a `# TYPE`.
///
/// What comes out can be written by [`Encoder`](crate::Encoder) and read again as the same families; in
/// [`Format::Text`] within what that format can say.
#[must_use]
pub fn families(page: &[u8], format: Format) -> Families {
    families_within(page, format, &Limits::default())
}

/// Reads a page to owned families, within `limits`.
#[must_use]
pub fn families_within(page: &[u8], format: Format, limits: &Limits) -> Families {
    let mut collector = Collector::new(*limits);
    let parsed = parse(page, format, &mut collector);
    collector.finish(parsed)
}

/// How much [`families_within`] keeps of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Families. Defaults to 10,000.
    pub families: usize,
    /// Points of all families together, a histogram being one. Defaults to 200,000.
    pub points: usize,
    /// Bad lines, and as many problems. Defaults to 100; all are counted.
    pub reports: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { families: 10_000, points: 200_000, reports: 100 }
    }
}

/// A page as families.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Families {
    /// The families, in the order of their first appearance.
    pub families: Vec<Family>,
    /// How much the page held.
    pub parsed: Parsed,
    /// The first bad lines, [`Limits::reports`] at most; [`Parsed::bad_lines`] has their number.
    pub bad_lines: Vec<BadLine>,
    /// The first problems, [`Limits::reports`] at most.
    pub problems: Vec<Problem>,
    /// The number of problems.
    pub problem_count: u64,
    /// Samples left out because a limit was reached.
    pub over_limit: u64,
}

/// A line that could not be read, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Reason,
    /// How the line begins; invalid UTF-8 is replaced.
    pub start: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LineError { line: self.line, reason: self.reason, start: self.start.as_bytes() }.fmt(f)
    }
}

/// Lines that are well-formed but do not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The family.
    pub family: String,
    /// The point's labels, if it is about one point.
    pub labels: Vec<Label>,
    /// What is wrong.
    pub kind: ProblemKind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.family)?;
        for (index, label) in self.labels.iter().enumerate() {
            write!(f, "{}{}={:?}", if index == 0 { '{' } else { ',' }, label.name, label.value)?;
        }
        write!(f, "{}: {}", if self.labels.is_empty() { "" } else { "}" }, self.kind)
    }
}

/// What does not fit together, and what was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A later `# TYPE` says otherwise, or comes after samples. The first word holds.
    KindChanged,
    /// Two families would have one name. A counter `x_total` beside another family `x` becomes an unknown `x_total`; in
    /// any other case the later family is left out.
    NameClash,
    /// The family's kind has no such sample. The sample is left out.
    UnexpectedSample,
    /// `le` or `quantile` is missing, not a number or out of range. The sample is left out.
    Bound,
    /// The same sample came before. The first one holds.
    Duplicate,
    /// A point has more than 1,000 buckets or quantiles. The sample is left out; the next bucket counts for it.
    TooManyBuckets,
    /// A bucket or a count is not a whole number between 0 and 2^53. The point is left out.
    NotACount,
    /// A bucket counts less than one below it. The point is left out.
    NotMonotone,
    /// The bucket up to `+Inf` is missing; `_count` stands in for it.
    InfinityFromCount,
    /// The bucket up to `+Inf` and `_count` are missing. The point is left out.
    NoInfinity,
    /// `_count` disagrees with the bucket up to `+Inf`. The bucket holds.
    CountMismatch,
    /// An info is not 1, or a state is not 0 or 1 or lacks the label named after the family. The point is left out.
    State,
    /// There is no value, only a creation time. The point is left out.
    Incomplete,
    /// The name does not end with the unit, or the kind has none. The unit is left out.
    Unit,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KindChanged => "a later # TYPE says otherwise or comes after samples; the first word holds",
            Self::NameClash => "another family has this name",
            Self::UnexpectedSample => "the family's kind has no such sample; it is left out",
            Self::Bound => "le or quantile is missing, not a number or out of range; the sample is left out",
            Self::Duplicate => "the same sample came before; the first one holds",
            Self::TooManyBuckets => "more than 1000 buckets or quantiles; the sample is left out",
            Self::NotACount => "a bucket or count is not a whole number up to 2^53; the point is left out",
            Self::NotMonotone => "a bucket counts less than one below it; the point is left out",
            Self::InfinityFromCount => "the +Inf bucket is missing; _count stands in for it",
            Self::NoInfinity => "the +Inf bucket and _count are missing; the point is left out",
            Self::CountMismatch => "_count disagrees with the +Inf bucket; the bucket holds",
            Self::State => "an info must be 1, a state 0 or 1 with a label named after it; the point is left out",
            Self::Incomplete => "there is no value, only a creation time; the point is left out",
            Self::Unit => "the name does not end with the unit, or the kind has none; the unit is left out",
        })
    }
}
