//! Every series of request metrics of a [`Metrics`], whichever layer writes to it.

use std::sync::Arc;

use ::metrics::{Counter, Gauge, Label};
use outrigger_semconv::{classic, http, label};

use super::labels::{ClassicLabels, RequestLabels, Scheme};
use crate::Metrics;
use crate::late::Late;
use crate::message::{KnownMethod, METHODS};
use crate::metrics::register_gauge;
use crate::series::{Histograms, Instrument, LabelSet, Row, Table};

/// The series of all HTTP layers of a [`Metrics`].
pub(crate) struct Series {
    pub(super) duration: Histograms<RequestLabels>,
    pub(super) first_byte: Histograms<RequestLabels>,
    pub(super) request_size: Histograms<RequestLabels>,
    pub(super) response_size: Histograms<RequestLabels>,
    pub(super) classic_duration: Histograms<ClassicLabels>,
    pub(super) classic_requests: Table<ClassicLabels, Counter>,
    active: [[Late<Gauge>; Scheme::COUNT]; METHODS.len()],
    classic_active: Late<Gauge>,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            duration: Table::new(&http::SERVER_REQUEST_DURATION, SERIES_LIMIT),
            first_byte: Table::new(&http::SERVER_REQUEST_TIME_TO_FIRST_BYTE, SERIES_LIMIT),
            request_size: Table::new(&http::SERVER_REQUEST_BODY_SIZE, SERIES_LIMIT),
            response_size: Table::new(&http::SERVER_RESPONSE_BODY_SIZE, SERIES_LIMIT),
            classic_duration: Table::new(&classic::HTTP_REQUEST_DURATION, SERIES_LIMIT),
            classic_requests: Table::new(&classic::HTTP_REQUESTS, SERIES_LIMIT),
            active: Default::default(),
            classic_active: Late::default(),
        }
    }
}

impl Series {
    /// The gauge of requests in flight.
    pub(super) fn active(&self, metrics: &Metrics, method: KnownMethod, scheme: Scheme) -> Gauge {
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

    /// The same under its classic name.
    pub(super) fn classic_active(&self, metrics: &Metrics) -> Gauge {
        self.classic_active.get(metrics, |recorder| register_gauge(recorder, &classic::ACTIVE_CONNECTIONS, Vec::new()))
    }
}

/// The row of a route in one table, and the way to a series in it.
pub(super) struct Slot<K, I> {
    table: fn(&Series) -> &Table<K, I>,
    row: Arc<Row<K, I>>,
}

impl<K: LabelSet, I: Instrument> Slot<K, I> {
    pub(super) fn new(metrics: &Metrics, route: &str, table: fn(&Series) -> &Table<K, I>) -> Self {
        Self { table, row: table(metrics.http()).row(route) }
    }

    /// A handle to keep, if there is one.
    pub(super) fn handle(&self, metrics: &Metrics, key: K) -> Option<I> {
        (self.table)(metrics.http()).handle(metrics, &self.row, key)
    }

    pub(super) fn record(&self, metrics: &Metrics, key: K, value: f64) {
        (self.table)(metrics.http()).record(metrics, &self.row, key, value);
    }
}

/// Label sets of each metric. 150 routes with 6 outcomes each stay below it.
pub(super) const SERIES_LIMIT: usize = 1000;
