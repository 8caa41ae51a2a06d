//! Timeouts, retries and circuit breakers.

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http;
use futures_util::FutureExt;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use outrigger::Metrics;
use outrigger::resilience::{Backoff, Breaker, BreakerSettings, CallError, Rejected, RetrySettings, State};
use outrigger_semconv::{label, resilience};
use tokio::time::sleep;
use tower::retry::RetryLayer;
use tower::timeout::error::Elapsed;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::Page;

const NAME: (&str, &str) = (label::DEPENDENCY, "payments");
const LIMIT: Duration = Duration::from_secs(2);

fn number(page: &Page, metric: &outrigger_semconv::Metric) -> Option<f64> {
    page.number(metric, &[NAME])
}

fn calls(page: &Page, result: &'static str) -> Option<f64> {
    page.number(&resilience::BREAKER_CALLS, &[NAME, (label::BREAKER_RESULT, result)])
}

/// The state that the gauges show: one of them is 1.
fn shown(metrics: &Metrics) -> Vec<&'static str> {
    let page = Page::of(metrics);
    let is_one = |state: &&'static str| {
        page.number(&resilience::BREAKER_STATE, &[NAME, (label::BREAKER_STATE, state)]) == Some(1.0)
    };
    assert_eq!(page.series(&resilience::BREAKER_STATE).len(), 3);
    ["closed", "open", "half_open"].into_iter().filter(is_one).collect()
}

fn refused() -> Error {
    Error::from(ErrorKind::ConnectionRefused)
}

/// Opens after four failures of four, for ten seconds; two probes.
fn settings() -> BreakerSettings {
    BreakerSettings::default().minimum_calls(4).open_for(Duration::from_secs(10)).probes(2)
}

async fn fail(breaker: &Breaker) {
    let failed = breaker.call(async { Err::<(), _>(refused()) }).await;
    assert!(matches!(failed, Err(CallError::Inner(_))));
}

async fn succeed(breaker: &Breaker) -> bool {
    match breaker.call(async { Ok::<_, Error>(()) }).await {
        Ok(()) => true,
        Err(CallError::Rejected(rejected)) => {
            assert_eq!(rejected.to_string(), "the circuit breaker of payments is open");
            false
        }
        Err(CallError::Inner(error)) => panic!("{error}"),
    }
}

pub(crate) async fn timeouts_are_counted(metrics: Metrics) {
    tokio::time::pause();
    let payments = metrics.dependency("payments");
    assert_eq!(payments.timeout(LIMIT, ready(7)).await.ok(), Some(7));
    assert_eq!(number(&Page::of(&metrics), &resilience::TIMEOUTS), Some(0.0), "there at zero");
    assert!(payments.timeout(LIMIT, pending::<()>()).await.is_err());

    let service = payments.timeout_layer(LIMIT).layer(service_fn(|wait: u64| async move {
        sleep(Duration::from_secs(wait)).await;
        if wait == 1 { Err(refused()) } else { Ok(wait) }
    }));
    assert_eq!(service.clone().oneshot(0).await.ok(), Some(0));
    assert!(service.clone().oneshot(1).await.expect_err("it fails").is::<Error>(), "its own error is kept");
    assert!(service.clone().oneshot(3).await.expect_err("it is late").is::<Elapsed>(), "as tower says it");
    // Given up by its caller: no timeout.
    assert!(service.oneshot(3).now_or_never().is_none());
    assert_eq!(number(&Page::of(&metrics), &resilience::TIMEOUTS), Some(2.0));
}

pub(crate) async fn retries_are_counted_and_bounded(metrics: Metrics) {
    tokio::time::pause();
    let payments = metrics.dependency("payments");
    let exhausted = |page: &Page, reason| page.number(&resilience::RETRIES_EXHAUSTED, &[NAME, (label::REASON, reason)]);
    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
    let policy = payments.retry(RetrySettings::default().attempts(3).backoff(backoff));
    let page = Page::of(&metrics);
    assert_eq!(number(&page, &resilience::RETRIES), Some(0.0), "there at zero");
    assert_eq!((exhausted(&page, "attempts"), exhausted(&page, "budget")), (Some(0.0), Some(0.0)));

    let tries = Arc::new(AtomicU32::new(0));
    let service = ServiceBuilder::new().layer(RetryLayer::new(policy.clone())).service(service_fn(|until: u32| {
        let made = tries.fetch_add(1, SeqCst) + 1;
        ready(if made < until { Err(refused()) } else { Ok(made) })
    }));
    assert_eq!(service.clone().oneshot(3).await.ok(), Some(3));
    assert_eq!(number(&Page::of(&metrics), &resilience::RETRIES), Some(2.0));
    tries.store(0, SeqCst);
    assert!(service.clone().oneshot(9).await.is_err());
    assert_eq!(tries.load(SeqCst), 3);
    assert_eq!(exhausted(&Page::of(&metrics), "attempts"), Some(1.0));

    // Ten retries to begin with, four are spent; a fifth of one came back.
    for _ in 0..20 {
        assert!(policy.call(|| ready(Err::<(), _>(refused()))).await.is_err());
    }
    let page = Page::of(&metrics);
    assert_eq!(number(&page, &resilience::RETRIES), Some(10.0));
    assert_eq!((exhausted(&page, "attempts"), exhausted(&page, "budget")), (Some(4.0), Some(17.0)));

    // What is tried again can be said otherwise.
    let odd = payments.retry_on(RetrySettings::default().backoff(backoff), |result: &Result<u32, Infallible>| {
        result.as_ref().is_ok_and(|number| number % 2 == 1)
    });
    tries.store(0, SeqCst);
    assert_eq!(odd.call(|| ready(Ok(tries.fetch_add(1, SeqCst) + 1))).await, Ok(2));
}

/// An error with another inside.
#[derive(Debug, thiserror::Error)]
#[error("the payment failed")]
struct Failed(#[source] Rejected);

pub(crate) async fn what_a_breaker_rejects_is_not_tried_again(metrics: Metrics) {
    tokio::time::pause();
    let payments = metrics.dependency("payments");
    let breaker = payments.breaker(settings());
    for _ in 0..4 {
        fail(&breaker).await;
    }
    let policy = payments.retry(RetrySettings::default());
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(policy.clone()))
        .layer(breaker.layer())
        .layer(payments.timeout_layer(LIMIT))
        .service(service_fn(|(): ()| ready(Ok::<_, Error>(()))));
    let rejected = client.oneshot(()).now_or_never().expect("at once").expect_err("it is open");
    assert!(rejected.is::<Rejected>());
    let page = Page::of(&metrics);
    assert_eq!((number(&page, &resilience::RETRIES), calls(&page, "rejected")), (Some(0.0), Some(1.0)));

    // By itself, and inside another.
    let rejected = *rejected.downcast::<Rejected>().expect("it is one");
    let made = AtomicU32::new(0);
    let count = || {
        made.fetch_add(1, SeqCst);
    };
    assert!(policy.call(|| ready(Err::<(), _>(rejected.clone())).inspect(|_| count())).await.is_err());
    type Boxed = Box<dyn std::error::Error + Send + Sync>;
    let inside = || ready(Err::<(), Boxed>(Failed(rejected.clone()).into())).inspect(|_| count());
    assert!(policy.call(inside).await.is_err());
    assert_eq!(made.load(SeqCst), 2);
    // Another error that is boxed is tried again.
    let other = || ready(Err::<(), Boxed>(refused().into())).inspect(|_| count());
    assert!(policy.call(other).await.is_err());
    assert_eq!(made.load(SeqCst), 5);
    let page = Page::of(&metrics);
    let exhausted = page.number(&resilience::RETRIES_EXHAUSTED, &[NAME, (label::REASON, "attempts")]);
    assert_eq!((number(&page, &resilience::RETRIES), exhausted), (Some(2.0), Some(1.0)));
}

pub(crate) async fn a_retry_counts_when_it_is_made(metrics: Metrics) {
    tokio::time::pause();
    let payments = metrics.dependency("payments");
    let policy = payments.retry(RetrySettings::default().attempts(2).budget(0.0));
    let failing = || ready(Err::<(), _>(refused()));
    // Given up while it waits, it is neither made nor paid for.
    for _ in 0..20 {
        assert!(policy.call(failing).now_or_never().is_none());
    }
    assert_eq!(number(&Page::of(&metrics), &resilience::RETRIES), Some(0.0));
    for _ in 0..20 {
        assert!(policy.call(failing).await.is_err());
    }
    assert_eq!(number(&Page::of(&metrics), &resilience::RETRIES), Some(10.0));
}

pub(crate) async fn a_breaker_opens_and_closes_again(metrics: Metrics) {
    tokio::time::pause();
    let breaker = metrics.dependency("payments").breaker(settings());
    assert_eq!(shown(&metrics), ["closed"]);
    assert_eq!(calls(&Page::of(&metrics), "rejected"), Some(0.0), "there at zero");

    for _ in 0..4 {
        fail(&breaker).await;
    }
    assert_eq!((breaker.state(), shown(&metrics)), (State::Open, vec!["open"]));
    assert!(!succeed(&breaker).await);

    sleep(Duration::from_secs(10)).await;
    // A probe that is given up leaves its place to another.
    for _ in 0..5 {
        assert!(breaker.call(pending::<Result<(), Error>>()).now_or_never().is_none());
    }
    assert_eq!(shown(&metrics), ["half_open"]);
    let mut one = Box::pin(breaker.call(pending::<Result<(), Error>>()));
    assert!(one.as_mut().now_or_never().is_none());
    assert!(succeed(&breaker).await);
    assert!(!succeed(&breaker).await, "one probe is out and one has succeeded");
    drop(one);
    assert!(succeed(&breaker).await);
    assert_eq!((breaker.state(), shown(&metrics)), (State::Closed, vec!["closed"]));

    // And once more, with a probe that fails.
    for _ in 0..4 {
        fail(&breaker).await;
    }
    sleep(Duration::from_secs(10)).await;
    fail(&breaker).await;
    assert_eq!(shown(&metrics), ["open"]);

    let page = Page::of(&metrics);
    let to = |state| page.number(&resilience::BREAKER_TRANSITIONS, &[NAME, (label::BREAKER_STATE, state)]);
    assert_eq!((to("closed"), to("open"), to("half_open")), (Some(1.0), Some(3.0), Some(2.0)));
    assert_eq!((calls(&page, "success"), calls(&page, "failure")), (Some(2.0), Some(9.0)));
    assert_eq!((calls(&page, "rejected"), calls(&page, "cancelled")), (Some(2.0), Some(6.0)));
}

/// Ready only every other time that it is asked, and called only when it was; as tower's contract has it.
#[derive(Clone)]
struct Strict {
    is_ready: bool,
    asked: u32,
    is_down: bool,
}

impl Service<bool> for Strict {
    type Response = ();
    type Error = Error;
    type Future = Ready<Result<(), Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.asked += 1;
        if self.is_down {
            return Poll::Pending;
        }
        if self.asked % 2 == 1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, good: bool) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
        ready(if good { Ok(()) } else { Err(refused()) })
    }
}

pub(crate) async fn a_breaker_round_a_service_keeps_to_towers_contract(metrics: Metrics) {
    tokio::time::pause();
    let breaker = metrics.dependency("payments").breaker(settings());
    let strict = |is_down| breaker.layer().layer(Strict { is_ready: false, asked: 0, is_down });
    let mut service = strict(false);
    for _ in 0..4 {
        assert!(service.ready().await.expect("it becomes ready").call(false).await.is_err());
        service = service.clone();
    }
    assert_eq!(breaker.state(), State::Open);

    // Open, it is ready at once and rejects at once, though the service would never become ready.
    let mut down = strict(true);
    let answer = down.ready().now_or_never().expect("at once").expect("it is no error").call(true).now_or_never();
    assert!(answer.expect("at once").expect_err("it is rejected").is::<Rejected>());

    // Ready while open, called when its time is over: the service itself has not become ready, and must not be called.
    let ready_while_open = service.ready().await.expect("at once");
    sleep(Duration::from_secs(10)).await;
    assert!(ready_while_open.call(true).await.is_err());
    assert_eq!(breaker.state(), State::Open, "that was no probe");
    for _ in 0..2 {
        assert!(service.ready().await.expect("it becomes ready").call(true).await.is_ok());
    }
    assert_eq!(breaker.state(), State::Closed);

    // Ready while closed, called when it has opened: rejected, and it stays ready.
    service.ready().await.expect("it becomes ready");
    for _ in 0..4 {
        fail(&breaker).await;
    }
    assert!(service.call(true).await.is_err());
    sleep(Duration::from_secs(10)).await;
    assert!(service.ready().await.expect("it still is").call(true).await.is_ok());
    let page = Page::of(&metrics);
    assert_eq!((calls(&page, "rejected"), calls(&page, "success")), (Some(3.0), Some(3.0)));
}

/// Takes both places of a breaker that is half open, and fails to become ready.
struct TakesThePlaces {
    breaker: Breaker,
    probes: Vec<Pin<Box<Probe>>>,
}

type Probe = dyn Future<Output = Result<(), CallError<Error>>>;

impl Service<()> for TakesThePlaces {
    type Response = ();
    type Error = Error;
    type Future = Ready<Result<(), Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        for _ in 0..2 {
            let breaker = self.breaker.clone();
            let mut probe = Box::pin(async move { breaker.call(pending::<Result<(), Error>>()).await });
            assert!(probe.as_mut().poll(context).is_pending());
            self.probes.push(probe);
        }
        Poll::Ready(Err(refused()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

pub(crate) async fn what_does_not_become_ready_is_not_rejected(metrics: Metrics) {
    tokio::time::pause();
    let breaker = metrics.dependency("payments").breaker(settings());
    for _ in 0..4 {
        fail(&breaker).await;
    }
    sleep(Duration::from_secs(10)).await;
    let mut service = breaker.layer().layer(TakesThePlaces { breaker: breaker.clone(), probes: Vec::new() });
    assert!(service.ready().await.is_err());
    assert_eq!((breaker.state(), calls(&Page::of(&metrics), "rejected")), (State::HalfOpen, Some(0.0)));
}

pub(crate) async fn a_ratio_is_between_0_and_1(metrics: Metrics) {
    // Of four calls: how many failures open it, at the most.
    for (ratio, failures) in [(7.0, 4), (f64::NAN, 2), (-1.0, 1), (f64::INFINITY, 4)] {
        let breaker = metrics.dependency("payments").breaker(settings().failure_ratio(ratio));
        for _ in failures..4 {
            assert!(succeed(&breaker).await);
        }
        for _ in 0..failures {
            assert_eq!(breaker.state(), State::Closed, "{ratio}");
            fail(&breaker).await;
        }
        assert_eq!(breaker.state(), State::Open, "{ratio}");
    }
}

pub(crate) async fn a_response_may_be_a_failure(metrics: Metrics) {
    let failed = |result: &Result<u16, Infallible>| result.as_ref().is_ok_and(|status| *status >= 500);
    let breaker = metrics.dependency("payments").breaker_on(settings(), failed);
    let service =
        ServiceBuilder::new().layer(breaker.layer()).service_fn(|status: u16| ready(Ok::<_, Infallible>(status)));
    for status in [500, 502, 503, 504] {
        assert_eq!(service.clone().oneshot(status).await.ok(), Some(status), "it is handed on");
    }
    assert_eq!(shown(&metrics), ["open"]);
    assert_eq!(calls(&Page::of(&metrics), "failure"), Some(4.0));
}

pub(crate) async fn a_client_of_hyper_util_is_protected(metrics: Metrics) {
    // A port that nobody listens on any more.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("it has one").port();
    let payments = metrics.dependency("payments");
    let breaker = payments.breaker(settings());
    let client = ServiceBuilder::new()
        .layer(breaker.layer())
        .layer(payments.timeout_layer(Duration::from_secs(20)))
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
    let request = || {
        http::Request::get(format!("http://127.0.0.1:{port}/")).body(Empty::<Bytes>::new()).expect("it is a request")
    };
    for _ in 0..4 {
        let error = client.clone().oneshot(request()).await.expect_err("nobody is there");
        assert!(error.is::<hyper_util::client::legacy::Error>(), "{error}");
    }
    assert!(client.clone().oneshot(request()).await.expect_err("it is open").is::<Rejected>());
    assert_eq!((calls(&Page::of(&metrics), "failure"), shown(&metrics)), (Some(4.0), vec!["open"]));
}
