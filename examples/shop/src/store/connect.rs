//! Finding, opening, migrating and stocking the database that `--database` names.

use super::temporary::TemporaryFolder;
use super::{Database, Either, seed};
use crate::config::Config;
use outrigger::Metrics;
use outrigger::db::PlanAdvice;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Pool};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// A request waits this long for a connection before it is told that the shop is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// For other programs that write to the same SQLite file; our own writers queue in [`Database::write`].
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Compiled statements that each connection keeps; the shop has fewer.
const STATEMENT_CACHE: usize = 100;

#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(
        "--database {0}: {1}; give a file in a folder that exists, a sqlite: URL, or postgres://USER:PASSWORD@HOST:5432/DATABASE"
    )]
    Name(String, sqlx::Error),
    #[error("--database {0}: {1}")]
    Connect(String, sqlx::Error),
    #[error("--database {0}: {1}; was it made by another version of the shop?")]
    Migrate(String, sqlx::migrate::MigrateError),
    #[error("no temporary folder for the database: {0}; set TMPDIR or --database")]
    TemporaryFolder(std::io::Error),
}

impl Database {
    /// Opens the database, creating, migrating and seeding it where needed. The folder is there for a temporary one, and
    /// must be kept until the pool is closed.
    pub(crate) async fn open(config: &Config, metrics: &Metrics) -> Result<(Self, Option<TemporaryFolder>), OpenError> {
        let (place, folder) = match &config.database {
            Some(name) => (Place::named(name)?, None),
            None => {
                let folder = TemporaryFolder::create().map_err(OpenError::TemporaryFolder)?;
                let file = SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
                (Place::of_sqlite(file), Some(folder))
            }
        };
        let pool = match place.options {
            Either::Sqlite(options) => {
                let pool = pool(config, &place.name, tuned(options), &SQLITE).await?;
                Either::Sqlite(metrics.timed_pool("shop", pool))
            }
            Either::Postgres(options) => {
                let options = options.statement_cache_capacity(STATEMENT_CACHE);
                let pool = pool(config, &place.name, options, &POSTGRES).await?;
                // And what is slow there has its plan looked at.
                Either::Postgres(metrics.timed_pool("shop", pool).plan_advice(PlanAdvice::new()))
            }
        };
        let database = Self { pool, writer: Arc::default() };
        seed::fill(&database).await.map_err(|source| OpenError::Connect(place.name, source))?;
        Ok((database, folder))
    }
}

/// Where the database is.
struct Place {
    /// For messages: without a password.
    name: String,
    options: Either<SqliteConnectOptions, PgConnectOptions>,
}

impl Place {
    fn named(text: &str) -> Result<Self, OpenError> {
        let wrong = |name: &str| {
            let name = name.to_owned();
            move |source| OpenError::Name(name, source)
        };
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                // What is wrong may stand before the `@` as well: no part of the URL goes into the message.
                let options = PgConnectOptions::from_str(text).map_err(wrong("postgres://..."))?;
                let (host, port) = (options.get_host(), options.get_port());
                let database = options.get_database().unwrap_or_else(|| options.get_username());
                let name = format!("postgres://{host}:{port}/{database}");
                Ok(Self { name, options: Either::Postgres(options) })
            }
            Some((scheme, _)) if scheme != "sqlite" => {
                let unknown = sqlx::Error::Configuration("there is no such kind of database here".into());
                Err(wrong(&format!("{scheme}://..."))(unknown))
            }
            _ if text.starts_with("sqlite:") => {
                Ok(Self::of_sqlite(SqliteConnectOptions::from_str(text).map_err(wrong(text))?))
            }
            _ => Ok(Self::of_sqlite(SqliteConnectOptions::new().filename(Path::new(text)))),
        }
    }

    fn of_sqlite(options: SqliteConnectOptions) -> Self {
        Self { name: options.get_filename().display().to_string(), options: Either::Sqlite(options) }
    }
}

/// A pool with the tables that the shop wants.
async fn pool<DB>(
    config: &Config,
    name: &str,
    options: <DB::Connection as Connection>::Options,
    migrations: &Migrator,
) -> Result<Pool<DB>, OpenError>
where
    DB: sqlx::Database<Connection: Migrate>,
{
    let pool = PoolOptions::new()
        .max_connections(config.max_connections)
        .min_connections(2)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(|source| OpenError::Connect(name.to_owned(), source))?;
    migrations.run(&pool).await.map_err(|source| OpenError::Migrate(name.to_owned(), source))?;
    Ok(pool)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<String, String> {
        Place::named(text).map(|place| place.name).map_err(|error| error.to_string())
    }

    #[test]
    fn places_are_named_without_their_passwords() {
        assert_eq!(name("shop.db").as_deref(), Ok("shop.db"));
        assert_eq!(name("sqlite:shop.db").as_deref(), Ok("shop.db"));
        assert_eq!(name("postgres://ada:secret@db:5433/shop").as_deref(), Ok("postgres://db:5433/shop"));
        assert_eq!(name("postgresql://ada@db").as_deref(), Ok("postgres://db:5432/ada"));
    }

    #[test]
    fn what_is_no_place_is_told_what_one_looks_like() {
        for wrong in ["mysql://ada:secret@db/shop", "postgres://ada:secret@db:port/shop"] {
            let error = name(wrong).unwrap_err();
            assert!(error.contains("postgres://USER:PASSWORD@HOST:5432/DATABASE"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
