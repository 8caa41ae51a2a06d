//! The one encoder: families, owned or borrowed, as a page.

use std::fmt::{self, Display, Write};

use crate::cursor::Class;
use crate::format::Format;
use crate::model::{
    BucketExemplar, Exemplar, Family, Histogram, Kind, Label, NativeHistogram, Point, Quantile, Summary, Value,
};
use crate::points::{Points, Scratch};

/// Writes families as a page, straight into a [`fmt::Write`].
///
/// What holds in both formats: counters end with `_total` and infos with `_info`, whether or not the family's name
/// already does; `le` and `quantile` are spelled as OpenMetrics' canonical floats (`1.0`, `1e+06`), which is what
/// Prometheus 3 makes of every spelling, so a series keeps its identity when the format changes; values have the
/// shortest digits that read back as the same float. A name outside the classic alphabet is written in quotes, which
/// Prometheus reads from version 3 on.
///
/// [`Format::Text`] has no creation times and no exemplars, and knows five kinds: a gauge histogram becomes a
/// histogram, infos and state sets become gauges. Units stand there as comments, which old parsers skip.
///
/// ```
/// use outrigger_exposition::{Encoder, Family, Format, Kind, Label, Point, Value};
///
/// let mut family = Family::new("jobs", Kind::Counter);
/// family.help = Some("Jobs done.".to_owned());
/// family.points.push(Point::new(vec![Label::new("queue", "mail")], Value::Counter(7.0)));
///
/// let mut encoder = Encoder::new(Format::Text, String::new());
/// encoder.family(&family)?;
/// assert_eq!(encoder.finish()?, "\
/// ## HELP jobs_total Jobs done.
/// ## TYPE jobs_total counter
/// jobs_total{queue=\"mail\"} 7
/// ");
/// # Ok::<(), outrigger_exposition::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Encoder<W> {
    pub(crate) format: Format,
    pub(crate) created: bool,
    pub(crate) out: W,
    pub(crate) scratch: Scratch,
}

impl<W: Write> Encoder<W> {
    /// An encoder that writes to `out`, without creation times.
    pub const fn new(format: Format, out: W) -> Self {
        Self { format, created: false, out, scratch: Scratch::new() }
    }

    /// Whether to write the creation times that points have, as `_created` samples. OpenMetrics only. Defaults to no:
    /// to Prometheus each is a series of its own, up to a doubling for counters.
    #[must_use]
    pub const fn with_created(mut self, created: bool) -> Self {
        self.created = created;
        self
    }

    /// Writes an owned family.
    ///
    /// # Errors
    /// See [`Encoder::begin`] and [`Points::point`]; a point whose value's variant disagrees with the family's kind is
    /// [`EncodeError::Value`].
    pub fn family(&mut self, family: &Family) -> Result<(), EncodeError> {
        let mut points = self.begin(family.header())?;
        for point in &family.points {
            if point.value.kind() != family.kind {
                return Err(points.wrong_value());
            }
            points.point(label_pairs(&point.labels), ValueRef::from(&point.value), Extra::of(point))?;
        }
        Ok(())
    }

    /// Writes the head of a family; the points follow through what is returned. This is the way for those who keep
    /// their numbers in a shape of their own and would rather not build a [`Family`].
    ///
    /// Each family's name should come once on a page. A unit is left out where OpenMetrics forbids it: if the name
    /// does not end with it, and for infos and state sets.
    ///
    /// # Errors
    /// The name is empty, or `out` fails.
    ///
    /// ```
    /// use outrigger_exposition::{Encoder, Extra, Format, Header, Kind, ValueRef};
    ///
    /// let mut page = String::new();
    /// let mut encoder = Encoder::new(Format::OpenMetrics, &mut page);
    /// let header = Header { name: "wait_seconds", kind: Kind::Histogram, help: None, unit: Some("seconds") };
    /// let (bounds, counts) = (&[0.1, 1.0], &[4, 2, 1]);
    /// let value = ValueRef::Histogram { bounds, counts, sum: Some(3.5), exemplars: &[], native: None };
    /// encoder.begin(header)?.point([("pool", "main")], value, Extra::default())?;
    /// encoder.finish()?;
    /// assert_eq!(page, "\
    /// ## TYPE wait_seconds histogram
    /// ## UNIT wait_seconds seconds
    /// wait_seconds_bucket{pool=\"main\",le=\"0.1\"} 4
    /// wait_seconds_bucket{pool=\"main\",le=\"1.0\"} 6
    /// wait_seconds_bucket{pool=\"main\",le=\"+Inf\"} 7
    /// wait_seconds_sum{pool=\"main\"} 3.5
    /// wait_seconds_count{pool=\"main\"} 7
    /// ## EOF
    /// ");
    /// # Ok::<(), outrigger_exposition::EncodeError>(())
    /// ```
    pub fn begin<'n>(&mut self, header: Header<'n>) -> Result<Points<'_, 'n, W>, EncodeError> {
        let mut points = self.resume(header)?;
        points.head(header.help, header.unit)?;
        Ok(points)
    }

    /// More points of the family that [`Encoder::begin`] was last called for, with the same header. So a page can be
    /// written in pieces: what has gathered in the writer is taken away ([`Encoder::get_mut`]) between two points.
    ///
    /// # Errors
    /// The name is empty.
    ///
    /// ```
    /// use outrigger_exposition::{Encoder, Extra, Format, Header, Kind, ValueRef};
    ///
    /// let header = Header { name: "workers", kind: Kind::Gauge, help: None, unit: None };
    /// let mut encoder = Encoder::new(Format::Text, String::new());
    /// encoder.begin(header)?.point([("pool", "a")], ValueRef::Number(3.0), Extra::default())?;
    /// assert_eq!(std::mem::take(encoder.get_mut()), "# TYPE workers gauge\nworkers{pool=\"a\"} 3\n");
    /// encoder.resume(header)?.point([("pool", "b")], ValueRef::Number(4.0), Extra::default())?;
    /// assert_eq!(encoder.finish()?, "workers{pool=\"b\"} 4\n");
    /// # Ok::<(), outrigger_exposition::EncodeError>(())
    /// ```
    pub fn resume<'n>(&mut self, header: Header<'n>) -> Result<Points<'_, 'n, W>, EncodeError> {
        Points::new(self, header)
    }

    /// The writer, with what has been written to it since it was last emptied.
    pub const fn get_ref(&self) -> &W {
        &self.out
    }

    /// The writer, to take away what has been written so far.
    pub const fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the page, with `# EOF` in OpenMetrics, and gives the writer back.
    ///
    /// # Errors
    /// `out` fails.
    pub fn finish(mut self) -> Result<W, EncodeError> {
        if self.format == Format::OpenMetrics {
            self.out.write_str("# EOF\n")?;
        }
        Ok(self.out)
    }
}

/// What stands above the points of a family.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// The name, with or without the `_total` of a counter.
    pub name: &'a str,
    /// What the points mean.
    pub kind: Kind,
    /// What the metric means, in words. Carriage returns at its end are left out: they would read as the line's end.
    pub help: Option<&'a str>,
    /// The base unit, such as `seconds`.
    pub unit: Option<&'a str>,
}

impl Family {
    /// What stands above its points.
    pub(crate) fn header(&self) -> Header<'_> {
        Header { name: &self.name, kind: self.kind, help: self.help.as_deref(), unit: self.unit.as_deref() }
    }
}

/// A value, borrowed from wherever it is kept.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// The value of a counter, a gauge, an unknown, an info (1) or a state (0 or 1).
    Number(f64),
    /// The value of a histogram or gauge histogram; the fields are those of [`Histogram`].
    Histogram {
        /// Inclusive upper bounds, finite and ascending.
        bounds: &'a [f64],
        /// Observations in each bucket, not cumulative: one more entry than `bounds`.
        counts: &'a [u64],
        /// The sum of all observations.
        sum: Option<f64>,
        /// Examples, ascending by bucket. OpenMetrics only.
        exemplars: &'a [BucketExemplar],
        /// The same observations in exponential buckets; not in the text formats.
        native: Option<&'a NativeHistogram>,
    },
    /// The value of a summary; the fields are those of [`Summary`].
    Summary {
        /// The quantiles.
        quantiles: &'a [Quantile],
        /// The sum of all observations.
        sum: Option<f64>,
        /// The number of observations.
        count: Option<u64>,
    },
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            &Value::Counter(number) | &Value::Gauge(number) | &Value::Unknown(number) => Self::Number(number),
            Value::Info => Self::Number(1.0),
            &Value::State(holds) => Self::Number(f64::from(u8::from(holds))),
            Value::Histogram(Histogram { bounds, counts, sum, exemplars, native })
            | Value::GaugeHistogram(Histogram { bounds, counts, sum, exemplars, native }) => {
                Self::Histogram { bounds, counts, sum: *sum, exemplars, native: native.as_ref() }
            }
            Value::Summary(Summary { quantiles, sum, count }) => Self::Summary { quantiles, sum: *sum, count: *count },
        }
    }
}

/// What a point may have beside labels and value; nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// When the value was taken, in milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
    /// When a counter, histogram or summary began to count, in seconds since the Unix epoch.
    pub created: Option<f64>,
    /// An example of what a counter counted. OpenMetrics only.
    pub exemplar: Option<&'a Exemplar>,
}

impl<'a> Extra<'a> {
    pub(crate) fn of(point: &'a Point) -> Self {
        Self { timestamp_ms: point.timestamp_ms, created: point.created, exemplar: point.exemplar.as_ref() }
    }
}

/// Whether OpenMetrics lets a family have this unit.
pub(crate) fn unit_fits(name: &str, unit: &str, kind: Kind) -> bool {
    let is_suffix = name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
    let is_word = !unit.is_empty() && unit.bytes().all(|byte| Class::Metric.has(byte));
    is_suffix && is_word && !matches!(kind, Kind::Info | Kind::StateSet)
}

pub(crate) fn label_pairs(labels: &[Label]) -> impl Iterator<Item = (&str, &str)> + Clone {
    labels.iter().map(|label| (label.name.as_str(), label.value.as_str()))
}

/// Why a page could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The writer failed. Writing to a `String` never does.
    Write,
    /// A family has no name.
    EmptyName,
    /// A point's value does not fit its family's kind, or its histogram has not one count more than bounds.
    Value {
        /// The family's name.
        family: String,
        /// The family's kind.
        kind: Kind,
    },
    /// A native histogram has a schema that is none, a threshold that is no width or indices beyond 32 bits. Protobuf
    /// only.
    Native {
        /// The family's name.
        family: String,
    },
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write => f.write_str("the page could not be written: its writer failed"),
            Self::EmptyName => f.write_str("a family has no name: give it one"),
            Self::Value { family, kind: kind @ (Kind::Histogram | Kind::GaugeHistogram) } => {
                write!(f, "family {family:?} is a {kind}: its points need buckets, one count more than bounds")
            }
            Self::Value { family, kind } => {
                write!(f, "family {family:?} is a {kind}: a point's value is of another kind")
            }
            Self::Native { family } => {
                write!(
                    f,
                    "family {family:?}: a native histogram needs a schema from -4 to 8, a zero threshold of zero or more, \
                     and indices within 32 bits"
                )
            }
        }
    }
}

impl std::error::Error for EncodeError {}

impl From<fmt::Error> for EncodeError {
    fn from(_: fmt::Error) -> Self {
        Self::Write
    }
}
