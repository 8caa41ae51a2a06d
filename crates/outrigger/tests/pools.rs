//! Pools of real servers: each kind and each driver, full, waited for, and emptied.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use deadpool::Runtime;
use outrigger::pool::TimedManager;
use outrigger::{Metrics, pool};
use outrigger_semconv::{db, label};
use outrigger_testkit::{Mariadb, Postgres, Redis};
use redis::AsyncCommands;
use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database, MySql};

use crate::support::{Page, wait_for_page};

const NAME: (&str, &str) = (label::DB_CLIENT_CONNECTION_POOL_NAME, "it");

/// Long enough that a busy machine makes a connection within it.
const PATIENCE: Duration = Duration::from_secs(5);

fn metrics() -> Metrics {
    outrigger::standalone().expect("the defaults can be")
}

fn state(page: &Page, state: &'static str) -> Option<f64> {
    page.number(&db::CLIENT_CONNECTION_COUNT, &[NAME, (label::DB_CLIENT_CONNECTION_STATE, state)])
}

async fn wait_for_used(metrics: &Metrics, used: f64) -> Page {
    wait_for_page(metrics, &format!("{used} in use"), |page| state(page, "used") == Some(used)).await
}

/// Waits, uses and timeouts on a page.
fn counted(page: &Page) -> (u64, u64, Option<f64>) {
    (
        page.count(&db::CLIENT_CONNECTION_WAIT_TIME, &[NAME]),
        page.count(&db::CLIENT_CONNECTION_USE_TIME, &[NAME]),
        page.number(&db::CLIENT_CONNECTION_TIMEOUTS, &[NAME]),
    )
}

async fn sqlx_pool<DB: Database>(url: &str) {
    let metrics = metrics();
    let options = PoolOptions::<DB>::new().max_connections(2).acquire_timeout(PATIENCE);
    let connections = options.connect(url).await.expect("the server is ready");
    let watched = pool::watch(&metrics, "it", &connections);

    let mut transaction = watched.begin().await.expect("one");
    let mut held = watched.acquire().await.expect("another");
    transaction.ping().await.expect("it is the connection itself");
    held.ping().await.expect("it is the connection itself");
    wait_for_used(&metrics, 2.0).await;
    assert!(matches!(watched.acquire().await.map(drop), Err(sqlx::Error::PoolTimedOut)));

    transaction.commit().await.expect("there is nothing to commit");
    drop(held);
    let page = wait_for_used(&metrics, 0.0).await;
    assert_eq!(counted(&page), (2, 2, Some(1.0)));
    connections.close().await;
}

#[tokio::test]
async fn sqlx_pools_of_postgres() {
    let Some(postgres) = Postgres::start() else { return };
    sqlx_pool::<sqlx::Postgres>(&postgres.url()).await;
}

#[tokio::test]
async fn sqlx_pools_of_mariadb() {
    let Some(mariadb) = Mariadb::start() else { return };
    sqlx_pool::<MySql>(&mariadb.url()).await;
}

#[tokio::test]
async fn sqlx_pools_survive_their_server() {
    let Some(mut postgres) = Postgres::start() else { return };
    let metrics = metrics();
    let options = PoolOptions::<sqlx::Postgres>::new().max_connections(2).acquire_timeout(PATIENCE);
    let connections = options.connect(&postgres.url()).await.expect("the server is ready");
    let watched = pool::watch(&metrics, "it", &connections);
    drop(watched.acquire().await.expect("one"));

    postgres.kill();
    // Whichever way it fails, it is no wait that ended with a connection.
    assert!(watched.acquire().await.is_err(), "nobody can be reached");
    let page = Page::of(&metrics);
    assert_eq!(page.count(&db::CLIENT_CONNECTION_WAIT_TIME, &[NAME]), 1);
    assert_eq!(page.number(&db::CLIENT_CONNECTION_PENDING_REQUESTS, &[NAME]), Some(0.0));
    wait_for_page(&metrics, "no connections", |page| {
        (state(page, "idle"), state(page, "used")) == (Some(0.0), Some(0.0))
    })
    .await;

    postgres.restart();
    watched.acquire().await.expect("it is back").ping().await.expect("it works");
    assert_eq!(Page::of(&metrics).count(&db::CLIENT_CONNECTION_WAIT_TIME, &[NAME]), 2);
    connections.close().await;
}

#[tokio::test]
async fn redis_through_bb8_survives_the_server() {
    let Some(mut redis) = Redis::start() else { return };
    let metrics = metrics();
    let client = redis::Client::open(redis.url()).expect("the address is one");
    let builder = bb8::Pool::builder().max_size(2).connection_timeout(PATIENCE);
    let connections = builder.build(TimedManager::new(&metrics, "it", client)).await.expect("the server is ready");
    let watched = pool::watch(&metrics, "it", &connections);

    let mut one = watched.get().await.expect("one");
    one.set::<_, _, ()>("key", 7).await.expect("it is the connection itself");
    let two = watched.get().await.expect("another");
    let page = wait_for_used(&metrics, 2.0).await;
    assert_eq!(page.count(&db::CLIENT_CONNECTION_CREATE_TIME, &[NAME]), 2);
    drop((one, two));

    redis.kill();
    assert!(matches!(watched.get().await.map(drop), Err(bb8::RunError::TimedOut)), "nobody can be reached");
    let page = Page::of(&metrics);
    assert_eq!(counted(&page), (2, 2, Some(1.0)));
    assert_eq!(page.number(&db::CLIENT_CONNECTION_PENDING_REQUESTS, &[NAME]), Some(0.0));
    assert_eq!(page.count(&db::CLIENT_CONNECTION_CREATE_TIME, &[NAME]), 2, "what failed was not made");

    redis.restart();
    let mut again = loop {
        if let Ok(again) = watched.get().await {
            break again;
        }
    };
    again.set::<_, _, ()>("key", 8).await.expect("it works again");
    assert!(Page::of(&metrics).count(&db::CLIENT_CONNECTION_CREATE_TIME, &[NAME]) > 2);
}

#[tokio::test]
async fn redis_through_deadpool() {
    let Some(redis) = Redis::start() else { return };
    let metrics = metrics();
    let manager = deadpool_redis::Manager::new(redis.url()).expect("the address is one");
    let manager = TimedManager::new(&metrics, "it", manager);
    let builder = deadpool::managed::Pool::<TimedManager<deadpool_redis::Manager>>::builder(manager);
    let connections =
        builder.max_size(2).wait_timeout(Some(PATIENCE)).runtime(Runtime::Tokio1).build().expect("the settings agree");
    let watched = pool::watch(&metrics, "it", &connections);

    let mut one = watched.get().await.expect("one");
    one.set::<_, _, ()>("key", 7).await.expect("it is the connection itself");
    let two = watched.get().await.expect("another");
    wait_for_used(&metrics, 2.0).await;
    assert!(watched.get().await.is_err(), "both are held");
    drop((one, two));
    let page = wait_for_used(&metrics, 0.0).await;
    assert_eq!(counted(&page), (2, 2, Some(1.0)));
    assert_eq!(page.count(&db::CLIENT_CONNECTION_CREATE_TIME, &[NAME]), 2);
}

/// The pool of deadpool-redis as it comes: its connections are wrapped in a type of its own.
#[tokio::test]
async fn redis_through_deadpool_as_it_comes() {
    let Some(redis) = Redis::start() else { return };
    let metrics = metrics();
    let connections =
        deadpool_redis::Config::from_url(redis.url()).create_pool(Some(Runtime::Tokio1)).expect("the settings agree");
    let watched = pool::watch(&metrics, "it", &connections);
    let mut held = watched.get().await.expect("one");
    held.set::<_, _, ()>("key", 7).await.expect("it is the connection itself");
    wait_for_used(&metrics, 1.0).await;
    drop(held);
    assert_eq!(counted(&wait_for_used(&metrics, 0.0).await), (1, 1, Some(0.0)));
}
