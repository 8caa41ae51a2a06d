//! moka's sync cache.

use std::borrow::{Borrow, Cow};
use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use ::moka::sync::{Cache, CacheBuilder};
use ::moka::{Entry, PredicateError};

use super::Followed;
use crate::Metrics;
use crate::cache::CacheMetrics;

/// A [`moka::sync::Cache`] whose look-ups, loads, evictions and size are counted. A cheap clone, as the cache itself.
///
/// The sibling of [`MokaCache`](super::MokaCache) for code that is not async: the same methods, and loads that block.
///
/// ```
/// use outrigger::{Metrics, cache::MokaSyncCache};
///
/// # fn example() -> Result<(), std::sync::Arc<std::io::Error>> {
/// let pages = moka::sync::Cache::builder()
///     .max_capacity(64 << 20)
///     .weigher(|name: &String, page: &String| (name.len() + page.len()).try_into().unwrap_or(u32::MAX));
/// let pages = MokaSyncCache::build(&Metrics::global(), "pages", pages).weighed_in_bytes();
/// let page = pages.try_get_with("index".to_owned(), || std::fs::read_to_string("index.html"))?;
/// # Ok(())
/// # }
/// ```
pub struct MokaSyncCache<K, V, S = RandomState> {
    cache: Cache<K, V, S>,
    followed: Followed,
}

impl<K, V> MokaSyncCache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Builds a cache whose look-ups and evictions are counted, under the given name.
    ///
    /// A cache can be listened to only from when it is built: `cache_evictions_total` is what this has over
    /// [`new`](Self::new). It takes the place of the builder's own eviction listener; a program that needs one of its
    /// own calls [`CacheMetrics::evicted`] there and takes [`with_metrics`](Self::with_metrics).
    #[must_use]
    pub fn build(
        metrics: &Metrics,
        name: impl Into<Cow<'static, str>>,
        builder: CacheBuilder<K, V, Cache<K, V, RandomState>>,
    ) -> Self {
        let metrics = CacheMetrics::new(metrics, name);
        metrics.count_evictions();
        let evictions = metrics.clone();
        let builder = builder.eviction_listener(move |_, _, cause| evictions.evicted(cause.into()));
        Self::with_metrics(metrics, builder.build())
    }
}

impl<K, V, S> MokaSyncCache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Clone + Send + Sync + 'static,
{
    /// Counts the look-ups of a cache, under the given name.
    #[must_use]
    pub fn new(metrics: &Metrics, name: impl Into<Cow<'static, str>>, cache: Cache<K, V, S>) -> Self {
        Self::with_metrics(CacheMetrics::new(metrics, name), cache)
    }

    /// Counts the look-ups of a cache in metrics that exist, such as those that its eviction listener holds.
    #[must_use]
    pub fn with_metrics(metrics: CacheMetrics, cache: Cache<K, V, S>) -> Self {
        let counted = Self { cache, followed: Followed::new(metrics) };
        counted.follow();
        counted
    }

    /// Says that the cache's weigher counts bytes, so that moka's weighted size is `cache_size_bytes`. Without a word
    /// there is no such gauge: a weight can be anything.
    #[must_use]
    pub fn weighed_in_bytes(mut self) -> Self {
        self.followed.bytes = true;
        self.follow();
        self
    }

    /// The value of a key, if it is there.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let value = self.cache.get(key);
        let (entries, weight) = (|| self.cache.entry_count(), || self.cache.weighted_size());
        self.followed.looked_up(value.is_some(), entries, weight);
        value
    }

    /// The value of a key, loaded if it is not there. Callers that ask for one key at a time share one load.
    pub fn get_with(&self, key: K, load: impl FnOnce() -> V) -> V {
        if let Some(value) = self.get(&key) {
            return value;
        }
        let value = self.cache.get_with(key, self.infallible(load));
        self.follow();
        value
    }

    /// As [`get_with`](Self::get_with), with a key that is cloned only when it is not there.
    pub fn get_with_by_ref<Q>(&self, key: &Q, load: impl FnOnce() -> V) -> V
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(value) = self.get(key) {
            return value;
        }
        let value = self.cache.get_with_by_ref(key, self.infallible(load));
        self.follow();
        value
    }

    /// The value of a key, loaded if it is not there. Callers that ask for one key at a time share one load; a failed
    /// load leaves nothing behind.
    ///
    /// # Errors
    /// The load's, shared by all callers that waited for it.
    pub fn try_get_with<E>(&self, key: K, load: impl FnOnce() -> Result<V, E>) -> Result<V, Arc<E>>
    where
        E: Send + Sync + 'static,
    {
        if let Some(value) = self.get(&key) {
            return Ok(value);
        }
        let value = self.cache.try_get_with(key, || self.followed.metrics.load_blocking(load));
        self.follow();
        value
    }

    /// As [`try_get_with`](Self::try_get_with), with a key that is cloned only when it is not there.
    ///
    /// # Errors
    /// The load's, shared by all callers that waited for it.
    pub fn try_get_with_by_ref<E, Q>(&self, key: &Q, load: impl FnOnce() -> Result<V, E>) -> Result<V, Arc<E>>
    where
        E: Send + Sync + 'static,
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let value = self.cache.try_get_with_by_ref(key, || self.followed.metrics.load_blocking(load));
        self.follow();
        value
    }

    /// The value of a key, loaded if it is not there. A load that finds nothing is no failure, and leaves nothing
    /// behind.
    pub fn optionally_get_with(&self, key: K, load: impl FnOnce() -> Option<V>) -> Option<V> {
        if let Some(value) = self.get(&key) {
            return Some(value);
        }
        let value = self.cache.optionally_get_with(key, self.infallible(load));
        self.follow();
        value
    }

    /// moka's entry of a key, its value loaded if it is not there: a hit when it was.
    ///
    /// For what only the entry tells: [`is_fresh`](Entry::is_fresh), [`key`](Entry::key). It looks twice, so
    /// [`get_with`](Self::get_with) is cheaper. What moka's entry API does beyond that (compute, replace) is reached
    /// through [`inner`](Self::inner).
    pub fn entry_or_insert_with(&self, key: K, load: impl FnOnce() -> V) -> Entry<K, V> {
        let known = self.cache.contains_key(&key);
        let entry = self.cache.entry(key).or_insert_with(self.infallible(load));
        // Whoever waited for another's load is no hit: the value was not there.
        let (entries, weight) = (|| self.cache.entry_count(), || self.cache.weighted_size());
        self.followed.looked_up(known && !entry.is_fresh(), entries, weight);
        entry
    }

    /// Puts a value into the cache.
    pub fn insert(&self, key: K, value: V) {
        self.cache.insert(key, value);
        self.follow();
    }

    /// Removes a key.
    pub fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.invalidate(key);
        self.follow();
    }

    /// Removes a key and gives what it had. This is no look-up, and not counted as one.
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let value = self.cache.remove(key);
        self.follow();
        value
    }

    /// Removes everything.
    pub fn invalidate_all(&self) {
        self.cache.invalidate_all();
        self.follow();
    }

    /// Removes what the predicate is true of, as moka comes to it.
    ///
    /// # Errors
    /// moka's, when the cache was built without `support_invalidation_closures`.
    pub fn invalidate_entries_if(
        &self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
    ) -> Result<(), PredicateError> {
        self.cache.invalidate_entries_if(predicate)?;
        self.follow();
        Ok(())
    }

    /// Has moka do what it has put off, and brings the gauges up to date: for a cache that nobody asks for long, whose
    /// expired entries are counted until then.
    pub fn run_pending_tasks(&self) {
        self.cache.run_pending_tasks();
        self.follow();
    }

    /// The cache itself; what is looked up there is not counted.
    #[must_use]
    pub fn inner(&self) -> &Cache<K, V, S> {
        &self.cache
    }

    /// The metrics, for what is counted beside.
    #[must_use]
    pub fn metrics(&self) -> &CacheMetrics {
        &self.followed.metrics
    }

    fn infallible<T>(&self, load: impl FnOnce() -> T) -> impl FnOnce() -> T {
        move || match self.followed.metrics.load_blocking(|| Ok::<T, Infallible>(load())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    fn follow(&self) {
        self.followed.follow(|| self.cache.entry_count(), || self.cache.weighted_size());
    }
}

// Derived, it would ask for clonable keys and values.
impl<K, V, S: Clone> Clone for MokaSyncCache<K, V, S> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), followed: self.followed.clone() }
    }
}

impl<K, V, S> fmt::Debug for MokaSyncCache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaSyncCache").field("metrics", &self.followed.metrics).finish_non_exhaustive()
    }
}
