//! The settings of a read-through cache, and their defaults.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::entry::Lifetimes;
use super::remote::Remote;
use super::series::Series;
use super::{Loader, ReadThrough, Shared, TagsOf};
use crate::Metrics;

/// The settings of a [`ReadThrough`] cache. See the [module](super).
pub struct ReadThroughBuilder<K, V> {
    pub(super) name: Cow<'static, str>,
    pub(super) settings: Settings,
    tags: Option<TagsOf<K, V>>,
    /// Made last, when the series and all settings are known.
    pub(super) remote: Option<MakeRemote<K, V>>,
}

pub(super) type MakeRemote<K, V> = Box<dyn FnOnce(&Arc<Series>, &Settings) -> Arc<dyn Remote<K, V>> + Send>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) lifetimes: Lifetimes,
    pub(super) capacity: u64,
    pub(super) limit: usize,
    pub(super) refreshes: usize,
    pub(super) load_timeout: Duration,
    pub(super) retry_refresh: Duration,
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "set for Redis"))]
    pub(super) redis_timeout: Duration,
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "set for Redis"))]
    pub(super) sync_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lifetimes: Lifetimes {
                ttl: Duration::from_secs(60),
                jitter: 0.1,
                stale: Duration::ZERO,
                negative_ttl: Duration::ZERO,
            },
            capacity: 10_000,
            limit: 10_000,
            refreshes: 64,
            load_timeout: Duration::from_secs(30),
            retry_refresh: Duration::from_secs(1),
            redis_timeout: Duration::from_millis(50),
            sync_interval: Duration::from_secs(1),
        }
    }
}

impl<K, V> ReadThroughBuilder<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache of this name: the label `cache_name`, and the prefix of its keys in Redis.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), settings: Settings::default(), tags: None, remote: None }
    }

    /// How long a value is fresh. Defaults to 60 s.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.lifetimes.ttl = ttl;
        self
    }

    /// The share of the time to live, from 0 to 1, that chance takes off at most, so that what was loaded together does
    /// not expire together. Defaults to 0.1: a TTL of 60 s is one of 54 to 60 s.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.settings.lifetimes.jitter = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// How long after its time to live a value is still served, while one refresh runs in the background. Defaults to
    /// zero: the one who asks waits for the load.
    #[must_use]
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.settings.lifetimes.stale = window;
        self
    }

    /// How long it is remembered that there is no value (the loader's `Ok(None)`). Defaults to zero: every look-up of
    /// such a key loads.
    #[must_use]
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.settings.lifetimes.negative_ttl = ttl;
        self
    }

    /// Entries that are held in memory, absent ones included. Defaults to 10,000.
    #[must_use]
    pub fn capacity(mut self, entries: u64) -> Self {
        self.settings.capacity = entries;
        self
    }

    /// Loads that may run at a time, and look-ups that may wait for one: each at most this many, the rest is refused
    /// with [`ReadError::Overloaded`](super::ReadError::Overloaded) and counted in `cache_rejected_total`. Defaults to
    /// 10,000. Of refreshes in the background, at most 64 run at a time.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.settings.limit = limit;
        self.settings.refreshes = self.settings.refreshes.min(limit);
        self
    }

    /// The longest that a load may take. Defaults to 30 s.
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.settings.load_timeout = timeout;
        self
    }

    /// What an entry is about, so that it goes when one of it does: see
    /// [`invalidate_tag`](ReadThrough::invalidate_tag). An absence (`None`) can have tags too. At most 64 of up to
    /// 1 KiB each are kept; what has more is not cached.
    ///
    /// ```
    /// # use outrigger::cache::ReadThroughBuilder;
    /// # #[derive(Clone)] struct Product { category: u32 }
    /// let products = ReadThroughBuilder::<u64, Product>::new("products")
    ///     .tags(|_id, product| product.iter().map(|product| format!("category:{}", product.category)).collect());
    /// # let _ = products;
    /// ```
    #[must_use]
    pub fn tags(mut self, tags: impl Fn(&K, Option<&V>) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.tags = Some(Box::new(tags));
        self
    }

    /// The cache, with what loads a value that no tier has: `Ok(None)` when there is none.
    ///
    /// The loader runs in a task of its own, so that a load that has begun comes to its end even when all who waited
    /// for it have gone.
    #[must_use]
    pub fn build<E, F, L>(self, metrics: &Metrics, load: L) -> ReadThrough<K, V, E>
    where
        E: Send + Sync + 'static,
        L: Fn(K) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Option<V>, E>> + Send + 'static,
    {
        let Self { name, settings, tags, remote } = self;
        let series = Arc::new(Series::new(metrics, name, remote.is_some()));
        let remote = remote.map(|make| make(&series, &settings));
        let load: Loader<K, V, E> = Box::new(move |key| Box::pin(load(key)));
        ReadThrough { shared: Arc::new(Shared::new(settings, series, tags, remote, load)) }
    }
}

impl<K, V> fmt::Debug for ReadThroughBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadThroughBuilder")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
