//! Settings of a recorder.

use std::sync::Arc;
use std::time::Duration;

use outrigger_semconv::{Emitter, buckets};

use crate::name;
use crate::recorder::Recorder;
use crate::registry::Registry;

/// Which metrics a setting is for.
///
/// Names are compared as the page spells them: `http.server` matches what becomes `http_server`. Where several settings
/// fit, the full name holds, else the longest prefix, else the longest suffix; of two equal ones the later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Matcher {
    /// The metric of this name.
    Name(String),
    /// Metrics whose names begin so.
    Prefix(String),
    /// Metrics whose names end so.
    Suffix(String),
}

impl From<&str> for Matcher {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl Matcher {
    /// How closely the matcher fits a name; `None` when it does not.
    fn rank(&self, metric: &str) -> Option<(u8, usize)> {
        match self {
            Self::Name(name) => (name::metric(name) == metric).then_some((2, 0)),
            Self::Prefix(prefix) => metric.starts_with(&*part(prefix)).then_some((1, prefix.len())),
            Self::Suffix(suffix) => metric.ends_with(&*part(suffix)).then_some((0, suffix.len())),
        }
    }
}

/// A part of a name as the page spells it.
fn part(text: &str) -> String {
    // The letter in front keeps a leading digit from being taken for the beginning of the name.
    name::metric(&format!("a{text}")).get(1..).unwrap_or_default().to_owned()
}

/// Settings of a [`Recorder`].
///
/// ```
/// use std::time::Duration;
/// use outrigger_recorder::{Matcher, Recorder};
///
/// let recorder = Recorder::builder()
///     .buckets("checkout_duration_seconds", &[0.1, 0.5, 1.0])
///     .buckets(Matcher::Suffix("_bytes".into()), &[1e3, 1e6, 1e9])
///     .series_limit(2_000)
///     .idle_timeout(Duration::from_secs(600))
///     .build()?;
/// # let _ = recorder;
/// assert!(Recorder::builder().buckets("x", &[2.0, 1.0]).build().is_err());
/// # Ok::<(), outrigger_recorder::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    settings: Settings,
}

/// The most bounds that a histogram may have; our own parser reads no more.
const MOST_BOUNDS: usize = 999;

impl Default for Builder {
    fn default() -> Self {
        Self { settings: Settings { series_limit: 10_000, metric_limit: 1_000, ..Settings::default() } }
    }
}

impl Builder {
    /// The upper bounds of these histograms' buckets, inclusive, finite and ascending. A last bucket up to infinity is
    /// added.
    ///
    /// Without a setting of yours, a metric of [`outrigger_semconv`]'s catalogue has the catalogue's bounds, one whose
    /// name ends in `_bytes` those of bodies, and any other those of requests, in seconds.
    pub fn buckets(mut self, metrics: impl Into<Matcher>, bounds: &[f64]) -> Self {
        self.settings.buckets.push((metrics.into(), bounds.to_vec()));
        self
    }

    /// Gives these histograms native buckets beside the fixed ones: at most 160 on either side of zero, each by the same
    /// factor wider than the one before. The factor begins at 2^(1/256) and is squared whenever what was observed spreads
    /// too wide for it, so that a quantile is never off by more than one bucket. They are handed out by
    /// [`Recorder::families`] and written in protobuf, the one format that has them. Such a histogram takes a lock for each
    /// observation.
    pub fn native_histogram(mut self, metrics: impl Into<Matcher>) -> Self {
        self.settings.native.push(metrics.into());
        self
    }

    /// Where to ask for the span of an observation outside of [`exemplar::scope`](crate::exemplar::scope): asked at each
    /// observation of a histogram, so it should be quick. No lock is held meanwhile; what it records in a histogram itself
    /// makes it be asked again, without end unless it sees to that. Defaults to nowhere.
    #[cfg(feature = "exemplars")]
    pub fn exemplar_source(mut self, source: fn() -> Option<crate::exemplar::TraceContext>) -> Self {
        self.settings.exemplar_source = Some(source);
        self
    }

    /// How many series one metric may have; what comes then goes to a series labelled `otel_metric_overflow="true"`,
    /// and is counted in `outrigger_series_dropped_total`. Defaults to 10,000.
    pub fn series_limit(mut self, series: usize) -> Self {
        self.settings.series_limit = series;
        self
    }

    /// How many metrics there may be; what is recorded of further ones is only counted, in
    /// `outrigger_series_dropped_total`. Defaults to 1,000.
    pub fn metric_limit(mut self, metrics: usize) -> Self {
        self.settings.metric_limit = metrics;
        self
    }

    /// Leaves out series that were not written for so long; see [the crate's page](crate#idle-series). Defaults to never.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = Some(timeout);
        self
    }

    /// Makes the recorder.
    ///
    /// # Errors
    /// The bounds of some buckets are not finite and ascending, or too many.
    pub fn build(self) -> Result<Recorder, BuildError> {
        for (metrics, bounds) in &self.settings.buckets {
            let problem = if bounds.iter().any(|bound| !bound.is_finite()) {
                "each must be finite; the bucket up to +Inf is added"
            } else if !bounds.is_sorted_by(|one, other| one < other) {
                "each must be greater than the one before"
            } else if bounds.len() > MOST_BOUNDS {
                "there may be 999 at most"
            } else {
                continue;
            };
            return Err(BuildError::Bounds { metrics: metrics.clone(), problem });
        }
        Ok(self.into_recorder())
    }

    /// Of settings that are known to be right.
    pub(crate) fn into_recorder(self) -> Recorder {
        Recorder::from_registry(Arc::new(Registry::new(self.settings)))
    }
}

/// Why a recorder could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The bounds of buckets cannot be used.
    #[error("the bucket bounds for {metrics:?} cannot be used: {problem}")]
    Bounds {
        /// Which metrics they were for.
        metrics: Matcher,
        /// What is wrong, and how it should be.
        problem: &'static str,
    },
}

/// What the builder collects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    buckets: Vec<(Matcher, Vec<f64>)>,
    native: Vec<Matcher>,
    #[cfg(feature = "exemplars")]
    pub(crate) exemplar_source: Option<fn() -> Option<crate::exemplar::TraceContext>>,
    pub(crate) series_limit: usize,
    pub(crate) metric_limit: usize,
    pub(crate) idle_timeout: Option<Duration>,
}

impl Settings {
    /// The bounds of the histogram of this name.
    pub(crate) fn bounds(&self, name: &str) -> &[f64] {
        let chosen = best(self.buckets.iter().map(|(metrics, bounds)| (metrics, bounds)), name);
        if let Some(bounds) = chosen {
            return bounds;
        }
        let ours = outrigger_semconv::find(name).filter(|metric| metric.emitter != Emitter::Agent);
        match ours.and_then(|metric| metric.bounds()) {
            Some(bounds) => bounds,
            None if name.ends_with("_bytes") => buckets::BODY_BYTES,
            None => buckets::REQUEST_SECONDS,
        }
    }
}

impl Settings {
    /// Whether the histogram of this name has native buckets too.
    pub(crate) fn is_native(&self, name: &str) -> bool {
        self.native.iter().any(|metrics| metrics.rank(name).is_some())
    }
}

/// The setting that fits the name best; of equals the last.
fn best<'s, T>(settings: impl Iterator<Item = (&'s Matcher, T)>, name: &str) -> Option<T> {
    let fitting = settings.filter_map(|(metrics, value)| Some((metrics.rank(name)?, value)));
    fitting.max_by_key(|(rank, _)| *rank).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(buckets: &[(Matcher, f64)]) -> Settings {
        let buckets = buckets.iter().map(|(metrics, bound)| (metrics.clone(), vec![*bound])).collect();
        Settings { buckets, ..Settings::default() }
    }

    fn prefix(text: &str) -> Matcher {
        Matcher::Prefix(text.to_owned())
    }

    fn suffix(text: &str) -> Matcher {
        Matcher::Suffix(text.to_owned())
    }

    #[test]
    fn the_closest_setting_holds() {
        let settings = settings(&[
            ("shop.wait_seconds".into(), 1.0),
            (prefix("shop."), 2.0),
            (prefix("shop_wait_"), 3.0),
            (suffix("_seconds"), 4.0),
            (suffix("_wait_seconds"), 5.0),
            (prefix("2nd"), 6.0),
            (suffix("_total_seconds"), 7.0),
            (suffix("_total_seconds"), 8.0),
        ]);
        for (name, bound) in [
            ("shop_wait_seconds", 1.0),
            ("shop_queue_seconds", 2.0),
            ("shop_wait_micro_seconds", 3.0),
            ("bus_ride_seconds", 4.0),
            ("bus_wait_seconds", 5.0),
            ("x_total_seconds", 8.0),
            ("http_server_request_duration_seconds", 4.0),
        ] {
            assert_eq!(settings.bounds(name), [bound], "{name}");
        }
    }

    #[test]
    fn defaults() {
        let settings = settings(&[]);
        assert_eq!(settings.bounds("db_client_operation_duration_seconds"), buckets::OPERATION_SECONDS);
        assert_eq!(settings.bounds("upload_bytes"), buckets::BODY_BYTES);
        assert_eq!(settings.bounds("anything"), buckets::REQUEST_SECONDS);
    }

    #[test]
    fn bad_bounds_are_named() {
        let many: Vec<f64> = (0..1000).map(f64::from).collect();
        for bounds in [&[f64::NAN][..], &[1.0, f64::INFINITY], &[1.0, 1.0], &[0.0, -0.0], &[2.0, 1.0], &many] {
            let error = Recorder::builder().buckets("x", bounds).build().unwrap_err();
            assert!(error.to_string().contains("\"x\""), "{error}");
        }
        assert!(Recorder::builder().buckets("x", &many[1..]).buckets("y", &[]).build().is_ok());
    }
}
