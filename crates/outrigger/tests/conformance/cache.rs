//! Cache metrics.

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use outrigger::Metrics;
use outrigger::cache::{CacheMetrics, CacheSize, CountedCache, EvictionCause, MokaCache, MokaSyncCache};
use outrigger_semconv::{cache, label};
use tokio::sync::Barrier;

use crate::support::{Page, wait_for_page};

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

pub(crate) async fn values_that_leave_are_counted_by_cause(metrics: Metrics) {
    let builder = moka::future::Cache::builder()
        .max_capacity(1_000)
        .time_to_live(Duration::from_millis(1))
        .weigher(|_: &u64, name: &String| u32::try_from(name.len()).unwrap_or(u32::MAX));
    let names = MokaCache::build(&metrics, "names", builder).weighed_in_bytes();
    let evicted = |page: &Page, cause| page.number(&cache::EVICTIONS, &[NAME, (label::CACHE_EVICTION_CAUSE, cause)]);
    let page = Page::of(&metrics);
    for cause in ["expired", "explicit", "replaced", "size"] {
        assert_eq!(evicted(&page, cause), Some(0.0), "{cause} is there before it has counted");
    }
    assert_eq!(page.number(&cache::SIZE, &[NAME]), Some(0.0));

    names.insert(1, "x".repeat(400)).await;
    names.insert(2, "x".repeat(2_000)).await;
    wait(&names, &metrics, "the small one expires", |page| evicted(page, "expired") == Some(1.0)).await;
    let page = Page::of(&metrics);
    assert_eq!(evicted(&page, "size"), Some(1.0), "2,000 bytes do not fit into 1,000");
    assert_eq!(page.number(&cache::SIZE, &[NAME]), Some(0.0));

    let lasting = MokaSyncCache::build(
        &metrics,
        "pages",
        moka::sync::Cache::builder().weigher(|_, page: &String| u32::try_from(page.len()).unwrap_or(u32::MAX)),
    )
    .weighed_in_bytes();
    let pages = |page: &Page, metric| page.number(metric, &[(label::CACHE_NAME, "pages")]);
    lasting.insert(1, "x".repeat(300));
    lasting.insert(1, "x".repeat(500));
    lasting.insert(2, "y".to_owned());
    lasting.run_pending_tasks();
    let page = Page::of(&metrics);
    assert_eq!((pages(&page, &cache::SIZE), pages(&page, &cache::ENTRIES)), (Some(501.0), Some(2.0)));
    assert_eq!(lasting.remove(&2).as_deref(), Some("y"));
    lasting.invalidate_all();
    wait_for_page(&metrics, "all are gone", |page| {
        lasting.run_pending_tasks();
        pages(page, &cache::ENTRIES) == Some(0.0)
    })
    .await;
    let page = Page::of(&metrics);
    let of_pages = |cause| [(label::CACHE_NAME, "pages"), (label::CACHE_EVICTION_CAUSE, cause)];
    assert_eq!(page.number(&cache::EVICTIONS, &of_pages("replaced")), Some(1.0));
    assert_eq!(page.number(&cache::EVICTIONS, &of_pages("explicit")), Some(2.0));
    assert_eq!(page.number(&cache::SIZE, &[(label::CACHE_NAME, "pages")]), Some(0.0));
}

/// Lets moka work until the page is as wanted.
async fn wait(names: &MokaCache<u64, String>, metrics: &Metrics, what: &str, wanted: impl Fn(&Page) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        names.run_pending_tasks().await;
        if wanted(&Page::of(metrics)) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn every_way_to_ask_moka_is_a_look_up(metrics: Metrics) {
    let names = MokaCache::build(&metrics, "names", moka::future::Cache::builder());
    let ways = [
        names.get_with("a".to_owned(), async { 1 }).await,
        names.get_with_by_ref("b", async { 2 }).await,
        names.try_get_with::<Error>("c".to_owned(), async { Ok(3) }).await.expect("it was loaded"),
        names.try_get_with_by_ref::<Error, _>("d", async { Ok(4) }).await.expect("it was loaded"),
        names.optionally_get_with("e".to_owned(), async { Some(5) }).await.expect("it was found"),
        names.entry_or_insert_with("f".to_owned(), async { 6 }).await.into_value(),
    ];
    assert_eq!(ways, [1, 2, 3, 4, 5, 6]);
    assert_eq!(names.optionally_get_with("g".to_owned(), async { None }).await, None);
    for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(names.get(key).await, Some(value));
    }
    assert!(!names.entry_or_insert_with("f".to_owned(), async { 0 }).await.is_fresh());
    let page = Page::of(&metrics);
    assert_eq!((page.number(&cache::REQUESTS, &HIT), page.number(&cache::REQUESTS, &MISS)), (Some(4.0), Some(7.0)));
    assert_eq!(page.count(&cache::LOAD_DURATION, &[NAME]), 7, "finding nothing is no failure");

    let other = MokaSyncCache::build(&metrics, "others", moka::sync::Cache::builder());
    let hit = [(label::CACHE_NAME, "others"), (label::CACHE_RESULT, "hit")];
    let miss = [(label::CACHE_NAME, "others"), (label::CACHE_RESULT, "miss")];
    let ways = [
        other.get_with("a".to_owned(), || 1),
        other.get_with_by_ref("b", || 2),
        other.try_get_with::<Error>("c".to_owned(), || Ok(3)).expect("it was loaded"),
        other.try_get_with_by_ref::<Error, _>("d", || Ok(4)).expect("it was loaded"),
        other.optionally_get_with("e".to_owned(), || Some(5)).expect("it was found"),
        other.entry_or_insert_with("f".to_owned(), || 6).into_value(),
    ];
    assert_eq!(ways, [1, 2, 3, 4, 5, 6]);
    assert!(other.try_get_with("h".to_owned(), || Err::<i32, _>(Error::from(ErrorKind::NotFound))).is_err());
    let panics = || other.get_with("i".to_owned(), || panic!("on purpose"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(other.get("d"), Some(4));
    let page = Page::of(&metrics);
    assert_eq!((page.number(&cache::REQUESTS, &hit), page.number(&cache::REQUESTS, &miss)), (Some(1.0), Some(8.0)));
    for (error, loads) in [("", 6), ("error", 1), ("panic", 1)] {
        let labels = [(label::CACHE_NAME, "others"), (label::ERROR_TYPE, error)];
        assert_eq!(page.count(&cache::LOAD_DURATION, &labels), loads, "{error:?}");
    }
}

/// The least recently used leaves first; as somebody might have written it who has never heard of us.
struct Lru {
    names: Vec<(u64, &'static str)>,
}

impl Lru {
    fn get(&mut self, id: u64) -> Option<&'static str> {
        let found = self.names.iter().position(|(known, _)| *known == id)?;
        self.names[found..].rotate_left(1);
        self.names.last().map(|(_, name)| *name)
    }

    fn put(&mut self, id: u64, name: &'static str) {
        self.names.push((id, name));
        self.names.drain(..self.names.len().saturating_sub(2));
    }
}

// The two lines, and a third for who knows the bytes too.
impl CacheSize for Lru {
    fn entries(&self) -> u64 {
        self.names.len() as u64
    }

    fn size_bytes(&self) -> Option<u64> {
        Some(self.names.iter().map(|(_, name)| name.len() as u64).sum())
    }
}

pub(crate) async fn any_cache_is_counted_after_two_lines(metrics: Metrics) {
    let mut names = CountedCache::new(&metrics, "names", Lru { names: Vec::new() });
    assert_eq!(names.lookup_mut(|lru| lru.get(1)), None);
    names.update(|lru| lru.put(1, "paddle"));
    names.update(|lru| lru.put(2, "raft"));
    assert_eq!(names.lookup_mut(|lru| lru.get(1)), Some("paddle"));
    names.update(|lru| lru.put(3, "canoe"));
    names.metrics().evicted(EvictionCause::Size);
    assert_eq!(names.lookup_mut(|lru| lru.get(2)), None, "the least recently used has left");
    let page = Page::of(&metrics);
    assert_eq!((page.number(&cache::REQUESTS, &HIT), page.number(&cache::REQUESTS, &MISS)), (Some(1.0), Some(2.0)));
    assert_eq!((page.number(&cache::ENTRIES, &[NAME]), page.number(&cache::SIZE, &[NAME])), (Some(2.0), Some(11.0)));
    assert_eq!(page.number(&cache::EVICTIONS, &[NAME, (label::CACHE_EVICTION_CAUSE, "size")]), Some(1.0));

    let mut map = CountedCache::new(&metrics, "map", HashMap::new());
    assert_eq!(map.lookup(|map| map.get(&1)), None);
    map.update(|map| map.insert(1, "paddle"));
    assert_eq!(map.lookup(|map| map.get(&1)), Some(&"paddle"));
    let page = Page::of(&metrics);
    assert_eq!(page.number(&cache::ENTRIES, &[(label::CACHE_NAME, "map")]), Some(1.0));
    assert_eq!(page.number(&cache::SIZE, &[(label::CACHE_NAME, "map")]), None, "a map knows no bytes");
}
