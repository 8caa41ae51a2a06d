//! sqlx's pools, of any driver.

use std::fmt;
use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Database, Error, SqlSafeStr, Transaction};

use super::{Counts, Held, Pool, Use, Watched};

/// sqlx keeps no statistics of waits: they are seen where they go through the [`WatchedPool`].
impl<DB: Database> Pool for sqlx::Pool<DB> {
    fn counts(&self) -> Counts {
        let size = usize::try_from(self.size()).unwrap_or(usize::MAX);
        // Two counters that are read one after the other may disagree for a moment.
        let idle = self.num_idle().min(size);
        let limit = |connections: u32| usize::try_from(connections).unwrap_or(usize::MAX);
        Counts::new(idle, size - idle)
            .max(limit(self.options().get_max_connections()))
            .idle_min(limit(self.options().get_min_connections()))
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }
}

/// One of sqlx's pools, watched.
pub type WatchedPool<DB> = Watched<sqlx::Pool<DB>>;

impl<DB: Database> Watched<sqlx::Pool<DB>> {
    /// Takes a connection, as [`sqlx::Pool::acquire`].
    ///
    /// # Errors
    /// Those of [`sqlx::Pool::acquire`].
    pub async fn acquire(&self) -> Result<Held<PoolConnection<DB>>, Error> {
        self.take(self.pool().acquire(), |error| matches!(error, Error::PoolTimedOut)).await
    }

    /// Takes a connection and begins a transaction on it, as [`sqlx::Pool::begin`]; the wait ends before the `BEGIN`.
    ///
    /// # Errors
    /// Those of [`sqlx::Pool::begin`].
    pub async fn begin(&self) -> Result<WatchedTransaction<DB>, Error> {
        let (connection, used) = self.acquire().await?.into_parts();
        Ok(WatchedTransaction { transaction: Transaction::begin(connection, None).await?, _used: used })
    }

    /// Takes a connection and begins a transaction on it with a statement of your own, as [`sqlx::Pool::begin_with`];
    /// SQLite's writers say `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    /// Those of [`sqlx::Pool::begin_with`].
    pub async fn begin_with(&self, statement: impl SqlSafeStr) -> Result<WatchedTransaction<DB>, Error> {
        let (connection, used) = self.acquire().await?.into_parts();
        let transaction = Transaction::begin(connection, Some(statement.into_sql_str())).await?;
        Ok(WatchedTransaction { transaction, _used: used })
    }
}

/// A transaction on a connection of a [`WatchedPool`]: used like sqlx's own, its connection is held until it ends.
pub struct WatchedTransaction<DB: Database> {
    transaction: Transaction<'static, DB>,
    _used: Use,
}

impl<DB: Database> WatchedTransaction<DB> {
    /// Commits, as [`Transaction::commit`].
    ///
    /// # Errors
    /// Those of [`Transaction::commit`].
    pub async fn commit(self) -> Result<(), Error> {
        self.transaction.commit().await
    }

    /// Rolls back, as [`Transaction::rollback`]; so does the drop, later.
    ///
    /// # Errors
    /// Those of [`Transaction::rollback`].
    pub async fn rollback(self) -> Result<(), Error> {
        self.transaction.rollback().await
    }
}

impl<DB: Database> Deref for WatchedTransaction<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.transaction
    }
}

impl<DB: Database> DerefMut for WatchedTransaction<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.transaction
    }
}

impl<DB: Database> fmt::Debug for WatchedTransaction<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedTransaction").finish_non_exhaustive()
    }
}
