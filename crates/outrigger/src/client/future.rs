//! The future of a call: it ends at the response's headers and hands the bookkeeping to the body.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::call::Call;
use crate::message::{announced_length, is_bodiless, is_endless};

pin_project! {
    /// The future of [`ClientMetrics`](super::ClientMetrics).
    pub struct ResponseFuture<F> {
        // Dropped before `inner`, so that its clock does not include the inner future's own drop.
        call: Option<Call>,
        until_headers: bool,
        #[pin]
        inner: F,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, call: Call, until_headers: bool) -> Self {
        Self { call: Some(call), until_headers, inner }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let output = match this.call.as_mut() {
            Some(call) => ready!(call.watch(|| this.inner.poll(cx))),
            None => ready!(this.inner.poll(cx)),
        };
        let call = this.call.take();
        Poll::Ready(match (output, call) {
            (Ok(response), Some(call)) => Ok(follow_body(response, call, *this.until_headers)),
            (Ok(response), None) => Ok(response.map(ResponseBody::unwatched)),
            (Err(error), call) => {
                if let Some(mut call) = call {
                    call.failed(&error);
                }
                Err(error)
            }
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

fn follow_body<R: Body>(response: Response<R>, mut call: Call, until_headers: bool) -> Response<ResponseBody<R>> {
    let status = response.status();
    let remaining = announced_length(response.headers()).or_else(|| response.body().size_hint().exact());
    call.answered(status);

    if until_headers || is_endless(&response, call.method()) {
        call.finish();
    }
    if is_bodiless(status, call.method()) || remaining == Some(0) || response.body().is_end_stream() {
        call.finish();
        return response.map(ResponseBody::unwatched);
    }
    response.map(|inner| ResponseBody::new(inner, call, remaining))
}
