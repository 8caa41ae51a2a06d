//! The way to Redis: who may ask, what is known of its clock, and what it has still to be told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::aio::ConnectionLike;
use ::redis::{FromRedisValue, RedisError, cmd};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::breaker::{Admission, Breaker};
use super::untold::Untold;
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
    untold: Mutex<Untold>,
    telling: tokio::sync::Mutex<()>,
}

/// Redis' count of invalidations, as it was when we last asked.
#[derive(Debug, Default)]
struct Clock {
    known: AtomicU64,
    heard: Mutex<Option<Heard>>,
    asking: tokio::sync::Mutex<()>,
    asking_aside: AtomicBool,
}

/// How far the knowledge of the clock goes. A question without an answer adds none.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// When the last question that was answered was asked.
    asked: Instant,
    /// When an answer last came.
    answered: Instant,
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
    /// Asks Redis, unless it is left alone. `None` is counted. A tier that cannot be read is down, whatever it says.
    pub(super) async fn ask<T: FromRedisValue>(self: &Arc<Self>, command: &::redis::Cmd) -> Option<T> {
        if !self.is_admitted().await {
            return None;
        }
        self.send(command).await.map_err(|failure| self.failed(&failure)).ok()
    }

    /// Asks Redis to remember or forget an entry, unless it is left alone. If it says no, it can be read all the same.
    pub(super) async fn offer<T: FromRedisValue>(self: &Arc<Self>, command: &::redis::Cmd) {
        if self.is_admitted().await
            && let Err(failure) = self.send::<T>(command).await
            && !failure.is_answer
        {
            self.failed(&failure);
        }
    }

    /// Whether Redis may be asked now, and knows all that it is to be told; counted if not.
    pub(super) async fn is_admitted(self: &Arc<Self>) -> bool {
        let admission = self.breaker.admit();
        if admission == Admission::Probe {
            self.probe();
        }
        // What is not told yet must be before anything is believed.
        let admitted = admission == Admission::Ask && self.catch_up(false).await;
        if !admitted {
            self.series.count(Tally::RedisSkipped);
        }
        admitted
    }

    /// Sends a command, whatever the breaker says.
    async fn send<T: FromRedisValue>(&self, command: &::redis::Cmd) -> Result<T, Failure> {
        let mut connection = self.connection.clone();
        let answer = timeout(self.settings.redis_timeout, command.query_async(&mut connection)).await;
        let failure = match answer {
            Ok(Ok(answer)) => {
                self.breaker.succeeded();
                return Ok(answer);
            }
            Ok(Err(error)) => Failure { error_type: error_type(&error), is_answer: !is_unavailable(&error) },
            Err(_) => Failure { error_type: "timeout", is_answer: false },
        };
        self.series.redis_error(failure.error_type);
        Err(failure)
    }

    fn failed(&self, failure: &Failure) {
        if self.breaker.failed() {
            self.left_alone(failure);
        }
    }

    fn left_alone(&self, failure: &Failure) {
        self.series.redis_available(|| self.breaker.is_closed());
        let error = failure.error_type;
        tracing::warn!(target: "outrigger::cache", cache = %self.prefix, error, "Redis is of no use: left alone");
    }

    pub(super) fn probe(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return self.breaker.probed(false) };
        let probe = Probe { link: Arc::clone(self), answered: false };
        runtime.spawn(async move {
            let mut probe = probe;
            probe.answered = probe.link.catch_up(true).await && probe.link.read_clock().await;
        });
    }

    async fn read_clock(&self) -> bool {
        let asked = Instant::now();
        match self.send::<Option<u64>>(cmd("GET").arg(self.clock_key())).await {
            Ok(clock) => self.learn(asked, clock.unwrap_or_default()),
            Err(failure) => {
                self.failed(&failure);
                return false;
            }
        }
        true
    }

    /// Tells Redis of all invalidations that there were before this call, once for all who wait for it. Says whether it
    /// knows them.
    pub(super) async fn catch_up(&self, probing: bool) -> bool {
        if self.untold().is_empty() {
            return true;
        }
        let _telling = self.telling.lock().await;
        // Whoever told before may have told ours, or have found that Redis is down.
        self.untold().is_empty() || (probing || self.breaker.is_closed()) && self.tell().await
    }

    /// Tells Redis of invalidations. Those that it cannot be told of are kept.
    async fn tell(&self) -> bool {
        let lasts = self.settings.lifetimes.longest().saturating_add(self.settings.load_timeout).saturating_add(MARGIN);
        let mut command = cmd("EVAL");
        let calls = {
            let untold = self.untold();
            command.arg(INVALIDATE).arg(untold.keys().len() + 1).arg(self.clock_key());
            for key in untold.keys() {
                command.arg(key);
            }
            untold.calls()
        };
        command.arg(micros()).arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX).min(LONGEST_PX));
        let asked = Instant::now();
        match self.send::<u64>(&command).await {
            Ok(clock) => {
                self.untold().told(calls);
                self.learn(asked, clock);
                true
            }
            Err(failure) => {
                // A no here is worse than silence: other commands go on, and nothing that is there may be believed.
                if !failure.is_answer {
                    self.failed(&failure);
                } else if self.breaker.trip() {
                    self.left_alone(&failure);
                }
                false
            }
        }
    }

    /// Asks for the clock, once for all who wait for it. Says whether it is known then.
    pub(super) async fn ask_clock(&self) -> bool {
        let begun = Instant::now();
        let _asking = self.clock.asking.lock().await;
        // Whoever asked before may have asked after we came, or have found that Redis is down.
        let is_known = |asked: Instant| asked > begun || asked.elapsed() < self.settings.sync_interval;
        self.asked().is_some_and(is_known) || self.breaker.is_closed() && self.read_clock().await
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
            telling: tokio::sync::Mutex::default(),
        }
    }

    /// Takes what Redis said.
    pub(super) fn learn(&self, asked: Instant, clock: u64) {
        let mut heard = self.clock.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let last = heard.unwrap_or(Heard { asked, answered: asked });
        *heard = Some(Heard { asked: last.asked.max(asked), answered: Instant::now() });
        // It goes back only when Redis has lost it, not when answers overtake one another.
        if clock > self.clock.known.load(Ordering::Relaxed) || asked >= last.answered {
            self.clock.known.store(clock, Ordering::Relaxed);
        }
    }

    pub(super) fn known_clock(&self) -> u64 {
        self.clock.known.load(Ordering::Relaxed)
    }

    /// When Redis was last asked for the clock and said it.
    pub(super) fn asked(&self) -> Option<Instant> {
        self.clock.heard.lock().unwrap_or_else(PoisonError::into_inner).map(|heard| heard.asked)
    }

    fn untold(&self) -> MutexGuard<'_, Untold> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an invalidation until Redis knows it.
    pub(super) fn keep(&self, key: String) {
        self.untold().keep(key, || self.all_key());
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
            self.link.series.redis_available(|| self.link.breaker.is_closed());
            tracing::info!(target: "outrigger::cache", cache = %self.link.prefix, "Redis answers again");
        }
    }
}

struct Failure {
    error_type: &'static str,
    /// Whether Redis is there, and only says no to this command.
    is_answer: bool,
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
