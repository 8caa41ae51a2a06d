//! The admin listener, as a scraper and a probe meet it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/log.rs"]
mod log;
#[path = "../support/mod.rs"]
mod support;

mod checks;
mod end;
mod index;
mod token;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use log::Log;
use outrigger::Metrics;
use outrigger_semconv::{http, library, process};
use outrigger_testkit::http as http_client;
use support::{Page, wait_for_page};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::Instant;

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_comes_with_the_right_type_and_says_the_process_exactly() {
    let metrics = outrigger::standalone().unwrap();
    let listener = metrics.admin().listen(ANY_PORT).serve();
    let address = listener.local_addr().expect("a port is free");
    assert!(address.ip().is_loopback());
    assert_eq!(listener.bound().await, Some(address));

    let asked = tokio::task::spawn_blocking(move || http_client::get(&format!("http://{address}/metrics")).unwrap());
    let answer = asked.await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    let page = answer.text();
    assert!(page.contains("# TYPE process_cpu_seconds_total counter\n"), "{page}");
    assert_eq!(Page::read(page).number(&library::ADMIN_BIND_FAILURES, &[]), Some(0.0));
    assert!(Page::of(&metrics).number(&process::CPU_SECONDS, &[]).is_some());

    let head = ask(address, "HEAD", "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    for (method, path, status) in [
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("HEAD", "/-/ready", 200),
        ("POST", "/metrics", 405),
        ("GET", "/", 200),
        ("GET", "/nowhere", 404),
    ] {
        let answer = ask(address, method, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {answer}");
    }

    listener.shutdown().await;
    TcpListener::bind(address).expect("the port is free when shutdown returns");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_counted_and_taken_over_when_it_is_free() {
    let holder = TcpListener::bind(SocketAddr::from(ANY_PORT)).unwrap();
    let address = holder.local_addr().unwrap();
    let metrics = outrigger::standalone().unwrap();
    let listener = metrics.admin().listen(address).serve();
    assert_eq!(listener.local_addr(), None);
    wait_for_page(&metrics, "the failure", |page| page.number(&library::ADMIN_BIND_FAILURES, &[]) == Some(1.0)).await;

    drop(holder);
    assert_eq!(listener.bound().await, Some(address));
    assert!(ask(address, "GET", "/-/healthy").await.ends_with("healthy\n"));
    listener.shutdown().await;
}

#[tokio::test]
async fn an_attempt_to_bind_can_be_given_up() {
    let holder = TcpListener::bind(SocketAddr::from(ANY_PORT)).unwrap();
    let metrics = outrigger::standalone().unwrap();
    let listener = metrics.admin().listen(holder.local_addr().unwrap()).serve();
    listener.shutdown().await;
}

#[test]
fn without_a_runtime_the_service_goes_on() {
    let metrics = outrigger::standalone().unwrap();
    let listener = metrics.admin().listen(ANY_PORT).serve();
    assert_eq!(listener.local_addr(), None);
    assert_eq!(Page::of(&metrics).number(&library::ADMIN_BIND_FAILURES, &[]), Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_own_routes_are_beside_ours() {
    let metrics = outrigger::standalone().unwrap();
    let own = Router::new()
        .route("/version", get(|| async { "1.2.3" }))
        .route("/metrics", get(|| async { "another page" }))
        .fallback(|| async { "nothing there" });
    let address = metrics.admin().routes(own).listen(ANY_PORT).serve().local_addr().unwrap();
    assert!(ask(address, "GET", "/version").await.ends_with("1.2.3"));
    assert!(ask(address, "GET", "/metrics").await.contains("target_info"), "ours stays ours");
    assert!(ask(address, "GET", "/elsewhere").await.ends_with("nothing there"));
    assert!(ask(address, "GET", "/-/ready").await.ends_with("\r\n\r\nready\n"));

    // As a service has it that mounts ours on a listener of its own, or gives it back to us.
    let both = metrics.admin_router().route("/version", get(|| async { "1.2.3" }));
    let address = metrics.admin().routes(both).listen(ANY_PORT).serve().local_addr().unwrap();
    assert!(ask(address, "GET", "/version").await.ends_with("1.2.3"));
    assert!(ask(address, "GET", "/-/ready").await.ends_with("\r\n\r\nready\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_without_a_page_say_what_to_do() {
    let listener = Metrics::global().admin().listen(ANY_PORT).serve();
    let answer = ask(listener.local_addr().unwrap(), "GET", "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("outrigger::install()"), "{answer}");
}

#[tokio::test]
async fn a_collector_that_panics_costs_its_page_alone() {
    let recorder = outrigger_recorder::Recorder::new();
    let panics = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&panics);
    let (serving, made) = (std::thread::current().id(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&made);
    recorder.collector(move || {
        assert_ne!(std::thread::current().id(), serving, "it runs on a thread that answers requests");
        counted.fetch_add(1, Ordering::SeqCst);
        assert!(!told.load(Ordering::SeqCst), "as told");
        vec![]
    });
    let (log, _guard) = Log::here();
    let address = Metrics::from(recorder).admin().listen(ANY_PORT).serve().local_addr().unwrap();

    let answer = ask(address, "GET", "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("the service's log"), "{answer}");
    let lines = log.text();
    let complaints = lines.lines().filter(|line| line.contains("ERROR") && line.contains("as told"));
    assert_eq!(complaints.count(), 1, "{lines}");
    assert!(ask(address, "HEAD", "/metrics").await.starts_with("HTTP/1.1 200 "), "no page is made for it");
    panics.store(false, Ordering::SeqCst);
    assert!(ask(address, "GET", "/metrics").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(made.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_handle_leaves_it_running_and_shutdown_does_not_wait_for_idle_clients() {
    let metrics = outrigger::standalone().unwrap();
    let address = metrics.admin().listen(ANY_PORT).serve().local_addr().unwrap();
    assert!(ask(address, "GET", "/-/healthy").await.ends_with("healthy\n"));

    let listener = metrics.admin().listen(ANY_PORT).serve();
    let address = listener.local_addr().unwrap();
    let mut idle = TcpStream::connect(address).unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    // The connection stays open for another request; waiting for that would take ten seconds.
    tokio::time::timeout(Duration::from_secs(4), listener.shutdown()).await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_its_request_is_cut_off() {
    let metrics = outrigger::standalone().unwrap();
    let address = metrics.admin().listen(ANY_PORT).serve().local_addr().unwrap();
    let started = Instant::now();
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\nhost:").await.unwrap();
    // Time runs ahead as far as the next timer whenever nothing else is to be done.
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(11), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let metrics = outrigger::standalone().unwrap();
    let endless = || async {
        let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::convert::Infallible>(vec![0_u8; 65_536]));
        axum::body::Body::from_stream(chunks)
    };
    // Our own layer tells when the answer has ended.
    let routes = Router::new().route("/endless", get(endless)).layer(metrics.http_layer());
    let address = metrics.admin().routes(routes).listen(ANY_PORT).serve().local_addr().unwrap();
    let started = Instant::now();
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let requests = |page: &Page| page.total(&http::SERVER_REQUEST_DURATION);
    let mut ended = false;
    while !ended {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(started.elapsed() < Duration::from_secs(400), "it holds its place");
        ended = requests(&Page::of(&metrics)) == 1;
    }
    assert!(started.elapsed() >= Duration::from_secs(300), "{:?}", started.elapsed());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_under_way_at_the_end_of_its_connection_is_sent_to_its_end() {
    let metrics = outrigger::standalone().unwrap();
    let after = |seconds| {
        get(move || async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            "to the end"
        })
    };
    let routes = Router::new().route("/290", after(290)).route("/60", after(60));
    let address = metrics.admin().routes(routes).listen(ANY_PORT).serve().local_addr().unwrap();
    let started = Instant::now();
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /290 HTTP/1.1\r\nhost: test\r\n\r\nGET /60 HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("to the end").count(), 2, "{answers}");
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(350) && waited < Duration::from_secs(351), "closed after it: {waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_at_a_time_have_a_bound_and_all_are_served() {
    const BOUND: usize = 64;
    const CLIENTS: usize = 100;
    let metrics = outrigger::standalone().unwrap();
    let here = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let handler = {
        let (here, most, gate) = (Arc::clone(&here), Arc::clone(&most), Arc::clone(&gate));
        move || async move {
            most.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            drop(gate.acquire().await);
            here.fetch_sub(1, Ordering::SeqCst);
            "served"
        }
    };
    let listener = metrics.admin().routes(Router::new().route("/gate", get(handler))).listen(ANY_PORT).serve();
    let address = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(ask(address, "GET", "/gate"))).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    while here.load(Ordering::SeqCst) < BOUND {
        assert!(Instant::now() < deadline, "{here:?} came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    gate.add_permits(CLIENTS);
    for client in clients {
        assert!(client.await.unwrap().ends_with("served"));
    }
    assert_eq!(most.load(Ordering::SeqCst), BOUND);
}

/// Sends a request and reads the answer to the connection's end.
async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    ask_with(address, method, path, "").await
}

/// With a header line, if it is not empty.
async fn ask_with(address: SocketAddr, method: &str, path: &str, header: &str) -> String {
    let end = if header.is_empty() { "\r\n" } else { "\r\n\r\n" };
    let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{header}{end}");
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    answer.await.unwrap()
}
