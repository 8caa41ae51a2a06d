//! The layer that measures to the headers: it leaves the body as it is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::in_flight::InFlight;
use super::labels::Failure;
use super::layer::HttpMetricsLayer;
use super::site::Site;

/// Adds request metrics that end at the headers; made by [`HttpMetricsLayer::until_headers`].
#[derive(Clone, Debug)]
pub struct HttpHeadersLayer(HttpMetricsLayer);

impl HttpHeadersLayer {
    pub(super) fn new(layer: HttpMetricsLayer) -> Self {
        Self(layer)
    }
}

impl<S> Layer<S> for HttpHeadersLayer {
    type Service = HttpHeaders<S>;

    fn layer(&self, inner: S) -> HttpHeaders<S> {
        HttpHeaders { inner, site: self.0.site() }
    }
}

/// The service that [`HttpHeadersLayer`] makes.
#[derive(Clone)]
pub struct HttpHeaders<S> {
    inner: S,
    site: Arc<Site>,
}

impl<S, B, R> Service<Request<B>> for HttpHeaders<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = HeadersFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(mut in_flight) = InFlight::start(&self.site, &request) else {
            return HeadersFuture { in_flight: None, inner: self.inner.call(request) };
        };
        let inner = in_flight.watch(|| self.inner.call(request));
        HeadersFuture { in_flight: Some(in_flight), inner }
    }
}

impl<S: fmt::Debug> fmt::Debug for HttpHeaders<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpHeaders").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`HttpHeaders`].
    pub struct HeadersFuture<F> {
        // Dropped before `inner`, so that its clock does not include the inner future's own drop.
        in_flight: Option<InFlight>,
        #[pin]
        inner: F,
    }
}

impl<F, R, E> Future for HeadersFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(in_flight) = this.in_flight else {
            return this.inner.poll(cx);
        };
        let output = ready!(in_flight.watch(|| this.inner.poll(cx)));
        match &output {
            Ok(response) => {
                in_flight.answered(response);
                in_flight.finish(None);
            }
            Err(_) => in_flight.finish(Some(Failure::Service)),
        }
        *this.in_flight = None;
        Poll::Ready(output)
    }
}

impl<F> fmt::Debug for HeadersFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadersFuture").finish_non_exhaustive()
    }
}
