//! The layer that opens a scope for each request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::Request;
use axum::extract::MatchedPath;
use outrigger_semconv::label;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Entered, InRequest, InScope, RequestScope, Route, THRESHOLD};
use crate::Metrics;

/// Finds statements that come again and again within one request; made by [`Metrics::n_plus_one_layer`].
///
/// ```
/// use axum::{Router, routing::get};
///
/// # async fn orders() {}
/// # fn app(metrics: outrigger::Metrics) -> Router {
/// Router::new()
///     .route("/orders", get(orders))
///     .layer(metrics.n_plus_one_layer())
///     .layer(metrics.http_layer())
/// # }
/// ```
///
/// The scope lasts while the response is made; what a streamed body asks the database later does not count.
#[derive(Clone, Debug)]
pub struct NPlusOneLayer {
    metrics: Metrics,
    threshold: u32,
}

impl NPlusOneLayer {
    /// A layer that writes to these metrics.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), threshold: THRESHOLD }
    }

    /// How often a statement may come within one request; one more is reported. Defaults to 10. Zero reports nothing.
    #[must_use]
    pub fn threshold(self, statements: u32) -> Self {
        Self { threshold: statements, ..self }
    }
}

impl Metrics {
    /// A layer that finds statements that come again and again within one request: see [`db`](crate::db#n1).
    #[must_use]
    pub fn n_plus_one_layer(&self) -> NPlusOneLayer {
        NPlusOneLayer::new(self)
    }
}

impl<S> Layer<S> for NPlusOneLayer {
    type Service = NPlusOne<S>;

    fn layer(&self, inner: S) -> NPlusOne<S> {
        NPlusOne { inner, layer: self.clone() }
    }
}

/// The service that [`NPlusOneLayer`] makes.
#[derive(Clone)]
pub struct NPlusOne<S> {
    inner: S,
    layer: NPlusOneLayer,
}

impl<S, B> Service<Request<B>> for NPlusOne<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = NPlusOneFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let route = match request.extensions().get::<MatchedPath>() {
            Some(path) => Route::Matched(path.clone()),
            None => Route::Named(label::UNMATCHED_ROUTE.into()),
        };
        let mut scope = RequestScope::open(&self.layer.metrics, route, self.layer.threshold);
        // A service may begin its work here already.
        let future = {
            let _entered = Entered::new(&mut scope.0);
            self.inner.call(request)
        };
        NPlusOneFuture { inner: future.in_request(scope) }
    }
}

impl<S: fmt::Debug> fmt::Debug for NPlusOne<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NPlusOne").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`NPlusOne`].
    pub struct NPlusOneFuture<F> {
        #[pin]
        inner: InScope<F>,
    }
}

impl<F: Future> Future for NPlusOneFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(cx)
    }
}

impl<F> fmt::Debug for NPlusOneFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NPlusOneFuture").finish_non_exhaustive()
    }
}
