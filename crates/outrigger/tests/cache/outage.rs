//! Redis is killed, hangs, comes back: callers notice nothing, the metrics tell it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use outrigger::Metrics;
use outrigger::cache::{ReadThrough, ReadThroughBuilder};
use outrigger_semconv::{cache, label};
use outrigger_testkit::{Redis, Signal};

use crate::redis::{manager, start};
use crate::support::{Page, wait_for_page};
use crate::{NAME, available, fresh, of_page, tier};

type Cache = ReadThrough<u64, String, std::io::Error>;

/// Entries leave memory at once, so that most look-ups go to Redis.
fn cached(metrics: &Metrics, server: &Redis) -> Cache {
    let text = (|value: &String| value.clone().into_bytes(), |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok());
    ReadThroughBuilder::new(NAME)
        .capacity(1)
        .redis(manager(server), text)
        .sync_interval(Duration::from_millis(20))
        .build(metrics, |key| async move { Ok(Some(format!("product {key}"))) })
}

/// Callers that ask without a pause until told to stop; each answer is held against what is right.
struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn on(products: &Cache) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let callers = (0..20_u64)
            .map(|caller| {
                let (products, stop, answers) = (products.clone(), Arc::clone(&stop), Arc::clone(&answers));
                tokio::spawn(async move {
                    let mut key = caller;
                    while !stop.load(Ordering::Relaxed) {
                        key = (key * 7 + 1) % 500;
                        assert_eq!(products.get(&key).await.unwrap(), Some(format!("product {key}")));
                        answers.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        Self { stop, answers, callers }
    }

    /// Waits until there have been more answers.
    async fn goes_on(&self, metrics: &Metrics) {
        let before = self.answers.load(Ordering::Relaxed);
        wait_for_page(metrics, "look-ups go on", |_| self.answers.load(Ordering::Relaxed) > before + 1_000).await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.expect("no caller got an error");
        }
    }
}

fn errors(page: &Page) -> f64 {
    ["io", "timeout"]
        .map(|error| of_page(page, &cache::TIER_ERRORS, &[(label::CACHE_TIER, "redis"), (label::ERROR_TYPE, error)]))
        .iter()
        .sum()
}

fn skipped(page: &Page) -> f64 {
    of_page(page, &cache::TIER_SKIPPED, &[(label::CACHE_TIER, "redis")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_started_again_under_load() {
    let Some(mut server) = start().await else { return };
    let metrics = fresh();
    let products = cached(&metrics, &server);
    let load = Load::on(&products);
    let before = wait_for_page(&metrics, "Redis has values", |page| tier(page, "redis", "hit") > 500.0).await;
    assert_eq!((available(&before), errors(&before)), (Some(1.0), 0.0), "{}", before.text());

    server = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    })
    .await
    .unwrap();
    let down = wait_for_page(&metrics, "it is left alone", |page| available(page) == Some(0.0)).await;
    assert!(errors(&down) >= 3.0, "{}", down.text());
    load.goes_on(&metrics).await;
    wait_for_page(&metrics, "operations are left out", |page| skipped(page) > skipped(&down)).await;

    let server = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    })
    .await
    .unwrap();
    wait_for_page(&metrics, "it is back", |page| available(page) == Some(1.0)).await;
    let back = Page::of(&metrics);
    wait_for_page(&metrics, "Redis has values again", |page| {
        tier(page, "redis", "hit") > tier(&back, "redis", "hit") + 500.0
    })
    .await;
    load.end().await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_costs_its_timeout_a_few_times_and_no_more() {
    let Some(server) = start().await else { return };
    let metrics = fresh();
    let products = cached(&metrics, &server);
    assert!(products.get(&1).await.unwrap().is_some());
    server.process().signal(Signal::Stop);
    // One after another, so that each that is asked adds its timeout.
    for key in 0..1_000 {
        assert_eq!(products.get(&key).await.unwrap(), Some(format!("product {key}")));
    }
    let page = Page::of(&metrics);
    assert_eq!(available(&page), Some(0.0), "{}", page.text());
    let timeouts = of_page(&page, &cache::TIER_ERRORS, &[(label::CACHE_TIER, "redis"), (label::ERROR_TYPE, "timeout")]);
    // Three open the breaker; the rest are probes in the background, of which there are few.
    assert!((3.0..50.0).contains(&timeouts), "{timeouts} of 1,000");
    assert!(skipped(&page) >= 900.0, "{}", page.text());
    server.process().signal(Signal::Cont);
    let load = Load::on(&products);
    wait_for_page(&metrics, "it is back", |page| available(page) == Some(1.0)).await;
    load.goes_on(&metrics).await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_never_there_is_no_error() {
    let metrics = fresh();
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", outrigger_testkit::free_port())).unwrap();
    let lazy = redis::aio::ConnectionManager::new_lazy_with_config(client, Default::default()).unwrap();
    let numbers =
        (|value: &u64| value.to_be_bytes().to_vec(), |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
    let squares: ReadThrough<u64, u64, std::convert::Infallible> = ReadThroughBuilder::new(NAME)
        .redis(lazy, numbers)
        .build(&metrics, |number| async move { Ok(Some(number * number)) });
    for number in 0..20 {
        assert_eq!(squares.get(&number).await.unwrap(), Some(number * number));
        squares.invalidate(&number).await;
    }
    wait_for_page(&metrics, "it is left alone", |page| available(page) == Some(0.0) && errors(page) >= 3.0).await;
}
