//! The end of a service that is scraped, over real connections.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use outrigger::{Metrics, Shutdown};
use outrigger_testkit::http::{self, Response, Server};
use tokio::time::{Instant, pause};

async fn scrape(address: SocketAddr) -> String {
    let get = move || http::get(&format!("http://{address}/metrics")).expect("a page");
    let answer = tokio::task::spawn_blocking(get).await.unwrap();
    assert_eq!(answer.status, 200);
    answer.text()
}

/// Scrapes in turn until the service has ended, as a scraper with a very short interval.
async fn ends_while_scraped(metrics: &Metrics, address: SocketAddr) -> Shutdown {
    let ending = metrics.clone();
    let end = tokio::spawn(async move { ending.shutdown().await });
    while !end.is_finished() {
        scrape(address).await;
    }
    end.await.unwrap()
}

#[tokio::test]
async fn a_service_that_is_scraped_ends_with_one_more_scrape() {
    let metrics = outrigger::standalone().unwrap();
    let listener = metrics.admin().listen(([127, 0, 0, 1], 0)).serve();
    let address = listener.local_addr().unwrap();
    assert_eq!(metrics.shutdown().await, Shutdown::Unread);

    assert!(scrape(address).await.contains("target_info"));
    assert_eq!(ends_while_scraped(&metrics, address).await, Shutdown::Scraped);

    // Nobody scrapes any more. Nothing else goes on, so the clock can do without waiting.
    listener.shutdown().await;
    pause();
    let begun = Instant::now();
    assert_eq!(metrics.shutdown().await, Shutdown::GaveUp);
    assert!((1000..=1002).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(metrics.shutdown().await, Shutdown::Unread);
}

#[tokio::test]
async fn health_checks_heads_and_pages_that_fail_are_no_scrapes() {
    let metrics = outrigger::standalone().unwrap();
    let listener = metrics.admin().listen(([127, 0, 0, 1], 0)).serve();
    let address = listener.local_addr().unwrap();
    let no_page = Metrics::with_recorder(std::sync::Arc::new(::metrics::NoopRecorder));
    let without = no_page.admin().listen(([127, 0, 0, 1], 0)).serve().local_addr().unwrap();
    tokio::task::spawn_blocking(move || {
        assert_eq!(http::get(&format!("http://{address}/-/healthy")).unwrap().status, 200);
        assert_eq!(
            http::request("HEAD", &format!("http://{address}/metrics"), &[], &[], Duration::from_secs(10))
                .unwrap()
                .status,
            200
        );
        assert_eq!(http::get(&format!("http://{without}/metrics")).unwrap().status, 503);
    })
    .await
    .unwrap();
    assert_eq!((metrics.shutdown().await, no_page.shutdown().await), (Shutdown::Unread, Shutdown::Unread));
}

#[tokio::test]
async fn a_scrape_makes_up_for_a_push_that_failed() {
    let refuses = Server::start(|_| Response::plain(400, "no"));
    let metrics = outrigger::standalone().unwrap();
    let address = metrics.admin().listen(([127, 0, 0, 1], 0)).serve().local_addr().unwrap();
    metrics.otlp().endpoint(refuses.url("")).start().unwrap();
    scrape(address).await;
    assert_eq!(ends_while_scraped(&metrics, address).await, Shutdown::Scraped);
}
