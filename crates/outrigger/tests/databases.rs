//! `Timed` on the databases that services use, each a real server; skipped with a word where it is not installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::TryStreamExt;
use outrigger::Metrics;
use outrigger::db::TimedPool;
use outrigger_semconv::{db, label};
use outrigger_testkit::{Mariadb, Postgres};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Connection, Executor, IntoArguments, MySqlPool, PgPool, Pool};
use support::{Page, wait_for_page};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_says_its_name_its_tables_and_its_codes() {
    let Some(server) = tokio::task::spawn_blocking(Postgres::start).await.unwrap() else { return };
    let metrics = outrigger::standalone().unwrap();
    let pool = PgPool::connect(&server.url()).await.unwrap();
    run(&metrics, &pool, "INSERT INTO items (id, name) VALUES ($1, $2)").await;
    // A cached statement and a stream of many rows, over the wire.
    let rows = "SELECT n FROM generate_series(1, 5000) AS n";
    assert_eq!(sqlx::query(rows).fetch_all(metrics.timed(&pool)).await.unwrap().len(), 5000);
    let missing = sqlx::query("SELECT * FROM public.\"No Such\"").fetch_all(metrics.timed(&pool)).await;
    assert!(missing.is_err());
    check(&metrics, "postgresql", &[("INSERT", "items", "23505"), ("SELECT", label::OTHER, "42P01")]);
    let function = [(label::DB_SYSTEM_NAME, "postgresql"), (label::DB_OPERATION_NAME, "SELECT")];
    assert_eq!(Page::of(&metrics).count(&db::CLIENT_OPERATION_DURATION, &function), 1);

    // The server goes: what the client sees is an I/O error or a lost connection, never a lost count.
    let before = Page::of(&metrics).total(&db::CLIENT_OPERATION_DURATION);
    let mut connection = pool.acquire().await.unwrap();
    tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
    assert!(sqlx::query("SELECT * FROM items").fetch_all(metrics.timed(&mut *connection)).await.is_err());
    let page = Page::of(&metrics);
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), before + 1);
    let lost = page
        .series(&db::CLIENT_OPERATION_DURATION)
        .iter()
        .any(|labels| labels.get(label::ERROR_TYPE).is_some_and(|error| ["io", "57P01", "protocol"].contains(error)));
    assert!(lost, "{}", page.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_says_its_name_its_tables_and_its_codes() {
    let Some(server) = tokio::task::spawn_blocking(Mariadb::start).await.unwrap() else { return };
    let metrics = outrigger::standalone().unwrap();
    let pool = MySqlPool::connect(&server.url()).await.unwrap();
    run(&metrics, &pool, "INSERT INTO `items` (id, name) VALUES (?, ?)").await;
    assert!(sqlx::query("SELECT \"FROM x\" FROM nowhere").fetch_all(metrics.timed(&pool)).await.is_err());
    check(&metrics, "mysql", &[("INSERT", "items", "23000"), ("SELECT", "nowhere", "42S02")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timed_pool_is_an_executor_for_each_database() {
    let metrics = outrigger::standalone().unwrap();
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    run_through_pool(&metrics.timed_pool("sqlite", pool), "INSERT INTO items (id, name) VALUES ($1, $2)").await;
    check_pool(&metrics, "sqlite", "sqlite", None);

    if let Some(server) = tokio::task::spawn_blocking(Postgres::start).await.unwrap() {
        let pool = metrics.timed_pool("postgres", PgPool::connect(&server.url()).await.unwrap()).role("primary");
        run_through_pool(&pool, "INSERT INTO items (id, name) VALUES ($1, $2)").await;
        check_pool(&metrics, "postgresql", "postgres", Some(("postgres", "primary")));
        pool.close().await;
    }
    if let Some(server) = tokio::task::spawn_blocking(Mariadb::start).await.unwrap() {
        let pool = metrics.timed_pool("mariadb", MySqlPool::connect(&server.url()).await.unwrap());
        run_through_pool(&pool, "INSERT INTO `items` (id, name) VALUES (?, ?)").await;
        check_pool(&metrics, "mariadb", "mariadb", None);
        // Without a pool, somebody has to say so.
        sqlx::query("SELECT * FROM `items`").fetch_all(metrics.timed(pool.pool()).mariadb()).await.unwrap();
        assert!(!Page::of(&metrics).text().contains(r#"db_system_name="mysql""#), "not even the first statement");
        pool.close().await;
    }
}

/// All of them wait when the first one learns who answers.
#[tokio::test]
async fn the_first_queries_of_a_pool_know_mariadb_all_at_once() {
    let Some(server) = tokio::task::spawn_blocking(Mariadb::start).await.unwrap() else { return };
    let metrics = outrigger::standalone().unwrap();
    for connections in [1, 4] {
        let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(connections);
        let pool = metrics.timed_pool("mariadb", pool.connect(&server.url()).await.unwrap());
        let first = (0..8).map(|_| sqlx::query("SELECT 1").execute(&pool));
        futures_util::future::try_join_all(first).await.unwrap();
        pool.close().await;
    }
    let page = Page::of(&metrics);
    assert_eq!(
        page.count(
            &db::CLIENT_OPERATION_DURATION,
            &[(label::DB_SYSTEM_NAME, "mariadb"), (label::DB_OPERATION_NAME, "SELECT")]
        ),
        16
    );
    assert!(!page.text().contains(r#"db_system_name="mysql""#), "{}", page.text());
}

#[tokio::test]
async fn transactions_that_are_dropped_or_cannot_be_committed_are_counted_as_what_they_are() {
    let metrics = outrigger::standalone().unwrap();
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let pool = metrics.timed_pool("sqlite", pool);
    let tables = "CREATE TABLE users (id int PRIMARY KEY); \
        CREATE TABLE orders (user_id int REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)";
    sqlx::raw_sql(tables).execute(&pool).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    // The driver is told of each rollback, and comes to it later.
    for _ in 0..50 {
        drop(connection.begin().await.unwrap());
    }
    let mut tx = connection.begin().await.unwrap();
    sqlx::query("INSERT INTO orders VALUES (7)").execute(&mut *tx).await.unwrap();
    assert!(tx.commit().await.is_err(), "there is no such user");
    drop(connection.begin().await.unwrap().commit());
    drop(connection);

    let page = Page::of(&metrics);
    let count = |operation, error: Option<&'static str>| {
        let mut labels = vec![(label::DB_SYSTEM_NAME, "sqlite"), (label::DB_OPERATION_NAME, operation)];
        labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
        page.count(&db::CLIENT_OPERATION_DURATION, &labels)
    };
    assert_eq!((count("BEGIN", None), count("SAVEPOINT", None)), (52, 0), "{}", page.text());
    assert_eq!((count("COMMIT", None), count("COMMIT", Some("787"))), (0, 1), "{}", page.text());
    assert_eq!(count("ROLLBACK", None), 52, "what is not committed is rolled back\n{}", page.text());
}

/// The code of a program that is generic over the database, queries as they always were.
async fn run_through_pool<DB: sqlx::Database>(pool: &TimedPool<DB>, insert: &'static str)
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    for<'q> i32: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    for<'q> &'q str: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    sqlx::query("CREATE TABLE items (id int PRIMARY KEY, name varchar(20) NOT NULL)").execute(pool).await.unwrap();
    let insert = || sqlx::query(insert).bind(1).bind("paddle");
    insert().execute(pool).await.unwrap();
    assert!(insert().execute(pool).await.is_err());

    let mut tx = pool.begin().await.unwrap();
    sqlx::query("UPDATE items SET name = 'canoe'").execute(&mut *tx).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    sqlx::query("DELETE FROM items").execute(&mut *savepoint).await.unwrap();
    savepoint.rollback().await.unwrap();
    tx.commit().await.unwrap();
    drop(pool.begin().await.unwrap());

    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(
        sqlx::query("SELECT * FROM items").fetch(&mut *connection).try_collect::<Vec<_>>().await.unwrap().len(),
        1
    );
    drop(connection);
    assert_eq!(sqlx::query("SELECT * FROM items").fetch(pool).try_collect::<Vec<_>>().await.unwrap().len(), 1);
    assert!(sqlx::query("SELECT * FROM items WHERE id = 7").fetch_optional(pool).await.unwrap().is_none());
    let mut wanted = sqlx::query("SELECT * FROM items").fetch(pool);
    assert!(wanted.try_next().await.unwrap().is_some());
}

fn check_pool(metrics: &Metrics, system: &str, pool: &str, place: Option<(&str, &str)>) {
    let page = Page::of(metrics);
    let counts = [
        ("CREATE", Some("items"), 1),
        ("INSERT", Some("items"), 1),
        ("UPDATE", Some("items"), 1),
        ("DELETE", Some("items"), 1),
        ("SELECT", Some("items"), 4),
        ("BEGIN", None, 2),
        ("SAVEPOINT", None, 1),
        ("COMMIT", None, 1),
        ("ROLLBACK", None, 2),
    ];
    for (operation, collection, count) in counts {
        let mut labels = vec![(label::DB_SYSTEM_NAME, system), (label::DB_OPERATION_NAME, operation)];
        labels.extend(collection.map(|name| (label::DB_COLLECTION_NAME, name)));
        if let Some((namespace, role)) = place {
            labels.extend([(label::DB_NAMESPACE, namespace), (label::DB_ROLE, role)]);
        }
        assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels), count, "{labels:?}\n{}", page.text());
        if operation == "SELECT" {
            let rows = page.histogram(&db::CLIENT_RESPONSE_RETURNED_ROWS, &labels).unwrap();
            assert_eq!((rows.count(), rows.sum), (4, Some(3.0)));
        }
    }
    let name = [(label::DB_CLIENT_CONNECTION_POOL_NAME, pool)];
    assert_eq!(page.count(&db::CLIENT_CONNECTION_WAIT_TIME, &name), 9, "{}", page.text());
}

/// Every query is counted once, with what became of it, while the server goes and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_under_load_is_seen_to_die_and_to_recover() {
    let Some(server) = tokio::task::spawn_blocking(Postgres::start).await.unwrap() else { return };
    let metrics = outrigger::standalone().unwrap();
    let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(2));
    let pool = metrics.timed_pool("shop", pool.connect(&server.url()).await.unwrap());
    sqlx::query("CREATE TABLE items (id serial PRIMARY KEY)").execute(&pool).await.unwrap();

    let (stop, succeeded, failed) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::default());
    let tasks: Vec<_> = (0..24)
        .map(|number: usize| {
            let (pool, stop) = (pool.clone(), Arc::clone(&stop));
            let (succeeded, failed): (Arc<AtomicU64>, Arc<AtomicU64>) = (Arc::clone(&succeeded), Arc::clone(&failed));
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    let outcome = if number.is_multiple_of(2) {
                        sqlx::query("SELECT * FROM items LIMIT 10").fetch_all(&pool).await.map(|_| ())
                    } else {
                        sqlx::query("INSERT INTO items DEFAULT VALUES").execute(&pool).await.map(|_| ())
                    };
                    if outcome.is_ok() { &succeeded } else { &failed }.fetch_add(1, Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();

    let of = |page: &Page, failed: bool| -> u64 {
        let series = page.series(&db::CLIENT_OPERATION_DURATION);
        let wanted = series.iter().filter(|labels| labels.contains_key(label::ERROR_TYPE) == failed);
        wanted
            .map(|labels| page.count(&db::CLIENT_OPERATION_DURATION, &labels.clone().into_iter().collect::<Vec<_>>()))
            .sum()
    };
    wait_for_page(&metrics, "load", |page| of(page, false) > 200).await;
    let server = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    });
    let mut server = server.await.unwrap();
    wait_for_page(&metrics, "failures", |page| of(page, true) > 20).await;
    tokio::task::spawn_blocking(move || {
        server.restart();
        server
    })
    .await
    .map(|server| async {
        let before = of(&Page::of(&metrics), false);
        wait_for_page(&metrics, "recovery", |page| of(page, false) > before + 200).await;
        stop.store(true, Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        drop(server);
    })
    .unwrap()
    .await;

    let page = Page::of(&metrics);
    // The one that made the table succeeded too.
    assert_eq!((of(&page, false), of(&page, true)), (succeeded.load(Relaxed) + 1, failed.load(Relaxed)));
    let known = ["io", "57P01", "57P02", "57P03", "protocol", "pool_timeout", "08006", "_OTHER"];
    for labels in page.series(&db::CLIENT_OPERATION_DURATION) {
        if let Some(error) = labels.get(label::ERROR_TYPE) {
            assert!(known.contains(error), "{error}\n{}", page.text());
        }
    }
    let name = [(label::DB_CLIENT_CONNECTION_POOL_NAME, "shop")];
    assert_eq!(page.number(&db::CLIENT_CONNECTION_PENDING_REQUESTS, &name), Some(0.0));
}

/// Creates a table, inserts twice under one key, and reads, through pool, connection and transaction.
async fn run<DB: sqlx::Database>(metrics: &Metrics, pool: &Pool<DB>, insert: &'static str)
where
    for<'p> &'p Pool<DB>: Executor<'p, Database = DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    for<'q> i32: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    for<'q> &'q str: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let create = "CREATE TABLE items (id int PRIMARY KEY, name varchar(20) NOT NULL)";
    sqlx::query(create).execute(metrics.timed(pool)).await.unwrap();
    let insert = || sqlx::query(insert).bind(1).bind("paddle");
    insert().execute(metrics.timed(pool)).await.unwrap();
    assert!(insert().execute(metrics.timed(pool)).await.is_err());

    let mut tx = pool.begin().await.unwrap();
    sqlx::query("UPDATE items SET name = 'canoe'").execute(metrics.timed(&mut *tx)).await.unwrap();
    tx.commit().await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    connection.ping().await.unwrap();
    let rows = sqlx::query("SELECT * FROM items").fetch_all(metrics.timed(&mut *connection)).await.unwrap();
    assert_eq!(rows.len(), 1);
    sqlx::query("DELETE FROM items").execute(metrics.timed(&mut *connection)).await.unwrap();
}

fn check(metrics: &Metrics, system: &str, failures: &[(&str, &str, &str)]) {
    let page = Page::of(metrics);
    let succeeded = ["CREATE", "INSERT", "UPDATE", "SELECT", "DELETE"].map(|operation| (operation, "items", None));
    let failed = failures.iter().map(|(operation, collection, error)| (*operation, *collection, Some(*error)));
    for (operation, collection, error) in succeeded.into_iter().chain(failed) {
        let mut labels = vec![
            (label::DB_SYSTEM_NAME, system),
            (label::DB_OPERATION_NAME, operation),
            (label::DB_COLLECTION_NAME, collection),
        ];
        labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
        assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels), 1, "{labels:?}\n{}", page.text());
    }
}
