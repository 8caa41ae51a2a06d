//! One profile at a time: the kernel has one profiling timer per process.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The right to take a profile, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(());

/// When whoever has the turn expects to end.
static TAKEN: Mutex<Option<Instant>> = Mutex::new(None);

impl Turn {
    /// The turn, or how long the one who has it will still need.
    pub(super) fn take(need: Duration) -> Result<Self, Duration> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(end) = *taken {
            return Err(end.saturating_duration_since(now));
        }
        *taken = Some(now + need);
        Ok(Self(()))
    }
}

/// Ends the profile that is under way; its answer has what was sampled until now.
pub(crate) fn end_early() {
    END.notify_waiters();
}

/// Completes at the next [`end_early`], be it before this is first polled.
pub(super) fn ended_early() -> Notified<'static> {
    END.notified()
}

static END: Notify = Notify::const_new();

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
