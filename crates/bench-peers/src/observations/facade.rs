//! Through the `metrics` facade, into the recorder that is installed.

use super::Histogram;
use crate::{BOUNDS, Result};
use metrics_exporter_prometheus::PrometheusBuilder;
use outrigger_recorder::Recorder;

/// A constant, as programs keep their names in. Where the name is a literal, the macro costs some 250 instructions less.
const NAME: &str = "http_request_duration_seconds";

pub(super) fn ours_handle() -> Result<Histogram> {
    ours(by_handle)
}

pub(super) fn ours_macro() -> Result<Histogram> {
    ours(by_macro)
}

fn ours<F: Fn(f64) + Send + Sync + 'static>(observe: fn() -> F) -> Result<Histogram> {
    metrics::set_global_recorder(Recorder::builder().buckets(NAME, &BOUNDS).build()?)?;
    Ok(Histogram::new(observe()))
}

pub(super) fn exporter_handle() -> Result<Histogram> {
    exporter(by_handle)
}

pub(super) fn exporter_macro() -> Result<Histogram> {
    exporter(by_macro)
}

fn exporter<F: Fn(f64) + Send + Sync + 'static>(observe: fn() -> F) -> Result<Histogram> {
    let recorder = PrometheusBuilder::new().set_buckets(&BOUNDS)?.build_recorder();
    let upkeep = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(Histogram::new(observe()).with_upkeep(move || upkeep.run_upkeep()))
}

fn by_handle() -> impl Fn(f64) + Send + Sync + 'static {
    let handle = metrics::histogram!(NAME, "method" => "GET", "route" => "/products/{id}", "status" => "200");
    move |value| handle.record(value)
}

fn by_macro() -> impl Fn(f64) + Send + Sync + 'static {
    |value| {
        metrics::histogram!(NAME, "method" => "GET", "route" => "/products/{id}", "status" => "200").record(value);
    }
}
