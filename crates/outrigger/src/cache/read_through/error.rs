//! Why a look-up has no answer.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why a look-up of a [`ReadThrough`](super::ReadThrough) has no answer. A tier that is down is never the reason.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError<E> {
    /// The loader's own error, shared by all who waited for this load.
    Load(Arc<E>),
    /// The load took longer than [`load_timeout`](super::ReadThroughBuilder::load_timeout).
    TimedOut,
    /// The load panicked, or the Tokio runtime that it needs is not there or came to its end.
    Aborted,
    /// As many load or wait already as [`limit`](super::ReadThroughBuilder::limit) allows.
    Overloaded,
}

impl<E> Clone for ReadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Load(error) => Self::Load(Arc::clone(error)),
            Self::TimedOut => Self::TimedOut,
            Self::Aborted => Self::Aborted,
            Self::Overloaded => Self::Overloaded,
        }
    }
}

impl<E: fmt::Display> fmt::Display for ReadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => write!(f, "the value could not be loaded: {error}"),
            Self::TimedOut => f.write_str("the load took too long"),
            Self::Aborted => f.write_str("the load was aborted before its end"),
            Self::Overloaded => f.write_str("too many loads are under way or waited for"),
        }
    }
}

impl<E: Error + 'static> Error for ReadError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Load(error) => Some(&**error),
            Self::TimedOut | Self::Aborted | Self::Overloaded => None,
        }
    }
}
