//! The same statement again and again within one request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::Request;
use axum::routing::get;
use futures_util::FutureExt;
use futures_util::future::join_all;
use outrigger::Metrics;
use outrigger::db::{InRequest, RequestScope};
use outrigger_semconv::{db_findings, label};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tower::ServiceExt;

use crate::log::Log;
use crate::support::Page;

/// One connection, so that all see the same memory.
async fn orders() -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO items VALUES (1, 'paddle')")
        .execute(&pool)
        .await
        .unwrap();
    pool
}

async fn item(metrics: &Metrics, pool: &SqlitePool, id: i64) {
    let query = sqlx::query("SELECT name FROM items WHERE id = ?").bind(id);
    query.fetch_optional(metrics.timed(pool)).await.unwrap();
}

/// The good way: one query, however many are asked for.
async fn items(metrics: &Metrics, pool: &SqlitePool, count: i64) {
    let mut query = sqlx::QueryBuilder::new("SELECT name FROM items WHERE id IN (");
    let mut ids = query.separated(", ");
    (0..count).for_each(|id| {
        ids.push_bind(id);
    });
    ids.push_unseparated(")");
    query.build().fetch_all(metrics.timed(pool)).await.unwrap();
}

#[track_caller]
fn raised(metrics: &Metrics, route: &str) -> Option<f64> {
    Page::of(metrics).number(&db_findings::CLIENT_N_PLUS_ONE, &[(label::HTTP_ROUTE, route)])
}

#[tokio::test]
async fn a_loop_of_queries_is_found_and_one_query_is_not() {
    let (log, _guard) = Log::here();
    let metrics = outrigger::standalone().unwrap();
    let pool = orders().await;
    let world = Arc::new((metrics.clone(), pool));
    let bad = {
        let world = Arc::clone(&world);
        move |Path(count): Path<i64>| async move {
            for id in 0..count {
                item(&world.0, &world.1, id).await;
            }
        }
    };
    let good = {
        let world = Arc::clone(&world);
        move |Path(count): Path<i64>| async move { items(&world.0, &world.1, count).await }
    };
    let app = Router::new()
        .route("/bad/{count}", get(bad))
        .route("/good/{count}", get(good))
        .layer(metrics.n_plus_one_layer())
        .layer(metrics.http_layer());
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert!(app.clone().oneshot(request).await.unwrap().status().is_success());
    };

    ask("/good/50").await;
    ask("/bad/10").await;
    assert_eq!(raised(&metrics, "/good/{count}"), Some(0.0));
    assert_eq!(raised(&metrics, "/bad/{count}"), Some(0.0), "ten are allowed");
    assert_eq!(log.text(), "");

    ask("/bad/25").await;
    assert_eq!(raised(&metrics, "/bad/{count}"), Some(1.0), "once, however many");
    let line = log.line(&["WARN", "outrigger::db", "N+1", "/bad/{count}", "count=25", "fix="]);
    assert!(line.contains("SELECT name FROM items WHERE id = ?"), "{line}");

    ask("/bad/11").await;
    assert_eq!(raised(&metrics, "/bad/{count}"), Some(2.0), "once for each request");
    assert_eq!(raised(&metrics, "/good/{count}"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_tasks_count_with_the_request_that_they_are_given() {
    let metrics = outrigger::standalone().unwrap();
    let pool = orders().await;
    let spawn = |explicit: bool| {
        let (metrics, pool) = (metrics.clone(), pool.clone());
        async move {
            let tasks = (0..8).map(|id| {
                let (metrics, pool) = (metrics.clone(), pool.clone());
                let work = async move {
                    item(&metrics, &pool, id).await;
                    item(&metrics, &pool, id).await;
                };
                if explicit { tokio::spawn(work.in_current_request()) } else { tokio::spawn(work) }
            });
            assert!(join_all(tasks).await.iter().all(Result::is_ok));
        }
    };
    spawn(true).in_request(RequestScope::new(&metrics, "with")).await;
    assert_eq!(raised(&metrics, "with"), Some(1.0));
    spawn(false).in_request(RequestScope::new(&metrics, "without")).await;
    assert_eq!(raised(&metrics, "without"), None, "it asked nothing itself");
    // Outside of any request nothing counts.
    spawn(true).await;
    assert_eq!(Page::of(&metrics).sum(&db_findings::CLIENT_N_PLUS_ONE), 1.0);
}

#[tokio::test]
async fn scopes_are_restored_after_panics_and_nest() {
    let metrics = outrigger::standalone().unwrap();
    let pool = orders().await;
    let name = || format!("{:?}", RequestScope::current());
    assert_eq!(name(), "RequestScope(None)");

    let panics = async {
        item(&metrics, &pool, 1).await;
        panic!("on purpose");
    };
    let panics = AssertUnwindSafe(panics.in_request(RequestScope::new(&metrics, "panics")));
    assert!(panics.catch_unwind().await.is_err());
    assert_eq!(name(), "RequestScope(None)");

    let outer = RequestScope::new(&metrics, "outer").threshold(2);
    let inner = RequestScope::new(&metrics, "inner").threshold(0);
    async {
        for _ in 0..2 {
            item(&metrics, &pool, 1).await;
        }
        let many = async {
            for _ in 0..20 {
                item(&metrics, &pool, 1).await;
            }
            inner.run(|| assert!(name().contains("inner")));
            assert!(name().contains("inner"));
        };
        many.in_request(inner.clone()).await;
        assert!(name().contains("outer"));
        item(&metrics, &pool, 1).await;
    }
    .in_request(outer)
    .await;
    drop(inner);
    assert_eq!(raised(&metrics, "outer"), Some(1.0));
    assert_eq!(raised(&metrics, "inner"), Some(0.0), "a threshold of zero reports nothing");
    assert_eq!(raised(&metrics, "panics"), Some(0.0));
}

#[tokio::test]
async fn what_does_not_fit_is_counted() {
    let metrics = outrigger::standalone().unwrap();
    let pool = orders().await;
    let many = async {
        for column in 0..70 {
            let sql = format!("SELECT id AS c{column} FROM items");
            sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(metrics.timed(&pool)).await.unwrap();
        }
        for _ in 0..20 {
            sqlx::query("SELECT id AS c69 FROM items").fetch_all(metrics.timed(&pool)).await.unwrap();
        }
    };
    many.in_request(RequestScope::new(&metrics, "many")).await;
    assert_eq!(raised(&metrics, "many"), Some(0.0));
    assert_eq!(Page::of(&metrics).number(&db_findings::CLIENT_N_PLUS_ONE_UNTRACKED, &[]), Some(26.0));
}

#[tokio::test]
async fn batches_are_no_n_plus_one() {
    let metrics = outrigger::standalone().unwrap();
    let pool = orders().await;
    let chunks = async {
        for _ in 0..20 {
            items(&metrics, &pool, 100).await;
        }
    };
    chunks.in_request(RequestScope::new(&metrics, "chunks")).await;
    assert_eq!(Page::of(&metrics).sum(&db_findings::CLIENT_N_PLUS_ONE), 0.0);
    let small = async {
        for _ in 0..11 {
            items(&metrics, &pool, 2).await;
        }
    };
    small.in_request(RequestScope::new(&metrics, "small")).await;
    assert_eq!(raised(&metrics, "small"), Some(1.0), "two at a time are hardly better than one");
}
