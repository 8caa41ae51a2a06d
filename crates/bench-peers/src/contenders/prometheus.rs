//! The `prometheus` crate by hand.

use super::{Service, routes, template};
use crate::{BOUNDS, Result};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use prometheus::{HistogramOpts, HistogramVec, Registry, TextEncoder};
use std::time::Instant;

pub(super) fn by_hand() -> Result<Service> {
    let options = HistogramOpts::new("http_request_duration_seconds", "Duration").buckets(BOUNDS.to_vec());
    let durations = HistogramVec::new(options, &["method", "route", "status"])?;
    let registry = Registry::new();
    registry.register(Box::new(durations.clone()))?;
    let page = move || TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default().into_bytes();
    Ok(Service::new(routes().layer(from_fn_with_state(durations, observe)), page))
}

async fn observe(State(durations): State<HistogramVec>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let route = template(&request);
    let response = next.run(request).await;
    let status = response.status();
    durations.with_label_values(&[method.as_str(), &route, status.as_str()]).observe(start.elapsed().as_secs_f64());
    response
}
