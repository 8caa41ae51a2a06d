//! Calling the inner service while a request's bookkeeping waits beside it.
//!
//! The bookkeeping must end if the call panics. With an ordinary guard in the caller's frame, the compiler cannot build
//! the inner future where it is going to stay, and copies its hundreds of bytes. So the guard stands in a frame of its
//! own, and the caller holds what has no destructor.

use std::mem::{self, ManuallyDrop};

use ::http::Request;
use tower_service::Service;

use super::in_flight::InFlight;

/// Bookkeeping without a destructor, for the time of a [`call`].
pub(super) type Held = ManuallyDrop<Option<InFlight>>;

/// Calls the inner service, after `prepare` has had a look at what is measured. A panic ends the bookkeeping.
#[inline(never)]
pub(super) fn call<S, B>(
    inner: &mut S,
    mut request: Request<B>,
    held: &mut Held,
    prepare: impl FnOnce(&mut InFlight, &mut Request<B>),
) -> S::Future
where
    S: Service<Request<B>>,
{
    let guard = EndOnPanic(held);
    if let Some(in_flight) = guard.0.as_mut() {
        prepare(in_flight, &mut request);
    }
    let future = inner.call(request);
    mem::forget(guard);
    future
}

struct EndOnPanic<'a>(&'a mut Held);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        drop(Held::into_inner(mem::replace(self.0, Held::new(None))));
    }
}
