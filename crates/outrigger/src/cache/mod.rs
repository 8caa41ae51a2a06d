//! Cache metrics: hits, misses, and what it costs to fill the cache.
//!
//! ```
//! use std::collections::HashMap;
//! use outrigger::{Metrics, cache::CountedCache};
//!
//! struct Names {
//!     cached: CountedCache<HashMap<u64, String>>,
//! }
//!
//! impl Names {
//!     async fn name(&mut self, id: u64) -> Result<String, std::io::Error> {
//!         if let Some(name) = self.cached.lookup(|names| names.get(&id)) {
//!             return Ok(name.clone());
//!         }
//!         let name = self.cached.metrics().load(read_name(id)).await?;
//!         self.cached.update(|names| names.insert(id, name.clone()));
//!         Ok(name)
//!     }
//! }
//!
//! async fn read_name(id: u64) -> Result<String, std::io::Error> {
//!     Ok(format!("name {id}"))
//! }
//!
//! let names = Names { cached: CountedCache::new(&Metrics::global(), "names", HashMap::new()) };
//! # let _ = names;
//! ```
//!
//! | for | take |
//! |---|---|
//! | moka's caches | [`MokaCache`], [`MokaSyncCache`] (feature `moka`): all of it by itself |
//! | a cache that loads by itself | [`ReadThrough`] (feature `read-through`): see [`read_through`] |
//! | look-ups in Redis | [`TimedRedis::count_look_ups`](crate::redis::TimedRedis::count_look_ups) (feature `redis`) |
//! | a map, an LRU, any cache of one's own | [`CountedCache`], after the two lines of [`CacheSize`] |
//! | what no wrapper fits | [`CacheMetrics`]: [`observe`](CacheMetrics::observe), [`load`](CacheMetrics::load), [`evicted`](CacheMetrics::evicted) ... |
//!
//! # What it emits
//!
//! All with `cache_name`: caches of one name write to the same series. Beyond a thousand names all others share
//! `_other`, counted in `outrigger_series_dropped_total`.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `cache_requests_total` | counter | `cache_result` = `hit`, `miss` |
//! | `cache_load_duration_seconds` | histogram | `error_type` on failure: `error`, `cancelled` (dropped before its end), `panic` |
//! | `cache_evictions_total` | counter | `cache_eviction_cause` = `expired`, `explicit`, `replaced`, `size` |
//! | `cache_entries` | gauge | |
//! | `cache_size_bytes` | gauge, where the cache knows | |
//!
//! A look-up that waits for another's load of the same key is a miss: the value was not there. So misses may exceed
//! loads, and the difference is what single flight saved.
//!
//! # Cost
//!
//! Counting a look-up is one atomic addition through a handle that is kept. The gauges are followed at every call and
//! written when they have changed, so that they are never older than the last call; while they have not, that is a
//! comparison. Nothing is allocated.

mod counted;
mod load;
mod metrics;
#[cfg(feature = "moka")]
mod moka;
#[cfg(feature = "read-through")]
pub mod read_through;

pub use self::counted::{CacheSize, CountedCache};
pub use self::load::Load;
pub(crate) use self::metrics::CacheSeries;
pub use self::metrics::{CacheMetrics, EvictionCause};
#[cfg(feature = "moka")]
pub use self::moka::{MokaCache, MokaSyncCache};
#[cfg(feature = "read-through")]
pub use self::read_through::{ReadThrough, ReadThroughBuilder};
