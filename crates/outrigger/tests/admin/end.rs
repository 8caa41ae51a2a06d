//! The end of a service, as load balancers and clients meet it.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::{ANY_PORT, ask};

/// Says when it begins and when it is dropped.
#[derive(Clone, Default)]
struct Endless {
    began: Arc<Notify>,
    dropped: Arc<AtomicUsize>,
}

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Endless {
    async fn run(self) -> Result<(), &'static str> {
        let _guard = Guard(Arc::clone(&self.dropped));
        self.began.notify_one();
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_drains_is_not_ready_and_serves_on() {
    let metrics = outrigger::standalone().unwrap();
    let endless = Endless::default();
    let check = endless.clone();
    let admin = metrics
        .admin()
        .check("fine", || async { Ok::<_, String>(()) })
        .check("endless", move || check.clone().run())
        .check_timeout(Duration::from_secs(60))
        .listen(ANY_PORT)
        .serve();
    let address = admin.local_addr().unwrap();

    // One that waits for the checks is told at once.
    let waiting = tokio::spawn(ask(address, "GET", "/-/ready"));
    endless.began.notified().await;
    admin.clone().drain();
    let answer = waiting.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("not ready\nshutting down\n"), "{answer}");
    assert!(ask(address, "GET", "/-/ready").await.ends_with("not ready\nshutting down\n"));
    assert!(ask(address, "GET", "/-/healthy").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(address, "GET", "/metrics").await.contains("target_info"));

    tokio::time::timeout(Duration::from_secs(4), admin.shutdown()).await.expect("no check holds it up");
    let deadline = Instant::now() + Duration::from_secs(20);
    while endless.dropped.load(SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the check goes on");
        tokio::task::yield_now().await;
    }
    admin.drain();
    admin.shutdown().await;
    TcpListener::bind(address).expect("the port is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_under_way_end() {
    let metrics = outrigger::standalone().unwrap();
    let (began, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (began, go_on) = (Arc::clone(&began), Arc::clone(&go_on));
        move || async move {
            began.notify_one();
            go_on.notified().await;
            "to the end"
        }
    };
    let admin = metrics.admin().routes(Router::new().route("/long", get(handler))).listen(ANY_PORT).serve();
    let address = admin.local_addr().unwrap();
    let client = tokio::spawn(ask(address, "GET", "/long"));
    began.notified().await;
    let ending = tokio::spawn(async move { admin.shutdown().await });
    // Nobody new is let in; the one who is inside is served.
    let deadline = Instant::now() + Duration::from_secs(20);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "it goes on accepting");
    }
    go_on.notify_one();
    assert!(client.await.unwrap().ends_with("to the end"));
    ending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn answers_that_do_not_end_are_cut_off() {
    let metrics = outrigger::standalone().unwrap();
    let endless = Endless::default();
    let handler = {
        let endless = endless.clone();
        move || async move { endless.run().await.map_err(str::to_owned) }
    };
    let admin = metrics.admin().routes(Router::new().route("/long", get(handler))).listen(ANY_PORT).serve();
    let mut client = tokio::net::TcpStream::connect(admin.local_addr().unwrap()).await.unwrap();
    client.write_all(b"GET /long HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    endless.began.notified().await;
    let begun = Instant::now();
    admin.shutdown().await;
    let took = begun.elapsed().as_millis();
    assert!((5000..=5010).contains(&took), "{took} ms");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty());
    assert_eq!(endless.dropped.load(SeqCst), 1);
}
