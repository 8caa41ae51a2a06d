//! Pools other than sqlx's: what each is asked, and what it counts better than an onlooker can.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{PoolError, RecycleResult, TimeoutType};
use futures_util::FutureExt;
use outrigger::pool::{Counts, Pool, PoolMetrics, TimedManager};
use outrigger::{Metrics, pool};
use outrigger_semconv::{db, label};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::support::{Page, wait_for_page};

const NAME: (&str, &str) = (label::DB_CLIENT_CONNECTION_POOL_NAME, "sessions");
const IDLE: [(&str, &str); 2] = [NAME, (label::DB_CLIENT_CONNECTION_STATE, "idle")];
const USED: [(&str, &str); 2] = [NAME, (label::DB_CLIENT_CONNECTION_STATE, "used")];
const PATIENCE: Duration = Duration::from_secs(3);

/// Makes connections that are nothing.
#[derive(Debug)]
struct Nothing;

impl bb8::ManageConnection for Nothing {
    type Connection = ();
    type Error = Infallible;

    async fn connect(&self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn is_valid(&self, _: &mut ()) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut ()) -> bool {
        false
    }
}

impl deadpool::managed::Manager for Nothing {
    type Type = ();
    type Error = Infallible;

    async fn create(&self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn recycle(&self, (): &mut (), _: &deadpool::managed::Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

fn number(page: &Page, metric: &outrigger_semconv::Metric) -> Option<f64> {
    page.number(metric, &[NAME])
}

pub(crate) async fn bb8_pools_are_watched(metrics: Metrics) {
    let manager = TimedManager::new(&metrics, "sessions", Nothing);
    let builder = bb8::Pool::builder().max_size(2).min_idle(1).connection_timeout(PATIENCE);
    let sessions = builder.build(manager).await.expect("nothing can always be made");
    let watched = pool::watch(&metrics, "sessions", &sessions);
    let counts = |page: &Page| {
        (page.number(&db::CLIENT_CONNECTION_COUNT, &IDLE), page.number(&db::CLIENT_CONNECTION_COUNT, &USED))
    };

    let page = wait_for_page(&metrics, "the first sample", |page| counts(page) == (Some(1.0), Some(0.0))).await;
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_MAX), Some(2.0));
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_IDLE_MIN), Some(1.0));
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_TIMEOUTS), Some(0.0));

    let held = (watched.get().await.expect("one"), watched.get_owned().await.expect("another"));
    wait_for_page(&metrics, "both in use", |page| counts(page) == (Some(0.0), Some(2.0))).await;

    let mut waiting = Box::pin(watched.get());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(number(&Page::of(&metrics), &db::CLIENT_CONNECTION_PENDING_REQUESTS), Some(1.0));
    tokio::time::pause();
    assert!(matches!(waiting.await, Err(bb8::RunError::TimedOut)));
    // Somebody who knows nothing of us waits in vain too: bb8 has counted it.
    assert!(sessions.get().await.is_err());
    tokio::time::resume();
    let page =
        wait_for_page(&metrics, "both timeouts", |page| number(page, &db::CLIENT_CONNECTION_TIMEOUTS) == Some(2.0))
            .await;
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_PENDING_REQUESTS), Some(0.0));

    drop(held);
    let page = Page::of(&metrics);
    assert_eq!(page.count(&db::CLIENT_CONNECTION_WAIT_TIME, &[NAME]), 2);
    assert_eq!(page.count(&db::CLIENT_CONNECTION_USE_TIME, &[NAME]), 2);
    assert_eq!(page.count(&db::CLIENT_CONNECTION_CREATE_TIME, &[NAME]), 2);
}

pub(crate) async fn deadpool_pools_are_watched(metrics: Metrics) {
    let manager = TimedManager::new(&metrics, "sessions", Nothing);
    let builder = deadpool::managed::Pool::<TimedManager<Nothing>>::builder(manager);
    let sessions =
        builder.max_size(2).wait_timeout(Some(PATIENCE)).runtime(Runtime::Tokio1).build().expect("the settings agree");
    let watched = pool::watch(&metrics, "sessions", &sessions);
    let counts = |page: &Page| {
        (page.number(&db::CLIENT_CONNECTION_COUNT, &IDLE), page.number(&db::CLIENT_CONNECTION_COUNT, &USED))
    };

    let held = (watched.get().await.expect("one"), watched.get().await.expect("another"));
    let page = wait_for_page(&metrics, "both in use", |page| counts(page) == (Some(0.0), Some(2.0))).await;
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_MAX), Some(2.0));
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_IDLE_MIN), None, "deadpool has none");

    // One who comes through us and one who does not: deadpool knows both.
    let mut ours = Box::pin(watched.get());
    let mut theirs = Box::pin(sessions.get());
    assert!(ours.as_mut().now_or_never().is_none() && theirs.as_mut().now_or_never().is_none());
    let pending = |page: &Page| number(page, &db::CLIENT_CONNECTION_PENDING_REQUESTS);
    wait_for_page(&metrics, "two who wait", |page| pending(page) == Some(2.0)).await;
    drop(theirs);
    tokio::time::pause();
    assert!(matches!(ours.await, Err(PoolError::Timeout(TimeoutType::Wait))));
    tokio::time::resume();
    let page = wait_for_page(&metrics, "nobody waits", |page| pending(page) == Some(0.0)).await;
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_TIMEOUTS), Some(1.0));

    drop(held);
    let page = wait_for_page(&metrics, "both idle", |page| counts(page) == (Some(2.0), Some(0.0))).await;
    assert_eq!(page.count(&db::CLIENT_CONNECTION_WAIT_TIME, &[NAME]), 2);
    assert_eq!(page.count(&db::CLIENT_CONNECTION_USE_TIME, &[NAME]), 2);
    assert_eq!(page.count(&db::CLIENT_CONNECTION_CREATE_TIME, &[NAME]), 2);

    // Closed while somebody waits.
    let held = (watched.get().await.expect("one"), watched.get().await.expect("another"));
    let mut waiting = Box::pin(watched.get());
    assert!(waiting.as_mut().now_or_never().is_none());
    wait_for_page(&metrics, "one who waits", |page| pending(page) == Some(1.0)).await;
    sessions.close();
    assert!(matches!(waiting.await, Err(PoolError::Closed)));
    let page = wait_for_page(&metrics, "closed", |page| counts(page) == (Some(0.0), Some(0.0))).await;
    assert_eq!(pending(&page), Some(0.0));
    drop(held);
}

/// A pool that nobody has heard of.
#[derive(Clone)]
struct Places(Arc<Semaphore>);

impl Pool for Places {
    fn counts(&self) -> Counts {
        let idle = self.0.available_permits();
        Counts::new(idle, 3 - idle).max(3).idle_max(3)
    }
}

pub(crate) async fn any_pool_can_be_watched(metrics: Metrics) {
    let places = Places(Arc::new(Semaphore::new(3)));
    let watched = pool::watch(&metrics, "sessions", &places);
    let permit = Box::pin(Arc::clone(&places.0).acquire_owned());
    let held = watched.take(permit, |_| false).await.expect("there is a place");
    let page =
        wait_for_page(&metrics, "one in use", |page| page.number(&db::CLIENT_CONNECTION_COUNT, &USED) == Some(1.0));
    assert_eq!(number(&page.await, &db::CLIENT_CONNECTION_IDLE_MAX), Some(3.0));
    drop(held.into_inner());
    assert_eq!(Page::of(&metrics).count(&db::CLIENT_CONNECTION_USE_TIME, &[NAME]), 1);

    // Refused for another reason than time: neither a wait nor a timeout.
    places.0.close();
    assert!(watched.take(Arc::clone(&places.0).acquire_owned(), |_| false).await.is_err());
    let page = Page::of(&metrics);
    assert_eq!(page.count(&db::CLIENT_CONNECTION_WAIT_TIME, &[NAME]), 1);
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_TIMEOUTS), Some(0.0));
    assert_eq!(number(&page, &db::CLIENT_CONNECTION_PENDING_REQUESTS), Some(0.0));
}

/// A pool that counts its own timeouts.
#[derive(Clone)]
struct Patient {
    used: usize,
    timeouts: Arc<AtomicU64>,
}

impl Patient {
    fn new(used: usize) -> Self {
        Self { used, timeouts: Arc::default() }
    }
}

impl Pool for Patient {
    fn counts(&self) -> Counts {
        Counts::new(0, self.used).timeouts(self.timeouts.load(Relaxed))
    }
}

pub(crate) async fn a_pool_that_replaces_another_has_numbers_of_its_own(metrics: Metrics) {
    tokio::time::pause();
    let moment = Duration::from_millis(5);
    let timeouts = |page: &Page| number(page, &db::CLIENT_CONNECTION_TIMEOUTS);
    let (old, new) = (Patient::new(1), Patient::new(2));
    let watched = pool::watch(&metrics, "sessions", &old);
    old.timeouts.store(5, Relaxed);
    sleep(moment).await;
    assert_eq!(timeouts(&Page::of(&metrics)), Some(5.0));

    // For a while there are both.
    let replacing = pool::watch(&metrics, "sessions", &new);
    new.timeouts.store(2, Relaxed);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(timeouts(&Page::of(&metrics)), Some(7.0), "each is counted once");
    drop(watched);
    sleep(moment).await;
    sleep(Duration::from_secs(1)).await;
    let used = |page: &Page| page.number(&db::CLIENT_CONNECTION_COUNT, &USED);
    assert_eq!(used(&Page::of(&metrics)), Some(2.0));

    // And one that nobody looks at any more is dropped late.
    let last = pool::watch(&metrics, "sessions", &Patient::new(3));
    sleep(moment).await;
    drop(replacing);
    sleep(moment).await;
    assert_eq!(used(&Page::of(&metrics)), Some(3.0), "the end of the old one is not the new one's");
    drop(last);
    sleep(moment).await;
    assert_eq!(used(&Page::of(&metrics)), Some(0.0));
}

pub(crate) async fn names_of_pools_are_capped(metrics: Metrics) {
    let pools: Vec<PoolMetrics> =
        (0..1_002).map(|number| PoolMetrics::new(&metrics, &format!("pool-{number}"))).collect();
    assert_eq!(pools.iter().filter(|pool| pool.name() == label::OTHER).count(), 2);
    let page = Page::of(&metrics);
    assert_eq!(page.series(&db::CLIENT_CONNECTION_TIMEOUTS).len(), 1_001);
    let dropped = [(label::METRIC, db::CLIENT_CONNECTION_COUNT.name)];
    assert_eq!(page.number(&outrigger_semconv::library::SERIES_DROPPED, &dropped), Some(2.0));
}
