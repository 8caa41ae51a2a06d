//! Fresh, stale, absent: in paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outrigger::cache::{ReadThrough, ReadThroughBuilder};
use outrigger_semconv::{cache, label};
use tokio::time::advance;

use crate::support::wait_for_page;
use crate::{NAME, Source, fresh, look_ups, number, of_page};

const TTL: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_served_while_one_refresh_runs_and_kept_when_it_fails() {
    let (metrics, source) = (fresh(), Source::open());
    let loader = source.clone();
    let products: ReadThrough<u64, usize, std::io::Error> = ReadThroughBuilder::new(NAME)
        .ttl(TTL)
        .jitter(0.0)
        .stale_while_revalidate(Duration::from_secs(30))
        .build(&metrics, move |_| {
            let load = loader.clone().load();
            async move { load.await.map(Some) }
        });
    let refreshes = |outcome: &'static str| {
        let metrics = metrics.clone();
        async move {
            wait_for_page(&metrics, outcome, |page| {
                of_page(page, &cache::REFRESHES, &[(label::OUTCOME, outcome)]) == 1.0
            })
            .await
        }
    };
    assert_eq!(products.get(&1).await.unwrap(), Some(1));
    advance(TTL - Duration::from_millis(1)).await;
    assert_eq!(products.get(&1).await.unwrap(), Some(1));
    assert_eq!((source.loads(), number(&metrics, &cache::STALE, &[])), (1, 0.0));

    source.fail(true);
    advance(Duration::from_millis(1)).await;
    assert_eq!(products.get(&1).await.unwrap(), Some(1), "served at once");
    refreshes("failure").await;
    assert_eq!(source.loads(), 2);
    assert_eq!(number(&metrics, &cache::EVICTIONS, &[(label::CACHE_EVICTION_CAUSE, "replaced")]), 0.0, "it is kept");
    // It is left alone for a second.
    assert_eq!(products.get(&1).await.unwrap(), Some(1));
    tokio::task::yield_now().await;
    assert_eq!((source.loads(), number(&metrics, &cache::STALE, &[])), (2, 2.0));

    source.fail(false);
    advance(Duration::from_secs(1)).await;
    for _ in 0..3 {
        assert_eq!(products.get(&1).await.unwrap(), Some(1), "until the refresh has ended");
    }
    refreshes("success").await;
    assert_eq!(source.loads(), 3, "one refresh, however many ask");
    assert_eq!(products.get(&1).await.unwrap(), Some(3));
    assert_eq!(look_ups(&metrics), (7.0, 1.0));

    // Past the window, it is waited for.
    advance(TTL + Duration::from_secs(30)).await;
    assert_eq!(products.get(&1).await.unwrap(), Some(4));
    assert_eq!(look_ups(&metrics), (7.0, 2.0));
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_remembered_for_its_own_time() {
    let metrics = fresh();
    let (exists, source) = (Arc::new(AtomicBool::new(false)), Source::open());
    let (there, loader) = (Arc::clone(&exists), source.clone());
    let products: ReadThrough<u64, usize, std::io::Error> = ReadThroughBuilder::new(NAME)
        .ttl(TTL)
        .jitter(0.0)
        .negative_ttl(Duration::from_secs(5))
        .build(&metrics, move |_| {
            let (there, load) = (Arc::clone(&there), loader.clone().load());
            async move { load.await.map(|number| there.load(Ordering::SeqCst).then_some(number)) }
        });
    assert_eq!(products.get(&1).await.unwrap(), None);
    assert_eq!(products.get(&1).await.unwrap(), None);
    assert_eq!((source.loads(), number(&metrics, &cache::ABSENT, &[])), (1, 1.0));
    exists.store(true, Ordering::SeqCst);
    advance(Duration::from_secs(5)).await;
    assert_eq!(products.get(&1).await.unwrap(), Some(2));
    advance(Duration::from_secs(5)).await;
    assert_eq!(products.get(&1).await.unwrap(), Some(2), "a value lives by the other time");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_finds_nothing_to_remember_ends_the_stale_value() {
    for tags in [0, 65] {
        let (metrics, source) = (fresh(), Source::open());
        let loader = source.clone();
        let products: ReadThrough<u64, usize, std::io::Error> = ReadThroughBuilder::new(NAME)
            .ttl(TTL)
            .jitter(0.0)
            .stale_while_revalidate(Duration::from_secs(30))
            .tags(move |_, value| if value == Some(&1) { vec![] } else { vec!["much".to_owned(); tags] })
            .build(&metrics, move |_| {
                let load = loader.clone().load();
                async move { load.await.map(|number| (number == 1 || tags > 0).then_some(number)) }
            });
        assert_eq!(products.get(&1).await.unwrap(), Some(1));
        advance(TTL).await;
        assert_eq!(products.get(&1).await.unwrap(), Some(1), "stale");
        wait_for_page(&metrics, "it is refreshed", |page| {
            of_page(page, &cache::REFRESHES, &[(label::OUTCOME, "success")]) == 1.0
        })
        .await;
        let then = products.get(&1).await.unwrap();
        assert_eq!(then, (tags > 0).then_some(3), "it is gone, and loaded for whoever asks");
        assert_eq!((source.loads(), number(&metrics, &cache::STALE, &[])), (3, 1.0));
    }
}
