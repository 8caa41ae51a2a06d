//! A future whose panic ends itself only.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// What a panic leaves behind is dropped with the future and never polled again, as with a task of Tokio.
    pub(super) struct Caught<F> {
        #[pin]
        pub(super) future: F,
    }
}

/// What a panic was called with.
pub(super) type Payload = Box<dyn Any + Send>;

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Payload>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}
