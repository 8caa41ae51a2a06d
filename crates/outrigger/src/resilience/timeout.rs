//! Calls that are waited for so long and no longer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::metrics::Counter;
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tokio::time::error::Elapsed;
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxError, Dependency};

impl Dependency {
    /// Waits so long for a future, as [`tokio::time::timeout`], and counts where that was not enough.
    ///
    /// # Errors
    /// [`Elapsed`] when the time was over first; the future is dropped then.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed> {
        // Known from now on, at zero.
        let timeouts = self.timeouts();
        timeouts.increment(0);
        let ended = tokio::time::timeout(limit, future).await;
        if ended.is_err() {
            timeouts.increment(1);
        }
        ended
    }

    /// A layer that waits so long for each call. The service's error becomes a boxed one, and is tower's
    /// [`Elapsed`](tower::timeout::error::Elapsed) where the time was over first.
    #[must_use]
    pub fn timeout_layer(&self, limit: Duration) -> TimeoutLayer {
        self.timeouts().increment(0);
        TimeoutLayer { dependency: self.clone(), limit }
    }
}

/// Makes [`TimeoutService`]s: what [`Dependency::timeout_layer`] returns.
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    dependency: Dependency,
    limit: Duration,
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = TimeoutService<S>;

    fn layer(&self, inner: S) -> TimeoutService<S> {
        TimeoutService { inner, layer: self.clone() }
    }
}

/// A service whose calls are waited for so long.
#[derive(Clone, Debug)]
pub struct TimeoutService<S> {
    inner: S,
    layer: TimeoutLayer,
}

impl<R, S> Service<R> for TimeoutService<S>
where
    S: Service<R, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        TimeoutFuture {
            response: self.inner.call(request),
            sleep: tokio::time::sleep(self.layer.limit),
            timeouts: self.layer.dependency.timeouts(),
        }
    }
}

pin_project! {
    /// A call of a [`TimeoutService`].
    pub struct TimeoutFuture<F> {
        #[pin]
        response: F,
        #[pin]
        sleep: Sleep,
        timeouts: Counter,
    }
}

impl<F, T, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(ended) = this.response.poll(context) {
            return Poll::Ready(ended.map_err(Into::into));
        }
        if this.sleep.poll(context).is_pending() {
            return Poll::Pending;
        }
        this.timeouts.increment(1);
        Poll::Ready(Err(tower::timeout::error::Elapsed::new().into()))
    }
}

impl<F> fmt::Debug for TimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").finish_non_exhaustive()
    }
}
