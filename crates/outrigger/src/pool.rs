//! Connection pool metrics for [`sqlx`]: how full the pool is, and how long callers wait.
//!
//! ```
//! use outrigger::{Metrics, pool};
//!
//! async fn run(metrics: &Metrics, orders: sqlx::SqlitePool) -> sqlx::Result<()> {
//!     let watched = pool::watch(metrics, "orders", &orders); // the gauges, while `watched` or a clone of it lives
//!     let mut connection = watched.acquire().await?;         // and the wait
//!     sqlx::query("DELETE FROM carts").execute(metrics.timed(&mut *connection)).await?;
//!     Ok(())
//! }
//! ```
//!
//! # What it emits
//!
//! All with `db_client_connection_pool_name`.
//!
//! | metric | kind | from |
//! |---|---|---|
//! | `db_client_connection_count` | gauge, `db_client_connection_state` = `idle`, `used` | sampled |
//! | `db_client_connection_max`, `db_client_connection_idle_min` | gauges | sampled |
//! | `db_client_connection_wait_time_seconds` | histogram | [`acquire`](WatchedPool::acquire), [`begin`](WatchedPool::begin), [`begin_with`](WatchedPool::begin_with) |
//! | `db_client_connection_pending_requests` | gauge | the same |
//! | `db_client_connection_timeouts_total` | counter | the same |
//!
//! sqlx keeps no statistics of waits, so these exist for callers that ask through the [`WatchedPool`] only; a query
//! through `&pool` waits inside sqlx, unseen, and the wait is part of its operation's duration. A wait that timed out
//! or was given up counts in no wait time, since it never came to hold a connection.
//!
//! # Cost
//!
//! One task per pool that reads two atomic counters each second ([`SAMPLE_INTERVAL`]); what happens between two samples
//! is not seen. The task ends when the last clone of the [`WatchedPool`] is dropped, or when the pool is closed; the
//! counts then go to zero.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::metrics::{Counter, Gauge, Histogram, Label};
use outrigger_semconv::{Metric, db, label};
use sqlx::pool::PoolConnection;
use sqlx::{Database, Error, Pool, SqlSafeStr, Transaction};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::Metrics;
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge, register_histogram};

/// How often a pool is read.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Watches a pool under the given name, and returns what its connections can be taken through.
///
/// Must be called within a Tokio runtime, as the pool itself; outside one, nothing is sampled, and a warning says so.
/// Two pools need two names: with one, their numbers would overwrite each other.
pub fn watch<DB: Database>(metrics: &Metrics, name: impl Into<Cow<'static, str>>, pool: &Pool<DB>) -> WatchedPool<DB> {
    let series = Arc::new(PoolSeries::new(metrics, name.into()));
    let sampler = Sampler::start(Arc::clone(&series), pool);
    WatchedPool { pool: pool.clone(), series, _sampler: Arc::new(sampler) }
}

/// A pool whose waits are counted. A cheap clone. See the [module](self).
pub struct WatchedPool<DB: Database> {
    pool: Pool<DB>,
    series: Arc<PoolSeries>,
    _sampler: Arc<Sampler>,
}

impl<DB: Database> WatchedPool<DB> {
    /// Takes a connection, as [`Pool::acquire`].
    ///
    /// # Errors
    /// Those of [`Pool::acquire`].
    pub async fn acquire(&self) -> Result<PoolConnection<DB>, Error> {
        let pending = self.series.wait();
        let connection = self.pool.acquire().await;
        pending.ended(connection.as_ref().err());
        connection
    }

    /// Takes a connection and begins a transaction on it, as [`Pool::begin`]; the wait ends before the `BEGIN`.
    ///
    /// # Errors
    /// Those of [`Pool::begin`].
    pub async fn begin(&self) -> Result<Transaction<'static, DB>, Error> {
        Transaction::begin(self.acquire().await?, None).await
    }

    /// Takes a connection and begins a transaction on it with a statement of your own, as [`Pool::begin_with`]; SQLite's
    /// writers say `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    /// Those of [`Pool::begin_with`].
    pub async fn begin_with(&self, statement: impl SqlSafeStr) -> Result<Transaction<'static, DB>, Error> {
        Transaction::begin(self.acquire().await?, Some(statement.into_sql_str())).await
    }

    /// The pool itself.
    #[must_use]
    pub fn pool(&self) -> &Pool<DB> {
        &self.pool
    }
}

// Derived, it would ask for `DB: Clone`.
impl<DB: Database> Clone for WatchedPool<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), series: Arc::clone(&self.series), _sampler: Arc::clone(&self._sampler) }
    }
}

impl<DB: Database> fmt::Debug for WatchedPool<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedPool").field("name", &self.series.name).finish_non_exhaustive()
    }
}

/// The series of one pool.
struct PoolSeries {
    metrics: Metrics,
    name: Cow<'static, str>,
    idle: Late<Gauge>,
    used: Late<Gauge>,
    max: Late<Gauge>,
    idle_min: Late<Gauge>,
    pending: Late<Gauge>,
    wait_time: Late<Histogram>,
    timeouts: Late<Counter>,
}

impl PoolSeries {
    fn new(metrics: &Metrics, name: Cow<'static, str>) -> Self {
        let series = Self {
            metrics: metrics.clone(),
            name,
            idle: Late::default(),
            used: Late::default(),
            max: Late::default(),
            idle_min: Late::default(),
            pending: Late::default(),
            wait_time: Late::default(),
            timeouts: Late::default(),
        };
        // A counter that has not counted yet must be there at zero, else its first rise is invisible to `rate`.
        series.timeouts().increment(0);
        series
    }

    fn sample(&self, size: u32, idle: usize, max: u32, idle_min: u32) {
        // Two counters that are read one after the other may disagree for a moment.
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
        self.state(&self.idle, "idle").set(f64::from(idle));
        self.state(&self.used, "used").set(f64::from(size - idle));
        self.gauge(&self.max, &db::CLIENT_CONNECTION_MAX).set(f64::from(max));
        self.gauge(&self.idle_min, &db::CLIENT_CONNECTION_IDLE_MIN).set(f64::from(idle_min));
    }

    fn emptied(&self) {
        self.state(&self.idle, "idle").set(0.0);
        self.state(&self.used, "used").set(0.0);
    }

    fn wait(&self) -> Pending<'_> {
        let gauge = self.gauge(&self.pending, &db::CLIENT_CONNECTION_PENDING_REQUESTS);
        gauge.increment(1.0);
        Pending { series: self, gauge, start: Instant::now() }
    }

    fn state(&self, slot: &Late<Gauge>, state: &'static str) -> Gauge {
        slot.get(&self.metrics, |recorder| {
            let labels = vec![self.label(), Label::new(label::DB_CLIENT_CONNECTION_STATE, state)];
            register_gauge(recorder, &db::CLIENT_CONNECTION_COUNT, labels)
        })
    }

    fn gauge(&self, slot: &Late<Gauge>, metric: &Metric) -> Gauge {
        slot.get(&self.metrics, |recorder| register_gauge(recorder, metric, vec![self.label()]))
    }

    fn timeouts(&self) -> Counter {
        self.timeouts.get(&self.metrics, |recorder| {
            register_counter(recorder, &db::CLIENT_CONNECTION_TIMEOUTS, vec![self.label()])
        })
    }

    fn wait_time(&self) -> Histogram {
        self.wait_time.get(&self.metrics, |recorder| {
            register_histogram(recorder, &db::CLIENT_CONNECTION_WAIT_TIME, vec![self.label()])
        })
    }

    fn label(&self) -> Label {
        Label::new(label::DB_CLIENT_CONNECTION_POOL_NAME, self.name.clone())
    }
}

/// A caller that waits for a connection, until dropped.
struct Pending<'a> {
    series: &'a PoolSeries,
    /// The handle that was incremented: a recorder installed in between must not see the decrement only.
    gauge: Gauge,
    start: Instant,
}

impl Pending<'_> {
    fn ended(self, error: Option<&Error>) {
        match error {
            None => self.series.wait_time().record(self.start.elapsed().as_secs_f64()),
            Some(Error::PoolTimedOut) => self.series.timeouts().increment(1),
            Some(_) => {}
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
    }
}

/// The task that reads a pool. It ends when this is dropped, and says itself that the pool is gone: nobody else could
/// without racing with its last sample.
struct Sampler {
    _stop: Option<oneshot::Sender<()>>,
}

impl Sampler {
    fn start<DB: Database>(series: Arc<PoolSeries>, pool: &Pool<DB>) -> Self {
        let Ok(runtime) = Handle::try_current() else {
            tracing::warn!(pool = %series.name, "pool::watch was called outside a Tokio runtime: the pool is not sampled");
            return Self { _stop: None };
        };
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(sample_until(stopped, series, pool.clone()));
        Self { _stop: Some(stop) }
    }
}

async fn sample_until<DB: Database>(mut stopped: oneshot::Receiver<()>, series: Arc<PoolSeries>, pool: Pool<DB>) {
    let max = pool.options().get_max_connections();
    let idle_min = pool.options().get_min_connections();
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut stopped => break,
        }
        if pool.is_closed() {
            break;
        }
        series.sample(pool.size(), pool.num_idle(), max, idle_min);
    }
    series.emptied();
}
