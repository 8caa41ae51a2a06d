//! Database metrics, on SQLite.

use futures_util::{FutureExt, TryStreamExt};
use outrigger::Metrics;
use outrigger_semconv::{db, label, library};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArgumentsBuffer, SqlitePoolOptions, SqliteTypeInfo};
use sqlx::{AssertSqlSafe, Encode, Executor, QueryBuilder, Sqlite, SqlitePool, Statement, Type};

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
