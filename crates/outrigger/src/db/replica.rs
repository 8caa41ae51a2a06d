//! How far a PostgreSQL replica is behind.
//!
//! ```no_run
//! use outrigger::db::replica;
//!
//! # async fn run(metrics: outrigger::Metrics) -> sqlx::Result<()> {
//! let reads = sqlx::PgPool::connect("postgres://replica.internal/shop").await?;
//! let lag = replica::watch(&metrics, "reads", &reads); // while `lag` lives
//! # drop(lag);
//! # Ok(())
//! # }
//! ```
//!
//! # What it emits
//!
//! Both with `db_client_connection_pool_name`.
//!
//! | metric | kind | |
//! |---|---|---|
//! | `db_client_replica_lag_seconds` | gauge | how old the last transaction is that the replica has replayed |
//! | `db_client_replica_lag_failures_total` | counter | readings that gave none, by `reason` = `error`, `not_a_replica`, `nothing_replayed` |
//!
//! The age of the last transaction grows while the primary is idle, though nothing is missing. So a replica that is
//! connected and has replayed all that it has received has no lag. One that has lost its primary cannot know what it
//! misses: its lag is the age again. When it cannot be told, the gauge is NaN, which no alert takes for a good value:
//! alert on the failures as well. A primary has no lag, not one of zero.
//!
//! # Cost
//!
//! One query on one connection of the pool each five seconds ([`SAMPLE_INTERVAL`]), which waits for no longer than that. It
//! reads three functions and one view, and needs no privilege.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use ::metrics::{Counter, Gauge, Label};
use outrigger_semconv::{db_findings, label};
use sqlx::{Error, PgPool, Row};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::Metrics;
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge};

/// How often the lag is read.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

/// What a replica says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lag {
    /// How old what it shows is, at most.
    Behind(Duration),
    /// It is a primary.
    NotAReplica,
    /// It has replayed no transaction since it was started, so that it cannot tell.
    NothingReplayed,
}

/// Reads the lag once.
///
/// # Errors
/// Those of the query, or of waiting for a connection.
pub async fn lag(pool: &PgPool) -> Result<Lag, Error> {
    let row = sqlx::query(QUERY).fetch_one(pool).await?;
    let seconds: Option<f64> = row.try_get(1)?;
    Ok(match (row.try_get(0)?, seconds) {
        (false, _) => Lag::NotAReplica,
        (true, None) => Lag::NothingReplayed,
        // Clocks differ: a transaction from the future is one from now.
        (true, Some(seconds)) => Lag::Behind(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()),
    })
}

/// Reads the lag of the pool's server every five seconds, until the handle is dropped or the pool is closed.
///
/// The name is that of the pool. Must be called within a Tokio runtime, as the pool itself; outside one, nothing is read,
/// and a warning says so.
pub fn watch(metrics: &Metrics, name: impl Into<Cow<'static, str>>, pool: &PgPool) -> ReplicaWatch {
    let series = Series::new(metrics, name.into());
    let Ok(runtime) = Handle::try_current() else {
        tracing::warn!(pool = %series.name, "replica::watch was called outside a Tokio runtime: the lag is not read");
        return ReplicaWatch { _stop: None };
    };
    let (stop, stopped) = oneshot::channel();
    runtime.spawn(sample_until(stopped, series, pool.clone()));
    ReplicaWatch { _stop: Some(stop) }
}

/// Keeps the lag being read; made by [`watch`].
#[must_use = "the lag is read while this lives"]
pub struct ReplicaWatch {
    _stop: Option<oneshot::Sender<()>>,
}

impl fmt::Debug for ReplicaWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaWatch").finish_non_exhaustive()
    }
}

async fn sample_until(mut stopped: oneshot::Receiver<()>, series: Series, pool: PgPool) {
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            () = pool.close_event() => break,
            _ = ticks.tick() => {}
        }
        let reading = tokio::time::timeout(SAMPLE_INTERVAL, lag(&pool));
        let reading = tokio::select! {
            biased;
            _ = &mut stopped => break,
            reading = reading => reading,
        };
        series.set(reading.unwrap_or(Err(Error::PoolTimedOut)));
    }
    // Nobody knows any more.
    series.gauge().set(f64::NAN);
}

struct Series {
    metrics: Metrics,
    name: Cow<'static, str>,
    lag: Late<Gauge>,
    failures: [Late<Counter>; REASONS.len()],
}

impl Series {
    fn new(metrics: &Metrics, name: Cow<'static, str>) -> Self {
        let series = Self { metrics: metrics.clone(), name, lag: Late::default(), failures: Default::default() };
        for reason in REASONS {
            series.failed(reason, 0);
        }
        series
    }

    fn set(&self, reading: Result<Lag, Error>) {
        let seconds = match reading {
            Ok(Lag::Behind(lag)) => lag.as_secs_f64(),
            Ok(Lag::NotAReplica) => self.failed("not_a_replica", 1),
            Ok(Lag::NothingReplayed) => self.failed("nothing_replayed", 1),
            Err(error) => {
                tracing::debug!(target: "outrigger::db", pool = %self.name, %error, "the replica's lag could not be read");
                self.failed("error", 1)
            }
        };
        self.gauge().set(seconds);
    }

    fn gauge(&self) -> Gauge {
        self.lag.get(&self.metrics, |recorder| {
            register_gauge(recorder, &db_findings::CLIENT_REPLICA_LAG, vec![self.label()])
        })
    }

    /// Counts a reading that gave nothing, and returns what the gauge shows then.
    fn failed(&self, reason: &'static str, times: u64) -> f64 {
        for (slot, known) in self.failures.iter().zip(REASONS).filter(|(_, known)| *known == reason) {
            let counter = slot.get(&self.metrics, |recorder| {
                let labels = vec![self.label(), Label::new(label::REASON, known)];
                register_counter(recorder, &db_findings::CLIENT_REPLICA_LAG_FAILURES, labels)
            });
            counter.increment(times);
        }
        f64::NAN
    }

    fn label(&self) -> Label {
        Label::new(label::DB_CLIENT_CONNECTION_POOL_NAME, self.name.clone())
    }
}

const REASONS: [&str; 3] = ["error", "not_a_replica", "nothing_replayed"];

/// Whether it is a replica, and its lag. The receiver of an archive's replica does not exist, and its positions are NULL:
/// there only the age counts.
const QUERY: &str = "\
    SELECT pg_is_in_recovery(), CASE \
        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() \
            AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) THEN 0 \
        ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 \
    END::float8";
