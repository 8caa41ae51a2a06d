//! Any cache, its look-ups counted.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::CacheMetrics;
use crate::Metrics;

/// What a cache can say of its size: all that [`CountedCache`] asks of it.
///
/// Two lines for a cache of one's own, here for an `Lru` that has a `len`:
///
/// ```
/// # struct Lru(Vec<(u64, String)>);
/// # impl Lru { fn len(&self) -> usize { self.0.len() } }
/// impl outrigger::cache::CacheSize for Lru {
///     fn entries(&self) -> u64 { self.len() as u64 }
/// }
/// ```
pub trait CacheSize {
    /// Entries held now.
    fn entries(&self) -> u64;

    /// Bytes held now, if the cache knows. Defaults to `None`: there is no `cache_size_bytes` then.
    fn size_bytes(&self) -> Option<u64> {
        None
    }
}

impl<K, V, S> CacheSize for HashMap<K, V, S> {
    fn entries(&self) -> u64 {
        self.len() as u64
    }
}

impl<K, V> CacheSize for BTreeMap<K, V> {
    fn entries(&self) -> u64 {
        self.len() as u64
    }
}

/// A cache of any kind, its look-ups and its size counted.
///
/// Goes where the cache was: into the struct, or into the lock round it. One line where it is made, one word where it
/// is asked:
///
/// ```
/// use std::collections::HashMap;
/// use outrigger::{Metrics, cache::CountedCache};
///
/// let mut names = CountedCache::new(&Metrics::global(), "names", HashMap::new());
///
/// if names.lookup(|map| map.get(&42)).is_none() {
///     names.update(|map| map.insert(42, "paddle"));
/// }
/// ```
///
/// The gauges follow at each call of [`lookup_mut`](Self::lookup_mut) and [`update`](Self::update), which alone can
/// change the size, and cost a comparison while it stays the same.
pub struct CountedCache<C> {
    cache: C,
    metrics: CacheMetrics,
}

impl<C: CacheSize> CountedCache<C> {
    /// Counts the look-ups of a cache, under the given name.
    #[must_use]
    pub fn new(metrics: &Metrics, name: impl Into<Cow<'static, str>>, cache: C) -> Self {
        let counted = Self { cache, metrics: CacheMetrics::new(metrics, name) };
        counted.follow();
        counted
    }

    /// Looks a value up, and counts whether it was there.
    pub fn lookup<'a, T>(&'a self, find: impl FnOnce(&'a C) -> Option<T>) -> Option<T> {
        self.metrics.observe(find(&self.cache))
    }

    /// Looks a value up in a cache that changes by it, as an LRU does, and counts whether it was there.
    ///
    /// The value is owned or cloned, since the size is read after it.
    pub fn lookup_mut<T>(&mut self, find: impl FnOnce(&mut C) -> Option<T>) -> Option<T> {
        let found = self.metrics.observe(find(&mut self.cache));
        self.follow();
        found
    }

    /// Changes the cache: puts something in, takes something out.
    pub fn update<T>(&mut self, change: impl FnOnce(&mut C) -> T) -> T {
        let result = change(&mut self.cache);
        self.follow();
        result
    }

    /// The cache itself; what is looked up there is not counted.
    #[must_use]
    pub fn inner(&self) -> &C {
        &self.cache
    }

    /// The metrics, to time loads with.
    #[must_use]
    pub fn metrics(&self) -> &CacheMetrics {
        &self.metrics
    }

    fn follow(&self) {
        self.metrics.entries(self.cache.entries());
        if let Some(bytes) = self.cache.size_bytes() {
            self.metrics.size_bytes(bytes);
        }
    }
}

impl<C> fmt::Debug for CountedCache<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedCache").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}
