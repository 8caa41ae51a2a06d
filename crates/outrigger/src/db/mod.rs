//! Database metrics: wrap a pool of [`sqlx`](::sqlx) once, or any executor of a query, or the future of any other client.
//!
//! ```
//! # #[cfg(feature = "sqlx")] {
//! use outrigger::{Metrics, db::TimedPool};
//! use sqlx::{Sqlite, SqlitePool};
//!
//! async fn connect(metrics: &Metrics) -> sqlx::Result<TimedPool<Sqlite>> {
//!     let pool = SqlitePool::connect("sqlite://shop.db").await?;
//!     Ok(metrics.timed_pool("shop", pool)) // what changes; the queries below stay as they are
//! }
//!
//! async fn product_count(pool: &TimedPool<Sqlite>) -> sqlx::Result<i64> {
//!     sqlx::query_scalar("SELECT count(*) FROM products").fetch_one(pool).await
//! }
//!
//! async fn rename(pool: &TimedPool<Sqlite>, id: i64, name: &str) -> sqlx::Result<()> {
//!     let mut tx = pool.begin().await?;
//!     sqlx::query("UPDATE products SET name = $1 WHERE id = $2").bind(name).bind(id).execute(&mut *tx).await?;
//!     tx.commit().await
//! }
//! # }
//! ```
//!
//! # Three ways in
//!
//! - [`Metrics::timed_pool`](crate::Metrics::timed_pool) (feature `sqlx`) makes a [`TimedPool`]: a reference to it is an
//!   executor, and so are `&mut *connection` and `&mut *tx` of the connections and transactions that it gives, savepoints
//!   within them too. It goes with `query`, `query_as`, `query_scalar`, the macros, `QueryBuilder`, `raw_sql`, prepared
//!   statements and streams, for every driver, and in functions that take `impl Executor` or are generic over
//!   [`sqlx::Database`](::sqlx::Database). The pool is [watched](crate::pool) too.
//! - [`Timed`] (to the global recorder) and [`Metrics::timed`](crate::Metrics::timed) wrap any executor for one query:
//!   `.execute(Timed(&pool))`, `.fetch_one(Timed(&mut *tx))`. `Timed` writes through
//!   [`Metrics::global`](crate::Metrics::global), whose settings are its own: what
//!   [`slow_queries`](crate::Metrics::slow_queries) and `plan_advice` set on another handle, that of `install()` too, does
//!   not reach it; set it on `Metrics::global()` as well, or use `metrics.timed(..)`. Wrap no [`TimedPool`], nor what it
//!   gives, in either: the query would be counted twice.
//! - [`TimedExt::timed`] (feature `db`, no driver) times any future that gives a `Result`, as the [`Operation`] that it is
//!   told: tokio-postgres, diesel-async, a client of your own. [`Operation::start`] does so without a future.
//!
//! # In a program that has many queries
//!
//! Change the place where the pool is made, and the type's name where it is spelled out: `PgPool` becomes
//! `TimedPool<Postgres>`, a [`TimedTransaction`] is what `begin` gives, and a function that asked for `&mut PgConnection`
//! asks for `&mut TimedConnection<'_, Postgres>`. `use outrigger::db::TimedPgPool as PgPool` (feature `postgres`) spares even
//! that. No query changes.
//!
//! Nothing here derefs to one of sqlx's types, so that nothing goes by untimed without being said so. That is:
//! - [`TimedPool::pool`] and [`TimedConnection::untimed`], for whoever asks for sqlx's own types;
//! - code that is generic over [`sqlx::Acquire`](::sqlx::Acquire), the migrations of `Migrator::run(&pool)` among it: the trait gives the
//!   bare connection away. The wait and the use are timed, the queries are not.
//!
//! # What it emits
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `db_client_operation_duration_seconds` | histogram | `db_system_name`, `db_operation_name`, `db_collection_name` where the statement names one, `error_type` on failure; `db_namespace`, `db_role`, `db_shard` where they are set |
//! | `db_client_response_returned_rows` | histogram | the same, without `error_type` |
//!
//! - `db_system_name`: `postgresql`, `mysql`, `mariadb` or `sqlite`; `other_sql` for `Any`. The driver is one for MySQL
//!   and MariaDB: a [`TimedPool`] asks its first connection for the version, [`TimedBy::mariadb`] has to be told. What
//!   fails before there is a connection is `mysql`, and so is all if the question has failed three times.
//! - `db_operation_name` and `db_collection_name`: the statement's verb and its first table, found by a scanner that
//!   reads at most 8 KiB and keeps none of the values. A verb it does not know, and a table name that is not a plain
//!   identifier of up to 64 bytes, is `_other`; a statement that reads from a subquery, a function or a `WITH` name has
//!   no collection. A prepared statement's preparation is `PREPARE`.
//! - `BEGIN`, `COMMIT` and `ROLLBACK` of a [`TimedPool`]'s transactions, and `SAVEPOINT`, `RELEASE` and `ROLLBACK` of the
//!   ones within. A transaction that is dropped is counted as a `ROLLBACK` then; sqlx sends it with the connection's next
//!   statement, so that its time is not seen.
//! - `db_namespace`: [`TimedPool::namespace`]; for Postgres (feature `postgres`) what the options of the pool say.
//! - `error_type`: the code that the database gave (SQLSTATE for PostgreSQL and MySQL, the extended result code for
//!   SQLite), or a kind of client-side failure: `pool_timeout`, `pool_closed`, `io`, `tls`, `protocol`, `decode`,
//!   `encode`, `worker_crashed`, `cancelled` (dropped while waiting for the database), `panic`, `_OTHER`. `RowNotFound`
//!   is an answer, not a failure.
//! - Rows are those that the caller was given; who executes a statement wants none, and a query that failed counts none.
//!
//! Through a [`TimedPool`], the wait for a connection is in `db_client_connection_wait_time_seconds` and not in the
//! operation's duration, unless the operation fails in it. Through `Timed(&pool)` the duration includes the wait. A stream
//! ends when it yields its last row, or when it is dropped: its duration includes the time that its consumer takes, since
//! two readings of the clock for each row would cost more than they tell.
//!
//! # Cost
//!
//! A statement is scanned when its text is seen for the first time, and looked up by its text from then on: 1,024 texts are
//! kept for each pool, and of those that go through [`Timed`] for each system, of at most 8 KiB each. A text that is not
//! among them costs one to two microseconds and a few allocations.
//!
//! A known statement is one future of ours where sqlx's provided methods are two or three in boxes. `crates/bench-peers`
//! counts it beside the bare pool: `cargo run --release -- queries`.
//!
//! # Limits
//!
//! 1,000 label sets of each metric per [`Metrics`](crate::Metrics), then the collection `_other`, counted in
//! `outrigger_series_dropped_total`. A namespace, role, shard or collection of more than 64 bytes is `_other`.
//!
#![doc = include_str!("findings.md")]

mod dialect;
#[cfg_attr(not(feature = "sqlx"), allow(dead_code, reason = "an operation by name has no statement"))]
pub(crate) mod insight;
mod labels;
#[cfg_attr(not(feature = "sqlx"), allow(dead_code, reason = "the scanner needs less of it than a shape"))]
mod lexer;
#[cfg_attr(not(feature = "sqlx"), allow(dead_code, reason = "an operation by name has no statement"))]
mod n_plus_one;
mod observation;
mod operation;
#[cfg(feature = "postgres")]
mod plan;
#[cfg(feature = "postgres")]
pub mod replica;
mod scan;
#[cfg_attr(not(feature = "sqlx"), allow(dead_code, reason = "an operation by name has no statement"))]
mod shape;
#[cfg_attr(not(feature = "sqlx"), allow(dead_code, reason = "an operation by name has no statement"))]
mod slow;
#[cfg(feature = "sqlx")]
mod sqlx;
#[cfg_attr(not(feature = "sqlx"), allow(dead_code, reason = "an operation by name has no statement"))]
mod statement;

pub use self::labels::ErrorType;
pub use self::n_plus_one::{InRequest, InScope, RequestScope};
#[cfg(feature = "http")]
pub use self::n_plus_one::{NPlusOne, NPlusOneFuture, NPlusOneLayer};
pub(crate) use self::observation::Series;
pub use self::operation::{Operation, Running, TimedExt, TimedFuture};
#[cfg(feature = "postgres")]
pub use self::plan::{PlanAdvice, PlanAdvisor};
#[cfg(feature = "sqlx")]
pub use self::sqlx::{Timed, TimedBy, TimedConnection, TimedPool, TimedPoolConnection, TimedTransaction};
#[cfg(feature = "postgres")]
pub use self::sqlx::{TimedPgConnection, TimedPgPool, TimedPgTransaction};
pub(crate) use self::statement::Statement;
