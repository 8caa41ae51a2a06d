//! The service's own checks, as probes meet them.

use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use outrigger_semconv::{label, library};
use tokio::sync::Semaphore;
use tokio::time::{Instant, advance};
use tower::ServiceExt;

use crate::support::{Page, wait_for_page};
use crate::{ANY_PORT, Log, ask, ask_with};

const OK: Result<(), &str> = Ok(());
const SECRET: &str = "postgres://shop:hunter2@10.1.2.3/shop";

/// What a probe is told, without a connection between.
async fn probe(router: &Router, path: &str) -> (u16, String) {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn labels<'a>(check: &'a str, probe: &'a str) -> [(&'static str, &'a str); 2] {
    [(label::CHECK, check), (label::PROBE, probe)]
}

/// A check, and what was seen of it.
#[derive(Clone, Default)]
struct Seen {
    began: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

/// Counts the end, however it comes.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Seen {
    /// Ends when the gate opens.
    fn behind(&self, gate: &Arc<Semaphore>) -> impl Fn() -> BoxFuture<'static, Result<(), &'static str>> + use<> {
        let (seen, gate) = (self.clone(), Arc::clone(gate));
        move || {
            seen.began.fetch_add(1, SeqCst);
            let (guard, gate) = (Guard(Arc::clone(&seen.ended)), Arc::clone(&gate));
            async move {
                let _guard = guard;
                drop(gate.acquire().await);
                OK
            }
            .boxed()
        }
    }

    fn began(&self) -> usize {
        self.began.load(SeqCst)
    }
}

async fn wait_for(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(std::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_failed_is_named_and_secrets_stay_inside() {
    let metrics = outrigger::standalone().unwrap();
    let (log, _guard) = Log::here();
    let is_down = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_down);
    let admin = metrics
        .admin()
        .bearer_token("s3cret")
        .check("database", move || {
            let answer = if asked.load(SeqCst) { Err(format!("no connection to {SECRET}")) } else { Ok(3) };
            ready(answer)
        })
        .check("cache", || async { OK })
        .listen(ANY_PORT)
        .serve();
    let address = admin.local_addr().unwrap();

    let answer = ask(address, "GET", "/-/ready").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("cache-control: no-store"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nnot ready\ndatabase: failed\ncache: ok\n"), "{answer}");
    let answer = ask_with(address, "GET", "/-/ready", "authorization: Bearer guessed").await;
    assert!(!answer.contains("hunter2"), "{answer}");
    let answer = ask_with(address, "GET", "/-/ready", "authorization: Bearer s3cret").await;
    assert!(answer.contains(&format!("database: failed: no connection to {SECRET}\ncache: ok\n")), "{answer}");
    assert!(ask(address, "GET", "/-/healthy").await.ends_with("\r\n\r\nhealthy\n"));
    assert!(ask(address, "HEAD", "/-/ready").await.starts_with("HTTP/1.1 503 "));

    let page = Page::of(&metrics);
    assert_eq!(page.number(&library::CHECK_UP, &labels("database", "readiness")), Some(0.0));
    assert_eq!(page.number(&library::CHECK_UP, &labels("cache", "readiness")), Some(1.0));
    assert!(page.number(&library::CHECK_DURATION, &labels("cache", "readiness")).is_some_and(|took| took < 1.0));
    assert!(!page.text().contains("hunter2"));

    is_down.store(false, SeqCst);
    wait_for("ready again", async || ask(address, "GET", "/-/ready").await.starts_with("HTTP/1.1 200 ")).await;
    assert!(ask(address, "GET", "/-/ready").await.ends_with("\r\n\r\nready\ndatabase: ok\ncache: ok\n"));
    assert_eq!(Page::of(&metrics).number(&library::CHECK_UP, &labels("database", "readiness")), Some(1.0));
    let lines = log.text();
    assert_eq!(
        lines.lines().filter(|line| line.contains("WARN") && line.contains("a check fails")).count(),
        1,
        "{lines}"
    );
    assert_eq!(lines.lines().filter(|line| line.contains("succeeds again")).count(), 1, "{lines}");
}

#[tokio::test(start_paused = true)]
async fn many_probes_make_one_run_and_its_answer_is_kept_for_a_second() {
    let metrics = outrigger::standalone().unwrap();
    let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
    let router = metrics.admin().check("database", seen.behind(&gate)).into_router();

    // Whoever began the run gives up, as a probe does after a second.
    assert!(probe(&router, "/-/ready").now_or_never().is_none());
    let mut probes = Box::pin(join_all((0..100).map(|_| probe(&router, "/-/ready"))));
    assert!(probes.as_mut().now_or_never().is_none());
    tokio::task::yield_now().await;
    gate.add_permits(1);
    assert!(probes.await.iter().all(|answer| *answer == (200, "ready\ndatabase: ok\n".to_owned())));
    assert_eq!(seen.began(), 1);

    advance(Duration::from_millis(999)).await;
    assert_eq!(probe(&router, "/-/ready").await.0, 200);
    assert_eq!(seen.began(), 1);
    advance(Duration::from_millis(1)).await;
    assert_eq!(probe(&router, "/-/ready").await.0, 200);
    assert_eq!(seen.began(), 2);
    assert_eq!(seen.ended.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn checks_run_side_by_side_each_within_its_time() {
    let metrics = outrigger::standalone().unwrap();
    let (seen, never) = (Seen::default(), Arc::new(Semaphore::new(0)));
    let router = metrics
        .admin()
        .check("hangs", seen.behind(&never))
        .check("fine", || async { OK })
        .check("hangs too", seen.behind(&never))
        .check("panics", || async {
            if Instant::now().elapsed() < Duration::from_secs(1) {
                panic!("as told");
            }
            OK
        })
        .check("panics at once", || -> std::future::Ready<Result<(), &str>> { panic!("as told") })
        .into_router();
    let begun = Instant::now();
    let (status, body) = probe(&router, "/-/ready").await;
    assert_eq!(begun.elapsed().as_millis(), 800);
    let lines = [
        "not ready",
        "hangs: timed out after 800ms",
        "fine: ok",
        "hangs too: timed out after 800ms",
        "panics: panicked",
        "panics at once: panicked",
    ];
    assert_eq!((status, body.lines().collect::<Vec<_>>()), (503, lines.to_vec()));
    tokio::task::yield_now().await;
    assert_eq!(seen.ended.load(SeqCst), 2, "they are dropped");
    let page = Page::of(&metrics);
    assert_eq!(page.number(&library::CHECK_UP, &labels("hangs", "readiness")), Some(0.0));
    assert_eq!(page.number(&library::CHECK_DURATION, &labels("hangs", "readiness")), Some(0.8));
    assert_eq!(page.number(&library::CHECK_UP, &labels("panics", "readiness")), Some(0.0));

    advance(Duration::from_secs(1)).await;
    assert_eq!(probe(&router, "/-/ready").await.0, 503);
    assert_eq!(seen.began(), 4, "what was dropped is tried again");

    let router = metrics.admin().check("hangs", pending::<Result<(), String>>).check_timeout(Duration::from_secs(3));
    assert_eq!(probe(&router.into_router(), "/-/ready").await.1, "not ready\nhangs: timed out after 3s\n");

    let router = metrics.admin().check("fine", || async { OK }).check_timeout(Duration::MAX).into_router();
    assert_eq!(probe(&router, "/-/ready").await, (200, "ready\nfine: ok\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_that_holds_its_thread_is_not_begun_again() {
    let metrics = outrigger::standalone().unwrap();
    let (release, held) = mpsc::channel::<()>();
    let (held, began) = (Arc::new(Mutex::new(held)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&began);
    let admin = metrics
        .admin()
        .check("blocks", move || {
            let held = Arc::clone(&held);
            counted.fetch_add(1, SeqCst);
            // Until the other end is dropped.
            async move { held.lock().unwrap().recv().map_err(|_| "released") }
        })
        .check_timeout(Duration::from_millis(10))
        .listen(ANY_PORT)
        .serve();
    let address = admin.local_addr().unwrap();
    // A thread of the runtime that blocks may be the one that waits for sockets and timers; in a service with work to do,
    // the next piece of it wakes another.
    let (runtime, (idle, is_idle)) = (tokio::runtime::Handle::current(), mpsc::channel::<()>());
    let work = std::thread::spawn(move || {
        while is_idle.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
            runtime.spawn(async {});
        }
    });
    let says = async |text: &str| ask(address, "GET", "/-/ready").await.ends_with(text);
    assert!(says("blocks: timed out after 10ms\n").await);
    wait_for("the next run", async || says("blocks: has not ended since it timed out\n").await).await;
    assert_eq!(began.load(SeqCst), 1);
    let took = Page::of(&metrics).number(&library::CHECK_DURATION, &labels("blocks", "readiness"));
    assert!(took.is_some_and(|seconds| seconds >= 0.01), "it goes on for longer than its time: {took:?}");
    drop(release);
    wait_for("a run after it", async || says("blocks: failed\n").await).await;
    assert_eq!(began.load(SeqCst), 2);
    drop(idle);
    work.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn liveness_is_another_question() {
    let metrics = outrigger::standalone().unwrap();
    let router = metrics
        .admin()
        .check("worker", || async { OK })
        .liveness_check("worker", || async { Err::<(), _>(std::io::Error::other("deadlocked")) })
        .into_router();
    assert_eq!(probe(&router, "/-/ready").await, (200, "ready\nworker: ok\n".to_owned()));
    assert_eq!(probe(&router, "/-/healthy").await, (503, "not healthy\nworker: failed\n".to_owned()));
    let page = Page::of(&metrics);
    assert_eq!(page.number(&library::CHECK_UP, &labels("worker", "readiness")), Some(1.0));
    assert_eq!(page.number(&library::CHECK_UP, &labels("worker", "liveness")), Some(0.0));

    let router = metrics.admin().check("down", || async { Err::<(), _>("down") }).into_router();
    assert_eq!(probe(&router, "/-/healthy").await, (200, "healthy\n".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn names_are_bounded_and_all_checks_count() {
    let metrics = outrigger::standalone().unwrap();
    let admin = (0..70).fold(metrics.admin(), |admin, n| {
        admin.check(&format!("check {n}"), move || ready(if n == 69 { Err("the last one") } else { OK }))
    });
    let admin = admin.check("check 0", || async { Err::<(), _>("the later of two") });
    let (status, body) = probe(&admin.into_router(), "/-/ready").await;
    assert_eq!(status, 503);
    assert_eq!((body.lines().count(), body.matches("failed").count()), (71, 2), "{body}");
    let page = Page::of(&metrics);
    assert_eq!(page.series(&library::CHECK_UP).len(), 64);
    let dropped = [(label::METRIC, library::CHECK_UP.name)];
    assert_eq!(page.number(&library::SERIES_DROPPED, &dropped), Some(6.0));

    let name = format!("line\nfeed {}", "x".repeat(200));
    let (_, body) = probe(&metrics.admin().check(&name, || async { OK }).into_router(), "/-/ready").await;
    assert_eq!(body, format!("ready\nlinefeed {}: ok\n", "x".repeat(91)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_keeps_the_gauges_fresh() {
    let metrics = outrigger::standalone().unwrap();
    let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
    let admin = metrics.admin().check("database", seen.behind(&gate)).check_timeout(Duration::from_secs(60));
    let address = admin.listen(ANY_PORT).serve().local_addr().unwrap();
    assert!(ask(address, "HEAD", "/metrics").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(seen.began(), 0);
    let page = ask(address, "GET", "/metrics").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "it does not wait for the check");
    wait_for("the check", async || seen.began() == 1).await;
    gate.add_permits(1);
    wait_for_page(&metrics, "its answer", |page| {
        page.number(&library::CHECK_UP, &labels("database", "readiness")) == Some(1.0)
    })
    .await;
}
