//! Database metrics: wrap the executor of any [`sqlx`] query, or time the future of any other client.
//!
//! ```
//! # #[cfg(feature = "sqlx")] {
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
//! # }
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
//!
#![doc = include_str!("findings.md")]

#[cfg_attr(not(feature = "sqlx"), allow(dead_code, reason = "an operation by name has no statement"))]
pub(crate) mod insight;
mod labels;
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
mod tokens;

pub use self::labels::ErrorType;
pub use self::n_plus_one::{InRequest, InScope, RequestScope};
#[cfg(feature = "http")]
pub use self::n_plus_one::{NPlusOne, NPlusOneFuture, NPlusOneLayer};
pub(crate) use self::observation::Series;
pub use self::operation::{Operation, Running, TimedExt, TimedFuture};
#[cfg(feature = "postgres")]
pub use self::plan::{PlanAdvice, PlanAdvisor};
#[cfg(feature = "sqlx")]
pub use self::sqlx::{Timed, TimedBy};
pub(crate) use self::statement::Statement;
