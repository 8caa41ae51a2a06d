//! Database metrics: wrap the executor of any [`sqlx`] query.
//!
//! ```
//! use outrigger::db::Timed;
//!
//! async fn product_count(pool: &sqlx::SqlitePool) -> sqlx::Result<i64> {
//!     sqlx::query_scalar("SELECT count(*) FROM products").fetch_one(Timed(pool)).await
//! }
//!
//! async fn rename(pool: &sqlx::SqlitePool, id: i64, name: &str) -> sqlx::Result<()> {
//!     let mut tx = pool.begin().await?;
//!     sqlx::query("UPDATE products SET name = $1 WHERE id = $2").bind(name).bind(id).execute(Timed(&mut *tx)).await?;
//!     tx.commit().await
//! }
//! ```
//!
//! [`Timed`] writes to the global recorder; [`Metrics::timed`] to one of your choice. Both take whatever sqlx takes as
//! an executor (`&pool`, `&mut *connection`, `&mut *transaction`), with `query`, `query_as`, `query_scalar`,
//! `QueryBuilder`, `raw_sql`, prepared statements and the macros.
//!
//! # What it emits
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `db_client_operation_duration_seconds` | histogram | `db_system_name`, `db_operation_name`, `db_collection_name` where the statement names one, `error_type` on failure |
//!
//! - `db_system_name`: `postgresql`, `mysql` (MariaDB too: the driver is one) or `sqlite`; `other_sql` for `Any`.
//! - `db_operation_name` and `db_collection_name`: the statement's verb and its first table, found by a scanner that
//!   reads at most 8 KiB and keeps none of the values. A verb it does not know, and a table name that is not a plain
//!   identifier of up to 64 bytes, is `_other`; a statement that reads from a subquery, a function or a `WITH` name has
//!   no collection.
//! - `error_type`: the code that the database gave (SQLSTATE for PostgreSQL and MySQL, the extended result code for
//!   SQLite), or a kind of client-side failure: `pool_timeout`, `pool_closed`, `io`, `tls`, `protocol`, `decode`,
//!   `encode`, `worker_crashed`, `cancelled` (dropped while waiting for the database), `panic`, `_OTHER`. `RowNotFound`
//!   is an answer, not a failure.
//!
//! Through `&pool`, the duration includes the wait for a connection: see [`pool`](crate::pool) for telling them apart.
//! A stream ends when it yields its last row, or when it is dropped; rows are not waited for by the metric. `BEGIN`,
//! `COMMIT` and `ROLLBACK` go past the executor and are not seen.
//!
//! # Limits and cost
//!
//! 1,000 label sets per [`Metrics`], then the collection `_other`, counted in `outrigger_series_dropped_total`. A call
//! costs well below a microsecond and two allocations beside sqlx's own.

mod labels;
mod observed;
mod shape;
mod statement;
mod tokens;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use sqlx::error::BoxDynError;
use sqlx::{Database, Describe, Either, Error, Execute, Executor, SqlStr};

pub(crate) use self::observed::Series;

use self::observed::{Observation, ObservedFuture, ObservedStream};
use crate::Metrics;

/// An executor whose queries are timed, written to the global recorder. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Timed<X>(pub X);

/// An executor whose queries are timed: what [`Metrics::timed`] returns.
#[derive(Clone, Debug)]
pub struct TimedBy<X> {
    executor: X,
    metrics: Metrics,
}

impl Metrics {
    /// An executor whose queries are timed, written to these metrics.
    ///
    /// ```
    /// # async fn example(metrics: outrigger::Metrics, pool: sqlx::SqlitePool) -> sqlx::Result<()> {
    /// sqlx::query("DELETE FROM carts").execute(metrics.timed(&pool)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timed<X>(&self, executor: X) -> TimedBy<X> {
        TimedBy { executor, metrics: self.clone() }
    }
}

impl<X> TimedBy<X> {
    /// Takes a query apart: `Execute::sql` consumes it, so that what the driver needs must be taken out first.
    fn observe<'q, DB: Database>(metrics: &Metrics, mut query: impl Execute<'q, DB>) -> (Observation, TakenQuery<DB>) {
        let arguments = query.take_arguments();
        let statement = query.statement().cloned();
        let persistent = query.persistent();
        let sql = query.sql();
        let observation = Observation::start::<DB>(metrics, sql.as_str());
        (observation, TakenQuery { sql, statement, arguments: Some(arguments), persistent })
    }
}

/// A query whose parts have been taken out and put together again.
struct TakenQuery<DB: Database> {
    sql: SqlStr,
    statement: Option<DB::Statement>,
    arguments: Option<Result<Option<DB::Arguments>, BoxDynError>>,
    persistent: bool,
}

impl<DB: Database> Execute<'_, DB> for TakenQuery<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        self.arguments.take().unwrap_or(Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

type Done<DB> = <DB as Database>::QueryResult;
type Row<DB> = <DB as Database>::Row;

/// Forwards one method of `Executor`, so that a driver's own version of it is the one that runs.
macro_rules! forward {
    ($method:ident -> $boxed:ident, $output:ty, $observed:ident) => {
        fn $method<'e, 'q: 'e, E>(self, query: E) -> $boxed<'e, Result<$output, Error>>
        where
            'c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            let (observation, query) = Self::observe(&self.metrics, query);
            Box::pin($observed::new(self.executor.$method(query), observation))
        }
    };
}

impl<'c, X: Executor<'c>> Executor<'c> for TimedBy<X> {
    type Database = X::Database;

    forward!(execute -> BoxFuture, Done<X::Database>, ObservedFuture);
    forward!(execute_many -> BoxStream, Done<X::Database>, ObservedStream);
    forward!(fetch -> BoxStream, Row<X::Database>, ObservedStream);
    forward!(fetch_many -> BoxStream, Either<Done<X::Database>, Row<X::Database>>, ObservedStream);
    forward!(fetch_all -> BoxFuture, Vec<Row<X::Database>>, ObservedFuture);
    forward!(fetch_one -> BoxFuture, Row<X::Database>, ObservedFuture);
    forward!(fetch_optional -> BoxFuture, Option<Row<X::Database>>, ObservedFuture);

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [<Self::Database as Database>::TypeInfo],
    ) -> BoxFuture<'e, Result<<Self::Database as Database>::Statement, Error>>
    where
        'c: 'e,
    {
        let observation = Observation::start_prepare::<X::Database>(&self.metrics, sql.as_str());
        Box::pin(ObservedFuture::new(self.executor.prepare_with(sql, parameters), observation))
    }

    // Part of the trait because sqlx's `macros` feature is on, as this crate asks. It runs at compile time only.
    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Self::Database>, Error>>
    where
        'c: 'e,
    {
        self.executor.describe(sql)
    }
}

/// Forwards one method of `Executor` to the executor with the global metrics.
macro_rules! globally {
    ($method:ident -> $boxed:ident, $output:ty) => {
        fn $method<'e, 'q: 'e, E>(self, query: E) -> $boxed<'e, Result<$output, Error>>
        where
            'c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            Metrics::global().timed(self.0).$method(query)
        }
    };
}

impl<'c, X: Executor<'c>> Executor<'c> for Timed<X> {
    type Database = X::Database;

    globally!(execute -> BoxFuture, Done<X::Database>);
    globally!(execute_many -> BoxStream, Done<X::Database>);
    globally!(fetch -> BoxStream, Row<X::Database>);
    globally!(fetch_many -> BoxStream, Either<Done<X::Database>, Row<X::Database>>);
    globally!(fetch_all -> BoxFuture, Vec<Row<X::Database>>);
    globally!(fetch_one -> BoxFuture, Row<X::Database>);
    globally!(fetch_optional -> BoxFuture, Option<Row<X::Database>>);

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [<Self::Database as Database>::TypeInfo],
    ) -> BoxFuture<'e, Result<<Self::Database as Database>::Statement, Error>>
    where
        'c: 'e,
    {
        Metrics::global().timed(self.0).prepare_with(sql, parameters)
    }

    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Self::Database>, Error>>
    where
        'c: 'e,
    {
        self.0.describe(sql)
    }
}
