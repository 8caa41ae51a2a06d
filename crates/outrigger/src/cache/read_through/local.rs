//! The tier in memory, and what keeps a load that was overtaken by an invalidation out of it.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::hash::Hash;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as StdInstant};

use ::moka::Expiry;
use ::moka::sync::Cache;
use tokio::time::Instant;

use super::entry::Held;
use crate::cache::CacheMetrics;

/// What is no longer to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Invalidation<K> {
    Key(K),
    Tag(Box<str>),
    All,
}

pub(super) struct Local<K, V> {
    entries: Cache<K, Arc<Held<V>>>,
    recent: Mutex<Recent<K>>,
    metrics: CacheMetrics,
}

/// The last invalidations. What began before the oldest of them is not stored at all.
struct Recent<K> {
    last: VecDeque<Invalidation<K>>,
    count: u64,
}

/// More than happen while something loads, or else that load is not stored.
const RECENT: usize = 1_024;

impl<K, V> Local<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(capacity: u64, metrics: CacheMetrics) -> Self {
        metrics.count_evictions();
        let evictions = metrics.clone();
        let entries = Cache::builder()
            .max_capacity(capacity)
            .expire_after(AtItsEnd)
            .eviction_listener(move |_, _, cause| evictions.evicted(cause.into()))
            .build();
        let local = Self { entries, recent: Mutex::new(Recent { last: VecDeque::new(), count: 0 }), metrics };
        local.follow();
        local
    }

    /// What is remembered, fresh or stale.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<Arc<Held<V>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let held = self.entries.get(key).filter(|held| held.is_usable(Instant::now()));
        self.follow();
        held
    }

    /// How many invalidations there have been: to be asked before a load, and said when it is stored.
    pub(super) fn mark(&self) -> u64 {
        self.recent().count
    }

    /// Whether this was invalidated between two [marks](Self::mark).
    pub(super) fn has_invalidated(&self, between: Range<u64>, key: &K, tags: &[Box<str>]) -> bool {
        !between.is_empty() && self.recent().has_invalidated(between, key, tags)
    }

    /// Remembers what was read or loaded, unless it was invalidated since. Says whether it was remembered.
    pub(super) fn put(&self, since: u64, key: K, held: Arc<Held<V>>) -> bool {
        // The lock is held over both, so that an invalidation comes either before, and is seen, or after, and removes it.
        let recent = self.recent();
        let overtaken = recent.has_invalidated(since..recent.count, &key, &held.tags);
        if !overtaken {
            self.entries.insert(key, held);
            self.follow();
        }
        !overtaken
    }

    /// Forgets what is older than something that began since and cannot be remembered, unless that was invalidated.
    pub(super) fn forget(&self, since: u64, key: &K, tags: &[Box<str>]) {
        let recent = self.recent();
        if !recent.has_invalidated(since..recent.count, key, tags) {
            self.entries.invalidate(key);
            self.follow();
        }
    }

    /// Forgets. A tag takes a walk over all entries, during which nothing is stored.
    pub(super) fn invalidate(&self, what: &Invalidation<K>) {
        let mut recent = self.recent();
        recent.push(what.clone());
        match what {
            Invalidation::Key(key) => self.entries.invalidate(key),
            Invalidation::Tag(tag) => {
                for (key, held) in &self.entries {
                    if held.tags.contains(tag) {
                        self.entries.invalidate(&*key);
                    }
                }
            }
            Invalidation::All => self.entries.invalidate_all(),
        }
        self.follow();
    }

    fn recent(&self) -> MutexGuard<'_, Recent<K>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self) {
        self.metrics.follow_entries(|| self.entries.entry_count());
    }
}

impl<K: PartialEq> Recent<K> {
    fn push(&mut self, what: Invalidation<K>) {
        if self.last.len() == RECENT {
            self.last.pop_front();
        }
        self.last.push_back(what);
        self.count += 1;
    }

    /// Whether one of those between two marks is about this.
    fn has_invalidated(&self, between: Range<u64>, key: &K, tags: &[Box<str>]) -> bool {
        let forgotten = self.count - self.last.len() as u64;
        let within = |number: u64| usize::try_from(number.saturating_sub(forgotten)).unwrap_or(usize::MAX);
        between.start < forgotten
            || self.last.iter().take(within(between.end)).skip(within(between.start)).any(|what| match what {
                Invalidation::Key(invalid) => invalid == key,
                Invalidation::Tag(tag) => tags.contains(tag),
                Invalidation::All => true,
            })
    }
}

/// Lets moka drop what can be served no more.
struct AtItsEnd;

impl<K, V> Expiry<K, Arc<Held<V>>> for AtItsEnd {
    fn expire_after_create(&self, _: &K, held: &Arc<Held<V>>, _: StdInstant) -> Option<Duration> {
        Some(held.stale_until.saturating_duration_since(Instant::now()))
    }

    fn expire_after_update(&self, _: &K, held: &Arc<Held<V>>, _: StdInstant, _: Option<Duration>) -> Option<Duration> {
        Some(held.stale_until.saturating_duration_since(Instant::now()))
    }
}
