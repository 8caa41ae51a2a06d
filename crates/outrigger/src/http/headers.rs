//! The layer that measures to the headers: it leaves the body as it is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::held::{self, Held};
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
        let mut in_flight = Held::new(InFlight::start(&self.site, &request));
        let inner = held::call(&mut self.inner, request, &mut in_flight, |_, _| {});
        HeadersFuture { inner, in_flight: Held::into_inner(in_flight) }
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
        InFlight::watch(this.in_flight, true);
        let polled = this.inner.poll(cx);
        InFlight::watch(this.in_flight, false);
        if let (Some(in_flight), Poll::Ready(output)) = (this.in_flight.as_mut(), &polled) {
            match output {
                Ok(response) => {
                    in_flight.answered(response);
                    in_flight.finish(None);
                }
                Err(_) => in_flight.finish(Some(Failure::Service)),
            }
            *this.in_flight = None;
        }
        polled
    }
}

impl<F> fmt::Debug for HeadersFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadersFuture").finish_non_exhaustive()
    }
}
