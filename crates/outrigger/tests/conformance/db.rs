//! Database metrics, on SQLite.

use futures_util::{FutureExt, TryStreamExt};
use outrigger::Metrics;
use outrigger::db::{ErrorType, Operation, TimedExt, TimedPool};
use outrigger_semconv::{db, label, library};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArgumentsBuffer, SqlitePoolOptions, SqliteTypeInfo};
use sqlx::{Acquire, AssertSqlSafe, Encode, Executor, QueryBuilder, Sqlite, SqlitePool, Statement, Type};

use crate::support::Page;

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Item {
    id: i64,
    name: String,
}

pub(crate) async fn every_way_to_query_is_timed(metrics: Metrics) {
    let pool = items().await;
    let inserted = sqlx::query("INSERT INTO items (id, name) VALUES ($1, $2)").bind(4).bind("raft");
    assert_eq!(inserted.execute(metrics.timed(&pool)).await.unwrap().rows_affected(), 1);

    let select = "SELECT id, name FROM items WHERE id >= $1 ORDER BY id";
    let item: Item = sqlx::query_as(select).bind(4).fetch_one(metrics.timed(&pool)).await.unwrap();
    assert_eq!(item, Item { id: 4, name: "raft".to_owned() });
    let all: Vec<Item> = sqlx::query_as(select).bind(1).fetch_all(metrics.timed(&pool)).await.unwrap();
    assert_eq!(all.len(), 4);
    let none: Option<Item> = sqlx::query_as(select).bind(9).fetch_optional(metrics.timed(&pool)).await.unwrap();
    assert_eq!(none, None);
    let streamed: Vec<Item> = sqlx::query_as(select).bind(3).fetch(metrics.timed(&pool)).try_collect().await.unwrap();
    assert_eq!(streamed.len(), 2);
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM items").fetch_one(metrics.timed(&pool)).await.unwrap();
    assert_eq!(count, 4);

    let mut built = QueryBuilder::<Sqlite>::new("SELECT id, name FROM items WHERE id IN (");
    built.separated(", ").push_bind(1).push_bind(2);
    built.push(")");
    let both: Vec<Item> = built.build_query_as().fetch_all(metrics.timed(&pool)).await.unwrap();
    assert_eq!(both.len(), 2);

    let mut tx = pool.begin().await.unwrap();
    sqlx::query("UPDATE items SET name = 'x'").execute(metrics.timed(&mut *tx)).await.unwrap();
    tx.rollback().await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("DELETE FROM items WHERE id = 4").execute(metrics.timed(&mut *connection)).await.unwrap();
    let statement = metrics.timed(&mut *connection).prepare(sqlx::SqlSafeStr::into_sql_str(select)).await.unwrap();
    let item: Item = statement.query_as().bind(2).fetch_one(metrics.timed(&mut *connection)).await.unwrap();
    assert_eq!(item.id, 2);
    drop(connection);
    let results = sqlx::raw_sql("CREATE TABLE a (x int); INSERT INTO a VALUES (1)");
    results.execute_many(metrics.timed(&pool)).try_collect::<Vec<_>>().await.unwrap();

    let page = Page::of(&metrics);
    let counts = [
        ("INSERT", "items", 1),
        ("SELECT", "items", 7),
        ("UPDATE", "items", 1),
        ("DELETE", "items", 1),
        ("PREPARE", "items", 1),
        ("CREATE", "a", 1),
    ];
    for (operation, collection, count) in counts {
        let labels = labels(operation, collection);
        assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels), count, "{operation}\n{}", page.text());
    }
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 12);
    let sums = page.histogram(&db::CLIENT_OPERATION_DURATION, &labels("SELECT", "items")).and_then(|all| all.sum);
    assert!(sums.is_some_and(|sum| sum > 0.0), "the guard lives as long as the query");
}

/// What the macros check them against is kept in `.sqlx`.
pub(crate) async fn queries_checked_by_sqlx_are_timed(metrics: Metrics) {
    let pool = metrics.timed_pool("shop", items().await);
    let item = sqlx::query_as!(Item, "SELECT id, name FROM items WHERE id = $1", 2).fetch_one(&pool).await.unwrap();
    assert_eq!(item.id, 2);
    let record = sqlx::query!("SELECT id, name FROM items WHERE id = $1", 3).fetch_one(metrics.timed(pool.pool()));
    assert_eq!(record.await.unwrap().id, 3);
    let mut tx = pool.begin().await.unwrap();
    let count = sqlx::query_scalar!("SELECT count(*) FROM items").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(count, 3);
    tx.commit().await.unwrap();

    let page = Page::of(&metrics);
    assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels("SELECT", "items")), 3, "{}", page.text());
}

pub(crate) async fn failures_have_a_type(metrics: Metrics) {
    let pool = items().await;
    let timed = || metrics.timed(&pool);

    let twice = sqlx::query("INSERT INTO items (id, name) VALUES (1, 'again')").execute(timed()).await;
    let code = twice.unwrap_err().into_database_error().and_then(|error| error.code().map(String::from)).unwrap();
    assert!(sqlx::query("SELECT * FROM nowhere").fetch_all(timed()).await.is_err());
    let missing = sqlx::query("SELECT * FROM items WHERE id = 99").fetch_one(timed()).await;
    assert!(matches!(missing, Err(sqlx::Error::RowNotFound)));
    let unencodable = sqlx::query("SELECT * FROM items WHERE id = $1").bind(Unencodable).fetch_all(timed()).await;
    assert!(matches!(unencodable, Err(sqlx::Error::Encode(_))), "{unencodable:?}");
    let held = pool.acquire().await.unwrap();
    // With the clock stopped, time runs ahead to the timeout while everybody waits.
    tokio::time::pause();
    assert!(matches!(sqlx::query("DELETE FROM items").execute(timed()).await, Err(sqlx::Error::PoolTimedOut)));
    tokio::time::resume();
    drop(held);
    pool.close().await;
    assert!(matches!(sqlx::query("DELETE FROM items").execute(timed()).await, Err(sqlx::Error::PoolClosed)));

    let page = Page::of(&metrics);
    let cases = [
        ("INSERT", "items", code.as_str()),
        ("SELECT", "nowhere", "1"),
        ("SELECT", "items", "encode"),
        ("DELETE", "items", "pool_timeout"),
        ("DELETE", "items", "pool_closed"),
    ];
    for (operation, collection, error) in cases {
        let mut labels = labels(operation, collection);
        labels.push((label::ERROR_TYPE, error));
        assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels), 1, "{error}\n{}", page.text());
    }
    assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels("SELECT", "items")), 1, "no row is an answer");
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 6);
}

pub(crate) async fn a_stream_ends_with_its_last_row_or_its_drop(metrics: Metrics) {
    let pool = items().await;
    let count = || Page::of(&metrics).count(&db::CLIENT_OPERATION_DURATION, &labels("SELECT", "items"));
    let select = || sqlx::query("SELECT * FROM items").fetch(metrics.timed(&pool));

    let mut rows = select();
    let mut seen = 0;
    while rows.try_next().await.unwrap().is_some() {
        seen += 1;
        assert_eq!(count(), 0, "not before the last row");
    }
    assert_eq!((seen, count()), (3, 1));
    drop(rows);
    assert_eq!(count(), 1, "once");

    let mut rows = select();
    assert!(rows.try_next().await.unwrap().is_some());
    drop(rows);
    assert_eq!(count(), 2, "having seen enough is no failure");

    let mut rows = sqlx::query("SELECT * FROM nowhere").fetch(metrics.timed(&pool));
    assert!(rows.try_next().await.is_err());
    drop(rows);
    let mut failed = labels("SELECT", "nowhere");
    failed.push((label::ERROR_TYPE, "1"));
    assert_eq!(Page::of(&metrics).count(&db::CLIENT_OPERATION_DURATION, &failed), 1);
    assert_eq!(Page::of(&metrics).total(&db::CLIENT_OPERATION_DURATION), 3);
}

pub(crate) async fn collections_are_capped(metrics: Metrics) {
    const TABLES: u64 = 1_050;
    const CAP: u64 = 1_000;
    let pool = items().await;
    for index in 0..TABLES {
        let sql = AssertSqlSafe(format!("SELECT * FROM t{index}"));
        assert!(sqlx::query(sql).fetch_all(metrics.timed(&pool)).await.is_err(), "there is no such table");
    }
    let page = Page::of(&metrics);
    let mut other = labels("SELECT", label::OTHER);
    other.push((label::ERROR_TYPE, "1"));
    assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &other), TABLES - CAP);
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), TABLES);
    let dropped = [(label::METRIC, db::CLIENT_OPERATION_DURATION.name)];
    assert_eq!(page.number(&library::SERIES_DROPPED, &dropped), Some((TABLES - CAP) as f64));
}

pub(crate) async fn a_cancelled_query_says_so(metrics: Metrics) {
    let pool = items().await;
    let held = pool.acquire().await.unwrap();
    // Waits for a connection, and is given up.
    assert!(sqlx::query("DELETE FROM items").execute(metrics.timed(&pool)).now_or_never().is_none());
    drop(held);
    // Never polled: it asked the database nothing.
    drop(metrics.timed(&pool).execute("DELETE FROM items"));

    let page = Page::of(&metrics);
    let mut cancelled = labels("DELETE", "items");
    cancelled.push((label::ERROR_TYPE, "cancelled"));
    assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &cancelled), 1);
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 1, "{}", page.text());
}

/// What an existing program does with its pool, after the place where the pool is made has changed.
pub(crate) async fn a_timed_pool_changes_no_query(metrics: Metrics) {
    let pool = metrics.timed_pool("items", items().await).role("primary").shard("eu-1").namespace("shop");
    sqlx::query("INSERT INTO items VALUES ($1, $2)").bind(4).bind("raft").execute(&pool).await.unwrap();
    let select = "SELECT id, name FROM items ORDER BY id";
    let one: Item = sqlx::query_as(select).fetch_one(&pool).await.unwrap();
    assert_eq!(one.name, "paddle");
    let all: Vec<Item> = sqlx::query_as(select).fetch_all(&pool).await.unwrap();
    let streamed: Vec<Item> = sqlx::query_as(select).fetch(&pool).try_collect().await.unwrap();
    assert_eq!((all.len(), &streamed), (4, &all));
    assert_eq!(by_executor(&pool).await.unwrap(), 4);
    assert_eq!(by_acquire(&pool).await.unwrap(), 4, "not timed: the trait gives the connection away");
    let none: Option<Item> = sqlx::query_as("SELECT * FROM items WHERE id = 9").fetch_optional(&pool).await.unwrap();
    assert_eq!(none, None);

    let mut connection = pool.acquire().await.unwrap();
    connection.ping().await.unwrap();
    assert_eq!(by_executor(&mut *connection).await.unwrap(), 4);
    assert_eq!(by_connection(&mut connection).await.unwrap(), 4);
    let mut tx = connection.begin().await.unwrap();
    sqlx::query("DELETE FROM items").execute(&mut *tx).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    assert_eq!(by_executor(&mut *savepoint).await.unwrap(), 0);
    savepoint.commit().await.unwrap();
    tx.begin().await.unwrap().rollback().await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(by_executor(&mut *connection).await.unwrap(), 4);
    drop(connection);

    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    in_transaction(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("DELETE FROM items").execute(&mut *tx).await.unwrap();
    drop(tx);
    assert_eq!(by_executor(&pool).await.unwrap(), 4, "rolled back");

    let page = Page::of(&metrics);
    let place = [(label::DB_NAMESPACE, "shop"), (label::DB_ROLE, "primary"), (label::DB_SHARD, "eu-1")];
    let labels = |operation, collection: Option<&'static str>| {
        let mut labels = vec![(label::DB_SYSTEM_NAME, "sqlite"), (label::DB_OPERATION_NAME, operation)];
        labels.extend(place);
        labels.extend(collection.map(|name| (label::DB_COLLECTION_NAME, name)));
        labels
    };
    let counts = [
        ("INSERT", Some("items"), 1),
        ("SELECT", Some("items"), 11),
        ("UPDATE", Some("items"), 1),
        ("DELETE", Some("items"), 2),
        ("BEGIN", None, 3),
        ("COMMIT", None, 1),
        ("ROLLBACK", None, 3),
        ("SAVEPOINT", None, 2),
        ("RELEASE", None, 1),
    ];
    for (operation, collection, count) in counts {
        let labels = labels(operation, collection);
        assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels), count, "{operation}\n{}", page.text());
    }
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 25, "{}", page.text());
    let rows = page.histogram(&db::CLIENT_RESPONSE_RETURNED_ROWS, &labels("SELECT", Some("items"))).unwrap();
    // One, four, four, none, and seven counts.
    assert_eq!((rows.count(), rows.sum), (11, Some(16.0)), "{}", page.text());
    assert_eq!(page.total(&db::CLIENT_RESPONSE_RETURNED_ROWS), 11, "who executes wants no rows");

    let name = [(label::DB_CLIENT_CONNECTION_POOL_NAME, "items")];
    assert_eq!(page.count(&db::CLIENT_CONNECTION_WAIT_TIME, &name), 11, "{}", page.text());
    assert_eq!(page.count(&db::CLIENT_CONNECTION_USE_TIME, &name), 11);
    assert_eq!(page.number(&db::CLIENT_CONNECTION_PENDING_REQUESTS, &name), Some(0.0));
}

async fn by_executor<'e>(executor: impl sqlx::SqliteExecutor<'e>) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM items").fetch_one(executor).await
}

async fn by_acquire<'a>(source: impl Acquire<'a, Database = Sqlite>) -> sqlx::Result<i64> {
    let mut connection = source.acquire().await?;
    by_executor(&mut *connection).await
}

pub(crate) async fn a_use_without_an_end_has_no_time(metrics: Metrics) {
    let pool: TimedPool<Sqlite> = metrics.timed_pool("items", items().await);
    Acquire::begin(&pool).await.unwrap().rollback().await.unwrap();
    let name = [(label::DB_CLIENT_CONNECTION_POOL_NAME, "items")];
    let counted = |page: &Page| {
        let count = |metric| page.count(metric, &name);
        (count(&db::CLIENT_CONNECTION_WAIT_TIME), count(&db::CLIENT_CONNECTION_USE_TIME))
    };
    assert_eq!(counted(&Page::of(&metrics)), (1, 0));
    pool.begin().await.unwrap().rollback().await.unwrap();
    assert_eq!(counted(&Page::of(&metrics)), (2, 1));
}

async fn by_connection(connection: &mut outrigger::db::TimedConnection<'_, Sqlite>) -> sqlx::Result<i64> {
    by_executor(&mut *connection).await
}

async fn in_transaction(tx: &mut outrigger::db::TimedTransaction<'_, Sqlite>) -> sqlx::Result<()> {
    sqlx::query("UPDATE items SET name = name").execute(&mut **tx).await?;
    by_executor(&mut **tx).await.map(|_| ())
}

pub(crate) async fn a_timed_pool_tells_its_wait_from_its_queries(metrics: Metrics) {
    let pool: TimedPool<Sqlite> = metrics.timed_pool("items", items().await);
    let held = pool.acquire().await.unwrap();
    assert!(sqlx::query("DELETE FROM items").execute(&pool).now_or_never().is_none());
    drop(pool.execute("DELETE FROM items"));
    tokio::time::pause();
    assert!(matches!(sqlx::query("DELETE FROM items").execute(&pool).await, Err(sqlx::Error::PoolTimedOut)));
    assert!(matches!(pool.begin().await, Err(sqlx::Error::PoolTimedOut)));
    tokio::time::resume();
    drop(held);
    let stream = sqlx::query("SELECT * FROM items").fetch(&pool).try_next().await.unwrap();
    assert!(stream.is_some());
    let twice = sqlx::query("INSERT INTO items (id, name) VALUES (1, 'again')").execute(&pool).await;
    assert!(twice.is_err());
    pool.close().await;
    assert!(pool.is_closed() && sqlx::query("DELETE FROM items").execute(&pool).await.is_err());

    let page = Page::of(&metrics);
    let cases = [
        ("DELETE", Some("items"), Some("cancelled")),
        ("DELETE", Some("items"), Some("pool_timeout")),
        ("DELETE", Some("items"), Some("pool_closed")),
        ("BEGIN", None, Some("pool_timeout")),
        ("SELECT", Some("items"), None),
        ("INSERT", Some("items"), Some("1555")),
    ];
    for (operation, collection, error) in cases {
        let mut labels = vec![(label::DB_SYSTEM_NAME, "sqlite"), (label::DB_OPERATION_NAME, operation)];
        labels.extend(collection.map(|name| (label::DB_COLLECTION_NAME, name)));
        labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
        assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels), 1, "{labels:?}\n{}", page.text());
    }
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 6, "{}", page.text());
}

pub(crate) async fn futures_of_any_client_are_timed(metrics: Metrics) {
    let get = Operation::new("redis", "GET").collection("session").role("replica");
    let fine = || std::future::ready(Ok::<_, std::fmt::Error>(1));
    let fails = || std::future::ready(Err::<u8, _>(std::fmt::Error));
    assert_eq!(fine().timed_by(&metrics, &get).await, Ok(1));
    assert!(fails().timed_by(&metrics, &get).await.is_err());
    assert!(fails().timed_by(&metrics, &get).error_type(|_| Some(ErrorType::code("MOVED"))).await.is_err());
    assert!(fails().timed_by(&metrics, &get).error_type(|_| None).await.is_err(), "a proper answer");
    let waits = std::future::pending::<Result<(), ()>>();
    assert!(waits.timed_by(&metrics, &get.named("SET")).now_or_never().is_none());
    drop(fine().timed_by(&metrics, &get));
    get.named("DEL").start(&metrics).finish(Some(ErrorType::IO));
    drop(get.named("INCR").start(&metrics));
    let panics =
        std::future::poll_fn(|_| -> std::task::Poll<Result<(), ()>> { std::panic::resume_unwind(Box::new("a bug")) });
    let panics = std::panic::AssertUnwindSafe(panics.timed_by(&metrics, &get.named("SCAN")));
    assert!(panics.catch_unwind().await.is_err());
    let sql = Operation::sql("postgresql", "SELECT * FROM users WHERE name = 'secret'");
    sql.start(&metrics).finish_with_rows(3);

    let page = Page::of(&metrics);
    let cases = [
        ("GET", None, 2),
        ("GET", Some("_OTHER"), 1),
        ("GET", Some("MOVED"), 1),
        ("SET", Some("cancelled"), 1),
        ("DEL", Some("io"), 1),
        ("INCR", Some("cancelled"), 1),
        ("SCAN", Some("panic"), 1),
    ];
    for (operation, error, count) in cases {
        let mut labels = vec![
            (label::DB_SYSTEM_NAME, "redis"),
            (label::DB_OPERATION_NAME, operation),
            (label::DB_COLLECTION_NAME, "session"),
            (label::DB_ROLE, "replica"),
        ];
        labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
        assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels), count, "{labels:?}\n{}", page.text());
    }
    let users = [
        (label::DB_SYSTEM_NAME, "postgresql"),
        (label::DB_OPERATION_NAME, "SELECT"),
        (label::DB_COLLECTION_NAME, "users"),
    ];
    assert_eq!(page.count(&db::CLIENT_RESPONSE_RETURNED_ROWS, &users), 1);
    assert!(!page.text().contains("secret"));
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 9);
}

/// One connection, so that there is one database, with three items.
async fn items() -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let sql = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        INSERT INTO items VALUES (1, 'paddle'), (2, 'canoe'), (3, 'float')";
    pool.execute(sql).await.unwrap();
    pool
}

fn labels<'a>(operation: &'a str, collection: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (label::DB_SYSTEM_NAME, "sqlite"),
        (label::DB_OPERATION_NAME, operation),
        (label::DB_COLLECTION_NAME, collection),
    ]
}

/// A value that no driver can send.
struct Unencodable;

impl Type<Sqlite> for Unencodable {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Unencodable {
    fn encode_by_ref(&self, _: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Err("it cannot be encoded".into())
    }
}
