//! A stream out of a future that gives items: a connection and what it streams borrow from one another, which a future
//! can hold and a stream of our own cannot.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::future::BoxFuture;

/// Where the future puts an item and the stream takes it from.
type Slot<T> = Arc<Mutex<Option<T>>>;

pub(super) struct Yielding<'e, T, E> {
    slot: Slot<T>,
    /// `None` once it has ended.
    future: Option<BoxFuture<'e, Result<(), E>>>,
}

pub(super) struct Yielder<T>(Slot<T>);

impl<'e, T, E> Yielding<'e, T, E> {
    pub(super) fn new<F>(future: impl FnOnce(Yielder<T>) -> F) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'e,
    {
        let slot = Slot::default();
        let future = future(Yielder(Arc::clone(&slot)));
        Self { slot, future: Some(Box::pin(future)) }
    }
}

impl<T> Yielder<T> {
    /// Gives an item away, and goes on when the next is asked for.
    pub(super) async fn give(&self, item: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(item);
        let mut given = false;
        // Nobody need be woken: the stream looks into the slot as soon as this is pending.
        poll_fn(|_| if std::mem::replace(&mut given, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl<T, E> Stream for Yielding<'_, T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(future) = self.future.as_mut() else { return Poll::Ready(None) };
        match future.as_mut().poll(cx) {
            Poll::Pending => {
                let item = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                item.map_or(Poll::Pending, |item| Poll::Ready(Some(Ok(item))))
            }
            Poll::Ready(ended) => {
                self.future = None;
                Poll::Ready(ended.err().map(Err))
            }
        }
    }
}
