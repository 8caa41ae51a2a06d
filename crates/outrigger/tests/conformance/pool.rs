//! Pool metrics.

use futures_util::FutureExt;
use outrigger::{Metrics, pool};
use outrigger_semconv::{db, label};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

use crate::support::{Page, wait_for_page};

const NAME: (&str, &str) = (label::DB_CLIENT_CONNECTION_POOL_NAME, "orders");
const IDLE: [(&str, &str); 2] = [NAME, (label::DB_CLIENT_CONNECTION_STATE, "idle")];
const USED: [(&str, &str); 2] = [NAME, (label::DB_CLIENT_CONNECTION_STATE, "used")];

/// Two connections, one of them kept.
async fn two_connections() -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(2)
        .min_connections(1)
        .connect("sqlite::memory:")
        .await
        .expect("SQLite opens")
}

pub(crate) async fn gauges_follow_the_pool(metrics: Metrics) {
    let pool = two_connections().await;
    let watched = pool::watch(&metrics, "orders", &pool);
    let counts = |page: &Page| {
        (page.number(&db::CLIENT_CONNECTION_COUNT, &IDLE), page.number(&db::CLIENT_CONNECTION_COUNT, &USED))
    };

    let page = wait_for_page(&metrics, "the first sample", |page| counts(page) == (Some(1.0), Some(0.0))).await;
    assert_eq!(page.number(&db::CLIENT_CONNECTION_MAX, &[NAME]), Some(2.0));
    assert_eq!(page.number(&db::CLIENT_CONNECTION_IDLE_MIN, &[NAME]), Some(1.0));

    let one = watched.acquire().await.expect("there is one");
    let two = watched.clone().begin().await.expect("there is another");
    wait_for_page(&metrics, "both in use", |page| counts(page) == (Some(0.0), Some(2.0))).await;
    drop((one, two));
    wait_for_page(&metrics, "both idle", |page| counts(page) == (Some(2.0), Some(0.0))).await;

    let copy = watched.clone();
    drop(watched);
    assert!(copy.acquire().await.is_ok(), "a clone keeps watching");
    drop(copy);
    wait_for_page(&metrics, "nobody watches", |page| counts(page) == (Some(0.0), Some(0.0))).await;

    let watched = pool::watch(&metrics, "orders", &pool);
    wait_for_page(&metrics, "watched again", |page| counts(page) == (Some(2.0), Some(0.0))).await;
    watched.pool().close().await;
    wait_for_page(&metrics, "closed", |page| counts(page) == (Some(0.0), Some(0.0))).await;
}

pub(crate) async fn waits_and_timeouts_are_counted(metrics: Metrics) {
    let watched = pool::watch(&metrics, "orders", &two_connections().await);
    assert_eq!(Page::of(&metrics).number(&db::CLIENT_CONNECTION_TIMEOUTS, &[NAME]), Some(0.0));
    let held = (watched.acquire().await.expect("one"), watched.acquire().await.expect("two"));

    let mut waiting = Box::pin(watched.acquire());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(Page::of(&metrics).number(&db::CLIENT_CONNECTION_PENDING_REQUESTS, &[NAME]), Some(1.0));
    // With the clock stopped, time runs ahead to the timeout while everybody waits.
    tokio::time::pause();
    assert!(matches!(waiting.await, Err(sqlx::Error::PoolTimedOut)));
    tokio::time::resume();

    // Given up by its caller: neither a wait that ended nor a timeout.
    assert!(watched.acquire().now_or_never().is_none());

    let page = Page::of(&metrics);
    assert_eq!(page.number(&db::CLIENT_CONNECTION_PENDING_REQUESTS, &[NAME]), Some(0.0));
    assert_eq!(page.number(&db::CLIENT_CONNECTION_TIMEOUTS, &[NAME]), Some(1.0));
    assert_eq!(page.count(&db::CLIENT_CONNECTION_WAIT_TIME, &[NAME]), 2);
    assert_eq!(page.count(&db::CLIENT_CONNECTION_USE_TIME, &[NAME]), 0);
    drop(held);
    watched.begin().await.expect("one is back").commit().await.expect("it commits");
    assert_eq!(Page::of(&metrics).count(&db::CLIENT_CONNECTION_USE_TIME, &[NAME]), 3);
}
