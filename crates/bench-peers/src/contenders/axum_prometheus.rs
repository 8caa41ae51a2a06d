//! axum-prometheus: a counter, a histogram and a gauge over metrics-exporter-prometheus.

use super::{Service, routes};
use crate::{BOUNDS, Result};
use axum_prometheus::{AXUM_HTTP_REQUESTS_DURATION_SECONDS, BaseMetricLayer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

pub(super) fn default() -> Result<Service> {
    wrapped(BaseMetricLayer::new())
}

pub(super) fn sizes() -> Result<Service> {
    wrapped(BaseMetricLayer::with_response_body_size())
}

fn wrapped(layer: BaseMetricLayer<'static>) -> Result<Service> {
    let durations = Matcher::Full(AXUM_HTTP_REQUESTS_DURATION_SECONDS.to_owned());
    super::exporter::installed(
        PrometheusBuilder::new().set_buckets_for_metric(durations, &BOUNDS)?,
        routes().layer(layer),
    )
}
