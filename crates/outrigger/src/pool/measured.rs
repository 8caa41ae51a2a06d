//! The series of one pool, and the guards that write to them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ::metrics::{Counter, Gauge, Histogram, Label};
use outrigger_semconv::{Metric, db, label};

use super::Counts;
use crate::Metrics;
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge, register_histogram};

/// The metrics of one pool, for a pool or a wrapper of one's own. A cheap clone; two of one name write the same series.
///
/// Most programs need it not: [`watch`](super::watch) makes it and does all this.
///
/// ```
/// use outrigger::pool::PoolMetrics;
///
/// # fn main() -> Result<(), outrigger::InstallError> {
/// # let metrics = outrigger::standalone()?;
/// let pool = PoolMetrics::new(&metrics, "sessions");
/// let wait = pool.wait(); //        a caller asks
/// let used = wait.acquired(); //    and holds a connection
/// drop(used); //                    which it gives back
/// let page = metrics.render().unwrap_or_default();
/// assert!(page.contains(r#"db_client_connection_use_time_seconds_count{db_client_connection_pool_name="sessions"} 1"#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PoolMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Metrics,
    series: Arc<Series>,
}

impl PoolMetrics {
    /// The metrics of the pool of this name.
    #[must_use]
    pub fn new(metrics: &Metrics, name: &str) -> Self {
        let series = metrics.pools().get(metrics, name, Series::new);
        let pool = Self { shared: Arc::new(Shared { metrics: metrics.clone(), series }) };
        // A counter that has not counted yet must be there at zero, else its first rise is invisible to `rate`.
        pool.timeouts().increment(0);
        pool
    }

    /// The name, or `_other` past the cap.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.series.name
    }

    /// A caller asks for a connection: it is pending until the [`Wait`] ends.
    pub fn wait(&self) -> Wait {
        self.begin_wait(true, true)
    }

    /// A connection is held from now on, until the [`Use`] is dropped.
    pub fn held(&self) -> Use {
        Use { pool: self.clone(), start: Instant::now(), is_unseen: false }
    }

    /// A connection was made, in this time.
    pub fn created(&self, took: Duration) {
        self.histogram(&self.shared.series.create_time, &db::CLIENT_CONNECTION_CREATE_TIME).record(took.as_secs_f64());
    }

    /// What the pool holds now. What [`watch`](super::watch) does each second.
    pub fn set(&self, counts: Counts) {
        self.set_gauges(counts);
        self.count_timeouts(&counts, &self.shared.series.timeouts_seen);
    }

    pub(super) fn set_gauges(&self, counts: Counts) {
        let series = &self.shared.series;
        self.state(&series.idle, "idle").set(number(counts.idle));
        self.state(&series.used, "used").set(number(counts.used));
        let limits = [
            (counts.max, &series.max, &db::CLIENT_CONNECTION_MAX),
            (counts.idle_max, &series.idle_max, &db::CLIENT_CONNECTION_IDLE_MAX),
            (counts.idle_min, &series.idle_min, &db::CLIENT_CONNECTION_IDLE_MIN),
            (counts.pending, &series.pending, &db::CLIENT_CONNECTION_PENDING_REQUESTS),
        ];
        for (value, slot, metric) in limits {
            if let Some(value) = value {
                self.gauge(slot, metric).set(number(value));
            }
        }
    }

    /// Counts what the pool has counted since the last look.
    pub(super) fn count_timeouts(&self, counts: &Counts, seen: &AtomicU64) {
        if let Some(total) = counts.timeouts {
            let before = seen.fetch_max(total, Relaxed);
            self.timeouts().increment(total.saturating_sub(before));
        }
    }

    /// Like [`wait`](Self::wait), where the pool itself may know who waits or how many timed out.
    pub(super) fn wait_beside(&self, counts: &Counts) -> Wait {
        self.begin_wait(counts.pending.is_none(), counts.timeouts.is_none())
    }

    fn begin_wait(&self, count_pending: bool, count_timeout: bool) -> Wait {
        let pending = count_pending.then(|| {
            let gauge = self.gauge(&self.shared.series.pending, &db::CLIENT_CONNECTION_PENDING_REQUESTS);
            gauge.increment(1.0);
            gauge
        });
        Wait { pool: self.clone(), pending, count_timeout, start: Instant::now() }
    }

    /// The pool is gone: it holds nothing, and nobody waits where it is the pool that knows who does.
    pub(super) fn emptied(&self, knows_pending: bool) {
        self.state(&self.shared.series.idle, "idle").set(0.0);
        self.state(&self.shared.series.used, "used").set(0.0);
        if knows_pending {
            self.gauge(&self.shared.series.pending, &db::CLIENT_CONNECTION_PENDING_REQUESTS).set(0.0);
        }
    }

    /// Another watch of this name begins. Returns its number.
    pub(super) fn next_watch(&self) -> u64 {
        self.shared.series.watches.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// Whether no other watch of this name has begun since.
    pub(super) fn is_last_watch(&self, number: u64) -> bool {
        self.shared.series.watches.load(Relaxed) == number
    }

    fn state(&self, slot: &Late<Gauge>, state: &'static str) -> Gauge {
        slot.get(&self.shared.metrics, |recorder| {
            let labels = vec![self.label(), Label::new(label::DB_CLIENT_CONNECTION_STATE, state)];
            register_gauge(recorder, &db::CLIENT_CONNECTION_COUNT, labels)
        })
    }

    fn gauge(&self, slot: &Late<Gauge>, metric: &Metric) -> Gauge {
        slot.get(&self.shared.metrics, |recorder| register_gauge(recorder, metric, vec![self.label()]))
    }

    fn histogram(&self, slot: &Late<Histogram>, metric: &Metric) -> Histogram {
        slot.get(&self.shared.metrics, |recorder| register_histogram(recorder, metric, vec![self.label()]))
    }

    fn timeouts(&self) -> Counter {
        self.shared.series.timeouts.get(&self.shared.metrics, |recorder| {
            register_counter(recorder, &db::CLIENT_CONNECTION_TIMEOUTS, vec![self.label()])
        })
    }

    fn label(&self) -> Label {
        Label::new(label::DB_CLIENT_CONNECTION_POOL_NAME, Arc::clone(&self.shared.series.name))
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMetrics").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A caller that waits for a connection. Dropped, the wait was given up, or failed: it is no longer pending, and counts
/// nowhere else.
#[derive(Debug)]
#[must_use = "a wait that is dropped was given up"]
pub struct Wait {
    pool: PoolMetrics,
    /// The handle that was incremented: a recorder installed in between must not see the decrement only.
    pending: Option<Gauge>,
    count_timeout: bool,
    start: Instant,
}

impl Wait {
    /// Since when it waits.
    #[cfg(feature = "sqlx")]
    pub(crate) fn since(&self) -> Instant {
        self.start
    }

    /// The wait ended with a connection, which is held from now on.
    pub fn acquired(self) -> Use {
        let now = Instant::now();
        let wait_time = self.pool.histogram(&self.pool.shared.series.wait_time, &db::CLIENT_CONNECTION_WAIT_TIME);
        wait_time.record((now - self.start).as_secs_f64());
        Use { pool: self.pool.clone(), start: now, is_unseen: false }
    }

    /// The wait ended in the pool's timeout.
    pub fn timed_out(self) {
        if self.count_timeout {
            self.pool.timeouts().increment(1);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(pending) = &self.pending {
            pending.decrement(1.0);
        }
    }
}

/// A connection in use; its time is recorded when this is dropped.
#[derive(Debug)]
#[must_use = "dropped, the connection counts as given back"]
pub struct Use {
    pool: PoolMetrics,
    start: Instant,
    is_unseen: bool,
}

impl Use {
    /// Since when it is held.
    #[cfg(feature = "sqlx")]
    pub(crate) fn since(&self) -> Instant {
        self.start
    }

    /// Its end will not be seen: it has no time.
    #[cfg(feature = "sqlx")]
    pub(crate) fn unseen(mut self) {
        self.is_unseen = true;
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if self.is_unseen {
            return;
        }
        let use_time = self.pool.histogram(&self.pool.shared.series.use_time, &db::CLIENT_CONNECTION_USE_TIME);
        use_time.record(self.start.elapsed().as_secs_f64());
    }
}

/// The series of one name.
pub(crate) struct Series {
    name: Arc<str>,
    idle: Late<Gauge>,
    used: Late<Gauge>,
    max: Late<Gauge>,
    idle_max: Late<Gauge>,
    idle_min: Late<Gauge>,
    pending: Late<Gauge>,
    create_time: Late<Histogram>,
    wait_time: Late<Histogram>,
    use_time: Late<Histogram>,
    timeouts: Late<Counter>,
    /// Of a pool that counts its timeouts itself, and is set by hand: how many of them are counted here.
    timeouts_seen: AtomicU64,
    /// How many watches there were.
    watches: AtomicU64,
}

impl Series {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            idle: Late::default(),
            used: Late::default(),
            max: Late::default(),
            idle_max: Late::default(),
            idle_min: Late::default(),
            pending: Late::default(),
            create_time: Late::default(),
            wait_time: Late::default(),
            use_time: Late::default(),
            timeouts: Late::default(),
            timeouts_seen: AtomicU64::new(0),
            watches: AtomicU64::new(0),
        }
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
