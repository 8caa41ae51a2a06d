//! What a request gets, one at a time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use outrigger_semconv::{label, profile};

use crate::decode::Profile;
use crate::support::{Page, wait_for_page};
use crate::{Busy, Served, ask};

fn requests(page: &Page, kind: &str, outcome: &str) -> f64 {
    let labels = [(label::PROFILE_TYPE, kind), (label::PROFILE_OUTCOME, outcome)];
    page.number(&profile::REQUESTS, &labels).unwrap_or_else(|| panic!("{kind} {outcome}: {}", page.text()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_busy_function_is_most_of_a_profile_in_every_form() {
    let served = Served::new().await;
    for outcome in ["taken", "busy", "invalid", "cancelled", "failed", "unsupported"] {
        assert_eq!(requests(&Page::of(&served.metrics), "cpu", outcome), 0.0);
    }
    let _busy = Busy::new();

    let answer = served.ask("GET", "/debug/pprof/profile?seconds=1&hz=200").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/octet-stream")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let read = Profile::read(&answer.body);
    let types = [("samples", "count"), ("cpu", "nanoseconds")].map(|(kind, unit)| (kind.to_owned(), unit.to_owned()));
    assert_eq!(read.sample_types, types);
    assert_eq!(read.period, 5_000_000, "nanoseconds between samples");
    assert!(read.duration_nanos >= 1_000_000_000, "{}", read.duration_nanos);
    let of = |wanted: fn(&[String]) -> bool| -> u64 {
        read.samples.iter().filter(|sample| wanted(&sample.0)).map(|sample| sample.1[0]).sum()
    };
    let all = of(|_| true);
    let busy = of(|stack| stack.iter().any(|function| function.contains("spin_for_the_profile")));
    assert!(all > 0 && busy * 2 > all, "{busy} of {all} samples");
    // Down to where the thread began: the stack was walked to its end.
    let complete = of(|stack| {
        stack.iter().any(|function| function.contains("spin_for_the_profile"))
            && stack.iter().any(|function| function.contains("thread_start"))
    });
    assert!(complete * 2 > busy, "{complete} of {busy} stacks are complete, such as {:?}", read.samples.first());

    let folded = served.ask("GET", "/debug/pprof/folded?seconds=1").await;
    let hottest = folded.text();
    let hottest =
        hottest.lines().max_by_key(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()));
    let hottest = hottest.expect("a stack");
    assert!(hottest.starts_with("busy;") && hottest.contains("spin_for_the_profile"), "{hottest}");

    let graph = served.ask("GET", "/debug/pprof/flamegraph?seconds=1").await;
    assert_eq!(graph.header("content-type"), Some("image/svg+xml"));
    assert!(graph.text().contains("<svg") && graph.text().contains("spin_for_the_profile"));

    let page = Page::of(&served.metrics);
    assert_eq!(requests(&page, "cpu", "taken"), 3.0);
    assert_eq!(page.count(&profile::DURATION, &[(label::PROFILE_TYPE, "cpu")]), 3);
    assert_eq!(page.number(&profile::ACTIVE, &[]), Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_request_waits_its_turn_and_a_client_that_goes_gives_it_up() {
    let served = Served::new().await;
    let mut first = TcpStream::connect(served.address).unwrap();
    first.write_all(b"GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    wait_for_page(&served.metrics, "the first to run", |page| page.number(&profile::ACTIVE, &[]) == Some(1.0)).await;

    let refused = served.ask("GET", "/debug/pprof/flamegraph?seconds=1").await;
    assert_eq!(refused.status, 429);
    let retry: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry), "{retry}");
    assert!(refused.text().contains(&format!("try again in {retry} s")), "{}", refused.text());
    assert_eq!(served.ask("GET", "/debug/pprof/heap").await.status, 429, "one of any kind");

    drop(first);
    wait_for_page(&served.metrics, "the first to end", |page| {
        page.number(&profile::ACTIVE, &[]) == Some(0.0) && requests(page, "cpu", "cancelled") == 1.0
    })
    .await;
    // The turn is given back right after the profiler has stopped.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while served.ask("GET", "/debug/pprof/folded?seconds=1").await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "the turn is never given back");
    }
    let page = Page::of(&served.metrics);
    assert_eq!((requests(&page, "cpu", "taken"), requests(&page, "heap", "busy")), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused_with_the_reason_and_starts_nothing() {
    let served = Served::new().await;
    for (query, said) in [
        ("seconds=0", "seconds=0 cannot be: seconds is a whole number from 1 to 60, 10 by default"),
        ("seconds=61", "from 1 to 60"),
        ("hz=1001", "hz=1001 cannot be: hz is a whole number from 1 to 1000, 99 by default"),
        ("hz=x", "from 1 to 1000"),
        ("second=5", "second is no parameter here"),
    ] {
        let answer = served.ask("GET", &format!("/debug/pprof/profile?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(said), "{query}: {}", answer.text());
    }
    for path in ["profile", "flamegraph", "folded", "heap"] {
        let answer = served.ask("HEAD", &format!("/debug/pprof/{path}")).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{path}");
    }
    let heap = served.ask("GET", "/debug/pprof/heap").await;
    assert_eq!(heap.status, 501);
    assert!(heap.text().contains("jemalloc"), "{}", heap.text());
    for path in ["/debug/pprof", "/debug/pprof/"] {
        let index = served.ask("GET", path).await;
        assert_eq!(index.status, 200);
        for link in ["profile", "flamegraph", "folded", "heap"] {
            assert!(index.text().contains(&format!("href=\"/debug/pprof/{link}")), "{link}");
        }
    }
    let page = Page::of(&served.metrics);
    assert_eq!((requests(&page, "cpu", "invalid"), requests(&page, "cpu", "taken")), (5.0, 0.0));
    assert_eq!(requests(&page, "heap", "unsupported"), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_shutdown_a_profile_ends_early_with_what_it_has() {
    let served = Served::new().await;
    let _busy = Busy::new();
    let address = served.address;
    let asked = tokio::spawn(async move { ask(address, "GET", "/debug/pprof/profile?seconds=60").await });
    wait_for_page(&served.metrics, "it to run", |page| page.number(&profile::ACTIVE, &[]) == Some(1.0)).await;
    served.listener.shutdown().await;
    let answer = asked.await.unwrap();
    assert_eq!(answer.status, 200);
    let nanos = Profile::read(&answer.body).duration_nanos;
    assert!(nanos < 60_000_000_000, "{nanos}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_is_mounted_elsewhere_takes_profiles_too() {
    let served = Served::new().await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = served.metrics.admin_router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let answer = ask(address, "GET", "/debug/pprof/folded?seconds=1").await;
    assert_eq!(answer.status, 200);
    let mut gone = TcpStream::connect(address).unwrap();
    gone.write_all(b"GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    wait_for_page(&served.metrics, "it to run", |page| page.number(&profile::ACTIVE, &[]) == Some(1.0)).await;
    gone.shutdown(std::net::Shutdown::Both).unwrap();
    let _ = gone.read(&mut [0]);
    drop(gone);
    wait_for_page(&served.metrics, "it to end", |page| page.number(&profile::ACTIVE, &[]) == Some(0.0)).await;
}
