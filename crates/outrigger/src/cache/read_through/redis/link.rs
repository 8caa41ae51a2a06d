//! The way to Redis: who may ask, what is known of its clock, and what it has still to be told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::aio::ConnectionLike;
use ::redis::{FromRedisValue, RedisError, cmd};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::breaker::{Admission, Breaker};
use crate::cache::read_through::builder::Settings;
use crate::cache::read_through::series::{Series, Tally};
use crate::redis::error_type;

pub(super) struct Link<C> {
    connection: C,
    prefix: String,
    pub(super) series: Arc<Series>,
    pub(super) settings: Settings,
    pub(super) breaker: Breaker,
    clock: Clock,
    /// Keys of the invalidations that Redis has not been told of.
    untold: Mutex<VecDeque<String>>,
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

impl<C> Link<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    /// Asks Redis, unless it is left alone. `None` is counted.
    pub(super) async fn ask<T: FromRedisValue>(self: &Arc<Self>, command: &::redis::Cmd) -> Option<T> {
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
    pub(super) async fn send<T: FromRedisValue>(&self, command: &::redis::Cmd) -> Option<T> {
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

    pub(super) fn probe(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return self.breaker.probed(false) };
        let probe = Probe { link: Arc::clone(self), answered: false };
        runtime.spawn(async move {
            let mut probe = probe;
            let told = probe.link.untold().is_empty() || probe.link.tell().await;
            probe.answered = told && probe.link.read_clock().await;
        });
    }

    pub(super) async fn read_clock(&self) -> bool {
        let asked = Instant::now();
        let clock = self.send::<Option<u64>>(cmd("GET").arg(self.clock_key())).await;
        self.learn(asked, clock.map(Option::unwrap_or_default));
        clock.is_some()
    }

    /// Tells Redis of invalidations. Those that it cannot be told of are kept.
    pub(super) async fn tell(&self) -> bool {
        let untold: Vec<String> = self.untold().drain(..).collect();
        let lasts = self.settings.lifetimes.longest().saturating_add(self.settings.load_timeout).saturating_add(MARGIN);
        let mut command = cmd("EVAL");
        command.arg(INVALIDATE).arg(untold.len() + 1).arg(self.clock_key());
        for key in &untold {
            command.arg(key);
        }
        command.arg(micros()).arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX).min(LONGEST_PX));
        let kept = Untold { link: self, keys: untold };
        let asked = Instant::now();
        let clock = self.send::<u64>(&command).await;
        if clock.is_some() {
            kept.told();
            self.learn(asked, clock);
        }
        clock.is_some()
    }

    /// Asks for the clock, once for all who wait for it.
    pub(super) async fn ask_clock(&self) {
        let _asking = self.clock.asking.lock().await;
        if self.age().is_none_or(|age| age >= self.settings.sync_interval) {
            self.read_clock().await;
        }
    }

    /// Asks for the clock while look-ups go on with what is known.
    pub(super) fn ask_aside(self: &Arc<Self>) {
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

impl<C> Link<C> {
    pub(super) fn new(connection: C, name: &str, series: &Arc<Series>, settings: &Settings) -> Self {
        Self {
            connection,
            prefix: format!("{{{name}}}"),
            series: Arc::clone(series),
            settings: *settings,
            breaker: Breaker::new(),
            clock: Clock::default(),
            untold: Mutex::default(),
        }
    }

    /// Takes what Redis said. What was asked in vain is not asked again at once.
    pub(super) fn learn(&self, asked: Instant, clock: Option<u64>) {
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

    pub(super) fn known_clock(&self) -> u64 {
        self.clock.known.load(Ordering::Relaxed)
    }

    /// How long ago Redis was last asked for the clock.
    pub(super) fn age(&self) -> Option<Duration> {
        self.clock.asked.lock().unwrap_or_else(PoisonError::into_inner).map(|(asked, _)| asked.elapsed())
    }

    pub(super) fn untold(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, keys: impl IntoIterator<Item = String>) {
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

    pub(super) fn entry_key(&self, key: &str) -> String {
        format!("{}:e:{key}", self.prefix)
    }

    pub(super) fn key_key(&self, key: &str) -> String {
        format!("{}:k:{key}", self.prefix)
    }

    pub(super) fn tag_key(&self, tag: &str) -> String {
        format!("{}:t:{tag}", self.prefix)
    }

    pub(super) fn all_key(&self) -> String {
        format!("{}:all", self.prefix)
    }

    pub(super) fn clock_key(&self) -> String {
        format!("{}:clock", self.prefix)
    }
}

/// Lets the next one ask, however this one ends.
struct Aside<C>(Arc<Link<C>>);

impl<C> Drop for Aside<C> {
    fn drop(&mut self) {
        self.0.clock.asking_aside.store(false, Ordering::Relaxed);
    }
}

/// A probe under way: it has failed if it is dropped without an answer.
struct Probe<C> {
    link: Arc<Link<C>>,
    answered: bool,
}

impl<C> Drop for Probe<C> {
    fn drop(&mut self) {
        self.link.breaker.probed(self.answered);
        if self.answered {
            self.link.series.redis_available(true);
            tracing::info!(target: "outrigger::cache", cache = %self.link.prefix, "Redis answers again");
        }
    }
}

/// Invalidations on their way to Redis: kept for later, should they not arrive.
struct Untold<'a, C> {
    link: &'a Link<C>,
    keys: Vec<String>,
}

impl<C> Untold<'_, C> {
    fn told(mut self) {
        self.keys.clear();
    }
}

impl<C> Drop for Untold<'_, C> {
    fn drop(&mut self) {
        self.link.keep(std::mem::take(&mut self.keys));
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

pub(super) fn millis() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

fn micros() -> u64 {
    u64::try_from(since_1970().as_micros()).unwrap_or(u64::MAX)
}

/// A hundred years: Redis adds its own clock to it.
pub(super) const LONGEST_PX: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;
