//! Cache metrics.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use outrigger::Metrics;
use outrigger::cache::{CacheMetrics, MokaCache};
use outrigger_semconv::{cache, label};
use tokio::sync::Barrier;

use crate::support::Page;

const NAME: (&str, &str) = (label::CACHE_NAME, "names");
const HIT: [(&str, &str); 2] = [NAME, (label::CACHE_RESULT, "hit")];
const MISS: [(&str, &str); 2] = [NAME, (label::CACHE_RESULT, "miss")];

pub(crate) async fn look_ups_and_loads_are_counted(metrics: Metrics) {
    let names = CacheMetrics::new(&metrics, "names");
    let page = Page::of(&metrics);
    assert_eq!((page.number(&cache::REQUESTS, &HIT), page.number(&cache::REQUESTS, &MISS)), (Some(0.0), Some(0.0)));

    names.hit();
    names.clone().hit();
    names.miss();
    names.entries(7);
    assert_eq!(names.load(async { Ok::<_, Error>(42) }).await.expect("it was loaded"), 42);
    assert!(names.load(async { Err::<(), _>(Error::from(ErrorKind::NotFound)) }).await.is_err());
    // Polled once and dropped; and never polled, which is no load.
    assert!(names.load(std::future::pending::<Result<(), Error>>()).now_or_never().is_none());
    drop(names.load(async { Ok::<(), Error>(()) }));
    let panicking = names.load(async { panic!("on purpose") as Result<(), Error> });
    assert!(tokio::spawn(panicking).await.is_err());

    let page = Page::of(&metrics);
    assert_eq!((page.number(&cache::REQUESTS, &HIT), page.number(&cache::REQUESTS, &MISS)), (Some(2.0), Some(1.0)));
    assert_eq!(page.number(&cache::ENTRIES, &[NAME]), Some(7.0));
    assert_eq!(page.count(&cache::LOAD_DURATION, &[NAME]), 1);
    for error in ["error", "cancelled", "panic"] {
        assert_eq!(page.count(&cache::LOAD_DURATION, &[NAME, (label::ERROR_TYPE, error)]), 1, "{error}");
    }
    assert_eq!(page.total(&cache::LOAD_DURATION), 4);
}

pub(crate) async fn moka_loads_once_however_many_ask(metrics: Metrics) {
    const CALLERS: usize = 10;
    let names = MokaCache::new(&metrics, "names", moka::future::Cache::new(100));
    let loads = Arc::new(AtomicUsize::new(0));
    let all_here = Arc::new(Barrier::new(CALLERS));
    let callers = (0..CALLERS).map(|_| {
        let (names, loads, all_here) = (names.clone(), Arc::clone(&loads), Arc::clone(&all_here));
        tokio::spawn(async move {
            all_here.wait().await;
            let load = async {
                loads.fetch_add(1, Ordering::Relaxed);
                // The others come to wait for this load meanwhile.
                tokio::task::yield_now().await;
                Ok::<_, Error>("paddle".to_owned())
            };
            names.try_get_with(1, load).await.expect("it was loaded")
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert_eq!(caller.await.expect("no panic"), "paddle");
    }
    assert_eq!(loads.load(Ordering::Relaxed), 1);

    assert_eq!(names.get(&1).await.as_deref(), Some("paddle"));
    assert_eq!(names.get_with(2, async { "raft".to_owned() }).await, "raft");
    assert!(names.try_get_with(3, async { Err::<String, _>(Error::from(ErrorKind::NotFound)) }).await.is_err());
    names.inner().run_pending_tasks().await;
    assert_eq!(names.get(&3).await, None, "a failed load leaves nothing behind");

    let page = Page::of(&metrics);
    // Ten that found nothing at first, whoever loaded; then two with a load and one without.
    let misses = page.number(&cache::REQUESTS, &MISS).expect("a counter");
    let hits = page.number(&cache::REQUESTS, &HIT).expect("a counter");
    assert_eq!(hits + misses, 14.0);
    assert!(hits >= 1.0 && misses >= 4.0, "{hits} {misses}");
    assert_eq!(page.count(&cache::LOAD_DURATION, &[NAME]), 2);
    assert_eq!(page.count(&cache::LOAD_DURATION, &[NAME, (label::ERROR_TYPE, "error")]), 1);
    assert_eq!(page.number(&cache::ENTRIES, &[NAME]), Some(2.0));

    names.invalidate(&1).await;
    names.inner().run_pending_tasks().await;
    names.insert(2, "canoe".to_owned()).await;
    assert_eq!(Page::of(&metrics).number(&cache::ENTRIES, &[NAME]), Some(1.0));
}
