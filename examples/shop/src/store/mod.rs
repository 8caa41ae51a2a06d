//! The database: one pool, one transaction at a time that writes, every statement timed and every wait counted.

pub(crate) mod carts;
pub(crate) mod orders;
pub(crate) mod products;
mod seed;
mod temporary;
pub(crate) mod users;

use crate::config::Config;
use outrigger::Metrics;
use outrigger::db::Timed;
use outrigger::pool::{Held, WatchedPool, WatchedTransaction};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use temporary::TemporaryFolder;
use tokio::sync::{Mutex, MutexGuard};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// A request waits this long for a connection before it is told that the shop is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// For other programs that write to the same file; our own writers queue in [`Database::write`].
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections may take this long to come back when the shop ends.
const LAST_CONNECTIONS: Duration = Duration::from_secs(2);
/// Compiled statements that each connection keeps; the shop has fewer.
const STATEMENT_CACHE: usize = 100;

/// A cheap handle on the database.
#[derive(Clone)]
pub(crate) struct Database {
    pool: WatchedPool<Sqlite>,
    writer: Arc<Mutex<()>>,
}

/// A connection to read with.
pub(crate) struct Read {
    connection: Held<PoolConnection<Sqlite>>,
}

/// The only transaction that writes, until it is committed or dropped, which rolls it back.
pub(crate) struct Write<'a> {
    // Dropped before the turn is passed on.
    transaction: WatchedTransaction<Sqlite>,
    _turn: MutexGuard<'a, ()>,
}

impl Database {
    /// Opens the database, creating, migrating and seeding it where needed. The folder is there for a temporary one, and
    /// must be kept until the pool is closed.
    pub(crate) async fn open(config: &Config, metrics: &Metrics) -> Result<(Self, Option<TemporaryFolder>), OpenError> {
        let (options, folder) = match &config.database {
            Some(name) => (options(name)?, None),
            None => {
                let folder = TemporaryFolder::create().map_err(OpenError::TemporaryFolder)?;
                (SqliteConnectOptions::new().filename(folder.path().join("shop.db")), Some(folder))
            }
        };
        let name = options.get_filename().display().to_string();
        let pool = SqlitePoolOptions::new()
            .max_connections(config.max_connections)
            .min_connections(2)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(tuned(options))
            .await
            .map_err(|source| OpenError::Connect { name: name.clone(), source })?;
        MIGRATIONS.run(&pool).await.map_err(|source| OpenError::Migrate { name: name.clone(), source })?;
        // Its gauges, and the waits of everybody who takes a connection through it.
        let pool = outrigger::pool::watch(metrics, "shop", &pool);
        let database = Self { pool, writer: Arc::default() };
        seed::fill(&database).await.map_err(|source| OpenError::Connect { name, source })?;
        Ok((database, folder))
    }

    /// Takes a connection to read with, waiting for one where all are taken.
    pub(crate) async fn read(&self) -> sqlx::Result<Read> {
        Ok(Read { connection: self.pool.acquire().await? })
    }

    /// Waits for the turn to write, and then for a connection.
    ///
    /// SQLite has one writer. Those who wait here come in order and hold no connection; in SQLite's own busy handler they
    /// would hold one each and sleep for up to 100 ms between looks.
    pub(crate) async fn write(&self) -> sqlx::Result<Write<'_>> {
        let turn = self.writer.lock().await;
        // Takes SQLite's lock at once: a reader that turns writer later can find that another was faster.
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Write { transaction, _turn: turn })
    }

    /// Ends all connections; the last one folds the write-ahead log into the file. Whoever still works on one is waited for,
    /// within a bound.
    pub(crate) async fn close(&self) {
        if tokio::time::timeout(LAST_CONNECTIONS, self.pool.pool().close()).await.is_err() {
            tracing::warn!("database connections were still in use at the end");
        }
    }
}

impl Read {
    /// Runs a statement.
    pub(crate) fn run(&mut self) -> Timed<&mut SqliteConnection> {
        Timed(&mut self.connection)
    }
}

impl Write<'_> {
    /// Runs a statement in the transaction.
    pub(crate) fn run(&mut self) -> Timed<&mut SqliteConnection> {
        Timed(&mut self.transaction)
    }

    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        self.transaction.commit().await
    }
}

/// Milliseconds since the Unix epoch: how the database keeps time.
pub(crate) fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("--database {name}: {source}; give a file in a folder that exists, or a sqlite: URL")]
    Name { name: String, source: sqlx::Error },
    #[error("--database {name}: {source}")]
    Connect { name: String, source: sqlx::Error },
    #[error("--database {name}: {source}; was it made by another version of the shop?")]
    Migrate { name: String, source: sqlx::migrate::MigrateError },
    #[error("no temporary folder for the database: {0}; set TMPDIR or --database")]
    TemporaryFolder(std::io::Error),
}

fn options(name: &str) -> Result<SqliteConnectOptions, OpenError> {
    if name.starts_with("sqlite:") {
        SqliteConnectOptions::from_str(name).map_err(|source| OpenError::Name { name: name.to_owned(), source })
    } else {
        Ok(SqliteConnectOptions::new().filename(Path::new(name)))
    }
}

fn tuned(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        // Readers go on while one writes.
        .journal_mode(SqliteJournalMode::Wal)
        // With a write-ahead log, a crash of the shop loses nothing; a crash of the machine may lose the last moments.
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENT_CACHE)
        .pragma("temp_store", "memory")
        // All connections read the file through the system's one cache, instead of filling one each.
        .pragma("mmap_size", "268435456")
}
