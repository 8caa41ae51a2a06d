//! Recorders behind the `metrics` facade.

use super::{Registry, route};
use crate::{BOUNDS, Result};
use metrics::{Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use outrigger_recorder::PageFormat;

const NAME: &str = "http_request_duration_seconds";

pub(super) fn ours(series: usize) -> Result<Registry> {
    let builder = outrigger_recorder::Recorder::builder().buckets(NAME, &BOUNDS).series_limit(series);
    let recorder = builder.build()?;
    Ok(Registry::new(handles(&recorder, series), Histogram::record::<f64>, move |send| {
        recorder.page(PageFormat::Text).for_each(|piece| send(&piece));
    }))
}

pub(super) fn exporter(series: usize) -> Result<Registry> {
    let recorder = PrometheusBuilder::new().set_buckets(&BOUNDS)?.build_recorder();
    let page = recorder.handle();
    Ok(Registry::new(handles(&recorder, series), Histogram::record::<f64>, move |send| send(page.render().as_bytes())))
}

fn handles(recorder: &dyn Recorder, series: usize) -> Vec<Histogram> {
    let metadata = Metadata::new("bench", Level::INFO, None);
    let labels =
        |number| vec![Label::new("method", "GET"), Label::new("route", route(number)), Label::new("status", "200")];
    let register = |number| recorder.register_histogram(&Key::from_parts(NAME, labels(number)), &metadata);
    (0..series).map(register).collect()
}
