//! Our recorder: its settings, and two ways to have it.

use std::time::Duration;

use outrigger_recorder::{Matcher, Recorder};

use super::InstallError;
use crate::Metrics;

/// Installs our recorder for the whole process and returns the handle to it.
///
/// Every metric of the catalogue is described and every histogram has its buckets. The recorder's memory depends on the
/// number of series alone, and nothing runs in the background. With the feature `process`, each page reads the process
/// anew. For other buckets, native histograms, limits and the like, see [`builder()`].
///
/// Nothing listens yet: see `Metrics::serve_admin`.
///
/// # Errors
/// When the process has a recorder already.
///
/// ```standalone_crate
/// let metrics = outrigger::install()?;
/// assert!(outrigger::install().is_err(), "there is one global recorder per process");
/// # let _ = metrics;
/// # Ok::<(), outrigger::InstallError>(())
/// ```
pub fn install() -> Result<Metrics, InstallError> {
    builder().install()
}

/// As [`install()`], but not global: for tests that run side by side, or a second registry.
///
/// # Errors
/// None with these settings; the type is that of [`Builder::standalone`].
///
/// ```
/// let metrics = outrigger::standalone()?;
/// assert!(metrics.render().is_some_and(|page| page.contains("target_info")));
/// # Ok::<(), outrigger::InstallError>(())
/// ```
pub fn standalone() -> Result<Metrics, InstallError> {
    builder().standalone()
}

/// The settings of our recorder, with their defaults.
///
/// ```standalone_crate
/// use std::time::Duration;
///
/// let metrics = outrigger::builder()
///     .buckets("http_server_request_duration_seconds", &[0.01, 0.1, 0.2, 1.0])
///     .series_limit(5_000)
///     .idle_timeout(Duration::from_secs(3600))
///     .install()?;
/// # let _ = metrics;
/// # Ok::<(), outrigger::InstallError>(())
/// ```
pub fn builder() -> Builder {
    Builder { recorder: Recorder::builder() }
}

/// Settings of our recorder. Made by [`builder()`].
#[must_use = "nothing records until `install()` or `standalone()` is called"]
#[derive(Clone, Debug)]
pub struct Builder {
    recorder: outrigger_recorder::Builder,
}

impl Builder {
    /// The upper bounds of a metric's buckets, ascending and finite; `+Inf` is implied.
    ///
    /// A metric is named in full (a `&str` will do), or by prefix or suffix: the name goes before the longest prefix,
    /// that before the longest suffix. Defaults to the catalogue's buckets, and for histograms of your own whose names
    /// end in `_seconds` or `_bytes` to those of requests and of bodies.
    pub fn buckets(self, metric: impl Into<Matcher>, bounds: &[f64]) -> Self {
        Self { recorder: self.recorder.buckets(metric, bounds) }
    }

    /// Keeps a native (exponential) histogram beside the classic buckets of a metric. Prometheus reads it in its protobuf
    /// format, which the feature `protobuf` adds; a push over OTLP sends it as it is. Defaults to none.
    pub fn native_histogram(self, metric: impl Into<Matcher>) -> Self {
        Self { recorder: self.recorder.native_histogram(metric) }
    }

    /// How many series a metric may have. Past that, observations go to one overflow series
    /// (`otel_metric_overflow="true"`) and are counted in `outrigger_series_dropped_total`.
    ///
    /// It is the last line: the layers and wrappers here have lower limits of their own, and fold into series that say
    /// more.
    pub fn series_limit(self, series: usize) -> Self {
        Self { recorder: self.recorder.series_limit(series) }
    }

    /// Leaves series off the page that nobody wrote to for this long. Defaults to never.
    ///
    /// Nothing is lost by it: while a handle of the series is kept, as they are here, it is only hidden, and comes back
    /// with all that it had counted as soon as the handle writes. A series without handles is removed, and its memory
    /// with it.
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self { recorder: self.recorder.idle_timeout(timeout) }
    }

    /// Installs the recorder for the whole process and returns the handle to it.
    ///
    /// # Errors
    /// When a setting cannot be, or the process has a recorder already.
    pub fn install(self) -> Result<Metrics, InstallError> {
        let recorder = self.build()?;
        ::metrics::set_global_recorder(recorder.clone()).map_err(|_| InstallError::AlreadyInstalled)?;
        Ok(described(recorder))
    }

    /// As [`install`](Self::install), but not global.
    ///
    /// # Errors
    /// When a setting cannot be.
    pub fn standalone(self) -> Result<Metrics, InstallError> {
        Ok(described(self.build()?))
    }

    fn build(self) -> Result<Recorder, InstallError> {
        let builder = self.recorder;
        #[cfg(feature = "exemplars")]
        let builder = builder.exemplar_source(crate::trace::trace_context);
        let recorder = builder.build()?;
        #[cfg(feature = "process")]
        recorder.collector(crate::process::families::now);
        #[cfg(feature = "jemalloc")]
        recorder.collector(crate::allocator::families);
        Ok(recorder)
    }
}

fn described(recorder: Recorder) -> Metrics {
    let metrics = Metrics::from(recorder);
    metrics.describe();
    metrics
}

#[cfg(test)]
mod tests {
    use ::metrics::{Key, Label, Level, Metadata, Recorder as _};

    use super::*;

    const METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

    #[test]
    fn settings_reach_the_page() {
        let recorder = builder().buckets("wait_seconds", &[0.5, 2.0]).series_limit(2).build().unwrap();
        for caller in ["a", "b", "c", "d"] {
            let key = Key::from_parts("wait_seconds", vec![Label::new("caller", caller)]);
            recorder.register_histogram(&key, &METADATA).record(1.0);
        }
        let page = described(recorder).render().unwrap();
        for line in [
            r#"wait_seconds_bucket{caller="a",le="0.5"} 0"#,
            r#"wait_seconds_bucket{caller="b",le="2.0"} 1"#,
            r#"wait_seconds_count{otel_metric_overflow="true"} 2"#,
            r#"outrigger_series_dropped_total{metric="wait_seconds"} 2"#,
        ] {
            assert!(page.contains(line), "{line}: {page}");
        }
    }

    #[test]
    fn what_cannot_be_is_said_with_the_metric_and_the_remedy() {
        let error = builder().buckets("wait_seconds", &[2.0, 1.0]).standalone().unwrap_err();
        assert!(matches!(error, InstallError::Settings(_)));
        let message = error.to_string();
        assert!(message.contains("wait_seconds") && message.contains("greater than the one before"), "{message}");
    }
}
