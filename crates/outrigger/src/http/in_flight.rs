//! The bookkeeping of one request: counted once, however it ends.

use std::sync::Arc;
use std::time::Instant;

use ::http::{Request, StatusCode};
use ::metrics::{Gauge, Label};
use axum::extract::MatchedPath;
use outrigger_semconv::{http, label};

use super::labels::{Failure, KnownMethod, METHODS, RequestLabels, Scheme};
use crate::Metrics;
use crate::late::Late;
use crate::metrics::register_gauge;
use crate::series::{Histograms, Row};

/// The series of all HTTP layers of a [`Metrics`].
pub(crate) struct Series {
    durations: Histograms<RequestLabels>,
    active: [[Late<Gauge>; Scheme::COUNT]; METHODS.len()],
}

impl Default for Series {
    fn default() -> Self {
        Self { durations: Histograms::new(&http::SERVER_REQUEST_DURATION, SERIES_LIMIT), active: Default::default() }
    }
}

impl Series {
    fn active(&self, metrics: &Metrics, method: KnownMethod, scheme: Scheme) -> Gauge {
        let Some(gauge) = self.active.get(method.index()).and_then(|schemes| schemes.get(scheme as usize)) else {
            return Gauge::noop();
        };
        gauge.get(metrics, |recorder| {
            let labels = vec![
                Label::new(label::HTTP_REQUEST_METHOD, method.as_str()),
                Label::new(label::URL_SCHEME, scheme.as_str()),
            ];
            register_gauge(recorder, &http::SERVER_ACTIVE_REQUESTS, labels)
        })
    }
}

/// A request that is being answered. Dropping it ends it, as a panic if the inner service was running, else as
/// cancelled, unless [`finish`](Self::finish) came first.
pub(super) struct InFlight {
    metrics: Metrics,
    route: Arc<Row<RequestLabels>>,
    labels: RequestLabels,
    start: Instant,
    /// The handle that was incremented: a recorder installed in between must not see the decrement only.
    active: Gauge,
    /// Set while the inner service runs. `thread::panicking()` would not do: where the panic is caught, this is
    /// dropped after the unwinding.
    watching: bool,
    recorded: bool,
}

impl InFlight {
    pub(super) fn start<B>(metrics: &Metrics, unknown_scheme: Scheme, request: &Request<B>) -> Self {
        let method = KnownMethod::of(request.method());
        let scheme = match request.uri().scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => unknown_scheme,
        };
        let route = request.extensions().get::<MatchedPath>().map_or(label::UNMATCHED_ROUTE, MatchedPath::as_str);
        let series = metrics.http();
        let active = series.active(metrics, method, scheme);
        active.increment(1.0);
        Self {
            metrics: metrics.clone(),
            route: series.durations.row(route),
            labels: RequestLabels { method, scheme, status: None, failure: None },
            start: Instant::now(),
            active,
            watching: false,
            recorded: false,
        }
    }

    /// Runs a piece of the inner service, so that a panic in it is known as one.
    pub(super) fn watch<T>(&mut self, run: impl FnOnce() -> T) -> T {
        self.watching = true;
        let output = run();
        self.watching = false;
        output
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.labels.status = Some(status.as_u16());
    }

    pub(super) fn method(&self) -> KnownMethod {
        self.labels.method
    }

    /// Records the duration and the outcome; the first call counts. The request stays active until it is dropped.
    pub(super) fn finish(&mut self, failure: Option<Failure>) {
        if !self.recorded {
            self.recorded = true;
            let labels = RequestLabels { failure, ..self.labels };
            let seconds = self.start.elapsed().as_secs_f64();
            self.metrics.http().durations.record(&self.metrics, &self.route, labels, seconds);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.finish(Some(if self.watching { Failure::Panic } else { Failure::Cancelled }));
        self.active.decrement(1.0);
    }
}

/// Label sets of the duration. 150 routes with 6 outcomes each stay below it.
const SERIES_LIMIT: usize = 1000;
