//! The future of a call: it ends at the response's headers and hands the bookkeeping to the body.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::call::Call;
use super::labels::KnownMethod;

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
    let remaining = body_length(response.headers(), response.body());
    call.answered(status);

    let upgraded =
        status == StatusCode::SWITCHING_PROTOCOLS || (call.method() == KnownMethod::CONNECT && status.is_success());
    if until_headers || upgraded || is_event_stream(response.headers()) {
        call.finish();
    }
    let bodiless = call.method() == KnownMethod::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS);
    if bodiless || remaining == Some(0) || response.body().is_end_stream() {
        call.finish();
        return response.map(ResponseBody::unwatched);
    }
    response.map(|inner| ResponseBody::new(inner, call, remaining))
}

/// How many bytes will come. A caller that knows may stop reading there, and not see the body say that it has ended.
fn body_length<R: Body>(headers: &HeaderMap, body: &R) -> Option<u64> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    announced.or_else(|| body.size_hint().exact())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}
