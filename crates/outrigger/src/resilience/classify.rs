//! What counts as a failure of a dependency.

use std::any::Any;
use std::error::Error;

use super::{BoxError, Rejected};

/// Tells a failure from a proper answer. There for closures over the result, [`OnError`] and [`UnlessRejected`].
///
/// ```
/// use outrigger::resilience::Classify;
///
/// // An HTTP server that answers 500 has failed, though its client has not.
/// fn of_http<B, E>() -> impl Classify<http::Response<B>, E> {
///     |result: &Result<http::Response<B>, E>| match result {
///         Ok(response) => response.status().is_server_error(),
///         Err(_) => true,
///     }
/// }
/// ```
pub trait Classify<T, E> {
    /// Whether this is a failure.
    fn is_failure(&self, result: &Result<T, E>) -> bool;
}

impl<T, E, C: Fn(&Result<T, E>) -> bool> Classify<T, E> for C {
    fn is_failure(&self, result: &Result<T, E>) -> bool {
        self(result)
    }
}

/// Every error is a failure, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnError;

impl<T, E> Classify<T, E> for OnError {
    fn is_failure(&self, result: &Result<T, E>) -> bool {
        result.is_err()
    }
}

/// Every error is a failure but a breaker's [`Rejected`]: what a retry goes by unless told otherwise. A dependency whose
/// breaker is open was not asked, and asking the breaker again within a moment only makes the caller wait for the same answer.
///
/// It is found where the error is a [`Rejected`] or a boxed error, as tower's layers make them, that is one or has one among
/// its sources. Not within [`CallError`](super::CallError): a retry round [`Breaker::call`](super::Breaker::call) says it
/// itself, as [`RetryPolicy::call`](super::RetryPolicy::call) shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnlessRejected;

impl<T, E: 'static> Classify<T, E> for UnlessRejected {
    fn is_failure(&self, result: &Result<T, E>) -> bool {
        result.as_ref().is_err_and(|error| !is_rejection(error))
    }
}

fn is_rejection(error: &dyn Any) -> bool {
    error.is::<Rejected>() || error.downcast_ref::<BoxError>().is_some_and(|error| stems_from_rejection(&**error))
}

/// An error that is among its own sources does not hold up a call for ever.
const MAX_SOURCES: usize = 32;

fn stems_from_rejection(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).take(MAX_SOURCES).any(|error| error.is::<Rejected>())
}
