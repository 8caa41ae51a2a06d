//! axum without metrics, and with the price of any layer at all.

use super::{Service, routes};
use crate::Result;
use axum::extract::Request;
use std::task::{Context, Poll};
use tower::Layer;

pub(super) fn without_layer() -> Result<Service> {
    Ok(Service::new(routes(), Vec::new))
}

pub(super) fn with_layer() -> Result<Service> {
    Ok(Service::new(routes().layer(Nothing), Vec::new))
}

#[derive(Clone)]
struct Nothing;

impl<S> Layer<S> for Nothing {
    type Service = DoesNothing<S>;

    fn layer(&self, inner: S) -> DoesNothing<S> {
        DoesNothing(inner)
    }
}

#[derive(Clone)]
struct DoesNothing<S>(S);

impl<S: tower::Service<Request>> tower::Service<Request> for DoesNothing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.0.call(request)
    }
}
