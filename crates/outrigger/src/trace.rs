//! The trace of the request that is being answered.

/// The current trace, kept for the time when a request ends. Nothing while no feature fills it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace;

impl Trace {
    pub(crate) const NONE: Self = Self;

    /// The trace that is current now.
    pub(crate) fn current() -> Self {
        Self
    }

    /// Runs `record` so that what it records refers to this trace.
    pub(crate) fn scope<T>(self, record: impl FnOnce() -> T) -> T {
        record()
    }

    /// The trace's identifier in hexadecimal, for logs.
    pub(crate) fn id(self) -> Option<String> {
        None
    }
}
