//! The response body, watched to its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::call::Call;

pin_project! {
    /// The response body of [`ClientMetrics`](super::ClientMetrics).
    pub struct ResponseBody<B> {
        call: Option<Call>,
        // Bytes that are still to come, where that is known.
        remaining: Option<u64>,
        #[pin]
        inner: B,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(inner: B, call: Call, remaining: Option<u64>) -> Self {
        Self { call: Some(call), remaining, inner }
    }

    /// A body whose call has been counted.
    pub(super) fn unwatched(inner: B) -> Self {
        Self { call: None, remaining: None, inner }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(call) = this.call.as_mut() else {
            return this.inner.poll_frame(cx);
        };
        let frame = ready!(call.watch(|| this.inner.as_mut().poll_frame(cx)));
        let ended = match &frame {
            Some(Ok(frame)) => {
                if let (Some(remaining), Some(data)) = (this.remaining.as_mut(), frame.data_ref()) {
                    *remaining = remaining.saturating_sub(data.remaining() as u64);
                }
                // Waiting for `None` would be in vain: callers stop at the last byte or the trailers.
                *this.remaining == Some(0) || frame.is_trailers() || this.inner.is_end_stream()
            }
            Some(Err(error)) => {
                call.body_failed(error);
                true
            }
            None => {
                if this.remaining.is_some_and(|remaining| remaining > 0) {
                    call.body_cut();
                }
                true
            }
        };
        if ended {
            call.finish();
            *this.call = None;
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
