//! The future of a response: it ends at the headers and hands the request's bookkeeping to the body.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::in_flight::InFlight;
use super::labels::Failure;
use crate::message::{announced_length, is_bodiless, is_endless};

pin_project! {
    /// The future of [`HttpMetrics`](super::HttpMetrics).
    pub struct ResponseFuture<F> {
        // Dropped before `inner`, so that its clock does not include the inner future's own drop.
        pub(super) in_flight: Option<InFlight>,
        #[pin]
        pub(super) inner: F,
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        InFlight::watch(this.in_flight, true);
        let polled = this.inner.poll(cx);
        InFlight::watch(this.in_flight, false);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(response)) => {
                let length = this.in_flight.as_mut().and_then(|in_flight| in_flight.follow(&response));
                if length == Some(0) {
                    // What has ended needs no watching.
                    *this.in_flight = None;
                }
                let in_flight = this.in_flight.take();
                Poll::Ready(Ok(response.map(|inner| ResponseBody { in_flight, remaining: length, inner })))
            }
            Poll::Ready(Err(error)) => {
                if let Some(mut in_flight) = this.in_flight.take() {
                    in_flight.finish(Some(Failure::Service));
                }
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl InFlight {
    /// Takes what the head of the response tells, and how many bytes are to come, where that is known; zero means that
    /// the request has ended.
    #[inline(always)]
    fn follow<R: Body>(&mut self, response: &Response<R>) -> Option<u64> {
        self.answered(response);
        self.watches_body();
        let length = if is_bodiless(response.status(), self.method()) {
            Some(0)
        } else if self.is_grpc() {
            // The status stands below the body, however many bytes that has.
            response.body().is_end_stream().then_some(0)
        } else {
            response.body().size_hint().exact().or_else(|| self.follow_stream(response))
        };
        if length == Some(0) {
            self.finish(None);
        }
        length
    }

    /// Streams say neither how long they are nor, as a rule, that they are streams.
    fn follow_stream<R: Body>(&mut self, response: &Response<R>) -> Option<u64> {
        if is_endless(response, self.method()) {
            self.forget_body();
            self.finish(None);
        }
        announced_length(response.headers()).or_else(|| response.body().is_end_stream().then_some(0))
    }
}
