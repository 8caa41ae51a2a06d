//! Background task metrics.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use futures_util::FutureExt;
use outrigger::Metrics;
use outrigger::task::{Backoff, QueueState, Retry};
use outrigger_semconv::{label, library, task};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use crate::log::Log;
use crate::support::{Page, wait_for_page};

const NAME: (&str, &str) = (label::TASK_NAME, "mailer");
const ERROR: &str = "conformance::task::MailError";

#[derive(Debug)]
struct MailError;

async fn panics() {
    panic!("on purpose");
}

/// Runs that ended so.
fn ended(page: &Page, outcome: &'static str, error_type: &'static str) -> u64 {
    page.count(&task::DURATION, &[NAME, (label::TASK_OUTCOME, outcome), (label::ERROR_TYPE, error_type)])
}

fn number(page: &Page, metric: &outrigger_semconv::Metric) -> Option<f64> {
    page.number(metric, &[NAME])
}

pub(crate) async fn outcomes_are_told_apart(metrics: Metrics) {
    let mailer = metrics.task("mailer");

    mailer.spawn(async {}).await.expect("it ends");
    assert_eq!(mailer.run(async { Ok::<_, MailError>(7) }).await.ok(), Some(7));
    assert!(mailer.run(async { Err::<(), _>(MailError) }).await.is_err());
    assert_eq!(mailer.run_with(async { 7 }, |number| (*number > 5).then_some("too_many")).await, 7);
    assert!(mailer.spawn(panics()).await.is_err());
    let aborted = mailer.spawn(pending::<()>());
    aborted.abort();
    assert!(aborted.await.is_err());
    let mut dropped = Box::pin(mailer.run(pending::<()>()));
    assert!(dropped.as_mut().now_or_never().is_none());
    drop(dropped);
    // Never awaited, it has not begun.
    drop(mailer.run(async {}));

    let page = Page::of(&metrics);
    assert_eq!(ended(&page, "success", ""), 2);
    assert_eq!(ended(&page, "failure", ERROR), 1);
    assert_eq!(ended(&page, "failure", "too_many"), 1);
    assert_eq!(ended(&page, "panic", ""), 1);
    assert_eq!(ended(&page, "cancelled", ""), 2);
    assert_eq!(page.total(&task::DURATION), 7);
    assert_eq!(number(&page, &task::ACTIVE), Some(0.0));
}

pub(crate) async fn runs_without_a_future_are_counted(metrics: Metrics) {
    let mailer = metrics.task("mailer");
    let running = (mailer.start(), mailer.start());
    assert_eq!(number(&Page::of(&metrics), &task::ACTIVE), Some(2.0));
    running.0.success();
    running.1.failure("disk_full");
    mailer.start().cancelled();
    drop(mailer.start());
    let panicking = mailer.start();
    let panicked = std::thread::spawn(move || {
        let _running = panicking;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());

    let page = Page::of(&metrics);
    assert_eq!(ended(&page, "success", ""), 1);
    assert_eq!(ended(&page, "failure", "disk_full"), 1);
    assert_eq!(ended(&page, "cancelled", ""), 2);
    assert_eq!(ended(&page, "panic", ""), 1);
    assert_eq!(number(&page, &task::ACTIVE), Some(0.0));
}

pub(crate) async fn a_panic_elsewhere_is_a_cancellation(metrics: Metrics) {
    let mailer = metrics.task("mailer");
    let outer = tokio::spawn(async move {
        let mut inner = Box::pin(mailer.run(pending::<()>()));
        assert!(inner.as_mut().now_or_never().is_none());
        panic!("on purpose, beside the run");
    });
    assert!(outer.await.is_err());
    assert_eq!(ended(&Page::of(&metrics), "cancelled", ""), 1);
}

pub(crate) async fn retries_are_bounded_and_counted(metrics: Metrics) {
    tokio::time::pause();
    let mailer = metrics.task("mailer");
    let tries = AtomicU32::new(0);
    let failing = |until: u32| {
        let tries = &tries;
        move || async move { if tries.fetch_add(1, SeqCst) + 1 < until { Err(MailError) } else { Ok(()) } }
    };
    let retry = Retry::default().attempts(4).backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(60)));

    assert!(mailer.retry(&retry, failing(1)).await.is_ok());
    assert_eq!(number(&Page::of(&metrics), &task::RETRIES), Some(0.0), "there at zero");

    tries.store(0, SeqCst);
    assert!(mailer.retry(&retry, failing(3)).await.is_ok());
    assert_eq!(number(&Page::of(&metrics), &task::RETRIES), Some(2.0));

    tries.store(0, SeqCst);
    assert!(mailer.retry(&retry, failing(9)).await.is_err());
    assert_eq!(tries.load(SeqCst), 4, "no more than four attempts");

    tries.store(0, SeqCst);
    assert!(mailer.retry_if(&retry, |_| false, failing(9)).await.is_err());
    assert_eq!(tries.load(SeqCst), 1, "that one does not go away");

    // Nothing begins after the deadline, and nobody waits for it in vain.
    tries.store(0, SeqCst);
    let long = Retry::default()
        .attempts(1_000)
        .backoff(Backoff::new(Duration::from_secs(10), Duration::from_secs(10)))
        .deadline(Duration::from_secs(30));
    let start = Instant::now();
    assert!(mailer.retry(&long, failing(5_000)).await.is_err());
    assert!(start.elapsed() <= Duration::from_secs(30));
    assert!(tries.load(SeqCst) < 1_000);

    let page = Page::of(&metrics);
    assert_eq!(ended(&page, "success", ""), 2, "a run with its retries is one run");
    assert_eq!(ended(&page, "failure", ERROR), 3);
    assert_eq!(number(&page, &task::ACTIVE), Some(0.0));
}

pub(crate) async fn a_queue_is_consumed_whatever_its_items_do(metrics: Metrics) {
    let mailer = metrics.task("mailer");
    let (sender, receiver) = mpsc::channel(10);
    for item in 0..5 {
        sender.send(item).await.expect("there is room");
    }
    let gate = Arc::new(Notify::new());
    let consumer = {
        let (mailer, gate) = (mailer.clone(), Arc::clone(&gate));
        tokio::spawn(async move {
            let handle = |item: u32| {
                let gate = Arc::clone(&gate);
                async move {
                    match item {
                        0 => gate.notified().await,
                        1 => return Err(MailError),
                        2 => panic!("on purpose"),
                        _ => {}
                    }
                    Ok(())
                }
            };
            mailer.consume(receiver, handle).await;
        })
    };

    let depth = |depth: f64| move |page: &Page| number(page, &task::QUEUE_DEPTH) == Some(depth);
    wait_for_page(&metrics, "four that wait for the first", depth(4.0)).await;
    // It is looked at while an item is worked on.
    sender.send(5).await.expect("there is room");
    wait_for_page(&metrics, "five", depth(5.0)).await;
    gate.notify_one();
    drop(sender);
    consumer.await.expect("no item ends the consumer");

    let page = Page::of(&metrics);
    assert_eq!(ended(&page, "success", ""), 4);
    assert_eq!(ended(&page, "failure", ERROR), 1);
    assert_eq!(ended(&page, "panic", ""), 1);
    assert_eq!(number(&page, &task::QUEUE_DEPTH), Some(0.0));
    assert_eq!(number(&page, &task::QUEUE_OLDEST_AGE), None, "a channel cannot tell");
}

pub(crate) async fn a_queue_elsewhere_is_looked_at(metrics: Metrics) {
    let state = || async { QueueState::default().depth(7).oldest_age(Duration::from_secs(90)) };
    let watch = metrics.task("mailer").watch_queue(Duration::from_secs(1), state);
    let page = wait_for_page(&metrics, "a look", |page| number(page, &task::QUEUE_DEPTH) == Some(7.0)).await;
    assert_eq!(number(&page, &task::QUEUE_OLDEST_AGE), Some(90.0));
    drop(watch);
    let page = wait_for_page(&metrics, "the end", |page| number(page, &task::QUEUE_DEPTH) == Some(0.0)).await;
    assert_eq!(number(&page, &task::QUEUE_OLDEST_AGE), Some(0.0));
}

/// Lets everybody run who can within a moment of the stopped clock, which goes on when nobody can.
async fn settle() {
    sleep(MOMENT).await;
}

const MOMENT: Duration = Duration::from_millis(5);

pub(crate) async fn a_periodic_job_is_late_where_its_runs_are_long(metrics: Metrics) {
    tokio::time::pause();
    let gate = Arc::new(Notify::new());
    let job = {
        let gate = Arc::clone(&gate);
        metrics.task("mailer").every(Duration::from_secs(10)).after(Duration::from_secs(10)).start(move || {
            let gate = Arc::clone(&gate);
            async move { gate.notified().await }
        })
    };
    settle().await;
    assert_eq!(number(&Page::of(&metrics), &task::TICKS_MISSED), Some(0.0), "there at zero");

    sleep(Duration::from_secs(10)).await;
    settle().await;
    let page = Page::of(&metrics);
    assert_eq!((number(&page, &task::ACTIVE), page.count(&task::LATENESS, &[NAME])), (Some(1.0), 1));

    // Due at 20, 30 and 40 too: they do not overlap the first, which lasts until 45.
    sleep(Duration::from_secs(35)).await;
    settle().await;
    assert_eq!(number(&Page::of(&metrics), &task::ACTIVE), Some(1.0));
    gate.notify_one();
    settle().await;
    let page = Page::of(&metrics);
    let lateness = page.histogram(&task::LATENESS, &[NAME]).expect("it has begun twice");
    assert_eq!(lateness.count(), 2);
    assert!(lateness.sum.is_some_and(|sum| (24.9..25.1).contains(&sum)), "the one of 20 began at 45: {lateness:?}");
    assert_eq!(number(&page, &task::TICKS_MISSED), Some(2.0), "those of 30 and 40");

    // The end waits for the run in progress, and no other begins.
    let mut stopped = Box::pin(job.stop());
    assert!(stopped.as_mut().now_or_never().is_none());
    settle().await;
    gate.notify_one();
    stopped.await;
    sleep(Duration::from_secs(100)).await;
    settle().await;
    let page = Page::of(&metrics);
    assert_eq!((ended(&page, "success", ""), page.count(&task::LATENESS, &[NAME])), (2, 2));
}

pub(crate) async fn a_panic_does_not_end_the_schedule(metrics: Metrics) {
    tokio::time::pause();
    let begun = Arc::new(AtomicU32::new(0));
    let job = {
        let begun = Arc::clone(&begun);
        let backoff = Backoff::new(Duration::from_secs(40), Duration::from_secs(60));
        metrics.task("mailer").every(Duration::from_secs(10)).backoff(backoff).start(move || {
            let number = begun.fetch_add(1, SeqCst);
            assert!(number != 1, "on purpose, before there is a future");
            async move { assert!(number > 1, "on purpose, in the future") }
        })
    };
    settle().await;
    assert_eq!(begun.load(SeqCst), 1);
    sleep(Duration::from_secs(39)).await;
    settle().await;
    assert_eq!(begun.load(SeqCst), 1, "it waits after a panic");
    sleep(Duration::from_secs(2)).await;
    settle().await;
    assert_eq!(begun.load(SeqCst), 2);
    sleep(Duration::from_secs(58)).await;
    settle().await;
    assert_eq!(begun.load(SeqCst), 2, "and longer after the second");
    sleep(Duration::from_secs(2)).await;
    settle().await;
    assert_eq!(begun.load(SeqCst), 3);
    let page = Page::of(&metrics);
    assert_eq!((ended(&page, "panic", ""), ended(&page, "success", "")), (2, 1));
    assert_eq!(number(&page, &task::ACTIVE), Some(0.0));

    // Dropped, the handle leaves the job alone.
    drop(job);
    sleep(Duration::from_secs(10)).await;
    settle().await;
    assert_eq!(begun.load(SeqCst), 4);
}

pub(crate) async fn kinds_of_failure_are_capped(metrics: Metrics) {
    let mailer = metrics.task("mailer");
    for number in 0..1_010 {
        let kind: &'static str = Box::leak(format!("kind-{number}").into_boxed_str());
        mailer.start().failure(kind);
    }
    let page = Page::of(&metrics);
    assert_eq!(page.total(&task::DURATION), 1_010);
    assert!(page.series(&task::DURATION).len() < 1_100);
    assert_eq!(page.number(&library::SERIES_DROPPED, &[(label::METRIC, task::DURATION.name)]), Some(10.0));
}

pub(crate) async fn what_judges_may_panic(metrics: Metrics) {
    let mailer = metrics.task("mailer");
    let judged = tokio::spawn(mailer.run_with(async { 7 }, |_| panic!("on purpose")));
    assert!(judged.await.is_err());
    let page = Page::of(&metrics);
    assert_eq!((ended(&page, "panic", ""), ended(&page, "cancelled", "")), (1, 0));
}

pub(crate) async fn a_look_that_panics_is_not_the_last(metrics: Metrics) {
    tokio::time::pause();
    let looks = Arc::new(AtomicU32::new(0));
    let look = {
        let looks = Arc::clone(&looks);
        move || {
            let number = looks.fetch_add(1, SeqCst);
            assert!(number != 1, "on purpose, before there is a future");
            async move {
                assert!(number != 2, "on purpose, in the future");
                QueueState::default().depth(if number == 0 { 7 } else { 8 })
            }
        }
    };
    let watch = metrics.task("mailer").watch_queue(Duration::from_secs(1), look);
    for (looked, depth) in [(1, 7.0), (2, 7.0), (3, 7.0), (4, 8.0)] {
        settle().await;
        assert_eq!((looks.load(SeqCst), number(&Page::of(&metrics), &task::QUEUE_DEPTH)), (looked, Some(depth)));
        sleep(Duration::from_secs(1) - MOMENT).await;
    }
    drop(watch);
    settle().await;
    assert_eq!(number(&Page::of(&metrics), &task::QUEUE_DEPTH), Some(0.0));
}

pub(crate) async fn a_queue_that_is_left_is_not_empty(metrics: Metrics) {
    tokio::time::pause();
    let (sender, receiver) = mpsc::channel(10);
    for item in 0..5 {
        sender.send(item).await.expect("there is room");
    }
    let mailer = metrics.task("mailer");
    let consumer = tokio::spawn(async move { mailer.consume(receiver, |_: u32| pending::<()>()).await });
    settle().await;
    assert_eq!(number(&Page::of(&metrics), &task::QUEUE_DEPTH), Some(4.0));
    consumer.abort();
    assert!(consumer.await.is_err());
    assert_eq!(number(&Page::of(&metrics), &task::QUEUE_DEPTH), Some(4.0), "nobody takes them any more");
}

pub(crate) async fn failures_are_logged_and_seen_by_whoever_asks(metrics: Metrics) {
    tokio::time::pause();
    let (log, _kept) = Log::here();
    let lines = || log.take().lines().filter(|line| line.contains("failed")).count();

    let (sender, receiver) = mpsc::channel(1_000);
    for item in 0..1_000 {
        sender.try_send(item).expect("there is room");
    }
    drop(sender);
    let mailer = metrics.task("mailer");
    mailer.consume(receiver, |_: u32| async { Err::<(), _>(MailError) }).await;
    // Ten a second, of a clock that cannot be paused.
    assert!((10..1_000).contains(&lines()));
    assert_eq!(ended(&Page::of(&metrics), "failure", ERROR), 1_000);

    let seen = Arc::new(AtomicU32::new(0));
    let count = {
        let seen = Arc::clone(&seen);
        move |sent: &Result<(), MailError>| sent.is_err().then(|| seen.fetch_add(1, SeqCst)).map(|_| "no_paper")
    };
    let job = mailer.every(Duration::from_secs(1)).start_with(|| async { Err(MailError) }, count);
    settle().await;
    job.stop().await;
    let page = Page::of(&metrics);
    assert_eq!((ended(&page, "failure", "no_paper"), seen.load(SeqCst), lines()), (1, 1, 1));
}

pub(crate) async fn a_tick_that_is_caught_up_is_not_missed(metrics: Metrics) {
    tokio::time::pause();
    let period = Duration::from_millis(1);
    let job = metrics.task("mailer").every(period).start(move || sleep(period * 3));
    // The first is late by 2 ms at its end, the next by 4 and so on, until Tokio leaves times out.
    sleep(Duration::from_millis(5)).await;
    assert_eq!(number(&Page::of(&metrics), &task::TICKS_MISSED), Some(0.0));
    sleep(Duration::from_secs(1)).await;
    job.stop().await;
    let page = Page::of(&metrics);
    let (missed, made) = (number(&page, &task::TICKS_MISSED), page.count(&task::LATENESS, &[NAME]));
    let times = missed.expect("some") + f64::from(u32::try_from(made).expect("not so many"));
    assert!((990.0..=1_010.0).contains(&times), "each time is either missed or made: {times}");
}
