//! The way of a look-up: memory, the flight, Redis, the loader.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::builder::Settings;
use super::entry::Held;
use super::flights::{Boarding, Count, Entered, Flights};
use super::local::{Invalidation, Local};
use super::remote::{Remote, Vouch};
use super::series::{Series, Tally};
use super::{Loader, ReadError, TagsOf};
use crate::cache::CacheMetrics;

pub(super) struct Shared<K, V, E> {
    pub(super) series: Arc<Series>,
    settings: Settings,
    local: Local<K, V>,
    remote: Option<Arc<dyn Remote<K, V>>>,
    flights: Arc<Flights<K, Landed<V, E>>>,
    refreshing: Mutex<HashSet<K>>,
    refreshes: Count,
    tags: Option<TagsOf<K, V>>,
    load: Loader<K, V, E>,
}

/// What those who wait for a flight get.
type Landed<V, E> = Result<Found<V>, ReadError<E>>;

struct Found<V> {
    held: Arc<Held<V>>,
    /// The invalidations that there had been when the search for it began.
    since: u64,
    /// What is to be done with it in Redis, if it had to be loaded.
    loaded: Option<Afterwards>,
}

#[derive(Clone, Copy)]
enum Afterwards {
    Nothing,
    /// Loaded after the clock showed this.
    Write(u64),
    /// It cannot be stored, and what is there is older.
    Remove,
}

impl<V> Clone for Found<V> {
    fn clone(&self) -> Self {
        Self { held: Arc::clone(&self.held), ..*self }
    }
}

impl<K, V, E> Shared<K, V, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    pub(super) fn new(
        settings: Settings,
        series: Arc<Series>,
        tags: Option<TagsOf<K, V>>,
        remote: Option<Arc<dyn Remote<K, V>>>,
        load: Loader<K, V, E>,
    ) -> Self {
        Self {
            local: Local::new(settings.capacity, series.overall.clone()),
            series,
            settings,
            remote,
            flights: Arc::new(Flights::new(settings.limit)),
            refreshing: Mutex::default(),
            refreshes: Count::new(settings.refreshes),
            tags,
            load,
        }
    }

    pub(super) async fn get<Q>(this: &Arc<Self>, key: &Q) -> Result<Option<V>, ReadError<E>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + Sync + ?Sized,
    {
        let look_up = LookUp { metrics: &this.series.overall, hit: false };
        if let Some(held) = this.remembered(key).await {
            return Ok(this.answer(look_up, key, &held));
        }
        let key = &key.to_owned();
        let asked = this.local.mark();
        let mut found = Self::fetch(this, key).await?;
        // It joined a flight that had begun before a tag of what it brings was invalidated. The next one has not.
        while this.local.has_invalidated(found.since..asked, key, &found.held.tags) {
            found = Self::fetch(this, key).await?;
        }
        if found.loaded.is_some() {
            return Ok(found.held.value.clone());
        }
        Ok(this.answer(look_up, key, &found.held))
    }

    /// What a flight brings: one that has begun, or a new one.
    async fn fetch(this: &Arc<Self>, key: &K) -> Landed<V, E> {
        let passenger = match this.flights.board(key) {
            Boarding::Passenger(passenger) => {
                this.series.count(Tally::Coalesced);
                passenger
            }
            Boarding::Pilot(pilot, passenger) => {
                let (this, key) = (Arc::clone(this), key.clone());
                let flight = async move {
                    // Asked here and not by the pilot's caller: nothing may happen between it and the load.
                    let since = this.local.mark();
                    // Another flight may have landed between the caller's look into memory and this one's begin.
                    let landed = match this.vouched(&key) {
                        Some(held) => Ok(Found { held, since, loaded: None }),
                        None => this.find(&key, since, Instant::now(), false).await,
                    };
                    let found = landed.clone().ok();
                    pilot.land(landed);
                    if let Some(found) = found {
                        this.store(&key, &found).await;
                    }
                };
                let runtime = Handle::try_current().map_err(|_| ReadError::Aborted)?;
                runtime.spawn(flight.in_current_span());
                passenger
            }
            Boarding::Full(what) => {
                this.series.count(if what == "load" { Tally::LoadRejected } else { Tally::WaitRejected });
                return Err(ReadError::Overloaded);
            }
        };
        passenger.arrive().await.unwrap_or(Err(ReadError::Aborted))
    }

    pub(super) async fn invalidate(&self, what: &Invalidation<K>) {
        // First of all, so that a look-up that begins when memory has forgotten does not believe what is still in Redis.
        // And before the first await: it is kept even if the caller goes.
        if let Some(remote) = &self.remote {
            remote.keep(what);
        }
        self.local.invalidate(what);
        // Whoever asks from now on shall not get what was loaded before.
        match what {
            Invalidation::Key(key) => self.flights.close(key),
            Invalidation::All => self.flights.close_all(),
            // What has this tag is known when it is there: see `get`.
            Invalidation::Tag(_) => {}
        }
        if let Some(remote) = &self.remote {
            remote.tell().await;
        }
    }

    /// What memory has, if nobody has invalidated it elsewhere.
    async fn remembered<Q>(&self, key: &Q) -> Option<Arc<Held<V>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + Sync + ?Sized,
    {
        let mut held = self.local.get(key);
        if let (Some(found), Some(remote)) = (&held, &self.remote) {
            let is_valid = match remote.vouches(found.verified) {
                Vouch::Yes => true,
                Vouch::No => false,
                Vouch::Ask => remote.ask(found.verified).await,
            };
            if !is_valid {
                held = None;
            }
        }
        self.series.count(if held.is_some() { Tally::MemoryHit } else { Tally::MemoryMiss });
        held
    }

    /// What memory has, if that can be said without asking.
    fn vouched(&self, key: &K) -> Option<Arc<Held<V>>> {
        let is_vouched =
            |held: &Arc<Held<V>>| self.remote.as_ref().is_none_or(|remote| remote.vouches(held.verified) == Vouch::Yes);
        self.local.get(key).filter(is_vouched)
    }

    /// Answers from what a tier had.
    fn answer<Q>(self: &Arc<Self>, mut look_up: LookUp<'_>, key: &Q, held: &Held<V>) -> Option<V>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        look_up.hit = true;
        let now = Instant::now();
        if !held.is_fresh(now) {
            self.series.count(Tally::Stale);
            if held.retry_at() <= now {
                self.refresh(key.to_owned());
            }
        }
        if held.value.is_none() {
            self.series.count(Tally::Absent);
        }
        held.value.clone()
    }

    /// Looks into Redis, then loads. `fresh` leaves aside what is stale there.
    async fn find(&self, key: &K, since: u64, begun: Instant, fresh: bool) -> Landed<V, E> {
        let (mut stamp, mut stale_there) = (None, false);
        if let Some(remote) = &self.remote {
            stamp = Some(remote.clock());
            if let Some(read) = remote.read(key).await {
                stamp = Some(read.clock);
                stale_there = read.held.is_some();
                if let Some(held) = read.held.filter(|held| !fresh || held.is_fresh(Instant::now())) {
                    let held = Arc::new(held);
                    self.local.put(since, key.clone(), Arc::clone(&held));
                    return Ok(Found { held, since, loaded: None });
                }
            }
        }
        let value = self.load(key, begun).await?;
        let held = Arc::new(self.held(key, value, stamp.unwrap_or(0)));
        let afterwards = if !is_storable(&held) {
            // What is stale would be served, and loaded again for, to the end of its window.
            self.local.forget(since, key, &held.tags);
            if stale_there { Afterwards::Remove } else { Afterwards::Nothing }
        } else if self.local.put(since, key.clone(), Arc::clone(&held)) {
            stamp.map_or(Afterwards::Nothing, Afterwards::Write)
        } else {
            Afterwards::Nothing
        };
        Ok(Found { held, since, loaded: Some(afterwards) })
    }

    async fn load(&self, key: &K, begun: Instant) -> Result<Option<V>, ReadError<E>> {
        let left = self.settings.load_timeout.saturating_sub(begun.elapsed());
        let load = async {
            match timeout(left, (self.load)(key.clone())).await {
                Ok(loaded) => loaded.map_err(|error| ReadError::Load(Arc::new(error))),
                Err(_) => Err(ReadError::TimedOut),
            }
        };
        self.series.overall.load(load).await
    }

    fn held(&self, key: &K, value: Option<V>, verified: u64) -> Held<V> {
        let (fresh, stale) = self.settings.lifetimes.draw(value.is_some(), fastrand::f64());
        let tags = self.tags.as_ref().map(|tags| tags(key, value.as_ref())).unwrap_or_default();
        let fresh_until = later(Instant::now(), fresh);
        Held {
            value,
            fresh_until,
            stale_until: later(fresh_until, stale),
            retry_at: Mutex::new(fresh_until),
            tags: tags.into_iter().map(String::into_boxed_str).collect(),
            verified,
        }
    }

    async fn store(&self, key: &K, found: &Found<V>) {
        let (Some(remote), Some(afterwards)) = (&self.remote, found.loaded) else { return };
        match afterwards {
            Afterwards::Nothing => {}
            Afterwards::Write(stamp) => remote.write(key, &found.held, stamp).await,
            Afterwards::Remove => remote.remove(key).await,
        }
    }

    /// Loads again in the background, once at a time for each key.
    fn refresh(self: &Arc<Self>, key: K) {
        let Ok(runtime) = Handle::try_current() else { return };
        let entered = {
            let mut refreshing = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
            if refreshing.contains(&key) {
                return;
            }
            let Some(entered) = self.refreshes.enter() else { return self.series.count(Tally::RefreshRejected) };
            refreshing.insert(key.clone());
            entered
        };
        let mut refresh = Refresh { shared: Arc::clone(self), key, found: false, _entered: entered };
        let task = async move {
            let refresh = &mut refresh;
            let (shared, since) = (Arc::clone(&refresh.shared), refresh.shared.local.mark());
            // Another process may have been quicker: then this is no load of ours.
            if let Ok(found) = shared.find(&refresh.key, since, Instant::now(), true).await {
                refresh.found = true;
                if found.loaded.is_some() {
                    shared.series.count(Tally::Refreshed);
                }
                shared.store(&refresh.key, &found).await;
            }
        };
        runtime.spawn(task.in_current_span());
    }
}

/// A refresh under way. Dropped without a value, it has failed: the stale one is kept, and is left alone for a while.
struct Refresh<K, V, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    shared: Arc<Shared<K, V, E>>,
    key: K,
    found: bool,
    _entered: Entered,
}

impl<K, V, E> Drop for Refresh<K, V, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn drop(&mut self) {
        if !self.found {
            self.shared.series.count(Tally::RefreshFailed);
            if let Some(held) = self.shared.local.get(&self.key) {
                held.retry_not_before(later(Instant::now(), self.shared.settings.retry_refresh));
            }
        }
        self.shared.refreshing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Counts a look-up once, whichever way it ends: one that is given up has found nothing.
struct LookUp<'a> {
    metrics: &'a CacheMetrics,
    hit: bool,
}

impl Drop for LookUp<'_> {
    fn drop(&mut self) {
        if self.hit {
            self.metrics.hit();
        } else {
            self.metrics.miss();
        }
    }
}

/// A moment that lies so much later; far off where the clock cannot count so far.
pub(super) fn later(moment: Instant, by: std::time::Duration) -> Instant {
    const CENTURY: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 24 * 60 * 60);
    moment.checked_add(by.min(CENTURY)).unwrap_or(moment)
}

/// Whether it lives at all, and has no more tags than are kept.
fn is_storable<V>(held: &Held<V>) -> bool {
    held.is_usable(Instant::now())
        && held.tags.len() <= MOST_TAGS
        && held.tags.iter().all(|tag| tag.len() <= LONGEST_TAG)
}

const MOST_TAGS: usize = 64;
const LONGEST_TAG: usize = 1_024;
