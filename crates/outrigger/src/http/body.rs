//! The response body, watched to its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::in_flight::InFlight;
use super::labels::Failure;

pin_project! {
    /// The response body of [`HttpMetrics`](super::HttpMetrics).
    pub struct ResponseBody<B> {
        // Without it, frames are only passed on.
        pub(super) in_flight: Option<InFlight>,
        // Bytes that are still to come, where that is known.
        pub(super) remaining: Option<u64>,
        #[pin]
        pub(super) inner: B,
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        InFlight::watch(this.in_flight, true);
        let polled = this.inner.as_mut().poll_frame(cx);
        InFlight::watch(this.in_flight, false);
        let Some(in_flight) = this.in_flight.as_mut() else { return polled };
        let ended = match &polled {
            Poll::Pending => return polled,
            // Waiting for `None` would be in vain: a server stops polling once it has all the bytes or the trailers,
            // or is told that no more will come, and drops the body.
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) => {
                    let bytes = data.remaining() as u64;
                    in_flight.sent(bytes);
                    match this.remaining {
                        Some(remaining) => {
                            *remaining = remaining.saturating_sub(bytes);
                            *remaining == 0
                        }
                        None => this.inner.is_end_stream(),
                    }
                }
                None => {
                    if let Some(trailers) = frame.trailers_ref() {
                        in_flight.trailers(trailers);
                    }
                    true
                }
            },
            Poll::Ready(Some(Err(_))) => {
                in_flight.finish(Some(Failure::Body));
                true
            }
            Poll::Ready(None) => {
                // The server has announced more than there is, and cuts the connection.
                if this.remaining.is_some_and(|remaining| remaining > 0) {
                    in_flight.finish(Some(Failure::Body));
                }
                true
            }
        };
        if ended {
            in_flight.finish(None);
            *this.in_flight = None;
        }
        polled
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
