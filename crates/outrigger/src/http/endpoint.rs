//! An endpoint: what the requests of one route, method and scheme share, with the handles they are recorded through.
//!
//! Handles are found by walking short lists that only grow: no lock, no string to hash, no allocation once an outcome
//! has been seen.

use std::sync::{Arc, OnceLock};

use ::metrics::{Counter, Gauge, Histogram};

use super::labels::{ClassicLabels, Outcome, RequestLabels, Scheme};
use super::layer::Config;
use super::series::Slot;
use crate::message::KnownMethod;

/// What the requests of one route, method and scheme share.
pub(super) struct Endpoint {
    pub(super) config: Arc<Config>,
    pub(super) route: Box<str>,
    pub(super) method: KnownMethod,
    scheme: Scheme,
    /// Of a route that is not measured.
    pub(super) skipped: bool,
    /// Whether the head of a response tells more than a status here.
    pub(super) reads_heads: bool,
    /// Whether bodies are measured here.
    pub(super) wants_sizes: bool,
    /// From where on a request is slow.
    pub(super) slow_seconds: f64,
    active: OnceLock<Active>,
    slots: Slots,
    outcomes: OnceLock<Box<Kept>>,
}

/// What a request has to tell when its layer was asked for more than the duration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct More {
    pub(super) first_byte_seconds: Option<f64>,
    pub(super) request_bytes: Option<u64>,
    pub(super) response_bytes: Option<u64>,
}

/// The gauges of requests in flight.
struct Active {
    conventional: Gauge,
    classic: Gauge,
}

/// Where the metrics that the layer was asked for have their series.
struct Slots {
    duration: Option<Slot<RequestLabels, Histogram>>,
    first_byte: Option<Slot<RequestLabels, Histogram>>,
    request_size: Option<Slot<RequestLabels, Histogram>>,
    response_size: Option<Slot<RequestLabels, Histogram>>,
    classic_duration: Option<Slot<ClassicLabels, Histogram>>,
    classic_requests: Option<Slot<ClassicLabels, Counter>>,
}

/// The handles of an outcome. Those of metrics that were not asked for do nothing.
struct Handles {
    duration: Histogram,
    /// Apart, so that the ordinary layer asks once whether there is more.
    more: Option<Box<MoreHandles>>,
}

struct MoreHandles {
    first_byte: Histogram,
    request_size: Histogram,
    response_size: Histogram,
    classic_duration: Histogram,
    classic_requests: Counter,
}

/// An outcome that has been seen, and the next one.
struct Kept {
    outcome: Outcome,
    handles: Handles,
    next: OnceLock<Box<Kept>>,
}

impl Endpoint {
    pub(super) fn new(config: Arc<Config>, route: &str, method: KnownMethod, scheme: Scheme) -> Self {
        let settings = &config.settings;
        let skipped = settings.skips(route);
        let reads_heads = settings.first_byte || settings.group_status || !settings.labels.is_empty();
        let wants_sizes = settings.body_sizes;
        let slow_seconds = settings.slow.map_or(f64::INFINITY, |threshold| threshold.as_secs_f64());
        let slots = Slots::new(&config, route);
        let (active, outcomes) = (OnceLock::new(), OnceLock::new());
        Self {
            config,
            route: route.into(),
            method,
            scheme,
            skipped,
            reads_heads,
            wants_sizes,
            slow_seconds,
            active,
            slots,
            outcomes,
        }
    }

    /// Whether this is the endpoint of such requests.
    pub(super) fn serves(&self, method: KnownMethod, scheme: Scheme) -> bool {
        self.method == method && self.scheme == scheme
    }

    /// Counts a request as being in flight. `false` when there is nowhere to count, and so nothing to take back: a
    /// recorder that is installed in between must not see the end only.
    #[inline]
    pub(super) fn enter(&self) -> bool {
        match self.active() {
            Some(Active { conventional, classic }) => {
                conventional.increment(1.0);
                classic.increment(1.0);
                true
            }
            None => false,
        }
    }

    /// Takes back what [`enter`](Self::enter) counted.
    #[inline]
    pub(super) fn leave(&self) {
        if let Some(Active { conventional, classic }) = self.active.get() {
            conventional.decrement(1.0);
            classic.decrement(1.0);
        }
    }

    /// Records a request that has ended.
    #[inline]
    pub(super) fn record(&self, outcome: Outcome, seconds: f64, more: impl FnOnce() -> More) {
        match self.kept(outcome) {
            Some(handles) => handles.record(seconds, more),
            None => self.record_new(outcome, seconds, more()),
        }
    }

    #[inline]
    fn active(&self) -> Option<&Active> {
        let known = self.active.get();
        if known.is_some() { known } else { self.find_active() }
    }

    #[cold]
    fn find_active(&self) -> Option<&Active> {
        let Config { metrics, settings, .. } = &*self.config;
        metrics.is_installed().then(|| {
            self.active.get_or_init(|| Active {
                conventional: match settings.naming.is_conventional() {
                    true => metrics.http().active(metrics, self.method, self.scheme),
                    false => Gauge::noop(),
                },
                classic: match settings.naming.is_classic() {
                    true => metrics.http().classic_active(metrics),
                    false => Gauge::noop(),
                },
            })
        })
    }

    #[inline]
    fn kept(&self, outcome: Outcome) -> Option<&Handles> {
        let mut next = &self.outcomes;
        while let Some(kept) = next.get() {
            if kept.outcome == outcome {
                return Some(&kept.handles);
            }
            next = &kept.next;
        }
        None
    }

    #[cold]
    fn record_new(&self, outcome: Outcome, seconds: f64, more: More) {
        let labels = self.labels(outcome);
        match self.slots.handles(&self.config, labels) {
            Some(handles) => {
                handles.record(seconds, || more);
                self.keep(outcome, handles);
            }
            None => self.slots.record(&self.config, labels, seconds, more),
        }
    }

    /// Keeps handles at the end of the list, unless it is long or they are there by now.
    fn keep(&self, outcome: Outcome, handles: Handles) {
        let mut kept = Box::new(Kept { outcome, handles, next: OnceLock::new() });
        let mut next = &self.outcomes;
        for _ in 0..KEPT_OUTCOMES {
            kept = match next.set(kept) {
                Ok(()) => return,
                Err(kept) => kept,
            };
            match next.get() {
                Some(before) if before.outcome != outcome => next = &before.next,
                _ => return,
            }
        }
    }

    fn labels(&self, outcome: Outcome) -> RequestLabels {
        let (status, failure, grpc) = (outcome.status(), outcome.failure(), outcome.grpc());
        let custom = outcome.custom.values(&self.config.settings.labels);
        RequestLabels { method: self.method, scheme: self.scheme, status, failure, grpc, custom }
    }
}

impl Slots {
    fn new(config: &Config, route: &str) -> Self {
        let Config { metrics, settings, .. } = config;
        let (conventional, classic) = (settings.naming.is_conventional(), settings.naming.is_classic());
        Self {
            duration: conventional.then(|| Slot::new(metrics, route, |series| &series.duration)),
            first_byte: settings.first_byte.then(|| Slot::new(metrics, route, |series| &series.first_byte)),
            request_size: settings.body_sizes.then(|| Slot::new(metrics, route, |series| &series.request_size)),
            response_size: settings.body_sizes.then(|| Slot::new(metrics, route, |series| &series.response_size)),
            classic_duration: classic.then(|| Slot::new(metrics, route, |series| &series.classic_duration)),
            classic_requests: classic.then(|| Slot::new(metrics, route, |series| &series.classic_requests)),
        }
    }

    /// All handles of an outcome; `None` if one of them cannot be kept.
    fn handles(&self, config: &Config, labels: RequestLabels) -> Option<Handles> {
        let metrics = &config.metrics;
        let conventional = |slot: &Option<Slot<RequestLabels, Histogram>>| match slot {
            Some(slot) => slot.handle(metrics, labels),
            None => Some(Histogram::noop()),
        };
        let classic = ClassicLabels::from(labels);
        let more = MoreHandles {
            first_byte: conventional(&self.first_byte)?,
            request_size: conventional(&self.request_size)?,
            response_size: conventional(&self.response_size)?,
            classic_duration: match &self.classic_duration {
                Some(slot) => slot.handle(metrics, classic)?,
                None => Histogram::noop(),
            },
            classic_requests: match &self.classic_requests {
                Some(slot) => slot.handle(metrics, classic)?,
                None => Counter::noop(),
            },
        };
        let more = config.settings.wants_more().then(|| Box::new(more));
        Some(Handles { duration: conventional(&self.duration)?, more })
    }

    /// Records without handles.
    fn record(&self, config: &Config, labels: RequestLabels, seconds: f64, more: More) {
        let metrics = &config.metrics;
        let conventional = |slot: &Option<Slot<RequestLabels, Histogram>>, value: Option<f64>| {
            if let (Some(slot), Some(value)) = (slot, value) {
                slot.record(metrics, labels, value);
            }
        };
        conventional(&self.duration, Some(seconds));
        conventional(&self.first_byte, more.first_byte_seconds);
        conventional(&self.request_size, more.request_bytes.map(bytes));
        conventional(&self.response_size, more.response_bytes.map(bytes));
        let classic = ClassicLabels::from(labels);
        if let Some(slot) = &self.classic_duration {
            slot.record(metrics, classic, seconds);
        }
        if let Some(slot) = &self.classic_requests {
            slot.record(metrics, classic, seconds);
        }
    }
}

impl Handles {
    #[inline]
    fn record(&self, seconds: f64, more: impl FnOnce() -> More) {
        self.duration.record(seconds);
        if let Some(handles) = &self.more {
            handles.record(seconds, more());
        }
    }
}

impl MoreHandles {
    fn record(&self, seconds: f64, measured: More) {
        if let Some(seconds) = measured.first_byte_seconds {
            self.first_byte.record(seconds);
        }
        if let Some(count) = measured.request_bytes {
            self.request_size.record(bytes(count));
        }
        if let Some(count) = measured.response_bytes {
            self.response_size.record(bytes(count));
        }
        self.classic_duration.record(seconds);
        self.classic_requests.increment(1);
    }
}

/// Exact up to 8 PiB.
#[allow(clippy::cast_precision_loss, reason = "a body that long has no exact size that anybody reads")]
fn bytes(count: u64) -> f64 {
    count as f64
}

/// Outcomes of one endpoint whose handles are kept; the rest is looked up in the tables each time.
const KEPT_OUTCOMES: usize = 32;
