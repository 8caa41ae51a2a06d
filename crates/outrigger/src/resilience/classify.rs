//! What counts as a failure of a dependency.

/// Tells a failure from a proper answer. There for closures over the result, and [`OnError`].
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
