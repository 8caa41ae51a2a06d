//! Redis as the second tier.
//!
//! Keys, of which all of one cache have one hash slot: `{name}:e:` and the key for its entry, `{name}:k:` and the key,
//! `{name}:t:` and the tag for the clock at its last invalidation, `{name}:all` for that of everything, `{name}:clock`.

mod breaker;
mod link;
mod untold;
mod wire;

use std::fmt::Display;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::redis::aio::ConnectionLike;
use ::redis::cmd;
use tokio::time::Instant;

use self::breaker::Admission;
use self::link::{LONGEST_PX, Link, millis};
use self::wire::{Entry, ahead};
use super::builder::{ReadThroughBuilder, Settings};
use super::entry::Held;
use super::local::Invalidation;
use super::remote::{Boxed, Read, Remote, Vouch};
use super::series::{Series, Tally};
use super::shared::later;

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
    K: Display + Hash + Eq + Clone + Send + Sync + 'static,
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
            let link = Arc::new(Link::new(connection, &name, series, settings));
            Arc::new(Redis { link, codec, _values: PhantomData })
        }));
        self
    }

    /// The longest that an operation of Redis may take before the look-up goes on without it; a look-up may need
    /// [several](crate::cache::read_through#when-redis-is-down). Defaults to 50 ms. After three failures in a row Redis
    /// is left alone, for 100 ms at first and 5 s at most, until a probe is answered.
    #[must_use]
    pub fn redis_timeout(mut self, timeout: Duration) -> Self {
        self.settings.redis_timeout = timeout;
        self
    }

    /// How old the knowledge of other processes' invalidations may be that an answer from memory rests on. Defaults to
    /// 1 s: each process that looks things up asks Redis once a second, and answers within two seconds of that. With zero,
    /// every look-up asks.
    #[must_use]
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.settings.sync_interval = interval;
        self
    }
}

struct Redis<C, D, V> {
    link: Arc<Link<C>>,
    codec: D,
    _values: PhantomData<fn() -> V>,
}

impl<C, D, V> Redis<C, D, V>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
    D: Codec<V>,
    V: Clone + Send + Sync + 'static,
{
    async fn read_key(&self, key: &str) -> Option<Read<V>> {
        type Answer = (Option<Vec<u8>>, Option<u64>, Option<u64>, Option<u64>);
        let mut command = cmd("MGET");
        command
            .arg(self.link.entry_key(key))
            .arg(self.link.clock_key())
            .arg(self.link.key_key(key))
            .arg(self.link.all_key());
        let asked = Instant::now();
        let (entry, clock, key_at, all_at): Answer = self.link.ask(&command).await?;
        let clock = clock.unwrap_or_default();
        self.link.learn(asked, clock);
        let held = match &entry {
            Some(bytes) => self.believe(bytes, key_at.max(all_at), clock).await,
            None => None,
        };
        self.link.series.count(if held.is_some() { Tally::RedisHit } else { Tally::RedisMiss });
        Some(Read { held, clock })
    }

    /// What the bytes hold, if it was loaded after the last invalidation of it.
    async fn believe(&self, bytes: &[u8], invalidated: Option<u64>, clock: u64) -> Option<Held<V>> {
        let Some(entry) = Entry::decode(bytes) else {
            self.link.series.redis_error("decode");
            return None;
        };
        let is_old = |at: Option<u64>| at.is_some_and(|at| at > entry.stamp);
        if is_old(invalidated) {
            return None;
        }
        if !entry.tags.is_empty() {
            let mut command = cmd("MGET");
            for tag in &entry.tags {
                command.arg(self.link.tag_key(tag));
            }
            let at: Vec<Option<u64>> = self.link.ask(&command).await?;
            if at.into_iter().any(is_old) {
                return None;
            }
        }
        let value = match entry.value.map(|bytes| self.codec.decode(bytes)) {
            Some(None) => {
                self.link.series.redis_error("decode");
                return None;
            }
            Some(value) => value,
            None => None,
        };
        let (now, now_millis) = (Instant::now(), millis());
        // No longer than we would remember it ourselves, should the clocks differ.
        let left = |until: u64| {
            Duration::from_millis(until.saturating_sub(now_millis)).min(self.link.settings.lifetimes.longest())
        };
        let fresh_until = later(now, left(entry.fresh_until));
        let held = Held {
            value,
            fresh_until,
            stale_until: later(now, left(entry.stale_until)).max(fresh_until),
            retry_at: Mutex::new(fresh_until),
            tags: entry.tags.iter().map(|tag| Box::from(*tag)).collect(),
            verified: clock,
        };
        held.is_usable(now).then_some(held)
    }

    async fn write_key(&self, key: &str, held: &Held<V>, stamp: u64) {
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
        command.arg(self.link.entry_key(key)).arg(entry.encode()).arg("PX").arg(lives_millis.min(LONGEST_PX));
        self.link.offer::<()>(&command).await;
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
        Box::pin(async move { self.read_key(&key.to_string()).await })
    }

    fn write<'a>(&'a self, key: &'a K, held: &'a Held<V>, stamp: u64) -> Boxed<'a, ()> {
        Box::pin(async move { self.write_key(&key.to_string(), held, stamp).await })
    }

    fn remove<'a>(&'a self, key: &'a K) -> Boxed<'a, ()> {
        Box::pin(async move {
            let mut command = cmd("DEL");
            command.arg(self.link.entry_key(&key.to_string()));
            self.link.offer::<u64>(&command).await;
        })
    }

    fn keep(&self, what: &Invalidation<K>) {
        self.link.keep(match what {
            Invalidation::Key(key) => self.link.key_key(&key.to_string()),
            Invalidation::Tag(tag) => self.link.tag_key(tag),
            Invalidation::All => self.link.all_key(),
        });
    }

    fn tell(&self) -> Boxed<'_, ()> {
        Box::pin(async move { _ = self.link.is_admitted().await })
    }

    fn vouches(&self, verified: u64) -> Vouch {
        let link = &self.link;
        if !link.breaker.is_closed() {
            // Nobody can say better. Knocking is part of it: a cache that answers from memory alone asks nothing else.
            if link.breaker.admit() == Admission::Probe {
                link.probe();
            }
            return Vouch::Yes;
        }
        let interval = link.settings.sync_interval;
        match link.asked().map(|asked| asked.elapsed()) {
            Some(age) if age < interval => {}
            Some(age) if age < interval.saturating_mul(2) => link.ask_aside(),
            _ => return Vouch::Ask,
        }
        if link.known_clock() == verified { Vouch::Yes } else { Vouch::No }
    }

    fn ask(&self, verified: u64) -> Boxed<'_, bool> {
        Box::pin(async move {
            let link = &self.link;
            let is_known = link.ask_clock().await;
            // While it is left alone, nobody can say better.
            if is_known { link.known_clock() == verified } else { !link.breaker.is_closed() }
        })
    }

    fn clock(&self) -> u64 {
        self.link.known_clock()
    }
}
