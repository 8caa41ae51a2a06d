//! A real replica that streams from a real primary.

use std::time::{Duration, Instant};

use outrigger::db::replica::{self, Lag};
use outrigger_semconv::{db_findings, label};
use outrigger_testkit::Postgres;
use sqlx::PgPool;

use crate::support::{Page, wait_for_page};

const NAME: (&str, &str) = (label::DB_CLIENT_CONNECTION_POOL_NAME, "reads");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_is_that_of_a_replica_and_only_when_something_is_missing() {
    let servers = || Postgres::start().map(|primary| (primary.replica(), primary));
    let Some((replica, primary)) = tokio::task::spawn_blocking(servers).await.unwrap() else { return };
    let reads = PgPool::connect(&replica.url()).await.unwrap();
    let writes = PgPool::connect(&primary.url()).await.unwrap();
    assert_eq!(replica::lag(&writes).await.unwrap(), Lag::NotAReplica);

    // Idle, it has replayed all that it received.
    sqlx::query("CREATE TABLE items (id int)").execute(&writes).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while sqlx::query("SELECT * FROM items").fetch_all(&reads).await.is_err() {
        assert!(Instant::now() < deadline, "the table does not arrive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    wait_for(&reads, "it has caught up", |lag| lag == Lag::Behind(Duration::ZERO)).await;

    // It receives what it may not replay.
    sqlx::query("SELECT pg_wal_replay_pause()").execute(&reads).await.unwrap();
    sqlx::query("INSERT INTO items VALUES (1)").execute(&writes).await.unwrap();
    wait_for(&reads, "it falls behind", |lag| matches!(lag, Lag::Behind(lag) if !lag.is_zero())).await;

    let metrics = outrigger::standalone().unwrap();
    let watched = replica::watch(&metrics, "reads", &reads);
    let lag = |page: &Page| page.number(&db_findings::CLIENT_REPLICA_LAG, &[NAME]);
    wait_for_page(&metrics, "the lag", |page| lag(page).is_some_and(|lag| lag > 0.0)).await;
    sqlx::query("SELECT pg_wal_replay_resume()").execute(&reads).await.unwrap();
    wait_for(&reads, "it has caught up again", |lag| lag == Lag::Behind(Duration::ZERO)).await;

    // Without its primary, it cannot know that nothing is missing.
    tokio::task::spawn_blocking(move || primary.kill()).await.unwrap();
    wait_for(&reads, "it is alone", |lag| matches!(lag, Lag::Behind(lag) if !lag.is_zero())).await;

    drop(watched);
    wait_for_page(&metrics, "nobody watches", |page| lag(page).is_some_and(f64::is_nan)).await;
    tokio::task::spawn_blocking(move || replica.kill()).await.unwrap();
    let _watched = replica::watch(&metrics, "reads", &reads);
    let failures =
        |page: &Page, reason| page.number(&db_findings::CLIENT_REPLICA_LAG_FAILURES, &[NAME, (label::REASON, reason)]);
    let page = wait_for_page(&metrics, "an error", |page| failures(page, "error") > Some(0.0)).await;
    assert_eq!(failures(&page, "not_a_replica"), Some(0.0));
    assert!(lag(&page).is_some_and(f64::is_nan));
}

async fn wait_for(pool: &PgPool, what: &str, wanted: impl Fn(Lag) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let lag = replica::lag(pool).await.unwrap();
        if wanted(lag) {
            return;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}; {lag:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
