//! Redis as the second tier.
//!
//! Keys, of which all of one cache have one hash slot: `{name}:e:` and the key for its entry, `{name}:k:` and the key,
//! `{name}:t:` and the tag for the clock at its last invalidation, `{name}:all` for that of everything, `{name}:clock`.

mod breaker;
mod wire;

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::aio::ConnectionLike;
use ::redis::{FromRedisValue, RedisError, cmd};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use self::breaker::{Admission, Breaker};
use self::wire::{Entry, ahead};
use super::builder::{ReadThroughBuilder, Settings};
use super::entry::Held;
use super::local::Invalidation;
use super::remote::{Boxed, Read, Remote, Vouch};
use super::series::{Series, Tally};
use super::shared::later;
use crate::redis::error_type;

/// How values become bytes and come back: a pair of closures, or a type of your own.
///
/// ```
/// # use outrigger::cache::ReadThroughBuilder;
/// # fn example(redis: redis::aio::ConnectionManager) {
/// let names = ReadThroughBuilder::<u64, String>::new("names").redis(
///     redis,
///     (|name: &String| name.clone().into_bytes(), |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok()),
/// );
/// # let _ = names;
/// # }
/// ```
pub trait Codec<V>: Send + Sync + 'static {
    /// The value as bytes.
    fn encode(&self, value: &V) -> Vec<u8>;

    /// The value of these bytes; `None` when they are none, such as those of an older release. That is a miss, counted
    /// in `cache_tier_errors_total` as `decode`.
    fn decode(&self, bytes: &[u8]) -> Option<V>;
}

impl<V, F, G> Codec<V> for (F, G)
where
    F: Fn(&V) -> Vec<u8> + Send + Sync + 'static,
    G: Fn(&[u8]) -> Option<V> + Send + Sync + 'static,
{
    fn encode(&self, value: &V) -> Vec<u8> {
        self.0(value)
    }

    fn decode(&self, bytes: &[u8]) -> Option<V> {
        self.1(bytes)
    }
}

impl<K, V> ReadThroughBuilder<K, V>
where
    K: Display + std::hash::Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Redis as the second tier, shared with other processes. A key is written there as it displays.
    ///
    /// Take a connection that reconnects, such as redis-rs' `ConnectionManager`, timed by
    /// [`Metrics::timed_redis`](crate::Metrics::timed_redis) if you like.
    #[must_use]
    pub fn redis<C>(mut self, connection: C, codec: impl Codec<V>) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        let name = self.name.clone();
        self.remote = Some(Box::new(move |series: &Arc<Series>, settings: &Settings| {
            Arc::new(Redis(Arc::new(Tier {
                connection,
                codec,
                prefix: format!("{{{name}}}"),
                series: Arc::clone(series),
                settings: *settings,
                breaker: Breaker::new(),
                clock: Clock::default(),
                untold: Mutex::default(),
                _values: std::marker::PhantomData::<fn() -> V>,
            })))
        }));
        self
    }

    /// The longest that an operation of Redis may take before the look-up goes on without it. Defaults to 50 ms. After
    /// three failures in a row Redis is left alone, for 100 ms at first and 5 s at most, until a probe is answered.
    #[must_use]
    pub fn redis_timeout(mut self, timeout: Duration) -> Self {
        self.settings.redis_timeout = timeout;
        self
    }

    /// How old the knowledge of other processes' invalidations may be that an answer from memory rests on. Defaults to
    /// 1 s: each process that looks things up asks Redis once a second, and answers within two seconds of that.
    #[must_use]
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.settings.sync_interval = interval;
        self
    }
}

struct Redis<C, D, V>(Arc<Tier<C, D, V>>);

struct Tier<C, D, V> {
    connection: C,
    codec: D,
    prefix: String,
    series: Arc<Series>,
    settings: Settings,
    breaker: Breaker,
    clock: Clock,
    /// Keys of the invalidations that Redis has not been told of.
    untold: Mutex<VecDeque<String>>,
    _values: std::marker::PhantomData<fn() -> V>,
}

/// As many are kept; more become one that invalidates everything.
const UNTOLD: usize = 1_024;

/// Redis' count of invalidations, as it was when we last asked.
#[derive(Debug, Default)]
struct Clock {
    known: AtomicU64,
    /// When it was last asked for, and when an answer last came.
    asked: Mutex<Option<(Instant, Instant)>>,
    asking: tokio::sync::Mutex<()>,
    asking_aside: AtomicBool,
}

/// Sets the tombstones to a clock that only rises, even when Redis lost it: it begins at the caller's time in
/// microseconds, beyond any count that an older one came to.
const INVALIDATE: &str = "\
if redis.call('INCR', KEYS[1]) == 1 then redis.call('SET', KEYS[1], ARGV[1]) end
local clock = redis.call('GET', KEYS[1])
for i = 2, #KEYS do redis.call('SET', KEYS[i], clock, 'PX', ARGV[2]) end
return clock";

/// What an entry's tombstones outlive it by: its load, and clocks that differ.
const MARGIN: Duration = Duration::from_secs(60);

impl<C, D, V> Tier<C, D, V>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
    D: Codec<V>,
    V: Clone + Send + Sync + 'static,
{
    /// Asks Redis, unless it is left alone. `None` is counted.
    async fn ask<T: FromRedisValue>(self: &Arc<Self>, command: &::redis::Cmd) -> Option<T> {
        match self.breaker.admit() {
            Admission::Ask => {}
            Admission::LeaveOut => {
                self.series.count(Tally::RedisSkipped);
                return None;
            }
            Admission::Probe => {
                self.series.count(Tally::RedisSkipped);
                self.probe();
                return None;
            }
        }
        // What is not told yet must be before anything is believed.
        if self.untold().is_empty() || self.tell().await { self.send(command).await } else { None }
    }

    /// Sends a command, whatever the breaker says, and tells the breaker how it went.
    async fn send<T: FromRedisValue>(&self, command: &::redis::Cmd) -> Option<T> {
        let mut connection = self.connection.clone();
        let answer = timeout(self.settings.redis_timeout, command.query_async(&mut connection)).await;
        let (error, unavailable) = match answer {
            Ok(Ok(answer)) => {
                self.breaker.succeeded();
                return Some(answer);
            }
            Ok(Err(error)) => (error_type(&error), is_unavailable(&error)),
            Err(_) => ("timeout", true),
        };
        self.series.redis_error(error);
        if unavailable && self.breaker.failed() {
            self.series.redis_available(false);
            tracing::warn!(target: "outrigger::cache", cache = %self.prefix, error, "Redis does not answer: left alone");
        }
        None
    }

    fn probe(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return self.breaker.probed(false) };
        let probe = Probe { tier: Arc::clone(self), answered: false };
        runtime.spawn(async move {
            let mut probe = probe;
            let told = probe.tier.untold().is_empty() || probe.tier.tell().await;
            probe.answered = told && probe.tier.read_clock().await;
        });
    }

    async fn read_clock(&self) -> bool {
        let asked = Instant::now();
        let clock = self.send::<Option<u64>>(cmd("GET").arg(self.clock_key())).await;
        self.learn(asked, clock.map(Option::unwrap_or_default));
        clock.is_some()
    }

    /// Takes what Redis said. What was asked in vain is not asked again at once.
    fn learn(&self, asked: Instant, clock: Option<u64>) {
        let mut last = self.clock.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (last_asked, answered) = last.unwrap_or((asked, asked));
        *last = Some((last_asked.max(asked), if clock.is_some() { Instant::now() } else { answered }));
        // It goes back only when Redis has lost it, not when answers overtake one another.
        if let Some(clock) = clock
            && (clock > self.clock.known.load(Ordering::Relaxed) || asked >= answered)
        {
            self.clock.known.store(clock, Ordering::Relaxed);
        }
    }

    /// How long ago Redis was last asked for the clock.
    fn age(&self) -> Option<Duration> {
        self.clock.asked.lock().unwrap_or_else(PoisonError::into_inner).map(|(asked, _)| asked.elapsed())
    }

    /// Tells Redis of invalidations. Those that it cannot be told of are kept.
    async fn tell(&self) -> bool {
        let untold: Vec<String> = self.untold().drain(..).collect();
        let lasts = self.settings.lifetimes.longest().saturating_add(self.settings.load_timeout).saturating_add(MARGIN);
        let mut command = cmd("EVAL");
        command.arg(INVALIDATE).arg(untold.len() + 1).arg(self.clock_key());
        for key in &untold {
            command.arg(key);
        }
        command.arg(micros()).arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX).min(LONGEST_PX));
        let kept = Untold { tier: self, keys: untold };
        let asked = Instant::now();
        let clock = self.send::<u64>(&command).await;
        if clock.is_some() {
            kept.told();
            self.learn(asked, clock);
        }
        clock.is_some()
    }

    fn untold(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, keys: impl IntoIterator<Item = String>) {
        let mut untold = self.untold();
        for key in keys {
            if !untold.contains(&key) {
                untold.push_back(key);
            }
        }
        if untold.len() > UNTOLD {
            untold.clear();
            untold.push_back(self.all_key());
        }
    }

    async fn read(self: &Arc<Self>, key: &str) -> Option<Read<V>> {
        type Answer = (Option<Vec<u8>>, Option<u64>, Option<u64>, Option<u64>);
        let mut command = cmd("MGET");
        command.arg(self.entry_key(key)).arg(self.clock_key()).arg(self.key_key(key)).arg(self.all_key());
        let asked = Instant::now();
        let (entry, clock, key_at, all_at): Answer = self.ask(&command).await?;
        let clock = clock.unwrap_or_default();
        self.learn(asked, Some(clock));
        let held = match &entry {
            Some(bytes) => self.believe(bytes, key_at.max(all_at), clock).await,
            None => None,
        };
        self.series.count(if held.is_some() { Tally::RedisHit } else { Tally::RedisMiss });
        Some(Read { held, clock })
    }

    /// What the bytes hold, if it was loaded after the last invalidation of it.
    async fn believe(self: &Arc<Self>, bytes: &[u8], invalidated: Option<u64>, clock: u64) -> Option<Held<V>> {
        let Some(entry) = Entry::decode(bytes) else {
            self.series.redis_error("decode");
            return None;
        };
        let is_old = |at: Option<u64>| at.is_some_and(|at| at > entry.stamp);
        if is_old(invalidated) {
            return None;
        }
        if !entry.tags.is_empty() {
            let mut command = cmd("MGET");
            for tag in &entry.tags {
                command.arg(self.tag_key(tag));
            }
            let at: Vec<Option<u64>> = self.ask(&command).await?;
            if at.into_iter().any(is_old) {
                return None;
            }
        }
        let value = match entry.value.map(|bytes| self.codec.decode(bytes)) {
            Some(None) => {
                self.series.redis_error("decode");
                return None;
            }
            Some(value) => value,
            None => None,
        };
        let (now, now_millis) = (Instant::now(), millis());
        // No longer than we would remember it ourselves, should the clocks differ.
        let left =
            |until: u64| Duration::from_millis(until.saturating_sub(now_millis)).min(self.settings.lifetimes.longest());
        let fresh_until = later(now, left(entry.fresh_until));
        let held = Held {
            value,
            fresh_until,
            stale_until: later(now, left(entry.stale_until)).max(fresh_until),
            retry_at: fresh_until,
            tags: entry.tags.iter().map(|tag| Box::from(*tag)).collect(),
            verified: clock,
        };
        held.is_usable(now).then_some(held)
    }

    async fn write(self: &Arc<Self>, key: &str, held: &Held<V>, stamp: u64) {
        let (now, now_millis) = (Instant::now(), millis());
        let lives = held.stale_until.saturating_duration_since(now);
        let Ok(lives_millis @ 1..) = u64::try_from(lives.as_millis()) else { return };
        let value = held.value.as_ref().map(|value| self.codec.encode(value));
        let entry = Entry {
            stamp,
            fresh_until: ahead(now_millis, held.fresh_until.saturating_duration_since(now)),
            stale_until: ahead(now_millis, lives),
            tags: held.tags.iter().map(|tag| &**tag).collect(),
            value: value.as_deref(),
        };
        let mut command = cmd("SET");
        command.arg(self.entry_key(key)).arg(entry.encode()).arg("PX").arg(lives_millis.min(LONGEST_PX));
        let _: Option<()> = self.ask(&command).await;
    }

    fn entry_key(&self, key: &str) -> String {
        format!("{}:e:{key}", self.prefix)
    }

    fn key_key(&self, key: &str) -> String {
        format!("{}:k:{key}", self.prefix)
    }

    fn tag_key(&self, tag: &str) -> String {
        format!("{}:t:{tag}", self.prefix)
    }

    fn all_key(&self) -> String {
        format!("{}:all", self.prefix)
    }

    fn clock_key(&self) -> String {
        format!("{}:clock", self.prefix)
    }
}

impl<K, C, D, V> Remote<K, V> for Redis<C, D, V>
where
    K: Display + Send + Sync,
    C: ConnectionLike + Clone + Send + Sync + 'static,
    D: Codec<V>,
    V: Clone + Send + Sync + 'static,
{
    fn read<'a>(&'a self, key: &'a K) -> Boxed<'a, Option<Read<V>>> {
        Box::pin(async move { self.0.read(&key.to_string()).await })
    }

    fn write<'a>(&'a self, key: &'a K, held: &'a Held<V>, stamp: u64) -> Boxed<'a, ()> {
        Box::pin(async move { self.0.write(&key.to_string(), held, stamp).await })
    }

    fn invalidate<'a>(&'a self, what: &'a Invalidation<K>) -> Boxed<'a, ()> {
        let tier = &self.0;
        // Before the first await: once this is called it is kept, even if its caller goes.
        tier.keep([match what {
            Invalidation::Key(key) => tier.key_key(&key.to_string()),
            Invalidation::Tag(tag) => tier.tag_key(tag),
            Invalidation::All => tier.all_key(),
        }]);
        Box::pin(async move {
            match tier.breaker.admit() {
                Admission::Ask => _ = tier.tell().await,
                Admission::Probe => tier.probe(),
                Admission::LeaveOut => tier.series.count(Tally::RedisSkipped),
            }
        })
    }

    fn vouches(&self, verified: u64) -> Vouch {
        let tier = &self.0;
        if !tier.breaker.is_closed() {
            // Nobody can say better. Knocking is part of it: a cache that answers from memory alone asks nothing else.
            if tier.breaker.admit() == Admission::Probe {
                tier.probe();
            }
            return Vouch::Yes;
        }
        let interval = tier.settings.sync_interval;
        match tier.age() {
            Some(age) if age < interval => {}
            Some(age) if age < interval * 2 => tier.ask_aside(),
            _ => return Vouch::Ask,
        }
        if tier.clock.known.load(Ordering::Relaxed) == verified { Vouch::Yes } else { Vouch::No }
    }

    fn ask(&self) -> Boxed<'_, ()> {
        Box::pin(async move {
            let tier = &self.0;
            let _asking = tier.clock.asking.lock().await;
            if tier.age().is_none_or(|age| age >= tier.settings.sync_interval) {
                tier.read_clock().await;
            }
        })
    }

    fn clock(&self) -> u64 {
        self.0.clock.known.load(Ordering::Relaxed)
    }
}

impl<C, D, V> Tier<C, D, V>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
    D: Codec<V>,
    V: Clone + Send + Sync + 'static,
{
    /// Asks for the clock while look-ups go on with what is known.
    fn ask_aside(self: &Arc<Self>) {
        if self.clock.asking_aside.swap(true, Ordering::Relaxed) {
            return;
        }
        let aside = Aside(Arc::clone(self));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let aside = aside;
                aside.0.read_clock().await;
            });
        }
    }
}

/// Lets the next one ask, however this one ends.
struct Aside<C, D, V>(Arc<Tier<C, D, V>>);

impl<C, D, V> Drop for Aside<C, D, V> {
    fn drop(&mut self) {
        self.0.clock.asking_aside.store(false, Ordering::Relaxed);
    }
}

/// A probe under way: it has failed if it is dropped without an answer.
struct Probe<C, D, V> {
    tier: Arc<Tier<C, D, V>>,
    answered: bool,
}

impl<C, D, V> Drop for Probe<C, D, V> {
    fn drop(&mut self) {
        self.tier.breaker.probed(self.answered);
        if self.answered {
            self.tier.series.redis_available(true);
            tracing::info!(target: "outrigger::cache", cache = %self.tier.prefix, "Redis answers again");
        }
    }
}

/// Invalidations on their way to Redis: kept for later, should they not arrive.
struct Untold<'a, C, D, V>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
    D: Codec<V>,
    V: Clone + Send + Sync + 'static,
{
    tier: &'a Tier<C, D, V>,
    keys: Vec<String>,
}

impl<C, D, V> Untold<'_, C, D, V>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
    D: Codec<V>,
    V: Clone + Send + Sync + 'static,
{
    fn told(mut self) {
        self.keys.clear();
    }
}

impl<C, D, V> Drop for Untold<'_, C, D, V>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
    D: Codec<V>,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.tier.keep(std::mem::take(&mut self.keys));
    }
}

/// Whether it was Redis that failed, and not the command.
fn is_unavailable(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => matches!(code, "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY" | "NOAUTH"),
        None => true,
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

fn micros() -> u64 {
    u64::try_from(since_1970().as_micros()).unwrap_or(u64::MAX)
}

/// A hundred years: Redis adds its own clock to it.
const LONGEST_PX: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;
