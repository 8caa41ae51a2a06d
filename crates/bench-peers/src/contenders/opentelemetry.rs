//! The two layers over OpenTelemetry's SDK. Nothing is exported while we measure.

use super::{Service, routes};
use crate::{BOUNDS, Result};
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use std::time::Duration;

const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn axum_otel_metrics() -> Result<Service> {
    use opentelemetry_sdk_032::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(NEVER).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let layer = axum_otel_metrics::HttpMetricsLayerBuilder::new()
        .with_provider(provider.clone())
        .with_duration_buckets(BOUNDS.to_vec())
        .build();
    Ok(Service::new(routes().layer(layer), move || {
        _ = provider.force_flush();
        let page = format!("{:#?}", exporter.get_finished_metrics());
        exporter.reset();
        page.into_bytes()
    }))
}

pub(super) fn tower() -> Result<Service> {
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(NEVER).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    opentelemetry::global::set_meter_provider(provider.clone());
    let layer = LayerBuilder::builder().with_tracing(false).build()?;
    Ok(Service::new(routes().layer(layer), move || {
        _ = provider.force_flush();
        let page = format!("{:#?}", exporter.get_finished_metrics());
        exporter.reset();
        page.into_bytes()
    }))
}
