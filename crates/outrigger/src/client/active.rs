//! The gauges of calls in flight, capped.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use ::metrics::{Counter, Gauge, Label, Recorder};
use outrigger_semconv::{http, label, library};

use super::labels::server_labels;
use super::target::Target;
use crate::Metrics;
use crate::late::Late;
use crate::message::{KnownMethod, METHODS};
use crate::metrics::{register_counter, register_gauge};

/// A gauge for each method and server.
#[derive(Default)]
pub(super) struct Active {
    servers: RwLock<Servers>,
    overflow: [Late<Gauge>; METHODS.len()],
    dropped: Late<Counter>,
}

#[derive(Default)]
struct Servers {
    by_address: HashMap<Box<str>, Gauges>,
    count: usize,
}

/// By port and method.
type Gauges = HashMap<(Option<u16>, KnownMethod), Gauge>;

impl Active {
    pub(super) fn gauge(&self, metrics: &Metrics, method: KnownMethod, target: &Target<'_>) -> Gauge {
        let address = target.address.as_ref();
        if address == label::OTHER {
            return self.overflow(metrics, method);
        }
        let key = (target.port, method);
        let known = {
            let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
            servers.by_address.get(address).and_then(|gauges| gauges.get(&key)).cloned()
        };
        if let Some(gauge) = known {
            return gauge;
        }
        let register = |recorder: &dyn Recorder| {
            register_gauge(recorder, &http::CLIENT_ACTIVE_REQUESTS, server_labels(method, address, target.port))
        };
        if !metrics.is_installed() {
            return metrics.resolve(register).handle;
        }
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(gauge) = servers.by_address.get(address).and_then(|gauges| gauges.get(&key)) {
            // Another thread added it while this one waited.
            return gauge.clone();
        }
        if servers.count >= SERIES_LIMIT {
            drop(servers);
            return self.overflow(metrics, method);
        }
        servers.count += 1;
        let gauge = metrics.resolve(register).handle;
        servers.by_address.entry(address.into()).or_default().insert(key, gauge.clone());
        gauge
    }

    fn overflow(&self, metrics: &Metrics, method: KnownMethod) -> Gauge {
        let name = http::CLIENT_ACTIVE_REQUESTS.name;
        let dropped = |recorder: &dyn Recorder| {
            register_counter(recorder, &library::SERIES_DROPPED, vec![Label::new(label::METRIC, name)])
        };
        self.dropped.get(metrics, dropped).increment(1);
        let Some(gauge) = self.overflow.get(method.index()) else { return Gauge::noop() };
        gauge.get(metrics, |recorder| {
            register_gauge(recorder, &http::CLIENT_ACTIVE_REQUESTS, server_labels(method, label::OTHER, None))
        })
    }
}

/// Label sets of the gauge. The same as the duration's, which has more labels: this one fills up later.
const SERIES_LIMIT: usize = 1000;
