//! The service that measures to the end of the body.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::ResponseBody;
use super::future::ResponseFuture;
use super::held::{self, Held};
use super::in_flight::InFlight;
use super::site::Site;
use super::size::RequestSize;

/// The service that [`HttpMetricsLayer`](super::HttpMetricsLayer) makes.
#[derive(Clone)]
pub struct HttpMetrics<S> {
    inner: S,
    site: Arc<Site>,
}

impl<S> HttpMetrics<S> {
    pub(super) fn new(inner: S, site: Arc<Site>) -> Self {
        Self { inner, site }
    }
}

impl<S, B, R> Service<Request<B>> for HttpMetrics<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body + 'static,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The matched route is on the request only: it must be read before the inner service takes it.
        let mut in_flight = Held::new(InFlight::start(&self.site, &request));
        let inner = held::call(&mut self.inner, request, &mut in_flight, |in_flight, request| {
            if in_flight.wants_sizes() {
                in_flight.request_size(RequestSize::of(request));
            }
        });
        ResponseFuture { inner, in_flight: Held::into_inner(in_flight) }
    }
}

impl<S: fmt::Debug> fmt::Debug for HttpMetrics<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetrics").field("inner", &self.inner).finish_non_exhaustive()
    }
}
