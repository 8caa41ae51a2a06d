//! A pool whose waits are counted, and how one is made.

use std::fmt;
use std::sync::Arc;

use super::sampler::{Sampler, Watch};
use super::{Held, Pool, PoolMetrics, Wait};
use crate::Metrics;

/// Watches a pool under the given name, and returns what its connections can be taken through.
///
/// Must be called within a Tokio runtime, as the pool itself; outside one, nothing is sampled, and a warning says so.
/// Two pools need two names: with one, their numbers would overwrite each other.
pub fn watch<P: Pool>(metrics: &Metrics, name: impl AsRef<str>, pool: &P) -> Watched<P> {
    let watch = Arc::new(Watch::new(PoolMetrics::new(metrics, name.as_ref()), pool.counts()));
    let sampler = Sampler::start(Arc::clone(&watch), pool.clone());
    Watched { pool: pool.clone(), watch, _sampler: Arc::new(sampler) }
}

/// A pool whose waits are counted and whose connections' uses are timed. A cheap clone. See the [module](super).
#[derive(Clone)]
pub struct Watched<P> {
    pool: P,
    watch: Arc<Watch>,
    _sampler: Arc<Sampler>,
}

impl<P: Pool> Watched<P> {
    /// The pool itself.
    #[must_use]
    pub fn pool(&self) -> &P {
        &self.pool
    }

    /// The metrics of this pool, for what is taken from it by other ways.
    #[must_use]
    pub fn metrics(&self) -> &PoolMetrics {
        &self.watch.metrics
    }

    /// Takes a connection by whatever future gives one; `timed_out` tells the pool's timeout from its other errors.
    ///
    /// The way for pools without a method of their own here, and for the less common methods of those with one:
    ///
    /// ```
    /// # #[cfg(feature = "sqlx")]
    /// # async fn example(watched: outrigger::pool::WatchedPool<sqlx::Sqlite>) -> sqlx::Result<()> {
    /// let opened = watched.pool().acquire();
    /// let held = watched.take(opened, |error| matches!(error, sqlx::Error::PoolTimedOut)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the future.
    pub async fn take<C, E>(
        &self,
        connection: impl Future<Output = Result<C, E>>,
        timed_out: impl FnOnce(&E) -> bool,
    ) -> Result<Held<C>, E> {
        let wait = self.wait();
        match connection.await {
            Ok(connection) => Ok(Held::new(wait.acquired(), connection)),
            Err(error) => {
                if timed_out(&error) {
                    self.timed_out(wait);
                }
                Err(error)
            }
        }
    }

    /// A caller asks for a connection.
    pub(crate) fn wait(&self) -> Wait {
        self.watch.metrics.wait_beside(&self.watch.at_first)
    }

    /// The wait ended in the pool's timeout.
    pub(crate) fn timed_out(&self, wait: Wait) {
        wait.timed_out();
        self.watch.count_timeouts(&self.pool.counts());
    }
}

impl<P> fmt::Debug for Watched<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("name", &self.watch.metrics.name()).finish_non_exhaustive()
    }
}
