//! Libraries with registries of their own.

use super::Histogram;
use crate::contenders::prometheus_client::{Labels, registered};
use crate::{BOUNDS, Result};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use prometheus::{HistogramOpts, HistogramVec};
use std::time::Duration;

const LABELS: [&str; 3] = ["GET", "/products/{id}", "200"];

pub(super) fn prometheus_handle() -> Result<Histogram> {
    let handle = prometheus_vec()?.with_label_values(&LABELS);
    Ok(Histogram::new(move |value| handle.observe(value)))
}

pub(super) fn prometheus_labels() -> Result<Histogram> {
    let durations = prometheus_vec()?;
    Ok(Histogram::new(move |value| durations.with_label_values(&LABELS).observe(value)))
}

fn prometheus_vec() -> Result<HistogramVec> {
    let options = HistogramOpts::new("http_request_duration_seconds", "Duration").buckets(BOUNDS.to_vec());
    Ok(HistogramVec::new(options, &["method", "route", "status"])?)
}

pub(super) fn prometheus_client_handle() -> Result<Histogram> {
    let (_, durations) = registered();
    let handle = durations.get_or_create_owned(&prometheus_client_labelled());
    Ok(Histogram::new(move |value| handle.observe(value)))
}

pub(super) fn prometheus_client_labels() -> Result<Histogram> {
    let (_, durations) = registered();
    Ok(Histogram::new(move |value| durations.get_or_create(&prometheus_client_labelled()).observe(value)))
}

fn prometheus_client_labelled() -> Labels {
    Labels { method: LABELS[0].to_owned(), route: LABELS[1].to_owned(), status: 200 }
}

pub(super) fn opentelemetry_labels() -> Result<Histogram> {
    let day = Duration::from_secs(24 * 60 * 60);
    let reader = PeriodicReader::builder(InMemoryMetricExporter::default()).with_interval(day).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("bench");
    let durations = meter.f64_histogram("http.server.request.duration").with_boundaries(BOUNDS.to_vec()).build();
    let labels = [
        KeyValue::new("http.request.method", LABELS[0]),
        KeyValue::new("http.route", LABELS[1]),
        KeyValue::new("http.response.status_code", 200),
    ];
    Ok(Histogram::new(move |value| {
        // A provider that is dropped shuts its instruments down.
        let _alive = &provider;
        durations.record(value, &labels);
    }))
}
