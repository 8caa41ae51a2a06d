//! moka's future cache with its look-ups counted.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use ::moka::future::Cache;

use super::CacheMetrics;
use crate::Metrics;

/// A [`moka::future::Cache`] whose look-ups, loads and size are counted. A cheap clone, as the cache itself.
///
/// moka keeps no statistics of its own. Values are loaded once per key however many callers ask at a time: its
/// `get_with` and `try_get_with` see to that. `cache_entries` follows at every call through this wrapper; moka's count
/// lags until its pending tasks have run.
///
/// ```
/// use outrigger::{Metrics, cache::MokaCache};
///
/// # async fn example() -> Result<(), std::sync::Arc<std::io::Error>> {
/// let products = MokaCache::new(&Metrics::global(), "products", moka::future::Cache::new(10_000));
/// let name = products.try_get_with(42, async { read_product(42).await }).await?;
/// # Ok(())
/// # }
/// # async fn read_product(id: u64) -> std::io::Result<String> { Ok(format!("product {id}")) }
/// ```
pub struct MokaCache<K, V, S = std::hash::RandomState> {
    cache: Cache<K, V, S>,
    metrics: CacheMetrics,
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
        let metrics = CacheMetrics::new(metrics, name);
        metrics.entries(cache.entry_count());
        Self { cache, metrics }
    }

    /// The value of a key, if it is there.
    pub async fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let value = self.cache.get(key).await;
        if value.is_some() {
            self.metrics.hit();
        } else {
            self.metrics.miss();
        }
        self.count_entries();
        value
    }

    /// The value of a key, loaded if it is not there. Callers that ask for one key at a time share one load.
    pub async fn get_with(&self, key: K, load: impl Future<Output = V>) -> V {
        if let Some(value) = self.get(&key).await {
            return value;
        }
        let load = self.metrics.load(async { Ok::<V, std::convert::Infallible>(load.await) });
        let load = async {
            match load.await {
                Ok(value) => value,
                Err(never) => match never {},
            }
        };
        let value = self.cache.get_with(key, load).await;
        self.count_entries();
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
        let value = self.cache.try_get_with(key, self.metrics.load(load)).await;
        self.count_entries();
        value
    }

    /// Puts a value into the cache.
    pub async fn insert(&self, key: K, value: V) {
        self.cache.insert(key, value).await;
        self.count_entries();
    }

    /// Removes a key.
    pub async fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.invalidate(key).await;
        self.count_entries();
    }

    /// Removes everything.
    pub fn invalidate_all(&self) {
        self.cache.invalidate_all();
        self.count_entries();
    }

    /// The cache itself; what is looked up there is not counted.
    #[must_use]
    pub fn inner(&self) -> &Cache<K, V, S> {
        &self.cache
    }

    fn count_entries(&self) {
        self.metrics.entries(self.cache.entry_count());
    }
}

// Derived, it would ask for clonable keys and values.
impl<K, V, S: Clone> Clone for MokaCache<K, V, S> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), metrics: self.metrics.clone() }
    }
}

impl<K, V, S> fmt::Debug for MokaCache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaCache").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}
