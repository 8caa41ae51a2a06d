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
        #[pin]
        inner: F,
    }
}

impl<F> ResponseFuture<F> {
    /// Without bookkeeping, it only passes the response on.
    pub(super) fn new(inner: F, in_flight: Option<InFlight>) -> Self {
        Self { in_flight, inner }
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
                Some(in_flight) => follow_body(response, in_flight),
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

fn follow_body<R: Body>(response: Response<R>, mut in_flight: InFlight) -> Response<ResponseBody<R>> {
    let status = response.status();
    in_flight.answered(&response);
    if is_bodiless(status, in_flight.method()) {
        in_flight.finish(None);
        return response.map(ResponseBody::unwatched);
    }
    // Streams say neither how long they are nor, as a rule, that they are streams.
    let length = response.body().size_hint().exact().or_else(|| {
        if is_endless(&response, in_flight.method()) {
            in_flight.finish(None);
        }
        announced_length(response.headers()).or_else(|| response.body().is_end_stream().then_some(0))
    });
    if length == Some(0) {
        in_flight.finish(None);
        return response.map(ResponseBody::unwatched);
    }
    response.map(|inner| ResponseBody::new(inner, in_flight, length))
}

/// Servers drop these bodies without reading them: nothing is left to wait for.
fn is_bodiless(status: StatusCode, method: KnownMethod) -> bool {
    method == KnownMethod::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS)
}

/// Whether the length of the body says nothing about the service: events, or a tunnel.
fn is_endless<R>(response: &Response<R>, method: KnownMethod) -> bool {
    method == KnownMethod::CONNECT && response.status().is_success() || is_event_stream(response.headers())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// How many bytes the server will send. It stops reading there, and may never see the body say that it has ended.
fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
