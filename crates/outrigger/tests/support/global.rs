//! The global recorder, whichever: what is made before it is installed must work after.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use futures_util::FutureExt;
use outrigger::cache::CacheMetrics;
use outrigger::db::Timed;
use outrigger::http::HttpMetricsLayer;
use outrigger::{InstallError, Metrics, pool};
use outrigger_semconv::{cache, db, http, label, process};
use sqlx::sqlite::SqlitePoolOptions;
use tower::ServiceExt;

use crate::support::{Page, wait_for_page};

pub(crate) async fn handles_made_before_the_recorder_work_after_it(install: fn() -> Result<Metrics, InstallError>) {
    // Everything as a service that installs last: nothing is recorded yet, and nothing may be lost for ever.
    let app: Router = Router::new()
        .route("/now", get(|| async { "now" }))
        .route("/never", get(|| async { std::future::pending::<&'static str>().await }))
        .layer(HttpMetricsLayer::default());
    let ask = |path: &str| app.clone().oneshot(Request::builder().uri(path).body(Body::empty()).unwrap());
    let names = CacheMetrics::new(&Metrics::default(), "names");
    let options = SqlitePoolOptions::new().max_connections(1);
    let pool = options.connect("sqlite::memory:").await.unwrap();
    let watched = pool::watch(&Metrics::global(), "main", &pool);
    let query = || sqlx::query("SELECT 1").execute(Timed(&pool));

    drop(ask("/now").await.unwrap());
    names.hit();
    query().await.unwrap();
    drop(watched.acquire().await.unwrap());
    let mut across = Box::pin(ask("/never"));
    assert!(across.as_mut().now_or_never().is_none());

    let metrics = install().unwrap();
    assert!(matches!(install(), Err(InstallError::AlreadyInstalled)));
    assert!(install().unwrap_err().to_string().contains("Metrics::global()"));

    // Under way while the recorder came: it ends, and must not leave the gauge at -1.
    drop(across);
    let response = ask("/now").await.unwrap();
    http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    names.hit();
    query().await.unwrap();
    let held = watched.acquire().await.unwrap();

    let page = wait_for_page(&metrics, "the pool's sample", |page| {
        page.sum(&db::CLIENT_CONNECTION_MAX) == 1.0 && page.sum(&db::CLIENT_CONNECTION_COUNT) == 1.0
    })
    .await;
    drop(held);
    let request = [
        (label::HTTP_REQUEST_METHOD, "GET"),
        (label::URL_SCHEME, "http"),
        (label::HTTP_ROUTE, "/now"),
        (label::HTTP_RESPONSE_STATUS_CODE, "200"),
    ];
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &request), 1, "{}", page.text());
    assert_eq!(page.number(&http::SERVER_ACTIVE_REQUESTS, &request[..2]), Some(0.0));
    assert_eq!(page.number(&cache::REQUESTS, &[(label::CACHE_NAME, "names"), (label::CACHE_RESULT, "hit")]), Some(1.0));
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 1);
    assert_eq!(page.total(&db::CLIENT_CONNECTION_WAIT_TIME), 1);
    assert!(page.number(&process::RESIDENT_MEMORY, &[]).is_some_and(|bytes| bytes > 0.0));

    // The global handle and the installed one are one registry.
    CacheMetrics::new(&metrics, "names").hit();
    let hits = [(label::CACHE_NAME, "names"), (label::CACHE_RESULT, "hit")];
    assert_eq!(Page::of(&metrics).number(&cache::REQUESTS, &hits), Some(2.0));
}
