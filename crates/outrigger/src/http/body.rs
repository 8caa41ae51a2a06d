//! The response body, watched to its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::in_flight::InFlight;
use super::labels::Failure;

pin_project! {
    /// The response body of [`HttpMetrics`](super::HttpMetrics).
    pub struct ResponseBody<B> {
        in_flight: Option<InFlight>,
        // Bytes that are still to come, where that is known.
        remaining: Option<u64>,
        #[pin]
        inner: B,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(inner: B, in_flight: InFlight, remaining: Option<u64>) -> Self {
        Self { in_flight: Some(in_flight), remaining, inner }
    }

    /// A body whose request has been counted.
    pub(super) fn unwatched(inner: B) -> Self {
        Self { in_flight: None, remaining: None, inner }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(in_flight) = this.in_flight.as_mut() else {
            return this.inner.poll_frame(cx);
        };
        let frame = ready!(in_flight.watch(|| this.inner.as_mut().poll_frame(cx)));
        let ended = match &frame {
            Some(Ok(frame)) => {
                // Waiting for `None` would be in vain: a server stops polling once it has all the bytes or the trailers,
                // or is told that no more will come, and drops the body.
                if let Some(data) = frame.data_ref() {
                    let bytes = data.remaining() as u64;
                    in_flight.sent(bytes);
                    match this.remaining {
                        Some(remaining) => {
                            *remaining = remaining.saturating_sub(bytes);
                            *remaining == 0
                        }
                        None => this.inner.is_end_stream(),
                    }
                } else {
                    if let Some(trailers) = frame.trailers_ref() {
                        in_flight.trailers(trailers);
                    }
                    true
                }
            }
            Some(Err(_)) => {
                in_flight.finish(Some(Failure::Body));
                true
            }
            None => true,
        };
        if ended {
            in_flight.finish(None);
            *this.in_flight = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
