//! Outrigger's HTTP layer.

use super::{Service, routes};
use crate::Result;
use axum::Router;
use outrigger::Metrics;
use std::sync::Arc;

pub(super) fn default() -> Result<Service> {
    own_recorder(|metrics, routes| routes.layer(metrics.http_layer()))
}

pub(super) fn until_headers() -> Result<Service> {
    own_recorder(|metrics, routes| routes.layer(metrics.http_layer().until_headers()))
}

pub(super) fn sizes() -> Result<Service> {
    own_recorder(|metrics, routes| routes.layer(metrics.http_layer().body_sizes()))
}

pub(super) fn exporter() -> Result<Service> {
    let recorder = Arc::new(outrigger::prometheus_builder().build_recorder());
    let (page, upkeep) = (recorder.handle(), recorder.handle());
    let metrics = Metrics::with_recorder(recorder);
    metrics.describe();
    let service = Service::new(routes().layer(metrics.http_layer()), move || page.render().into_bytes());
    Ok(service.with_upkeep(move || upkeep.run_upkeep()))
}

fn own_recorder(layer: fn(&Metrics, Router) -> Router) -> Result<Service> {
    let metrics = outrigger::standalone()?;
    let router = layer(&metrics, routes());
    Ok(Service::new(router, move || metrics.render().unwrap_or_default().into_bytes()))
}
