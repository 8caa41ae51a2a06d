//! Pushing the metrics over OTLP, without an agent: what is on the page goes to an OpenTelemetry receiver by itself.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = outrigger::install()?;
//! metrics.otlp().start()?; // to http://localhost:4318, or where OTEL_EXPORTER_OTLP_ENDPOINT says
//! // ... serve until the signal to end, and then:
//! metrics.shutdown().await; // the last numbers go out too
//! # Ok(())
//! # }
//! ```
//!
//! # What is sent
//!
//! Everything that is on the page, as OTLP/HTTP protobuf, at each interval and once more in [`Metrics::shutdown`]. Metrics of the catalogue go out under their OpenTelemetry names and attributes and
//! with UCUM units (`http.server.request.duration`, `http.route`, `s`); other metrics keep the names of the page. Counters
//! are monotonic sums, histograms have explicit bounds, those with a native histogram are sent as exponential histograms
//! instead, and exemplars go along with their trace and span ids.
//!
//! Our recorder is read as it is. Of a recorder that only has a page, such as the exporter, the page is rendered and
//! read back: what the text format cannot say, exemplars and native histograms, is not sent then.
//!
//! The resource is what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, with a random `service.instance.id` if
//! they say none; the scope is `outrigger`.
//!
//! # Settings
//!
//! What the program sets goes before the environment. A value of the environment that cannot be used is logged as an
//! error, with the variable's name and what to write, and the default holds: it never stops the service.
//!
//! | setting | environment | default |
//! |---|---|---|
//! | [`endpoint`](Otlp::endpoint) | `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` as it is, or `OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/metrics` behind it | `http://localhost:4318/v1/metrics` |
//! | [`header`](Otlp::header) | `OTEL_EXPORTER_OTLP_METRICS_HEADERS`, `OTEL_EXPORTER_OTLP_HEADERS` | none |
//! | [`interval`](Otlp::interval) | `OTEL_METRIC_EXPORT_INTERVAL` | 60 s |
//! | [`timeout`](Otlp::timeout) | `OTEL_EXPORTER_OTLP_METRICS_TIMEOUT`, `OTEL_EXPORTER_OTLP_TIMEOUT` | 10 s |
//! | [`gzip`](Otlp::gzip) | `OTEL_EXPORTER_OTLP_METRICS_COMPRESSION`, `OTEL_EXPORTER_OTLP_COMPRESSION`: `gzip` or `none` | gzip |
//! | [`delta`](Otlp::delta), [`cumulative`](Otlp::cumulative) | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`: `cumulative`, `delta` or `lowmemory`, which is as `delta` here | cumulative |
//! | | `OTEL_SDK_DISABLED`: `true` pushes nothing | false |
//!
//! `https` needs the feature `otlp-tls`: rustls with ring, and the system's certificates.
//!
//! # Cumulative or delta
//!
//! Cumulative sums count from the start of the process, and a push that fails costs resolution in time and nothing else.
//! With [`delta`](Otlp::delta), a point carries what was added since its series was last delivered, and series to which
//! nothing was added are left out. What a failed push would have carried is in the next one, so the deltas that were
//! taken add up to the totals. A push whose answer is lost on the way may have been taken and is sent again: with either
//! kind an endpoint sees each number at least once, and only deltas mind.
//!
//! That holds for a push that is under way when [`Metrics::shutdown`] is called, too. A cumulative one is broken off, and
//! the last push has all of its numbers. A delta has half a second more to be answered, so that an endpoint that is only
//! slow does not count it twice; without an answer it is as one that was lost, and the last push sends it again.
//!
//! A series that an idle timeout of the recorder has removed begins at zero when it is written again. Deltas know that by
//! its value, which fell, so give an idle timeout some intervals' length.
//!
//! # Failures
//!
//! An endpoint that is away or overloaded (429, 502, 503, 504) is tried again after half a second, then twice that and so
//! on, with jitter, or after what `Retry-After` asks, until the interval is over. All else is not tried again before the
//! next push. The log has a line when the endpoint stops taking metrics, and one when it takes them again;
//! `outrigger_otlp_exports_total` counts requests by `outcome`, except those that the end broke off.
//! `outrigger_otlp_dropped_points_total` counts the points that were not delivered, by `reason`: `rejected` by the
//! endpoint, at each push anew; `retries_exhausted`, those of a last push that failed, since what another push could not
//! deliver is in the next one; `series_limit`; `unsupported` (histograms of gauges, for which OTLP has no word). A collector that panics costs that push, which counts as a failure.
//!
//! # Cost and limits
//!
//! A snapshot of the registry is made, turned into messages and compressed on Tokio's blocking pool, and is gone when the
//! push is over. One request carries at most 10,000 points. Deltas keep the last delivered total of each series, as much
//! memory again as the registry has, for at most 200,000 series; what is past that is left out and counted. Requests
//! never overlap: one connection, one request at a time.

mod delivery;
mod delta;
mod message;
mod native;
mod push;
mod resolver;
mod settings;
#[cfg(test)]
mod tests;

use std::env;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use outrigger_exposition::{Format, families};
use tokio::runtime::Handle;

use self::delivery::Endpoint;
use self::delta::Deltas;
use self::message::{Form, Temporality};
pub(crate) use self::push::Control;
use self::push::{Counts, Push, Source};
use self::settings::{Given, Settings, Unusable};
use crate::Metrics;
use crate::metrics::Page;
use crate::resource::Resource;

impl Metrics {
    /// A push over OTLP, to be adjusted before it starts. See the [module](crate::otlp).
    pub fn otlp(&self) -> Otlp {
        Otlp { metrics: self.clone(), given: Given::default() }
    }
}

/// Settings of a push. See the [module](self).
#[must_use = "nothing is pushed until `start()` is called"]
#[derive(Debug)]
pub struct Otlp {
    metrics: Metrics,
    given: Given,
}

impl Otlp {
    /// Where to push. An address without a path (`http://collector:4318`) gets `/v1/metrics`; one with a path is used as
    /// it is.
    ///
    /// Defaults to the environment's, else `http://localhost:4318/v1/metrics`.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.given.endpoint = Some(endpoint.into());
        self
    }

    /// How often to push, between 100 ms and a day. Defaults to the environment's, else 60 s.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.given.interval = Some(interval);
        self
    }

    /// Adds a header to each request, such as an API key. It goes before one of the environment with the same name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.given.headers.push((name.into(), value.into()));
        self
    }

    /// How long one attempt may take. Defaults to the environment's, else 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.given.timeout = Some(timeout);
        self
    }

    /// Whether to compress. Defaults to the environment's, else yes.
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.given.gzip = Some(gzip);
        self
    }

    /// Sends what was added since the last push. Defaults to the environment's, else [`cumulative`](Self::cumulative).
    pub fn delta(mut self) -> Self {
        self.given.delta = Some(true);
        self
    }

    /// Sends what was counted since the process began. Defaults to the environment's, else this.
    pub fn cumulative(mut self) -> Self {
        self.given.delta = Some(false);
        self
    }

    /// Starts the task that pushes, until [`Metrics::shutdown`].
    ///
    /// The first push comes after half an interval to a whole one, so that services that were started together do not
    /// push together.
    ///
    /// # Errors
    /// When these metrics have no page, there is no Tokio runtime, or the program has set what cannot be. What
    /// is wrong in the environment is no error.
    pub fn start(self) -> Result<OtlpPush, OtlpError> {
        let Self { metrics, given } = self;
        let source = source(&metrics).ok_or(OtlpError::NoPage)?;
        let runtime = Handle::try_current().map_err(|_| OtlpError::NoRuntime)?;
        let complain = |complaint| tracing::error!("{complaint}");
        let settings = Settings::new(given, |name| env::var(name).ok(), complain)?;
        if settings.disabled {
            tracing::info!("OTEL_SDK_DISABLED is set: nothing is pushed over OTLP");
            return Ok(OtlpPush { control: None });
        }
        let start = message::nanos_of(metrics.readers().born());
        let push = Push {
            source,
            endpoint: Endpoint::new(&settings).map_err(OtlpError::Tls)?,
            form: Form { resource: Resource::from_env().attributes(), gzip: settings.gzip, max_points: MAX_POINTS },
            temporality: match settings.delta {
                true => Temporality::Delta(Deltas::new(start, MAX_SERIES)),
                false => Temporality::Cumulative { start },
            },
            interval: settings.interval,
            pause: FIRST_PAUSE,
            counts: Counts::of(&metrics),
        };
        tracing::info!(endpoint = %settings.endpoint, interval = ?settings.interval, "metrics are pushed over OTLP");
        let control = Arc::new(push.start(&runtime));
        metrics.readers().add_push(&control);
        Ok(OtlpPush { control: Some(control) })
    }
}

/// How these metrics are read; `None` when there is no way.
fn source(metrics: &Metrics) -> Option<Source> {
    Some(match metrics.page()?.clone() {
        #[cfg(feature = "recorder")]
        Page::Recorder(recorder) => Arc::new(move || recorder.families()),
        Page::Text(page) => Arc::new(move || families(page().as_bytes(), Format::Text).families),
    })
}

/// A running push. Dropping it leaves the push running; [`Metrics::shutdown`] ends it.
#[derive(Clone)]
pub struct OtlpPush {
    /// `None` when it is disabled by the environment.
    control: Option<Arc<Control>>,
}

impl OtlpPush {
    /// Pushes now, beside the timer, and says whether all of it was taken. Waits for a push that is under way to end
    /// first. `false` when the push has ended or is disabled.
    pub async fn flush(&self) -> bool {
        match &self.control {
            Some(control) => control.flush().await,
            None => false,
        }
    }

    /// Whether it runs: it is not disabled by `OTEL_SDK_DISABLED`, and [`Metrics::shutdown`] has not ended it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.control.as_ref().is_some_and(|control| !control.has_ended())
    }
}

impl fmt::Debug for OtlpPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpPush").field("running", &self.is_running()).finish()
    }
}

/// Why nothing is pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// Nobody has said how these metrics are read.
    #[error(
        "these metrics have no page, and so nothing to push: use the Metrics that outrigger::install() returns, or say \
         how the page is made with Metrics::with_page"
    )]
    NoPage,
    /// It was started outside a Tokio runtime.
    #[error("the push was started outside a Tokio runtime: call start() within one")]
    NoRuntime,
    /// The endpoint that the program has set cannot be used.
    #[error("{endpoint:?} is no OTLP endpoint ({reason}): write a URL such as http://localhost:4318")]
    Endpoint {
        /// What was set.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header that the program has set cannot be sent.
    #[error("the header {name:?} cannot be sent: its name or its value has a character that HTTP does not allow")]
    Header {
        /// Its name.
        name: String,
    },
    /// TLS cannot be used.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
}

impl From<Unusable> for OtlpError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Endpoint { endpoint, reason } => Self::Endpoint { endpoint, reason },
            Unusable::Header { name } => Self::Header { name },
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The most points of one request.
const MAX_POINTS: usize = 10_000;
/// The most series whose last delivered total is kept.
const MAX_SERIES: usize = 200_000;
