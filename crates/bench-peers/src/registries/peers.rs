//! The `prometheus` and `prometheus-client` crates.

use super::{Registry, route};
use crate::contenders::prometheus_client::{Labels, encode, registered};
use crate::{BOUNDS, Result};
use prometheus::{HistogramOpts, HistogramVec, TextEncoder};

pub(super) fn prometheus(series: usize) -> Result<Registry> {
    let options = HistogramOpts::new("http_request_duration_seconds", "Duration").buckets(BOUNDS.to_vec());
    let durations = HistogramVec::new(options, &["method", "route", "status"])?;
    let registry = prometheus::Registry::new();
    registry.register(Box::new(durations.clone()))?;
    let handle = |number| durations.with_label_values(&["GET", &route(number), "200"]);
    let handles: Vec<prometheus::Histogram> = (0..series).map(handle).collect();
    Ok(Registry::new(handles, prometheus::Histogram::observe, move |send| {
        let page = TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default();
        send(page.as_bytes());
    }))
}

pub(super) fn prometheus_client(series: usize) -> Result<Registry> {
    let (registry, durations) = registered();
    let labels = |number| Labels { method: "GET".to_owned(), route: route(number), status: 200 };
    let handles = (0..series).map(|number| durations.get_or_create_owned(&labels(number))).collect();
    Ok(Registry::new(handles, prometheus_client::metrics::histogram::Histogram::observe, move |send| {
        send(&encode(&registry));
    }))
}
