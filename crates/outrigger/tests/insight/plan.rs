//! Advice from the plans of a real PostgreSQL.

use std::time::{Duration, Instant};

use outrigger::Metrics;
use outrigger::db::{PlanAdvice, PlanAdvisor};
use outrigger_semconv::{db_findings, label};
use outrigger_testkit::Postgres;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

use crate::log::Log;
use crate::support::{Page, wait_for_page};

/// 60,000 orders of 20,000 users.
const TABLES: &str = "\
    CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL); \
    CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL, status text NOT NULL, total numeric NOT NULL); \
    INSERT INTO users SELECT n, 'user-' || n FROM generate_series(1, 20000) n; \
    INSERT INTO orders SELECT n, n % 20000 + 1, CASE WHEN n % 100 = 0 THEN 'open' ELSE 'done' END, n * 7 % 1000 \
        FROM generate_series(1, 60000) n; \
    ANALYZE";

async fn server() -> Option<Postgres> {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap()?;
    let pool = PgPool::connect(&server.url()).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    pool.close().await;
    Some(server)
}

/// A pool of two connections, on sessions with these settings, and who explains each of its statements each time.
async fn shop(
    server: &Postgres,
    metrics: &Metrics,
    advice: PlanAdvice,
    session: &[(&str, &str)],
) -> (PgPool, PlanAdvisor) {
    let options: PgConnectOptions = server.url().parse().unwrap();
    let pool = PgPoolOptions::new().min_connections(2).max_connections(2);
    let pool = pool.connect_with(options.options(session.iter().copied())).await.unwrap();
    let advisor = metrics.plan_advice(&pool, advice.interval(Duration::ZERO).repeat_after(Duration::ZERO));
    (pool, advisor)
}

/// Metrics for which every statement is slow.
fn impatient() -> Metrics {
    outrigger::standalone().unwrap().slow_queries(Duration::ZERO)
}

fn explains(page: &Page, outcome: &str) -> f64 {
    page.number(&db_findings::CLIENT_PLAN_EXPLAINS, &[(label::OUTCOME, outcome)]).unwrap_or(f64::NAN)
}

fn skips(page: &Page, reason: &str) -> f64 {
    page.number(&db_findings::CLIENT_PLAN_SKIPPED, &[(label::REASON, reason)]).unwrap_or(f64::NAN)
}

fn findings(page: &Page, kind: &str, table: &str) -> f64 {
    let labels = [(label::DB_PLAN_FINDING, kind), (label::DB_COLLECTION_NAME, table)];
    page.number(&db_findings::CLIENT_PLAN_FINDINGS, &labels).unwrap_or_default()
}

/// Runs a statement, waits for its plan, and returns how many findings that gave.
async fn run(metrics: &Metrics, pool: &PgPool, sql: &str) -> f64 {
    let before = Page::of(metrics);
    let (plans, found) = (explains(&before, "success"), before.sum(&db_findings::CLIENT_PLAN_FINDINGS));
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    if sql.contains("$1") {
        query = query.bind(7_i64);
    }
    query.fetch_all(metrics.timed(pool)).await.unwrap();
    let page = wait_for_page(metrics, sql, |page| explains(page, "success") > plans).await;
    page.sum(&db_findings::CLIENT_PLAN_FINDINGS) - found
}

#[tokio::test]
async fn plans_that_suffer_are_found_and_good_ones_are_not() {
    let Some(server) = server().await else { return };
    let (log, _guard) = Log::here();
    let metrics = impatient();
    let (pool, _advisor) = shop(&server, &metrics, PlanAdvice::new(), &[("work_mem", "1MB")]).await;
    assert_eq!(explains(&Page::of(&metrics), "failure"), 0.0);

    let by_user = "SELECT * FROM orders WHERE user_id = $1 AND status <> 'secret'";
    assert_eq!(run(&metrics, &pool, by_user).await, 2.0, "{}", log.text());
    let page = Page::of(&metrics);
    assert_eq!(findings(&page, "missing_index", "orders"), 1.0);
    assert_eq!(findings(&page, "sequential_scan", "orders"), 1.0);
    let line = log.line(&["WARN", "outrigger::db", "query plan", "missing_index", "orders", "CREATE INDEX"]);
    assert!(line.contains("columns=\"user_id\"") && line.contains("rows=60000"), "{line}");
    assert!(line.contains("SELECT * FROM orders WHERE user_id = ? AND status <> ?"), "{line}");
    assert!(!log.text().contains("secret"), "{}", log.text());

    let spilled = "SELECT * FROM orders ORDER BY total";
    assert_eq!(run(&metrics, &pool, spilled).await, 1.0, "{}", log.text());
    assert_eq!(findings(&Page::of(&metrics), "sort_on_disk", "orders"), 1.0);
    let first = "SELECT * FROM orders ORDER BY total LIMIT 10";
    assert_eq!(run(&metrics, &pool, first).await, 1.0);
    log.line(&["missing_index", "columns=\"total\""]);

    // The good ways: the same statements with their indexes, and others that need none.
    sqlx::raw_sql("CREATE INDEX ON orders (user_id); CREATE INDEX ON orders (total); ANALYZE")
        .execute(&pool)
        .await
        .unwrap();
    for sql in [
        by_user,
        first,
        "SELECT * FROM orders WHERE id = $1",
        "SELECT * FROM orders WHERE status = 'done'",
        "SELECT o.id, u.email FROM orders o JOIN users u ON u.id = o.user_id",
        "SELECT count(*) FROM orders",
        "SELECT 1",
    ] {
        assert_eq!(run(&metrics, &pool, sql).await, 0.0, "{sql}\n{}", log.text());
    }
    assert_eq!(explains(&Page::of(&metrics), "failure"), 0.0);
    // Nothing of it is left on the connections.
    for _ in 0..4 {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'outrigger%'")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn loops_and_estimates_are_found() {
    let Some(server) = server().await else { return };
    let metrics = impatient();
    let loops = [("enable_hashjoin", "off"), ("enable_mergejoin", "off"), ("max_parallel_workers_per_gather", "0")];
    let (pool, _advisor) = shop(&server, &metrics, PlanAdvice::new(), &loops).await;
    run(&metrics, &pool, "SELECT o.id, u.email FROM orders o JOIN users u ON u.id = o.user_id").await;
    assert_eq!(findings(&Page::of(&metrics), "nested_loop", "orders"), 1.0);
    let few = "SELECT o.id, u.email FROM orders o JOIN users u ON u.id = o.user_id WHERE o.id < 50";
    assert_eq!(run(&metrics, &pool, few).await, 0.0);

    let metrics = impatient();
    let odd = "SELECT id FROM orders WHERE id % 2 = 1";
    let (pool, _advisor) = shop(&server, &metrics, PlanAdvice::new(), &[]).await;
    run(&metrics, &pool, odd).await;
    assert_eq!(findings(&Page::of(&metrics), "row_estimate", "orders"), 0.0, "nothing is run unless that is asked for");
    let (pool, _advisor) = shop(&server, &metrics, PlanAdvice::new().analyze(true), &[]).await;
    run(&metrics, &pool, odd).await;
    assert_eq!(findings(&Page::of(&metrics), "row_estimate", "orders"), 1.0);
    assert_eq!(run(&metrics, &pool, "SELECT id FROM orders WHERE id < 100").await, 0.0);
    // A parameter's value is not kept, so there is nothing to run it with.
    assert_eq!(run(&metrics, &pool, "SELECT id FROM orders WHERE id = $1").await, 0.0);
}

#[tokio::test]
async fn what_must_not_be_explained_is_not() {
    let Some(server) = server().await else { return };
    let metrics = impatient();
    let (pool, _advisor) = shop(&server, &metrics, PlanAdvice::new(), &[]).await;
    for (count, sql) in [
        "SELECT id FROM orders WHERE id = 1 FOR UPDATE",
        "WITH gone AS (DELETE FROM orders WHERE id = 1 RETURNING id) SELECT id FROM gone",
    ]
    .into_iter()
    .enumerate()
    {
        sqlx::query(sql).fetch_all(metrics.timed(&pool)).await.unwrap();
        wait_for_page(&metrics, sql, |page| skips(page, "not_a_plain_select") == count as f64 + 1.0).await;
    }
    let long = format!("SELECT id FROM orders WHERE id = 1 AND status <> '{}'", "x".repeat(10_000));
    sqlx::query(AssertSqlSafe(long)).fetch_all(metrics.timed(&pool)).await.unwrap();
    wait_for_page(&metrics, "too long", |page| skips(page, "too_long") == 1.0).await;

    // The service needs its connections more than we do.
    let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut one = held.0;
    sqlx::query("SELECT id FROM orders WHERE id = 2").fetch_all(metrics.timed(&mut *one)).await.unwrap();
    wait_for_page(&metrics, "no connection", |page| skips(page, "no_idle_connection") == 1.0).await;
    drop((one, held.1));

    sqlx::query("INSERT INTO users VALUES (0, 'nobody')").execute(metrics.timed(&pool)).await.unwrap();
    let page = Page::of(&metrics);
    assert_eq!((explains(&page, "success"), explains(&page, "failure")), (0.0, 0.0));
}

#[tokio::test]
async fn the_rate_has_a_bound() {
    let Some(server) = server().await else { return };
    let metrics = impatient();
    let pool = PgPool::connect(&server.url()).await.unwrap();
    let _advisor = metrics.plan_advice(&pool, PlanAdvice::new().interval(Duration::from_secs(3600)));
    sqlx::query("SELECT 1 AS first").fetch_all(metrics.timed(&pool)).await.unwrap();
    wait_for_page(&metrics, "the first plan", |page| explains(page, "success") == 1.0).await;
    for _ in 0..2 {
        for column in 0..16 {
            let sql = format!("SELECT 1 AS c{column}");
            sqlx::query(AssertSqlSafe(sql)).fetch_all(metrics.timed(&pool)).await.unwrap();
        }
    }
    assert_eq!(skips(&Page::of(&metrics), "queue_full"), 0.0, "each shape is taken once");
    sqlx::query("SELECT 1 AS one_more").fetch_all(metrics.timed(&pool)).await.unwrap();
    let page = Page::of(&metrics);
    assert_eq!((skips(&page, "queue_full"), explains(&page, "success")), (1.0, 1.0));
}

#[tokio::test]
async fn a_server_that_waits_or_dies_does_no_harm() {
    let Some(mut server) = server().await else { return };
    let metrics = impatient();
    let (pool, _advisor) = shop(&server, &metrics, PlanAdvice::new().timeout(Duration::from_secs(20)), &[]).await;
    let failures = |page: &Page| explains(page, "failure");

    // The plan waits for a lock, and is given up.
    let mut locker = PgPool::connect(&server.url()).await.unwrap().begin().await.unwrap();
    let mut reader = pool.acquire().await.unwrap();
    sqlx::query("SELECT count(*) FROM orders").fetch_all(metrics.timed(&mut *reader)).await.unwrap();
    wait_for_page(&metrics, "a plan", |page| explains(page, "success") == 1.0).await;
    sqlx::query("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").execute(&mut *locker).await.unwrap();
    sqlx::query("SET statement_timeout = 50").execute(&mut *reader).await.unwrap();
    assert!(sqlx::query("SELECT count(*) FROM users").fetch_all(metrics.timed(&mut *reader)).await.is_err());
    wait_for_page(&metrics, "the lock", |page| failures(page) == 1.0).await;

    // It dies in the middle of one.
    assert!(sqlx::query("SELECT count(*) AS again FROM users").fetch_all(metrics.timed(&mut *reader)).await.is_err());
    server = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    })
    .await
    .unwrap();
    wait_for_page(&metrics, "the end", |page| failures(page) + skips(page, "no_idle_connection") >= 2.0).await;
    drop((reader, locker));

    let _server = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    })
    .await
    .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while sqlx::query("SELECT 1 AS recovered").fetch_all(metrics.timed(&pool)).await.is_err() {
        assert!(Instant::now() < deadline, "the pool does not recover");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run(&metrics, &pool, "SELECT 2").await;
}

#[tokio::test]
async fn a_timed_pool_has_settings_of_its_own() {
    let Some(server) = server().await else { return };
    let metrics = impatient();
    let pool = PgPool::connect(&server.url()).await.unwrap();
    let patient = metrics.timed_pool("patient", pool.clone()).slow_threshold(None);
    let pool = metrics.timed_pool("shop", pool).slow_threshold(Duration::ZERO).plan_advice(PlanAdvice::new());
    let by_user = "SELECT * FROM orders WHERE user_id = 7";
    sqlx::query(by_user).fetch_all(&patient).await.unwrap();
    assert_eq!(Page::of(&metrics).sum(&db_findings::CLIENT_SLOW_QUERIES), 0.0);
    sqlx::query(by_user).fetch_all(&pool).await.unwrap();
    wait_for_page(&metrics, "advice", |page| findings(page, "missing_index", "orders") == 1.0).await;
    assert_eq!(Page::of(&metrics).sum(&db_findings::CLIENT_SLOW_QUERIES), 1.0);
}

#[tokio::test]
async fn a_statement_that_cannot_be_explained_costs_no_connection_and_tells_no_value() {
    let Some(server) = server().await else { return };
    let (log, _guard) = Log::for_debugging();
    let metrics = impatient();
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.url()).await.unwrap();
    let advice = PlanAdvice::new().interval(Duration::ZERO).repeat_after(Duration::ZERO);
    let _advisor = metrics.plan_advice(&pool, advice);
    let pid = || sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()").fetch_one(&pool);
    let before = pid().await.unwrap();

    // It cannot be prepared, then it is prepared and has no plan.
    let statements = ["SELECT CAST('secret' AS int)", "SELECT CAST(status || 'secret' AS int) FROM orders LIMIT 1"];
    assert!(sqlx::query(statements[0]).fetch_all(metrics.timed(&pool)).await.is_err());
    wait_for_page(&metrics, "no plan", |page| explains(page, "failure") == 1.0).await;
    let advisor = metrics.plan_advice(&pool, PlanAdvice::new().interval(Duration::ZERO).analyze(true));
    assert!(sqlx::query(statements[1]).fetch_all(metrics.timed(&pool)).await.is_err());
    wait_for_page(&metrics, "no run", |page| explains(page, "failure") == 2.0).await;
    drop(advisor);

    assert_eq!(pid().await.unwrap(), before, "the connection is kept");
    let left = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'outrigger%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&pool).await.unwrap(), 0);
    sqlx::query("CREATE TABLE not_read_only ()").execute(&pool).await.unwrap();
    // sqlx's own lines have its own texts in them.
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("outrigger::db")).collect();
    assert!(lines.iter().any(|line| line.contains("no plan") && line.contains("22P02")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:#?}");
}
