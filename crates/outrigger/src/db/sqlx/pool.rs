//! A pool whose queries, connections and transactions are all timed.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{Acquire, Database, Describe, Error, Execute, Executor, SqlSafeStr, SqlStr, Transaction};

use super::connection::{TimedConnection, TimedPoolConnection, TimedTransaction};
use super::error::{error_type, system_name};
use super::observed::{Answered, Collected, Done, Executed, Row, Rows, Step, Steps};
use super::via::{self, Taken};
use super::yielding::Yielding;
use crate::Metrics;
use crate::db::insight::Settings;
use crate::db::labels::{OpenLabels, OperationLabels};
use crate::db::observation::{Observation, Subject};
use crate::db::statement::Way;
use crate::pool::{Held, PoolMetrics, WatchedPool, watch};

/// A pool whose queries, connections and transactions are timed. A cheap clone. See the [module](crate::db).
pub struct TimedPool<DB: Database> {
    shared: Arc<Shared<DB>>,
}

/// What a pool's connections keep of it.
pub(super) struct Shared<DB: Database> {
    watched: WatchedPool<DB>,
    metrics: Metrics,
    way: Way,
    /// Where MySQL's driver has been asked who answers: the other way, if it was MariaDB.
    mariadb: OnceLock<Option<Way>>,
    /// How often it gave no answer.
    unanswered: AtomicU32,
    /// The series of `BEGIN`, `COMMIT` and `ROLLBACK`.
    control: Arc<crate::series::Row<OperationLabels>>,
}

impl Metrics {
    /// Times all that goes through a pool, which is also [watched](crate::pool::watch) under this name.
    ///
    /// Call it within a Tokio runtime, where the pool is made:
    ///
    /// ```
    /// # async fn example(metrics: outrigger::Metrics) -> sqlx::Result<()> {
    /// let pool = sqlx::SqlitePool::connect("sqlite://shop.db").await?;
    /// let pool = metrics.timed_pool("shop", pool);
    ///
    /// let products: i64 = sqlx::query_scalar("SELECT count(*) FROM products").fetch_one(&pool).await?;
    /// let mut tx = pool.begin().await?;
    /// sqlx::query("DELETE FROM carts").execute(&mut *tx).await?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timed_pool<DB: Database>(&self, name: impl AsRef<str>, pool: sqlx::Pool<DB>) -> TimedPool<DB> {
        let watched = watch(self, name, &pool);
        let mut open = OpenLabels::default();
        open.namespace(namespace(&pool).as_deref().unwrap_or_default());
        TimedPool::new(watched, self.clone(), open, Arc::default())
    }
}

/// The database, where the options of the pool can be asked.
#[cfg(feature = "postgres")]
fn namespace<DB: Database>(pool: &sqlx::Pool<DB>) -> Option<String> {
    let options = pool.connect_options();
    let options = (&*options as &dyn std::any::Any).downcast_ref::<sqlx::postgres::PgConnectOptions>();
    options.and_then(|options| options.get_database()).map(str::to_owned)
}

/// The database, which only Postgres can be asked for.
#[cfg(not(feature = "postgres"))]
fn namespace<DB: Database>(_pool: &sqlx::Pool<DB>) -> Option<String> {
    None
}

/// Settings. They are made before the pool is handed around: a clone that was made earlier keeps what it had.
impl<DB: Database> TimedPool<DB> {
    fn new(watched: WatchedPool<DB>, metrics: Metrics, open: OpenLabels, settings: Arc<Settings>) -> Self {
        let way = Way::new(system_name(DB::NAME), open, settings);
        let control = metrics.db().durations.row(&way.open.row(""));
        let (mariadb, unanswered) = Default::default();
        Self { shared: Arc::new(Shared { watched, metrics, way, mariadb, unanswered, control }) }
    }

    fn relabelled(&self, change: impl FnOnce(&mut OpenLabels)) -> Self {
        let Shared { watched, metrics, way, .. } = &*self.shared;
        let mut open = way.open.clone();
        change(&mut open);
        Self::new(watched.clone(), metrics.clone(), open, Arc::clone(&way.settings))
    }

    /// The database, as the label `db_namespace`. Defaults to what the options of a Postgres pool say (feature
    /// `postgres`), else to none.
    #[must_use]
    pub fn namespace(self, name: impl AsRef<str>) -> Self {
        self.relabelled(|open| open.namespace(name.as_ref()))
    }

    /// What this server does among its like, such as `primary` or `replica`, as the label `db_role`. Defaults to none.
    #[must_use]
    pub fn role(self, role: impl AsRef<str>) -> Self {
        self.relabelled(|open| open.role(role.as_ref()))
    }

    /// The part of the data that this server holds, as the label `db_shard`. Defaults to none.
    #[must_use]
    pub fn shard(self, shard: impl AsRef<str>) -> Self {
        self.relabelled(|open| open.shard(shard.as_ref()))
    }

    /// Where the metrics go.
    #[cfg(feature = "postgres")]
    pub(crate) fn recorder(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The same pool with other settings of what is made of its operations.
    pub(crate) fn with_settings(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Shared { watched, metrics, way, .. } = &*self.shared;
        let mut settings = Settings::clone(&way.settings);
        change(&mut settings);
        Self::new(watched.clone(), metrics.clone(), way.open.clone(), Arc::new(settings))
    }
}

/// What a pool of sqlx's has too.
impl<DB: Database> TimedPool<DB> {
    /// The pool itself, for whoever asks for one by its type. What goes through it is neither timed nor are its waits.
    #[must_use]
    pub fn pool(&self) -> &sqlx::Pool<DB> {
        self.shared.watched.pool()
    }

    /// The metrics of the pool, for connections that are taken from it by other ways.
    #[must_use]
    pub fn metrics(&self) -> &PoolMetrics {
        self.shared.watched.metrics()
    }

    /// Closes the pool, as [`sqlx::Pool::close`].
    pub fn close(&self) -> impl Future<Output = ()> + '_ {
        self.pool().close()
    }

    /// Whether the pool is closed, as [`sqlx::Pool::is_closed`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.pool().is_closed()
    }

    /// Connections, as [`sqlx::Pool::size`].
    #[must_use]
    pub fn size(&self) -> u32 {
        self.pool().size()
    }

    /// Connections that nobody uses, as [`sqlx::Pool::num_idle`].
    #[must_use]
    pub fn num_idle(&self) -> usize {
        self.pool().num_idle()
    }

    /// The pool's options, as [`sqlx::Pool::options`].
    #[must_use]
    pub fn options(&self) -> &PoolOptions<DB> {
        self.pool().options()
    }
}

impl<DB: Database> TimedPool<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// Takes a connection, as [`sqlx::Pool::acquire`]: the wait and the use are timed, and its queries.
    ///
    /// # Errors
    /// Those of [`sqlx::Pool::acquire`].
    pub async fn acquire(&self) -> Result<TimedPoolConnection<DB>, Error> {
        let mut held = self.shared.watched.acquire().await?;
        self.learn(&mut held).await;
        Ok(TimedPoolConnection::new(held, Arc::clone(&self.shared)))
    }

    /// Takes a connection if one is idle, as [`sqlx::Pool::try_acquire`]. It cannot ask who answers: until any other way
    /// has taken a connection, MariaDB is called `mysql` on this one.
    #[must_use]
    pub fn try_acquire(&self) -> Option<TimedPoolConnection<DB>> {
        let wait = self.metrics().wait();
        let connection = self.pool().try_acquire()?;
        Some(TimedPoolConnection::new(Held::new(wait.acquired(), connection), Arc::clone(&self.shared)))
    }

    /// Takes a connection and begins a transaction, as [`sqlx::Pool::begin`]: its `BEGIN`, its queries and its end are
    /// timed.
    ///
    /// # Errors
    /// Those of [`sqlx::Pool::begin`].
    pub async fn begin(&self) -> Result<TimedTransaction<'static, DB>, Error> {
        self.begin_by(None).await
    }

    /// As [`begin`](Self::begin) with a statement of your own, as [`sqlx::Pool::begin_with`]; SQLite's writers say
    /// `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    /// Those of [`sqlx::Pool::begin_with`].
    pub async fn begin_with(&self, statement: impl SqlSafeStr) -> Result<TimedTransaction<'static, DB>, Error> {
        self.begin_by(Some(statement.into_sql_str())).await
    }

    async fn begin_by(&self, statement: Option<SqlStr>) -> Result<TimedTransaction<'static, DB>, Error> {
        let (held, observation) = self.acquire_for(Asked::Control("BEGIN")).await?;
        let (connection, used) = held.into_parts();
        let begun = Answered::other(Transaction::begin(connection, statement), observation).await?;
        Ok(TimedTransaction::new(TimedConnection::of_transaction(begun, Some(used), Arc::clone(&self.shared)), false))
    }

    /// Takes a connection for an operation, which begins when it is there. Only where it fails in the wait, the wait is
    /// the operation's.
    ///
    /// sqlx's future is large, and polled where it is made: each further move would cost as much as what is measured here.
    async fn acquire_for(&self, asked: Asked<'_>) -> Result<(Held<PoolConnection<DB>>, Observation), Error> {
        let watched = &self.shared.watched;
        let system = self.shared.way().system;
        let mut observation = self.shared.observe(asked);
        let wait = watched.wait();
        observation.wait_for_connection(wait.since());
        let mut acquiring = pin!(watched.pool().acquire());
        let mut held = match poll_fn(|cx| observation.watch(|| acquiring.as_mut().poll(cx))).await {
            Ok(connection) => Held::new(wait.acquired(), connection),
            Err(error) => {
                if matches!(error, Error::PoolTimedOut) {
                    watched.timed_out(wait);
                }
                observation.finish(error_type(&error));
                return Err(error);
            }
        };
        if self.shared.must_learn() {
            observation.connected(None);
            self.learn(&mut held).await;
        } else {
            observation.connected(Some(held.since()));
        }
        // Another may have learnt it meanwhile.
        if self.shared.way().system != system {
            observation.connected(None);
            observation = self.shared.observe(asked);
        }
        Ok((held, observation))
    }

    /// Asks MySQL's driver, until it has answered once, whether it is MariaDB that it talks to.
    async fn learn(&self, connection: &mut DB::Connection) {
        let shared = &*self.shared;
        if !shared.must_learn() {
            return;
        }
        // Whether there is a row, any driver's connection can tell; the version itself would have to be decoded.
        let is_mariadb = "SELECT 1 FROM DUAL WHERE VERSION() LIKE '%MariaDB%'";
        let Ok(answer) = connection.fetch_optional(is_mariadb).await else {
            shared.unanswered.fetch_add(1, Relaxed);
            return;
        };
        let way = || Way::new("mariadb", shared.way.open.clone(), Arc::clone(&shared.way.settings));
        // Whoever is second has the same answer.
        let _ = shared.mariadb.set(answer.is_some().then(way));
    }

    /// A query with a stream for an answer.
    fn stream<'e, 'q: 'e, T: Send + 'e>(
        &self,
        query: impl Execute<'q, DB>,
        steps: Watch<DB, T>,
    ) -> BoxStream<'e, Result<T, Error>> {
        let pool = self.clone();
        let query = Taken::new(query);
        Box::pin(Yielding::new(move |yielder| async move {
            let (mut held, observation) = pool.acquire_for(Asked::Query(query.text.as_str())).await?;
            let mut steps = steps((&mut *held).fetch_many(query), observation);
            while let Some(step) = poll_fn(|cx| Pin::new(&mut steps).poll_next(cx)).await {
                yielder.give(step?).await;
            }
            Ok(())
        }))
    }
}

/// Watches the steps of an answer.
type Watch<DB, T> = for<'s> fn(BoxStream<'s, Result<Step<DB>, Error>>, Observation) -> Steps<'s, DB, T>;

impl<DB: Database> Shared<DB> {
    fn way(&self) -> &Way {
        self.mariadb.get().and_then(Option::as_ref).unwrap_or(&self.way)
    }

    /// Whether it could be MariaDB, which has not been asked yet.
    fn must_learn(&self) -> bool {
        self.way.system == "mysql" && self.mariadb.get().is_none() && self.unanswered.load(Relaxed) < LEARN_TRIES
    }

    pub(super) fn observe(&self, asked: Asked<'_>) -> Observation {
        match asked {
            Asked::Query(text) => via::observe(&self.metrics, self.way(), text),
            Asked::Prepare(text) => via::observe_prepare(&self.metrics, self.way(), text),
            Asked::Control(operation) => {
                let labels = OperationLabels { system: self.way().system, operation, error: None };
                Observation::new(&self.metrics, Subject::Named(Arc::clone(&self.control), labels))
            }
        }
    }
}

/// How often a server that does not say who it is is asked again: each try costs a query its round trip.
const LEARN_TRIES: u32 = 3;

/// What a connection is asked.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Query(&'a str),
    Prepare(&'a str),
    /// What sqlx says by itself: the verb.
    Control(&'static str),
}

impl<'p, DB: Database> Executor<'p> for &'_ TimedPool<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    type Database = DB;

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Done<DB>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let pool = self.clone();
        let query = Taken::new(query);
        Box::pin(async move {
            let (mut held, observation) = pool.acquire_for(Asked::Query(query.text.as_str())).await?;
            Collected::<DB, Executed<DB>>::new((&mut *held).fetch_many(query), observation).await
        })
    }

    fn execute_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Done<DB>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        self.stream(query, |steps, observation| Steps::<DB, Done<DB>>::results(steps, observation))
    }

    fn fetch<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Row<DB>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        self.stream(query, |steps, observation| Steps::<DB, Row<DB>>::rows(steps, observation))
    }

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step<DB>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        self.stream(query, |steps, observation| Steps::<DB, Step<DB>>::all(steps, observation))
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<Row<DB>>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let pool = self.clone();
        let query = Taken::new(query);
        Box::pin(async move {
            let (mut held, observation) = pool.acquire_for(Asked::Query(query.text.as_str())).await?;
            Collected::<DB, Rows<DB>>::new((&mut *held).fetch_many(query), observation).await
        })
    }

    fn fetch_one<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Row<DB>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let pool = self.clone();
        let query = Taken::new(query);
        Box::pin(async move {
            let (mut held, observation) = pool.acquire_for(Asked::Query(query.text.as_str())).await?;
            Answered::one((&mut *held).fetch_optional(query), observation).await
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<Row<DB>>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let pool = self.clone();
        let query = Taken::new(query);
        Box::pin(async move {
            let (mut held, observation) = pool.acquire_for(Asked::Query(query.text.as_str())).await?;
            Answered::optional((&mut *held).fetch_optional(query), observation).await
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move {
            let (mut held, observation) = pool.acquire_for(Asked::Prepare(sql.as_str())).await?;
            Answered::other((&mut *held).prepare_with(sql, parameters), observation).await
        })
    }

    // Part of the trait because sqlx's `macros` feature is on, as this crate asks. It runs at compile time only.
    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'p: 'e,
    {
        let pool = self.pool().clone();
        Box::pin(async move { pool.acquire().await?.describe(sql).await })
    }
}

/// For code that asks for any [`Acquire`], migrations among it: the wait and the use are timed, but the queries are not,
/// since the trait gives away the connection itself. A transaction that it begins has no time of use either, as nobody here
/// sees its end; [`TimedPool::begin`] has all of them.
impl<'a, DB: Database> Acquire<'a> for &'_ TimedPool<DB> {
    type Database = DB;

    type Connection = Held<PoolConnection<DB>>;

    fn acquire(self) -> BoxFuture<'a, Result<Self::Connection, Error>> {
        let watched = self.shared.watched.clone();
        Box::pin(async move { watched.acquire().await })
    }

    fn begin(self) -> BoxFuture<'a, Result<Transaction<'a, DB>, Error>> {
        let watched = self.shared.watched.clone();
        Box::pin(async move {
            let (connection, used) = watched.acquire().await?.into_parts();
            used.unseen();
            Transaction::begin(connection, None).await
        })
    }
}

// Derived, it would ask for `DB: Clone`.
impl<DB: Database> Clone for TimedPool<DB> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<DB: Database> fmt::Debug for TimedPool<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedPool").field("name", &self.metrics().name()).finish_non_exhaustive()
    }
}
