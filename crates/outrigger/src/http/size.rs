//! The size of a request's body: announced, or counted as it is read.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use ::http::Request;
use axum::body::Body as AxumBody;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

/// What is known of the size of a request's body. Moved with the request, so small.
pub(super) struct RequestSize {
    /// The bytes that were announced; the highest number is none.
    announced: u64,
    /// The bytes that were read so far, where none are announced.
    counted: Option<Arc<AtomicU64>>,
}

impl RequestSize {
    pub(super) const UNKNOWN: Self = Self { announced: u64::MAX, counted: None };

    /// Finds the size; where none is announced, has the body counted if it is axum's.
    pub(super) fn of<B: Body + 'static>(request: &mut Request<B>) -> Self {
        if let Some(announced) = request.body().size_hint().exact() {
            return Self { announced, counted: None };
        }
        // A body of any other type has no room for a counter.
        let body: &mut dyn Any = request.body_mut();
        let Some(body) = body.downcast_mut::<AxumBody>() else { return Self::UNKNOWN };
        let bytes = Arc::new(AtomicU64::new(0));
        let inner = std::mem::take(body);
        *body = AxumBody::new(CountedBody { inner, bytes: Arc::clone(&bytes) });
        Self { counted: Some(bytes), ..Self::UNKNOWN }
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        let counted = self.counted.as_ref().map(|bytes| bytes.load(Ordering::Relaxed));
        counted.or((self.announced != u64::MAX).then_some(self.announced))
    }
}

/// A request's body that counts what is read of it.
struct CountedBody {
    inner: AxumBody,
    bytes: Arc<AtomicU64>,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref))
            && let Some(data) = data
        {
            self.bytes.fetch_add(data.remaining() as u64, Ordering::Relaxed);
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
