//! The future of a response: it ends at the headers and hands the request's bookkeeping to the body.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::in_flight::InFlight;
use super::labels::{Failure, KnownMethod};

pin_project! {
    /// The future of [`HttpMetrics`](super::HttpMetrics).
    pub struct ResponseFuture<F> {
        // Dropped before `inner`, so that its clock does not include the inner future's own drop.
        in_flight: Option<InFlight>,
        until_headers: bool,
        #[pin]
        inner: F,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, in_flight: InFlight, until_headers: bool) -> Self {
        Self { in_flight: Some(in_flight), until_headers, inner }
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
        let output = match this.in_flight.as_mut() {
            Some(in_flight) => ready!(in_flight.watch(|| this.inner.poll(cx))),
            None => ready!(this.inner.poll(cx)),
        };
        let in_flight = this.in_flight.take();
        Poll::Ready(match output {
            Ok(response) => Ok(match in_flight {
                Some(in_flight) => follow_body(response, in_flight, *this.until_headers),
                None => response.map(ResponseBody::unwatched),
            }),
            Err(error) => {
                if let Some(mut in_flight) = in_flight {
                    in_flight.finish(Some(Failure::Service));
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

fn follow_body<R: Body>(
    response: Response<R>,
    mut in_flight: InFlight,
    until_headers: bool,
) -> Response<ResponseBody<R>> {
    let status = response.status();
    let remaining = body_length(response.headers(), response.body());
    in_flight.answered(status);

    let upgraded = status == StatusCode::SWITCHING_PROTOCOLS
        || (in_flight.method() == KnownMethod::CONNECT && status.is_success());
    if until_headers || upgraded || is_event_stream(response.headers()) {
        in_flight.finish(None);
    }
    // Servers drop these bodies without reading them: nothing is left to wait for.
    let bodiless = in_flight.method() == KnownMethod::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS);
    if bodiless || remaining == Some(0) || response.body().is_end_stream() {
        in_flight.finish(None);
        return response.map(ResponseBody::unwatched);
    }
    response.map(|inner| ResponseBody::new(inner, in_flight, remaining))
}

/// How many bytes the server will send. It stops reading there, and may never see the body say that it has ended.
fn body_length<R: Body>(headers: &HeaderMap, body: &R) -> Option<u64> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    announced.or_else(|| body.size_hint().exact())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}
