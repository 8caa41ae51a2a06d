//! The nouns: families of points, owned.

use std::fmt;

/// What the points of a family mean, as a `# TYPE` line says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A sum that only rises, and falls back to zero when its process restarts.
    Counter,
    /// A value that can go either way.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
    /// A histogram of a current state, whose counts may fall (OpenMetrics only).
    GaugeHistogram,
    /// Quantiles computed by the exporter.
    Summary,
    /// Labels that describe something, with the value 1 (OpenMetrics only).
    Info,
    /// Named booleans (OpenMetrics only).
    StateSet,
    /// Nothing is said: `untyped` in text 0.0.4, `unknown` in OpenMetrics.
    #[default]
    Unknown,
}

impl Kind {
    /// The word for this kind in OpenMetrics, which has one for each.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }

    /// The kind that a word of either format names, in any case; `None` when neither format knows it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        const KINDS: [(&str, Kind); 9] = [
            ("counter", Kind::Counter),
            ("gauge", Kind::Gauge),
            ("histogram", Kind::Histogram),
            ("summary", Kind::Summary),
            ("untyped", Kind::Unknown),
            ("unknown", Kind::Unknown),
            ("info", Kind::Info),
            ("stateset", Kind::StateSet),
            ("gaugehistogram", Kind::GaugeHistogram),
        ];
        KINDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|&(_, kind)| kind)
    }

    /// What the sample that carries the value appends to the family's name: `_total` for counters, `_info` for infos.
    pub(crate) const fn value_suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            _ => "",
        }
    }

    /// The family's name behind `name`, which may already carry the suffix of its value (`requests_total`).
    pub(crate) fn family_name(self, name: &str) -> &str {
        let suffix = self.value_suffix();
        let mut base = name;
        while let Some(shorter) = base.strip_suffix(suffix) {
            if suffix.is_empty() || shorter.is_empty() {
                break;
            }
            base = shorter;
        }
        base
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A metric: points that share a name, a kind and a meaning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    /// The name as OpenMetrics counts it: without the `_total` of a counter or the `_info` of an info.
    pub name: String,
    /// What the metric means, in words, unescaped.
    pub help: Option<String>,
    /// The base unit, such as `seconds`. OpenMetrics wants the name to end with it.
    pub unit: Option<String>,
    /// What the points mean.
    pub kind: Kind,
    /// One point for each label set.
    pub points: Vec<Point>,
}

impl Family {
    /// A family without points, help or unit.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, ..Self::default() }
    }
}

/// The value of a family for one label set.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The labels, in the order of the page, without `le` and `quantile`.
    pub labels: Vec<Label>,
    /// The value.
    pub value: Value,
    /// When the value was taken, in milliseconds since the Unix epoch; `None` means "at the scrape".
    pub timestamp_ms: Option<i64>,
    /// When a counter, histogram or summary began to count, in seconds since the Unix epoch.
    pub created: Option<f64>,
    /// An example of what a counter counted. Those of a histogram are with its buckets.
    pub exemplar: Option<Exemplar>,
}

impl Point {
    /// A point without timestamp, creation time or exemplar.
    #[must_use]
    pub fn new(labels: Vec<Label>, value: Value) -> Self {
        Self { labels, value, timestamp_ms: None, created: None, exemplar: None }
    }
}

/// A label of a point: a name and its value, unescaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The name.
    pub name: String,
    /// The value, unescaped.
    pub value: String,
}

impl Label {
    /// A label.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// The value of a point. Its variant agrees with the family's [`Kind`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's sum.
    Counter(f64),
    /// A gauge.
    Gauge(f64),
    /// A number of which nothing is known.
    Unknown(f64),
    /// Observations in buckets.
    Histogram(Histogram),
    /// A current state in buckets.
    GaugeHistogram(Histogram),
    /// Quantiles.
    Summary(Summary),
    /// The labels are the information.
    Info,
    /// Whether the state holds that the label with the family's name gives.
    State(bool),
}

impl Value {
    /// The kind of a family that holds such values.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Unknown(_) => Kind::Unknown,
            Self::Histogram(_) => Kind::Histogram,
            Self::GaugeHistogram(_) => Kind::GaugeHistogram,
            Self::Summary(_) => Kind::Summary,
            Self::Info => Kind::Info,
            Self::State(_) => Kind::StateSet,
        }
    }
}

/// Observations counted in buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Inclusive upper bounds, finite and ascending. The last bucket, up to infinity, has none.
    pub bounds: Vec<f64>,
    /// Observations in each bucket, **not** cumulative: one more entry than `bounds`.
    pub counts: Vec<u64>,
    /// The sum of all observations; absent where the exporter does not keep one.
    pub sum: Option<f64>,
    /// Examples of observations, ascending by bucket, at most one for each.
    pub exemplars: Vec<BucketExemplar>,
    /// The same observations in exponential buckets. The text formats have no words for it: it is neither written there
    /// nor read.
    pub native: Option<NativeHistogram>,
}

impl Histogram {
    /// The number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }
}

/// Observations counted in buckets whose bounds grow by a constant factor, as Prometheus' native histograms are.
///
/// With `base = 2^(2^-schema)`, the positive bucket `i` counts what lies in `(base^(i-1), base^i]`, the negative bucket
/// `i` what lies in `[-base^i, -base^(i-1))`, and the zero bucket whatever is closer to zero than its threshold or as
/// close.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeHistogram {
    /// The resolution, -4 to 8: each step doubles the number of buckets.
    pub schema: i32,
    /// The width of the zero bucket on either side of zero; not negative. Better a little above zero: older versions of
    /// Prometheus tell by it that a histogram without observations is a native one.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// Observations above the zero bucket.
    pub positive: NativeBuckets,
    /// Observations below the zero bucket.
    pub negative: NativeBuckets,
}

impl NativeHistogram {
    /// The lowest and the highest [`NativeHistogram::schema`].
    pub const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

    /// The number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counts = self.positive.counts.iter().chain(&self.negative.counts);
        counts.fold(self.zero_count, |sum, &count| sum.saturating_add(count))
    }
}

/// Neighbouring buckets of a [`NativeHistogram`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeBuckets {
    /// The index of the bucket that `counts` begins with.
    pub offset: i32,
    /// Observations in each bucket, **not** cumulative, empty ones included.
    pub counts: Vec<u64>,
}

/// An example of an observation in one bucket of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketExemplar {
    /// The index of the bucket in [`Histogram::counts`].
    pub bucket: usize,
    /// The example.
    pub exemplar: Exemplar,
}

/// Quantiles computed by the exporter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The quantiles, in the order of the page.
    pub quantiles: Vec<Quantile>,
    /// The sum of all observations.
    pub sum: Option<f64>,
    /// The number of observations.
    pub count: Option<u64>,
}

/// One quantile of a summary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// The share of observations at or below `value`, 0 to 1.
    pub quantile: f64,
    /// The value; `NaN` when nothing was observed.
    pub value: f64,
}

/// A reference from a number to something that was counted in it, usually a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// What it refers to, such as `trace_id`.
    pub labels: Vec<Label>,
    /// The observation.
    pub value: f64,
    /// When it was observed, in milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
}

impl Exemplar {
    /// The most characters that names and values of an exemplar's labels may have together. A longer one is neither
    /// read into a family nor written, as OpenMetrics demands.
    pub const MAX_CHARS: usize = 128;

    pub(crate) fn fits(&self) -> bool {
        let chars = |text: &str| text.chars().count();
        self.labels.iter().map(|label| chars(&label.name) + chars(&label.value)).sum::<usize>() <= Self::MAX_CHARS
    }
}
