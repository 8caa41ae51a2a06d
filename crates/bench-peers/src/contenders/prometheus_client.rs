//! The `prometheus-client` crate by hand.

use super::{Service, routes, template};
use crate::{BOUNDS, Result};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::{family::Family, histogram::Histogram};
use prometheus_client::registry::Registry;
use std::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Labels {
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) status: u16,
}

pub(crate) type Durations = Family<Labels, Histogram, fn() -> Histogram>;

pub(crate) fn registered() -> (Registry, Durations) {
    let durations = Durations::new_with_constructor(|| Histogram::new(BOUNDS));
    let mut registry = Registry::default();
    registry.register("http_request_duration_seconds", "Duration", durations.clone());
    (registry, durations)
}

pub(crate) fn encode(registry: &Registry) -> Vec<u8> {
    let mut page = String::new();
    // Writing to a String does not fail.
    _ = text::encode(&mut page, registry);
    page.into_bytes()
}

pub(super) fn by_hand() -> Result<Service> {
    let (registry, durations) = registered();
    let router = routes().layer(from_fn_with_state(durations, observe));
    Ok(Service::new(router, move || encode(&registry)))
}

async fn observe(State(durations): State<Durations>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().as_str().to_owned();
    let route = template(&request);
    let response = next.run(request).await;
    let labels = Labels { method, route, status: response.status().as_u16() };
    durations.get_or_create(&labels).observe(start.elapsed().as_secs_f64());
    response
}
