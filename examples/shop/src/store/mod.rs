//! The database, SQLite or Postgres: one pool, every statement timed, every wait counted. All SQL of the shop is in here.
//!
//! A statement is written once, for both, and runs on whichever there is:
//!
//! ```ignore
//! let mut read = db.read().await?;
//! let name: String = run!(read, |db| sqlx::query_scalar("SELECT name FROM products WHERE id = $1").bind(id).fetch_one(db).await)?;
//! ```
//!
//! Where the two need different words, `pick` takes both.

pub(crate) mod bad;
pub(crate) mod carts;
mod connect;
pub(crate) mod orders;
pub(crate) mod products;
mod seed;
mod temporary;
pub(crate) mod users;

use outrigger::db::{TimedConnection, TimedPool, TimedPoolConnection, TimedTransaction};
use sqlx::{Postgres, Sqlite};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, MutexGuard};

/// Connections may take this long to come back when the shop ends.
const LAST_CONNECTIONS: Duration = Duration::from_secs(2);

/// The same thing of either database.
#[derive(Clone)]
pub(crate) enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// A cheap handle on the database.
#[derive(Clone)]
pub(crate) struct Database {
    pool: Either<TimedPool<Sqlite>, TimedPool<Postgres>>,
    /// Whose turn it is to write to SQLite.
    writer: Arc<Mutex<()>>,
}

/// What a statement runs on.
type Connection<'a> = Either<&'a mut TimedConnection<'static, Sqlite>, &'a mut TimedConnection<'static, Postgres>>;

/// A connection to read with.
pub(crate) struct Read {
    connection: Either<TimedPoolConnection<Sqlite>, TimedPoolConnection<Postgres>>,
}

/// A transaction, until it is committed or dropped, which rolls it back. On SQLite it is the only one that writes; on
/// Postgres, those who must not meet lock rows.
pub(crate) struct Write<'a> {
    // Dropped before the turn is passed on.
    transaction: Either<TimedTransaction<'static, Sqlite>, TimedTransaction<'static, Postgres>>,
    _turn: Option<MutexGuard<'a, ()>>,
}

/// Runs a query on a [`Read`] or a [`Write`]: the compiler makes it once for each kind of database.
macro_rules! run {
    ($on:expr, |$executor:ident| $query:expr) => {
        match $on.connection() {
            $crate::store::Either::Sqlite($executor) => $query,
            $crate::store::Either::Postgres($executor) => $query,
        }
    };
}
use run;

impl Database {
    /// Takes a connection to read with, waiting for one where all are taken.
    pub(crate) async fn read(&self) -> sqlx::Result<Read> {
        let connection = match &self.pool {
            Either::Sqlite(pool) => Either::Sqlite(pool.acquire().await?),
            Either::Postgres(pool) => Either::Postgres(pool.acquire().await?),
        };
        Ok(Read { connection })
    }

    /// Begins a transaction, on SQLite when it is this one's turn.
    ///
    /// SQLite has one writer. Those who wait here come in order and hold no connection; in SQLite's own busy handler they
    /// would hold one each and sleep for up to 100 ms between looks.
    pub(crate) async fn write(&self) -> sqlx::Result<Write<'_>> {
        match &self.pool {
            Either::Sqlite(pool) => {
                let turn = self.writer.lock().await;
                // Takes SQLite's lock at once: a reader that turns writer later can find that another was faster.
                let transaction = Either::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?);
                Ok(Write { transaction, _turn: Some(turn) })
            }
            Either::Postgres(pool) => Ok(Write { transaction: Either::Postgres(pool.begin().await?), _turn: None }),
        }
    }

    /// Whether it answers.
    pub(crate) async fn ping(&self) -> sqlx::Result<()> {
        let mut read = self.read().await?;
        run!(read, |db| sqlx::query("SELECT 1").execute(db).await.map(drop))
    }

    /// Ends all connections; SQLite's last one folds the write-ahead log into the file. Whoever still works on one is
    /// waited for, within a bound.
    pub(crate) async fn close(&self) {
        let closed = async {
            match &self.pool {
                Either::Sqlite(pool) => pool.close().await,
                Either::Postgres(pool) => pool.close().await,
            }
        };
        if tokio::time::timeout(LAST_CONNECTIONS, closed).await.is_err() {
            tracing::warn!("database connections were still in use at the end");
        }
    }

    /// The words for this database.
    fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.pool {
            Either::Sqlite(_) => sqlite,
            Either::Postgres(_) => postgres,
        }
    }
}

impl Read {
    fn connection(&mut self) -> Connection<'_> {
        match &mut self.connection {
            Either::Sqlite(connection) => Either::Sqlite(connection),
            Either::Postgres(connection) => Either::Postgres(connection),
        }
    }
}

impl Write<'_> {
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self.transaction {
            Either::Sqlite(transaction) => transaction.commit().await,
            Either::Postgres(transaction) => transaction.commit().await,
        }
    }

    fn connection(&mut self) -> Connection<'_> {
        match &mut self.transaction {
            Either::Sqlite(transaction) => Either::Sqlite(transaction),
            Either::Postgres(transaction) => Either::Postgres(transaction),
        }
    }

    /// The words for this database.
    fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.transaction {
            Either::Sqlite(_) => sqlite,
            Either::Postgres(_) => postgres,
        }
    }

    /// Keeps other transactions off what `statement` locks, which on SQLite none could touch anyway.
    async fn lock(&mut self, statement: &'static str, of: i64) -> sqlx::Result<()> {
        if let Either::Postgres(connection) = self.connection() {
            sqlx::query(statement).bind(of).execute(connection).await?;
        }
        Ok(())
    }
}

/// Milliseconds since the Unix epoch: how the database keeps time.
pub(crate) fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
