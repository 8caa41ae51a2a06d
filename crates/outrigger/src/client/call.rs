//! The bookkeeping of one call: counted once, however it ends.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use ::http::{Method, StatusCode};
use ::metrics::Gauge;
use outrigger_semconv::http;

use super::UrlTemplate;
use super::active::Active;
use super::failure::{Failure, Known};
use super::labels::CallLabels;
use super::target::Target;
use crate::Metrics;
use crate::message::KnownMethod;
use crate::series::{Histograms, Row};

/// The series of all client layers of a [`Metrics`].
pub(crate) struct Series {
    durations: Histograms<CallLabels>,
    active: Active,
}

impl Default for Series {
    fn default() -> Self {
        Self { durations: Histograms::new(&http::CLIENT_REQUEST_DURATION, SERIES_LIMIT), active: Active::default() }
    }
}

/// A call that is being made. Dropping it ends it, as a panic if the inner service was running, else as cancelled,
/// unless [`finish`](Self::finish) came first.
pub(super) struct Call {
    metrics: Metrics,
    address: Arc<Row<CallLabels>>,
    labels: CallLabels,
    known: Known,
    start: Instant,
    /// The handle that was incremented: a recorder installed in between must not see the decrement only.
    active: Gauge,
    /// Set while the inner service runs. `thread::panicking()` would not do: where the panic is caught, this is
    /// dropped after the unwinding.
    watching: bool,
    recorded: bool,
}

impl Call {
    pub(super) fn start(
        metrics: &Metrics,
        method: &Method,
        target: &Target<'_>,
        template: Option<UrlTemplate>,
        known: Known,
    ) -> Self {
        let method = KnownMethod::of(method);
        let template = template.map(|UrlTemplate(template)| template);
        let series = metrics.client();
        let active = series.active.gauge(metrics, method, target);
        active.increment(1.0);
        Self {
            metrics: metrics.clone(),
            address: series.durations.row(&target.address),
            labels: CallLabels { method, port: target.port, template, status: None, failure: None },
            known,
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

    pub(super) fn method(&self) -> KnownMethod {
        self.labels.method
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.labels.status = Some(status.as_u16());
    }

    /// There will be no response.
    pub(super) fn failed(&mut self, error: &dyn Any) {
        self.record(Some(self.known.of_call(error)));
    }

    /// There will be no more of the body.
    pub(super) fn body_failed(&mut self, error: &dyn Any) {
        self.record(Some(self.known.of_body(error)));
    }

    /// The body ended before all that was announced had come.
    pub(super) fn body_cut(&mut self) {
        self.record(Some(Failure::Body));
    }

    /// The call went well, whatever the status says. It stays active until it is dropped.
    pub(super) fn finish(&mut self) {
        self.record(None);
    }

    /// Records the duration and the outcome; the first call counts.
    fn record(&mut self, failure: Option<Failure>) {
        if !self.recorded {
            self.recorded = true;
            let labels = CallLabels { failure, ..self.labels };
            let seconds = self.start.elapsed().as_secs_f64();
            self.metrics.client().durations.record(&self.metrics, &self.address, labels, seconds);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.record(Some(if self.watching { Failure::Panic } else { Failure::Cancelled }));
        self.active.decrement(1.0);
    }
}

/// Label sets of the duration.
const SERIES_LIMIT: usize = 1000;
