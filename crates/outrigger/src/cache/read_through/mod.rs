//! A cache that loads what it does not have: single flight, stale-while-revalidate, negative caching, Redis behind
//! memory, invalidation by key and tag.
//!
//! ```
//! use std::time::Duration;
//! use outrigger::cache::ReadThroughBuilder;
//!
//! # async fn example(metrics: outrigger::Metrics) -> Result<(), Box<dyn std::error::Error>> {
//! let products = ReadThroughBuilder::<u64, String>::new("products")
//!     .ttl(Duration::from_secs(60))
//!     .stale_while_revalidate(Duration::from_secs(30))
//!     .negative_ttl(Duration::from_secs(5))
//!     .tags(|id, _product| vec![format!("shelf:{}", id % 10)])
//!     .build(&metrics, |id| async move { read_product(id).await });
//!
//! let product = products.get(&42).await?; // Some(product), or None where there is none
//! products.invalidate(&42).await; //         this one has changed
//! products.invalidate_tag("shelf:2").await; // all of this shelf have
//! # let _ = product;
//! # Ok(())
//! # }
//! # async fn read_product(id: u64) -> Result<Option<String>, std::io::Error> { Ok(Some(format!("product {id}"))) }
//! ```
//!
//! With the feature `redis`, [`ReadThroughBuilder::redis`] puts Redis behind the memory, for all processes together.
//!
//! # What happens at a look-up
//!
//! 1. **Memory** (moka) has it, fresh: that is the answer. Stale but within the window: that is the answer too, and one
//!    refresh begins in the background. Should it fail, the stale value is kept and the next refresh waits a second;
//!    should it find what cannot be remembered, such as an absence without a negative time to live, the value goes.
//! 2. **Single flight.** Nobody has begun to fetch this key: a task begins. Somebody has: wait for it. However many ask,
//!    there is one load. The task belongs to nobody: a caller that goes away strands no other, and after a load that
//!    panics all who waited get [`ReadError::Aborted`] and the next one loads again.
//! 3. **Redis**, if there is one, within its timeout. Whatever it does but answer is a miss there.
//! 4. **The loader**. Its error goes to all who waited and is not remembered; `Ok(None)` is, for the
//!    [negative time to live](ReadThroughBuilder::negative_ttl).
//!
//! # What it emits
//!
//! All with `cache_name`, beside what every [cache](super) emits. The cache as a whole counts a look-up once, as a hit
//! when no load was waited for, whichever tier had the value; so the ratio of hits is one of the whole.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `cache_tier_requests_total` | counter | `cache_tier` = `memory`, `redis`; `cache_result` |
//! | `cache_tier_errors_total` | counter | `cache_tier`, `error_type`: `timeout`, `io`, `decode` (bytes that are no value), Redis' prefixes: see [`redis`](crate::redis) |
//! | `cache_tier_skipped_total` | counter | `cache_tier`: operations left out while Redis was left alone |
//! | `cache_tier_available` | gauge | `cache_tier`: 0 while Redis is left alone |
//! | `cache_coalesced_total` | counter | look-ups that waited for another's load |
//! | `cache_stale_total`, `cache_absent_total` | counters | answers past their time; answers that there is nothing |
//! | `cache_refreshes_total` | counter | `outcome` = `success`, `failure` |
//! | `cache_rejected_total` | counter | `reason` = `load`, `wait`, `refresh`: what the [limit](ReadThroughBuilder::limit) refused |
//! | `cache_invalidations_total` | counter | `reason` = `key`, `tag`, `all` |
//!
//! A value that a refresh has replaced counts in `cache_evictions_total` as `replaced`.
//!
//! The series of tier `redis` are there only where there is one.
//!
//! # When Redis is down
//!
//! Look-ups go on with memory and the loader; nobody gets an error for it. An operation that takes longer than
//! [`redis_timeout`](ReadThroughBuilder::redis_timeout) is given up, and after three failures in a row Redis is left
//! alone: no look-up pays for it any more. A probe in the background, after 100 ms at first and at most 5 s, brings it
//! back. A look-up asks once where memory needs to be vouched for, and else up to three times: to tell invalidations
//! that are kept, for the entry, for its tags. Each has the timeout.
//!
//! An error that is an answer, such as `OOM`, does not count as being down where an entry is written. Where Redis
//! refuses an invalidation (`NOPERM`, `READONLY`, `OOM`) it is left alone at once, until it takes it: what is there
//! cannot be believed.
//!
//! # Consistency
//!
//! Every invalidation takes a number from a clock in Redis that only rises, and leaves it at the key or tag. An entry
//! carries the clock's reading from before its load, and is valid while no number of its key, its tags or the whole
//! cache is higher. So a load that was overtaken by an invalidation is never believed, whichever is stored first. A
//! number outlives every entry that it could be about, and then expires: what is kept is bounded by the invalidations
//! within one lifetime.
//!
//! - **Here** an invalidation holds when its call returns: look-ups that begin after it do not see what was there before.
//! - **In Redis** it holds at the same time, if Redis answers. If not, it is kept (1,024 of them; more become one of
//!   everything) and told before this process next believes Redis. A process that ends before that takes them along:
//!   then the time to live is the bound.
//! - **In other processes' memory** it holds within two [sync intervals](ReadThroughBuilder::sync_interval): an entry in
//!   memory is served only on knowledge of the clock that is no older, and looked up in Redis again when the clock has
//!   moved. So each invalidation costs one look into Redis for each entry that is used afterwards. With an interval of
//!   zero, every look-up asks for the clock. While Redis is left alone, processes do not hear of one another, and the
//!   time to live is the bound.
//! - **A Redis that lost its data** has lost its clock: what is in memory is looked up, and loaded, again.
//! - **A Redis that evicts** (`maxmemory-policy allkeys-*`) may forget a number before its entries. The least recently
//!   used goes first, and the numbers of entries that are read are read with them; a `volatile-ttl` policy takes the entries first.
//!
//! Without Redis, all of it is exact within the process.
//!
//! The time to live is told between processes by the clocks of their hosts, and cut off at the configured length.
//!
//! # Cost
//!
//! A hit in memory is moka's and three counters, without allocation; with Redis two uncontended locks more. A miss is a
//! task. A tag's invalidation walks over the entries in memory.
//!
//! # Limits
//!
//! Entries ([10,000](ReadThroughBuilder::capacity)), loads and waiting look-ups
//! ([10,000 each](ReadThroughBuilder::limit)), background refreshes (64), the length of a load
//! ([30 s](ReadThroughBuilder::load_timeout)), tags of an entry (64 of 1 KiB; with more it is not cached). A load that more
//! than 1,024 invalidations overtook is not remembered, as one that a single fitting one did. Needs Tokio: outside of a
//! runtime, what is not in memory is [`ReadError::Aborted`].

mod builder;
mod entry;
mod error;
mod flights;
mod local;
#[cfg(feature = "redis")]
mod redis;
mod remote;
mod series;
mod shared;

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

pub use self::builder::ReadThroughBuilder;
pub use self::error::ReadError;
#[cfg(feature = "redis")]
pub use self::redis::Codec;

use self::local::Invalidation;
use self::remote::Boxed;
use self::series::Tally;
use self::shared::Shared;

type Loader<K, V, E> = Box<dyn Fn(K) -> Boxed<'static, Result<Option<V>, E>> + Send + Sync>;
type TagsOf<K, V> = Box<dyn Fn(&K, Option<&V>) -> Vec<String> + Send + Sync>;

/// A cache that loads what it does not have. A cheap clone, made by [`ReadThroughBuilder::build`]. See the
/// [module](self).
pub struct ReadThrough<K, V, E> {
    shared: Arc<Shared<K, V, E>>,
}

impl<K, V, E> ReadThrough<K, V, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// The value of a key: from memory, from Redis, from the load that somebody else has begun, or loaded. `None` when
    /// there is none.
    ///
    /// The key may be what `K` lends, as a `&str` for a `String`. May be dropped at any time; a load that it has begun goes on for the others.
    ///
    /// # Errors
    /// When the value had to be loaded and could not be: see [`ReadError`].
    pub async fn get<Q>(&self, key: &Q) -> Result<Option<V>, ReadError<E>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + Sync + ?Sized,
    {
        Shared::get(&self.shared, key).await
    }

    /// Forgets a key: here at once, elsewhere within the bounds of [consistency](self#consistency). A load of it that
    /// is under way is not remembered.
    pub async fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + Sync + ?Sized,
    {
        self.shared.series.count(Tally::KeyInvalidated);
        self.shared.invalidate(&Invalidation::Key(key.to_owned())).await;
    }

    /// Forgets every entry that has this tag, as [`invalidate`](Self::invalidate) does.
    ///
    /// Walks over the entries in memory: some tens of microseconds per thousand.
    pub async fn invalidate_tag(&self, tag: &str) {
        self.shared.series.count(Tally::TagInvalidated);
        self.shared.invalidate(&Invalidation::Tag(tag.into())).await;
    }

    /// Forgets everything, as [`invalidate`](Self::invalidate) does.
    pub async fn invalidate_all(&self) {
        self.shared.series.count(Tally::AllInvalidated);
        self.shared.invalidate(&Invalidation::All).await;
    }
}

// Derived, it would ask for clonable keys, values and errors.
impl<K, V, E> Clone for ReadThrough<K, V, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, V, E> fmt::Debug for ReadThrough<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadThrough").field("metrics", &self.shared.series.overall).finish_non_exhaustive()
    }
}
