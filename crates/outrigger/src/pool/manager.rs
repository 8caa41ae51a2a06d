//! How long connections take to make.

use std::time::Instant;

use super::PoolMetrics;
use crate::Metrics;

/// A manager of deadpool or bb8 that times how long its connections take to make.
///
/// ```
/// # #[cfg(feature = "bb8")] {
/// use outrigger::{Metrics, pool};
///
/// async fn open<M: bb8::ManageConnection>(metrics: &Metrics, manager: M) -> Result<(), M::Error> {
///     let manager = pool::TimedManager::new(metrics, "sessions", manager);
///     let sessions = bb8::Pool::builder().build(manager).await?;
///     let watched = pool::watch(metrics, "sessions", &sessions);
/// #   drop(watched);
///     Ok(())
/// }
/// # }
/// ```
///
/// A connection that could not be made counts in no time.
#[derive(Clone, Debug)]
pub struct TimedManager<M> {
    manager: M,
    pool: PoolMetrics,
}

impl<M> TimedManager<M> {
    /// Wraps the manager of the pool of this name: the one that [`watch`](super::watch) is given too.
    #[must_use]
    pub fn new(metrics: &Metrics, name: &str, manager: M) -> Self {
        Self { manager, pool: PoolMetrics::new(metrics, name) }
    }

    /// The manager itself.
    #[must_use]
    pub fn inner(&self) -> &M {
        &self.manager
    }

    pub(super) async fn timed<C, E>(&self, creation: impl Future<Output = Result<C, E>>) -> Result<C, E> {
        let start = Instant::now();
        let created = creation.await;
        if created.is_ok() {
            self.pool.created(start.elapsed());
        }
        created
    }
}
