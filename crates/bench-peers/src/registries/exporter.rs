//! metrics-exporter-prometheus.

use super::{Registry, route};
use crate::{BOUNDS, Result};
use metrics::{Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;

pub(super) fn build(series: usize) -> Result<Registry> {
    let recorder = PrometheusBuilder::new().set_buckets(&BOUNDS)?.build_recorder();
    let page = recorder.handle();
    let handles = (0..series).map(|number| handle(&recorder, number)).collect();
    Ok(Registry::new(handles, Histogram::record::<f64>, move |send| send(page.render().as_bytes())))
}

pub(super) fn handle(recorder: &dyn Recorder, number: usize) -> Histogram {
    let labels = vec![Label::new("method", "GET"), Label::new("route", route(number)), Label::new("status", "200")];
    let metadata = Metadata::new("bench", Level::INFO, None);
    recorder.register_histogram(&Key::from_parts("http_request_duration_seconds", labels), &metadata)
}
