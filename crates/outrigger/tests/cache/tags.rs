//! Invalidation between two processes' worth of caches: their own memory and connections, one Redis.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrigger::Metrics;
use outrigger::cache::{ReadThrough, ReadThroughBuilder};
use outrigger_semconv::{cache, label};
use outrigger_testkit::{Redis, Signal};
use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Arg, AsyncCommands, Cmd, Pipeline, RedisFuture, Value, cmd};
use tokio::sync::Semaphore;

use crate::redis::{connection, manager, start};
use crate::support::{Page, wait_for_page};
use crate::{NAME, available, fresh, of_page, tier};

/// What the caches are of: changes from one moment to the next. Each load reads first and then passes a gate.
#[derive(Clone)]
struct Database {
    rows: Arc<Mutex<HashMap<u64, u64>>>,
    reads: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Database {
    fn new() -> Self {
        Self { rows: Arc::default(), reads: Arc::default(), gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS / 2)) }
    }

    fn set(&self, key: u64, value: u64) {
        self.rows.lock().unwrap().insert(key, value);
    }

    async fn read(self, key: u64) -> Result<Option<u64>, std::io::Error> {
        let row = self.rows.lock().unwrap().get(&key).copied();
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        Ok(row)
    }
}

struct Process {
    metrics: Metrics,
    rows: ReadThrough<u64, u64, std::io::Error>,
}

type Builder = ReadThroughBuilder<u64, u64>;

fn process(server: &Redis, database: &Database) -> Process {
    process_with(manager(server), database, |rows| rows)
}

fn process_with<C>(connection: C, database: &Database, settings: impl FnOnce(Builder) -> Builder) -> Process
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    let metrics = fresh();
    let database = database.clone();
    let numbers =
        (|value: &u64| value.to_be_bytes().to_vec(), |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
    let rows = ReadThroughBuilder::new(NAME)
        .negative_ttl(Duration::from_secs(60))
        .sync_interval(Duration::from_millis(20))
        .redis_timeout(Duration::from_millis(500))
        .tags(|key, _| vec![format!("parity:{}", key % 2)])
        .redis(metrics.timed_redis(connection), numbers);
    let rows = settings(rows).build(&metrics, move |key| database.clone().read(key));
    Process { metrics, rows }
}

impl Process {
    async fn get(&self, key: u64) -> Option<u64> {
        self.rows.get(&key).await.unwrap()
    }

    async fn sees(&self, key: u64, value: impl Into<Option<u64>>) {
        let (value, deadline) = (value.into(), std::time::Instant::now() + Duration::from_secs(20));
        while self.get(key).await != value {
            assert!(std::time::Instant::now() < deadline, "{key} is not {value:?}\n{}", Page::of(&self.metrics).text());
            tokio::task::yield_now().await;
        }
    }

    /// Waits until Redis has what has been loaded.
    async fn stored(&self, writes: u64) {
        let set = [(label::DB_SYSTEM_NAME, "redis"), (label::DB_OPERATION_NAME, "SET")];
        wait_for_page(&self.metrics, "it is in Redis", |page| {
            page.count(&outrigger_semconv::db::CLIENT_OPERATION_DURATION, &set) >= writes
        })
        .await;
    }

    fn loads(&self) -> u64 {
        Page::of(&self.metrics).total(&cache::LOAD_DURATION)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_loads_the_other_finds_and_what_it_forgets_too() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let (one, other) = (process(&server, &database), process(&server, &database));
    for key in 0..4 {
        database.set(key, 10 + key);
        assert_eq!(one.get(key).await, Some(10 + key));
    }
    assert_eq!(one.get(9).await, None, "an absence is shared too");
    one.stored(5).await;
    for key in 0..4 {
        assert_eq!(other.get(key).await, Some(10 + key));
    }
    assert_eq!(other.get(9).await, None);
    assert_eq!((one.loads(), other.loads()), (5, 0));
    let page = Page::of(&other.metrics);
    assert_eq!((tier(&page, "redis", "hit"), tier(&page, "memory", "miss")), (5.0, 5.0));
    assert_eq!(of_page(&page, &cache::REQUESTS, &[(label::CACHE_RESULT, "hit")]), 5.0);

    (0..4).for_each(|key| database.set(key, 20 + key));
    // By key: here at once, there soon.
    one.rows.invalidate(&1).await;
    assert_eq!(one.get(1).await, Some(21));
    other.sees(1, 21).await;
    assert_eq!(other.get(3).await, Some(13), "the others stay");
    // By tag.
    other.rows.invalidate_tag("parity:0").await;
    assert_eq!((other.get(0).await, other.get(2).await), (Some(20), Some(22)));
    one.sees(0, 20).await;
    one.sees(2, 22).await;
    assert_eq!(one.get(3).await, Some(13), "the others stay");
    // All.
    one.rows.invalidate_all().await;
    assert_eq!(one.get(3).await, Some(23));
    other.sees(3, 23).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_another_process_overtook_is_never_believed() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let (one, other) = (Arc::new(process(&server, &database)), process(&server, &database));
    // Both have heard the clock before.
    assert_eq!(one.get(100).await, None);
    one.stored(1).await;
    assert_eq!(other.get(100).await, None);

    database.set(1, 10);
    let gate = database.gate.forget_permits(Semaphore::MAX_PERMITS);
    let slow = tokio::spawn({
        let one = Arc::clone(&one);
        async move { one.get(1).await }
    });
    wait_for_page(&one.metrics, "the old row is read", |_| database.reads.load(Ordering::SeqCst) == 2).await;
    database.set(1, 20);
    other.rows.invalidate_tag("parity:1").await;
    database.gate.add_permits(gate);
    assert_eq!(slow.await.unwrap(), Some(10));
    one.stored(2).await;
    // The old value lies in Redis by now, with the clock of before.
    assert_eq!(other.get(1).await, Some(20));
    one.sees(1, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_redis_did_not_hear_is_told_later() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let (one, other) = (process(&server, &database), process(&server, &database));
    for key in [1, 3] {
        database.set(key, 10);
        assert_eq!(one.get(key).await, Some(10));
    }
    one.stored(2).await;
    assert_eq!((other.get(1).await, other.get(3).await), (Some(10), Some(10)));

    server.process().signal(Signal::Stop);
    for key in [1, 3] {
        database.set(key, 20);
        one.rows.invalidate(&key).await;
        assert_eq!(one.get(key).await, Some(20), "here it holds at once");
    }
    // What was asked in vain is no knowledge.
    assert_eq!(other.get(1).await, Some(20), "nobody vouches for what it has");
    for key in 100.. {
        if available(&Page::of(&other.metrics)) == Some(0.0) {
            break;
        }
        other.get(key).await;
    }
    assert_eq!(other.get(3).await, Some(10), "nobody can know");
    server.process().signal(Signal::Cont);
    // Whoever wants to believe Redis again tells it first.
    let telling = async {
        loop {
            one.get(1).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = telling => {}
        () = other.sees(3, 20) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_interval_an_invalidation_holds_everywhere_at_once() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let [one, other] =
        [(), ()].map(|()| process_with(manager(&server), &database, |rows| rows.sync_interval(Duration::ZERO)));
    for value in 0..50 {
        database.set(1, value);
        one.rows.invalidate(&1).await;
        assert_eq!((one.get(1).await, other.get(1).await), (Some(value), Some(value)));
        assert_eq!((one.get(1).await, other.get(1).await), (Some(value), Some(value)), "from memory");
    }
    assert!(tier(&Page::of(&other.metrics), "memory", "hit") >= 50.0);
}

/// A connection on which scripts stay without an answer.
#[derive(Clone)]
struct Deaf(ConnectionManager);

impl ConnectionLike for Deaf {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let is_script = matches!(command.args_iter().next(), Some(Arg::Simple(b"EVAL")));
        if is_script { Box::pin(std::future::pending()) } else { self.0.req_packed_command(command) }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_believes_redis_while_it_is_being_told() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let one = process_with(Deaf(manager(&server)), &database, |rows| rows);
    database.set(1, 10);
    assert_eq!(one.get(1).await, Some(10));
    one.stored(1).await;
    database.set(1, 20);
    let ((), found) = tokio::join!(one.rows.invalidate(&1), one.get(1));
    assert_eq!(found, Some(20), "Redis still has the old one");
    assert_eq!(one.get(1).await, Some(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_refuses_invalidations_is_left_alone_until_it_takes_them() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let (one, other) = (process(&server, &database), process(&server, &database));
    database.set(1, 10);
    assert_eq!(one.get(1).await, Some(10));
    one.stored(1).await;
    assert_eq!(other.get(1).await, Some(10));

    let mut redis = connection(&server).await;
    let () = cmd("ACL").arg(&["SETUSER", "default", "-eval"]).query_async(&mut redis).await.unwrap();
    database.set(1, 20);
    one.rows.invalidate(&1).await;
    assert_eq!(available(&Page::of(&one.metrics)), Some(0.0));
    for key in 1..1_000 {
        assert_eq!(one.get(key).await, (key == 1).then_some(20));
    }
    let page = Page::of(&one.metrics);
    let refused = [(label::CACHE_TIER, "redis"), (label::ERROR_TYPE, "NOPERM")];
    assert!((1.0..50.0).contains(&of_page(&page, &cache::TIER_ERRORS, &refused)), "{}", page.text());
    assert!(of_page(&page, &cache::TIER_SKIPPED, &[(label::CACHE_TIER, "redis")]) >= 900.0, "{}", page.text());

    let () = cmd("ACL").arg(&["SETUSER", "default", "+eval"]).query_async(&mut redis).await.unwrap();
    let knocking = async {
        loop {
            one.get(1).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = knocking => {}
        () = other.sees(1, 20) => {}
    }
    wait_for_page(&one.metrics, "it is asked again", |page| available(page) == Some(1.0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_refresh_does_not_find_leaves_redis_too() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let lifetimes = |rows: Builder| {
        let window = Duration::from_secs(60);
        rows.ttl(Duration::from_millis(1)).stale_while_revalidate(window).negative_ttl(Duration::ZERO)
    };
    let [one, other] = [(), ()].map(|()| process_with(manager(&server), &database, lifetimes));
    database.set(1, 10);
    assert_eq!(one.get(1).await, Some(10));
    one.stored(1).await;
    database.rows.lock().unwrap().clear();
    one.sees(1, None).await;
    other.sees(1, None).await;
    let mut redis = connection(&server).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while redis.exists(format!("{{{NAME}}}:e:1")).await.unwrap() {
        assert!(std::time::Instant::now() < deadline, "{}", Page::of(&one.metrics).text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_its_data_makes_nobody_believe_what_is_old() {
    let Some(mut server) = start().await else { return };
    let database = Database::new();
    let (one, other) = (process(&server, &database), process(&server, &database));
    database.set(1, 10);
    one.rows.invalidate_all().await;
    assert_eq!((one.get(1).await, other.get(1).await), (Some(10), Some(10)));
    let server = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    })
    .await
    .unwrap();
    database.set(1, 20);
    // Told to the empty server, whose clock begins anew.
    one.rows.invalidate(&1).await;
    assert_eq!(one.get(1).await, Some(20));
    other.sees(1, 20).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_value_are_a_miss_and_counted() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let one = process(&server, &database);
    database.set(1, 10);
    let () = connection(&server).await.set(format!("{{{NAME}}}:e:1"), "what is this?").await.unwrap();
    assert_eq!(one.get(1).await, Some(10));
    let page = Page::of(&one.metrics);
    let decode = [(label::CACHE_TIER, "redis"), (label::ERROR_TYPE, "decode")];
    assert_eq!((of_page(&page, &cache::TIER_ERRORS, &decode), tier(&page, "redis", "miss")), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tombstones_and_entries_all_expire() {
    let Some(server) = start().await else { return };
    let database = Database::new();
    let one = process(&server, &database);
    database.set(1, 10);
    assert_eq!(one.get(1).await, Some(10));
    one.stored(1).await;
    one.rows.invalidate(&1).await;
    one.rows.invalidate_tag("parity:1").await;
    one.rows.invalidate_all().await;
    let mut redis = connection(&server).await;
    let mut keys: Vec<String> = redis.keys("*").await.unwrap();
    keys.sort();
    let all = ["all", "clock", "e:1", "k:1", "t:parity:1"].map(|key| format!("{{{NAME}}}:{key}"));
    assert_eq!(keys, all);
    for key in keys {
        let left: i64 = redis.ttl(&key).await.unwrap();
        assert_eq!(left > 0, !key.ends_with(":clock"), "{key} {left}");
    }
}
