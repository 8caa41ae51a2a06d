//! The end: letting the last numbers out.

#[cfg(feature = "otlp")]
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

#[cfg(feature = "otlp")]
use tokio::time::Instant;

use crate::Metrics;
#[cfg(feature = "otlp")]
use crate::otlp::Control;

impl Metrics {
    /// Lets the last numbers out, within a second, and says how that went.
    ///
    /// Call it when the service has answered its last request, before the admin listener and the runtime end.
    ///
    /// | who reads the metrics | what it does |
    /// |---|---|
    /// | an endpoint that [`otlp()`](crate::otlp) pushes to | pushes a last time, and ends the push |
    /// | nobody | returns at once |
    ///
    /// An endpoint that does not answer does not hold it up any longer than that second. However often it is called, at
    /// the same time or later, nothing is pushed twice.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), outrigger::InstallError> {
    /// let metrics = outrigger::standalone()?;
    /// // ... the service runs until it is told to end, and then:
    /// assert_eq!(metrics.shutdown().await, outrigger::Shutdown::Unread, "nothing pushes or scrapes these metrics");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self) -> Shutdown {
        let outcome = self.readers().finish().await;
        if outcome == Shutdown::GaveUp {
            tracing::warn!("the last metrics were read by nobody within {LIMIT:?}");
        }
        outcome
    }
}

/// What became of the last numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shutdown {
    /// Nobody reads these metrics.
    Unread,
    /// They were pushed, and taken.
    Pushed,
    /// They were not taken within a second.
    GaveUp,
}

/// The most that the end may take.
const LIMIT: Duration = Duration::from_secs(1);

/// Who reads these metrics, as far as it is known.
#[derive(Debug)]
pub(crate) struct Readers {
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "its reader is a feature"))]
    born: SystemTime,
    #[cfg(feature = "otlp")]
    pushes: Mutex<Vec<Arc<Control>>>,
}

impl Readers {
    pub(crate) fn new() -> Self {
        Self {
            born: SystemTime::now(),
            #[cfg(feature = "otlp")]
            pushes: Mutex::new(Vec::new()),
        }
    }

    async fn finish(&self) -> Shutdown {
        #[cfg(feature = "otlp")]
        return self.last_push(Instant::now() + LIMIT).await;
        #[cfg(not(feature = "otlp"))]
        Shutdown::Unread
    }
}

#[cfg(feature = "otlp")]
impl Readers {
    /// When these metrics were made.
    pub(crate) fn born(&self) -> SystemTime {
        self.born
    }

    pub(crate) fn add_push(&self, push: &Arc<Control>) {
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        pushes.push(Arc::clone(push));
    }

    async fn last_push(&self, by: Instant) -> Shutdown {
        let pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // All are told before one is waited for.
        pushes.iter().for_each(|push| push.stop());
        let mut outcome = if pushes.is_empty() { Shutdown::Unread } else { Shutdown::Pushed };
        for push in pushes {
            if !push.end(by).await {
                outcome = Shutdown::GaveUp;
            }
        }
        outcome
    }
}
