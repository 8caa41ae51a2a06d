//! Connection pool metrics: how full a pool is, how long callers wait, how long connections are made and used.
//!
//! ```
//! # #[cfg(feature = "sqlx")] {
//! use outrigger::{Metrics, pool};
//!
//! async fn run(metrics: &Metrics, orders: sqlx::SqlitePool) -> sqlx::Result<()> {
//!     let watched = pool::watch(metrics, "orders", &orders); // the gauges, while `watched` or a clone of it lives
//!     let mut connection = watched.acquire().await?;         // the wait, and the use until the drop
//!     sqlx::query("DELETE FROM carts").execute(metrics.timed(&mut *connection)).await?;
//!     Ok(())
//! }
//! # }
//! ```
//!
//! [`watch`] takes any [`Pool`]: sqlx's (feature `sqlx`), deadpool's managed ones (`deadpool`), bb8's (`bb8`), and with the
//! last two the pools of Redis connections that are made with them. A pool of another kind implements one method of
//! [`Pool`], and its connections are taken through [`Watched::take`].
//!
//! # What it emits
//!
//! All with `db_client_connection_pool_name`.
//!
//! | metric | kind | from |
//! |---|---|---|
//! | `db_client_connection_count` | gauge, `db_client_connection_state` = `idle`, `used` | sampled |
//! | `db_client_connection_max`, `db_client_connection_idle_max`, `db_client_connection_idle_min` | gauges | sampled, where the pool has such a limit |
//! | `db_client_connection_pending_requests` | gauge | each acquisition; with deadpool sampled |
//! | `db_client_connection_wait_time_seconds` | histogram | each acquisition |
//! | `db_client_connection_use_time_seconds` | histogram | each [`Held`] connection, at its drop |
//! | `db_client_connection_timeouts_total` | counter | each acquisition that ended in the pool's own timeout; with bb8 sampled |
//! | `db_client_connection_create_time_seconds` | histogram | each connection made, where [`TimedManager`] is given to deadpool or bb8 |
//!
//! What is counted by acquisition is so for callers that go through the [`Watched`] pool; whoever takes a connection from
//! the pool itself, as a query through sqlx's `&pool` does, waits unseen. Some pools count better than an onlooker can:
//! deadpool knows all of its waiting callers, and bb8 all of its timeouts, so these two are taken from them.
//!
//! A wait that timed out, failed or was given up counts in no wait time, since it never came to hold a connection. The
//! time to open a new connection is part of the wait of the caller who needed it. sqlx opens connections where nobody
//! can see it begin: it has no create time.
//!
//! # Cost
//!
//! One task per pool that reads its counts each second ([`SAMPLE_INTERVAL`]); what happens between two samples is not
//! seen. The task ends when the last clone of the [`Watched`] pool is dropped, or when the pool is closed; the counts
//! then go to zero. An acquisition costs three looks at the clock and four atomic operations.
//!
//! # Limits
//!
//! A name stands for one pool: two pools of one name overwrite each other's numbers; where one replaces the other, the
//! numbers are the new one's once the old one's [`Watched`] is dropped. 1,000 names per [`Metrics`](crate::Metrics), then
//! `_other`, counted in `outrigger_series_dropped_total`.

#[cfg(feature = "bb8")]
mod bb8;
#[cfg(feature = "deadpool")]
mod deadpool;
mod held;
#[cfg(any(feature = "bb8", feature = "deadpool"))]
mod manager;
mod measured;
mod sampler;
#[cfg(feature = "sqlx")]
mod sqlx;
mod watched;

pub use self::held::Held;
#[cfg(any(feature = "bb8", feature = "deadpool"))]
pub use self::manager::TimedManager;
pub(crate) use self::measured::Series;
pub use self::measured::{PoolMetrics, Use, Wait};
pub use self::sampler::SAMPLE_INTERVAL;
#[cfg(feature = "sqlx")]
pub use self::sqlx::{WatchedPool, WatchedTransaction};
pub use self::watched::{Watched, watch};

/// A pool that can be read: what [`watch`] samples.
///
/// ```
/// use outrigger::pool::{Counts, Pool};
///
/// #[derive(Clone)]
/// struct Sessions(std::sync::Arc<tokio::sync::Semaphore>);
///
/// impl Pool for Sessions {
///     fn counts(&self) -> Counts {
///         let idle = self.0.available_permits();
///         Counts::new(idle, 10 - idle).max(10)
///     }
/// }
/// ```
pub trait Pool: Clone + Send + Sync + 'static {
    /// What the pool holds now. It is asked once a second, and should not wait.
    fn counts(&self) -> Counts;

    /// Whether the pool is closed for ever: watching ends then. Defaults to never.
    fn is_closed(&self) -> bool {
        false
    }
}

/// What a pool holds at one moment, and its limits. What a pool does not know stays out of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    idle: usize,
    used: usize,
    max: Option<usize>,
    idle_max: Option<usize>,
    idle_min: Option<usize>,
    pending: Option<usize>,
    timeouts: Option<u64>,
}

impl Counts {
    /// Connections that wait for a user, and those that have one.
    #[must_use]
    pub const fn new(idle: usize, used: usize) -> Self {
        Self { idle, used, max: None, idle_max: None, idle_min: None, pending: None, timeouts: None }
    }

    /// The most connections that the pool opens.
    #[must_use]
    pub const fn max(mut self, max: usize) -> Self {
        self.max = Some(max);
        self
    }

    /// The most idle connections that it keeps.
    #[must_use]
    pub const fn idle_max(mut self, idle_max: usize) -> Self {
        self.idle_max = Some(idle_max);
        self
    }

    /// The fewest idle connections that it keeps.
    #[must_use]
    pub const fn idle_min(mut self, idle_min: usize) -> Self {
        self.idle_min = Some(idle_min);
        self
    }

    /// Callers that wait now, where the pool knows all of them. A pool says this always or never: where it does, the
    /// waits through the [`Watched`] pool leave the gauge alone.
    #[must_use]
    pub const fn pending(mut self, pending: usize) -> Self {
        self.pending = Some(pending);
        self
    }

    /// Waits that have timed out since the pool was made, where the pool knows all of them. A pool says this always or
    /// never, as with [`pending`](Self::pending).
    #[must_use]
    pub const fn timeouts(mut self, timeouts: u64) -> Self {
        self.timeouts = Some(timeouts);
        self
    }
}
