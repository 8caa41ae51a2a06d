//! moka's future cache.

use std::borrow::{Borrow, Cow};
use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use ::moka::future::{Cache, CacheBuilder};
use ::moka::{Entry, PredicateError};

use super::Followed;
use crate::Metrics;
use crate::cache::CacheMetrics;

/// A [`moka::future::Cache`] whose look-ups, loads, evictions and size are counted. A cheap clone, as the cache itself.
///
/// moka keeps no statistics of its own. Values are loaded once per key however many callers ask at a time: its
/// `get_with` and `try_get_with` see to that. `cache_entries` follows moka's count at every call through this wrapper;
/// that count lags until its pending tasks have run.
///
/// ```
/// use outrigger::{Metrics, cache::MokaCache};
///
/// # async fn example() -> Result<(), std::sync::Arc<std::io::Error>> {
/// let products = moka::future::Cache::builder().max_capacity(10_000);
/// let products = MokaCache::build(&Metrics::global(), "products", products);
/// let name = products.try_get_with(42, async { read_product(42).await }).await?;
/// # Ok(())
/// # }
/// # async fn read_product(id: u64) -> std::io::Result<String> { Ok(format!("product {id}")) }
/// ```
///
/// A hit costs less than 60 instructions beyond moka's own and allocates nothing.
pub struct MokaCache<K, V, S = RandomState> {
    cache: Cache<K, V, S>,
    followed: Followed,
}

impl<K, V> MokaCache<K, V>
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

impl<K, V, S> MokaCache<K, V, S>
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
    pub async fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let value = self.cache.get(key).await;
        let (entries, weight) = (|| self.cache.entry_count(), || self.cache.weighted_size());
        self.followed.looked_up(value.is_some(), entries, weight);
        value
    }

    /// The value of a key, loaded if it is not there. Callers that ask for one key at a time share one load.
    pub async fn get_with(&self, key: K, load: impl Future<Output = V>) -> V {
        if let Some(value) = self.get(&key).await {
            return value;
        }
        let value = self.cache.get_with(key, self.infallible(load)).await;
        self.follow();
        value
    }

    /// As [`get_with`](Self::get_with), with a key that is cloned only when it is not there.
    pub async fn get_with_by_ref<Q>(&self, key: &Q, load: impl Future<Output = V>) -> V
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(value) = self.get(key).await {
            return value;
        }
        let value = self.cache.get_with_by_ref(key, self.infallible(load)).await;
        self.follow();
        value
    }

    /// The value of a key, loaded if it is not there. Callers that ask for one key at a time share one load; a failed
    /// load leaves nothing behind.
    ///
    /// # Errors
    /// The load's, shared by all callers that waited for it.
    pub async fn try_get_with<E>(&self, key: K, load: impl Future<Output = Result<V, E>>) -> Result<V, Arc<E>>
    where
        E: Send + Sync + 'static,
    {
        if let Some(value) = self.get(&key).await {
            return Ok(value);
        }
        let value = self.cache.try_get_with(key, self.followed.metrics.load(load)).await;
        self.follow();
        value
    }

    /// As [`try_get_with`](Self::try_get_with), with a key that is cloned only when it is not there.
    ///
    /// # Errors
    /// The load's, shared by all callers that waited for it.
    pub async fn try_get_with_by_ref<E, Q>(
        &self,
        key: &Q,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, Arc<E>>
    where
        E: Send + Sync + 'static,
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(value) = self.get(key).await {
            return Ok(value);
        }
        let value = self.cache.try_get_with_by_ref(key, self.followed.metrics.load(load)).await;
        self.follow();
        value
    }

    /// The value of a key, loaded if it is not there. A load that finds nothing is no failure, and leaves nothing
    /// behind.
    pub async fn optionally_get_with(&self, key: K, load: impl Future<Output = Option<V>>) -> Option<V> {
        if let Some(value) = self.get(&key).await {
            return Some(value);
        }
        let value = self.cache.optionally_get_with(key, self.infallible(load)).await;
        self.follow();
        value
    }

    /// moka's entry of a key, its value loaded if it is not there: a hit when it was.
    ///
    /// For what only the entry tells: [`is_fresh`](Entry::is_fresh), [`key`](Entry::key). It looks twice, so
    /// [`get_with`](Self::get_with) is cheaper. What moka's entry API does beyond that (compute, replace) is reached
    /// through [`inner`](Self::inner).
    pub async fn entry_or_insert_with(&self, key: K, load: impl Future<Output = V>) -> Entry<K, V> {
        let known = self.cache.contains_key(&key);
        let entry = self.cache.entry(key).or_insert_with(self.infallible(load)).await;
        // Whoever waited for another's load is no hit: the value was not there.
        let (entries, weight) = (|| self.cache.entry_count(), || self.cache.weighted_size());
        self.followed.looked_up(known && !entry.is_fresh(), entries, weight);
        entry
    }

    /// Puts a value into the cache.
    pub async fn insert(&self, key: K, value: V) {
        self.cache.insert(key, value).await;
        self.follow();
    }

    /// Removes a key.
    pub async fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.invalidate(key).await;
        self.follow();
    }

    /// Removes a key and gives what it had. This is no look-up, and not counted as one.
    pub async fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let value = self.cache.remove(key).await;
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
    pub async fn run_pending_tasks(&self) {
        self.cache.run_pending_tasks().await;
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

    async fn infallible<T>(&self, load: impl Future<Output = T>) -> T {
        match self.followed.metrics.load(async { Ok::<T, Infallible>(load.await) }).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    fn follow(&self) {
        self.followed.follow(|| self.cache.entry_count(), || self.cache.weighted_size());
    }
}

// Derived, it would ask for clonable keys and values.
impl<K, V, S: Clone> Clone for MokaCache<K, V, S> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), followed: self.followed.clone() }
    }
}

impl<K, V, S> fmt::Debug for MokaCache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaCache").field("metrics", &self.followed.metrics).finish_non_exhaustive()
    }
}
