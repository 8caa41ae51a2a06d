//! sqlx: executors whose queries are timed.

mod connection;
mod driver;
mod error;
mod observed;
mod pool;
mod timed;
mod via;
mod yielding;

#[cfg(feature = "postgres")]
pub(in crate::db) use self::error::error_type;

pub use self::connection::{TimedConnection, TimedPoolConnection, TimedTransaction};
pub use self::pool::TimedPool;
pub use self::timed::{Timed, TimedBy};

/// A [`TimedPool`] of Postgres, in the place of `sqlx::PgPool`.
#[cfg(feature = "postgres")]
pub type TimedPgPool = TimedPool<sqlx::Postgres>;

/// A [`TimedConnection`] to Postgres, in the place of `sqlx::PgConnection`.
#[cfg(feature = "postgres")]
pub type TimedPgConnection<'c> = TimedConnection<'c, sqlx::Postgres>;

/// A [`TimedTransaction`] of Postgres, in the place of `sqlx::PgTransaction`.
#[cfg(feature = "postgres")]
pub type TimedPgTransaction<'c> = TimedTransaction<'c, sqlx::Postgres>;
