//! Who is let in.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use outrigger::Shutdown;
use outrigger_semconv::library;
use tower::ServiceExt;

use crate::support::Page;
use crate::{ANY_PORT, Log, ask, ask_with};

const RIGHT: &str = "authorization: Bearer s3cret";
const WRONG: &str = "authorization: Bearer guessed";

fn status(answer: &str) -> &str {
    &answer["HTTP/1.1 ".len()..][..3]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_but_the_probes_asks_for_it() {
    let metrics = outrigger::standalone().unwrap();
    let own = Router::new().route("/version", get(|| async { "1.2.3" })).route("/-/ready", get(|| async { "mine" }));
    let admin = metrics.admin().bearer_token("s3cret").routes(own).listen(ANY_PORT).serve();
    let address = admin.local_addr().unwrap();

    let mut refused = 0.0;
    let covered = [
        ("GET", "/", "200"),
        ("GET", "/metrics", "200"),
        ("HEAD", "/metrics", "200"),
        ("POST", "/metrics", "405"),
        ("GET", "/version", "200"),
        ("GET", "/nowhere", "404"),
        ("GET", "/-/ready/", "404"),
        ("GET", "//-/ready", "404"),
        ("GET", "/-/ready/../../metrics", "404"),
    ];
    for (method, path, with_token) in covered {
        let without = ask(address, method, path).await;
        assert_eq!(status(&without), "401", "{method} {path}");
        assert!(without.contains("www-authenticate: Bearer\r\n"), "{without}");
        let wrong = ask_with(address, method, path, WRONG).await;
        assert_eq!(status(&wrong), "401", "{method} {path}");
        assert!(wrong.contains("www-authenticate: Bearer error=\"invalid_token\"\r\n"), "{wrong}");
        refused += 2.0;
        assert!(!without.contains("target_info") && !wrong.contains("target_info"));
        if path == "/metrics" && method == "GET" {
            assert_eq!(metrics.shutdown().await, Shutdown::Unread, "who was refused has not scraped");
        }
        assert_eq!(status(&ask_with(address, method, path, RIGHT).await), with_token, "{method} {path}");
    }
    for path in ["/-/healthy", "/-/ready", "/-/ready?verbose"] {
        for header in ["", WRONG, RIGHT] {
            let answer = ask_with(address, "GET", path, header).await;
            assert!(status(&answer) == "200" && !answer.ends_with("mine"), "{path}: {answer}");
        }
        // A probe tells those who know the token more: guessing it there is seen too.
        refused += 1.0;
    }
    assert_eq!(Page::of(&metrics).number(&library::ADMIN_UNAUTHORIZED, &[]), Some(refused));
}

#[tokio::test]
async fn an_empty_token_lets_nobody_in_and_says_so() {
    let metrics = outrigger::standalone().unwrap();
    let (log, _guard) = Log::here();
    for token in ["", " \n", "two words"] {
        let address = metrics.admin().bearer_token(token).listen(ANY_PORT).serve().local_addr().unwrap();
        for header in ["", "authorization: Bearer", "authorization: Bearer ", "authorization: Bearer two words"] {
            let answer = ask_with(address, "GET", "/metrics", header).await;
            assert!(status(&answer) == "401" && answer.contains("the service's log"), "{token:?} {header}: {answer}");
        }
        assert_eq!(status(&ask(address, "GET", "/-/healthy").await), "200", "the service lives on");
    }
    let lines = log.text();
    let complaints = lines.lines().filter(|line| line.contains("ERROR") && line.contains("Admin::bearer_token"));
    assert_eq!(complaints.count(), 3, "{lines}");
    assert!(lines.contains("is empty") && !lines.contains("two words"), "{lines}");
}

#[tokio::test]
async fn a_mounted_router_covers_itself_and_nothing_else() {
    let metrics = outrigger::standalone().unwrap();
    let ours = || metrics.admin().bearer_token("s3cret");
    let own = Router::new().route("/version", get(|| async { "1.2.3" }));
    let app = Router::new()
        .route("/", get(|| async { "public" }))
        .merge(ours().into_router())
        .nest("/admin", ours().into_router())
        .nest("/more", ours().routes(own).into_router())
        .merge(Router::new().route("/late", get(|| async { "late" })))
        .fallback(|| async { (StatusCode::NOT_FOUND, "the app's own") });
    let ask = async |path: &str, header: Option<&str>| {
        let mut request = Request::builder().uri(path);
        if let Some(token) = header {
            request = request.header("authorization", token);
        }
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    };
    for (path, without, with) in [
        ("/", StatusCode::OK, StatusCode::OK),
        ("/metrics", StatusCode::UNAUTHORIZED, StatusCode::OK),
        ("/late", StatusCode::OK, StatusCode::OK),
        ("/nowhere", StatusCode::NOT_FOUND, StatusCode::NOT_FOUND),
        ("/admin/metrics", StatusCode::UNAUTHORIZED, StatusCode::OK),
        ("/admin/nowhere", StatusCode::NOT_FOUND, StatusCode::NOT_FOUND),
        ("/admin/-/ready", StatusCode::OK, StatusCode::OK),
        ("/more/metrics", StatusCode::UNAUTHORIZED, StatusCode::OK),
        ("/more/version", StatusCode::UNAUTHORIZED, StatusCode::OK),
    ] {
        assert_eq!(ask(path, None).await, without, "{path}");
        assert_eq!(ask(path, Some("Bearer s3cret")).await, with, "{path}");
    }
}

#[tokio::test]
async fn listening_to_other_machines_without_it_is_worth_a_warning() {
    let warns = |address: ([u8; 4], u16), token: Option<&str>| {
        let (log, _guard) = Log::here();
        let admin = outrigger::standalone().unwrap().admin().listen(address);
        let admin = token.into_iter().fold(admin, |admin, token| admin.bearer_token(token)).serve();
        assert!(admin.local_addr().is_some());
        let lines = log.text();
        assert!(lines.contains("serves /metrics"), "{lines}");
        lines.contains("WARN") && lines.contains("OUTRIGGER_ADMIN_TOKEN")
    };
    assert!(warns(([0, 0, 0, 0], 0), None));
    assert!(!warns(([0, 0, 0, 0], 0), Some("s3cret")));
    assert!(!warns(ANY_PORT, None));
}
