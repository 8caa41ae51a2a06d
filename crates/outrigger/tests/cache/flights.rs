//! One load for all who ask, whatever becomes of those who ask or of the load.

use std::sync::atomic::Ordering;
use std::time::Duration;

use outrigger::cache::read_through::ReadError;
use outrigger::cache::{ReadThrough, ReadThroughBuilder};
use outrigger_semconv::{cache, label};

use crate::support::wait_for_page;
use crate::{NAME, Source, fresh, look_ups, number, of_page};

type Cache = ReadThrough<u64, usize, std::io::Error>;

fn cached(metrics: &outrigger::Metrics, source: &Source) -> Cache {
    let source = source.clone();
    ReadThroughBuilder::new(NAME).build(metrics, move |_| {
        let load = source.clone().load();
        async move { load.await.map(Some) }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_misses_at_a_time_make_one_load() {
    let (metrics, source) = (fresh(), Source::closed());
    let products = cached(&metrics, &source);
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let products = products.clone();
            tokio::spawn(async move { products.get(&1).await })
        })
        .collect();
    wait_for_page(&metrics, "all but one wait", |page| of_page(page, &cache::COALESCED, &[]) == 999.0).await;
    source.let_through(1_000);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), Some(1));
    }
    assert_eq!(source.loads(), 1);
    assert_eq!(look_ups(&metrics), (0.0, 1_000.0));
    assert_eq!(products.get(&1).await.unwrap(), Some(1));
    assert_eq!(look_ups(&metrics), (1.0, 1_000.0));
}

#[tokio::test]
async fn the_first_caller_may_go_and_strands_nobody() {
    let (metrics, source) = (fresh(), Source::closed());
    let products = cached(&metrics, &source);
    let [first, second] =
        [products.clone(), products.clone()].map(|products| tokio::spawn(async move { products.get(&1).await }));
    wait_for_page(&metrics, "the second waits", |page| of_page(page, &cache::COALESCED, &[]) == 1.0).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    source.let_through(1);
    assert_eq!(second.await.unwrap().unwrap(), Some(1));
    assert_eq!(source.loads(), 1);
    assert_eq!(look_ups(&metrics), (0.0, 2.0), "who gave up has found nothing");

    // All go: the load comes to its end, and the next one finds its value.
    let alone = tokio::spawn({
        let products = products.clone();
        async move { products.get(&2).await }
    });
    while source.loads() < 2 {
        tokio::task::yield_now().await;
    }
    alone.abort();
    assert!(alone.await.unwrap_err().is_cancelled());
    source.let_through(1);
    wait_for_page(&metrics, "the load ends", |page| page.total(&cache::LOAD_DURATION) == 2).await;
    assert_eq!(products.get(&2).await.unwrap(), Some(2));
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn a_load_that_panics_is_told_to_all_and_the_next_one_loads_again() {
    let (metrics, source) = (fresh(), Source::closed());
    source.panics.store(true, Ordering::SeqCst);
    let products = cached(&metrics, &source);
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let products = products.clone();
            tokio::spawn(async move { products.get(&1).await })
        })
        .collect();
    wait_for_page(&metrics, "nine wait", |page| of_page(page, &cache::COALESCED, &[]) == 9.0).await;
    source.let_through(10);
    for caller in callers {
        assert!(matches!(caller.await.unwrap(), Err(ReadError::Aborted)));
    }
    source.panics.store(false, Ordering::SeqCst);
    assert_eq!(products.get(&1).await.unwrap(), Some(2));
    let labels = [(label::CACHE_NAME, NAME), (label::ERROR_TYPE, "panic")];
    wait_for_page(&metrics, "the panic is timed", |page| page.count(&cache::LOAD_DURATION, &labels) == 1).await;
}

#[tokio::test]
async fn an_error_is_shared_and_not_remembered() {
    let (metrics, source) = (fresh(), Source::open());
    source.fail(true);
    let products = cached(&metrics, &source);
    let error = products.get(&1).await.unwrap_err();
    assert!(matches!(&error, ReadError::Load(error) if error.kind() == std::io::ErrorKind::BrokenPipe), "{error}");
    source.fail(false);
    assert_eq!(products.get(&1).await.unwrap(), Some(2));
}

#[tokio::test]
async fn who_is_too_many_is_refused_and_counted() {
    let (metrics, source) = (fresh(), Source::closed());
    let loader = source.clone();
    let products: Cache = ReadThroughBuilder::new(NAME).limit(2).build(&metrics, move |_| {
        let load = loader.clone().load();
        async move { load.await.map(Some) }
    });
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let products = products.clone();
            tokio::spawn(async move { products.get(&1).await })
        })
        .collect();
    wait_for_page(&metrics, "one waits", |page| of_page(page, &cache::COALESCED, &[]) == 1.0).await;
    assert!(matches!(products.get(&1).await, Err(ReadError::Overloaded)));
    assert_eq!(number(&metrics, &cache::REJECTED, &[(label::REASON, "wait")]), 1.0);

    // Two loads run whose callers have gone.
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    for gone in waiting {
        assert!(gone.await.is_err());
    }
    let second = tokio::spawn({
        let products = products.clone();
        async move { products.get(&2).await }
    });
    while source.loads() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(products.get(&3).await, Err(ReadError::Overloaded)));
    assert_eq!(number(&metrics, &cache::REJECTED, &[(label::REASON, "load")]), 1.0);
    source.let_through(10);
    assert_eq!(second.await.unwrap().unwrap(), Some(2));
    assert_eq!(products.get(&3).await.unwrap(), Some(3), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_load_has_its_time() {
    let (metrics, source) = (fresh(), Source::closed());
    let loader = source.clone();
    let products: Cache =
        ReadThroughBuilder::new(NAME).load_timeout(Duration::from_secs(3)).build(&metrics, move |_| {
            let load = loader.clone().load();
            async move { load.await.map(Some) }
        });
    assert!(matches!(products.get(&1).await, Err(ReadError::TimedOut)));
    assert_eq!(source.loads(), 1);
}

#[test]
fn without_a_runtime_it_says_so() {
    let (metrics, source) = (fresh(), Source::open());
    let products = cached(&metrics, &source);
    let mut get = std::pin::pin!(products.get(&1));
    let answer = get.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(answer, std::task::Poll::Ready(Err(ReadError::Aborted))));
}

#[tokio::test]
async fn a_load_that_an_invalidation_overtook_is_not_remembered() {
    let (metrics, source) = (fresh(), Source::closed());
    let products = cached(&metrics, &source);
    let old = tokio::spawn({
        let products = products.clone();
        async move { products.get(&1).await }
    });
    while source.loads() < 1 {
        tokio::task::yield_now().await;
    }
    products.invalidate(&1).await;
    // Who asks now does not wait for what was read before.
    let new = tokio::spawn({
        let products = products.clone();
        async move { products.get(&1).await }
    });
    while source.loads() < 2 {
        tokio::task::yield_now().await;
    }
    source.let_through(2);
    assert_eq!(old.await.unwrap().unwrap(), Some(1));
    assert_eq!(new.await.unwrap().unwrap(), Some(2));
    assert_eq!(products.get(&1).await.unwrap(), Some(2));
    assert_eq!(number(&metrics, &cache::INVALIDATIONS, &[(label::REASON, "key")]), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stampede_on_a_loader_that_returns_at_once_makes_one_load() {
    let (metrics, source) = (fresh(), Source::open());
    let products = cached(&metrics, &source);
    for round in 0..2_000 {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let products = products.clone();
                tokio::spawn(async move { products.get(&round).await })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        let loads = usize::try_from(round).unwrap() + 1;
        assert_eq!(source.loads(), loads, "one load in each round");
    }
}

#[tokio::test]
async fn a_tag_sends_only_those_to_a_new_load_whose_value_has_it() {
    let (metrics, source) = (fresh(), Source::closed());
    let loader = source.clone();
    let products: Cache =
        ReadThroughBuilder::new(NAME).tags(|key, value| vec![format!("{key}:{value:?}")]).build(&metrics, move |_| {
            let load = loader.clone().load();
            async move { load.await.map(Some) }
        });
    let ask = || {
        let products = products.clone();
        tokio::spawn(async move { products.get(&1).await.unwrap() })
    };
    let first = ask();
    while source.loads() < 1 {
        tokio::task::yield_now().await;
    }
    products.invalidate_tag("shelf").await;
    let second = ask();
    wait_for_page(&metrics, "it joins", |page| of_page(page, &cache::COALESCED, &[]) == 1.0).await;
    products.invalidate_tag("1:Some(1)").await;
    let third = ask();
    wait_for_page(&metrics, "it joins", |page| of_page(page, &cache::COALESCED, &[]) == 2.0).await;
    source.let_through(1);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (Some(1), Some(1)));
    while source.loads() < 2 {
        tokio::task::yield_now().await;
    }
    source.let_through(1);
    assert_eq!(third.await.unwrap(), Some(2), "it asked when the first was not to be believed any more");
    assert_eq!(source.loads(), 2);
    assert_eq!(products.get(&1).await.unwrap(), Some(2));
}
