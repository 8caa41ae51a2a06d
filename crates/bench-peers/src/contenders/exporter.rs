//! metrics-exporter-prometheus by hand, as the examples of axum have it.

use super::{Service, routes, template};
use crate::{BOUNDS, Result};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use metrics_exporter_prometheus::PrometheusBuilder;
use std::time::Instant;

pub(super) fn by_hand() -> Result<Service> {
    installed(PrometheusBuilder::new().set_buckets(&BOUNDS)?, routes().layer(from_fn(observe)))
}

/// Makes the exporter's recorder the global one.
pub(super) fn installed(builder: PrometheusBuilder, router: Router) -> Result<Service> {
    let recorder = builder.build_recorder();
    let (page, upkeep) = (recorder.handle(), recorder.handle());
    metrics::set_global_recorder(recorder)?;
    Ok(Service::new(router, move || page.render().into_bytes()).with_upkeep(move || upkeep.run_upkeep()))
}

async fn observe(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().as_str().to_owned();
    let route = template(&request);
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::histogram!("http_request_duration_seconds", "method" => method, "route" => route, "status" => status)
        .record(start.elapsed());
    response
}
