//! Request, database, cache, pool and process metrics for a Rust service, in a few lines.
//!
//! Install it once, add one layer, wrap the pool and the cache; the numbers come out on `/metrics` under the names of
//! the OpenTelemetry semantic conventions, which dashboards and alert rules already know.
//!
//! ```no_run
//! use axum::{Router, extract::Path, routing::get};
//! use outrigger::{cache::MokaCache, pool};
//! use sqlx::SqlitePool;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let metrics = outrigger::install()?; // the recorder, for the whole process
//!     metrics.serve_admin(); //              /metrics on 127.0.0.1:9464
//!
//!     let db = SqlitePool::connect("sqlite:shop.db").await?;
//!     let _watched = pool::watch(&metrics, "shop", &db); // how full the pool is
//!     let names = MokaCache::new(&metrics, "names", moka::future::Cache::new(10_000));
//!
//!     let timed = metrics.clone();
//!     let product = move |Path(id): Path<i64>| async move {
//!         let query = sqlx::query_scalar("SELECT name FROM products WHERE id = $1").bind(id);
//!         let name: Result<String, _> = names.try_get_with(id, query.fetch_one(timed.timed(&db))).await;
//!         name.map_err(|error| error.to_string())
//!     };
//!     let app = Router::new()
//!         .route("/products/{id}", get(product))
//!         .layer(metrics.http_layer()); // last, so that it sees every route
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! # The parts
//!
//! | feature | on by default | gives |
//! |---|---|---|
//! | `recorder` | yes | [`install()`], [`standalone()`], [`builder()`]: our recorder, of constant memory, with the right buckets |
//! | `admin` | yes | [`admin`]: `/metrics`, health and the service's own checks on a port of its own; needs Tokio |
//! | `http` | yes | [`http`]: a tower layer for request metrics; needs no runtime |
//! | `process` | yes | [`process`]: CPU, memory, threads, descriptors |
//! | `exemplars` | no | the trace and span of the current request beside what it was counted in: see [below](#exemplars) |
//! | `exporter` | no | [`exporter`], [`prometheus_builder()`]: `metrics-exporter-prometheus` as the recorder instead, its upkeep running |
//! | `otlp` | no | [`otlp`]: a push of everything over OTLP/HTTP, without an agent; needs Tokio. `otlp-tls` adds https |
//! | `protobuf` | no | native histograms, in the format that Prometheus reads them in: see [below](#native-histograms) |
//! | `db` | no | [`db`]: [`timed`](db::TimedExt) on any future of a database client; needs no driver and no runtime |
//! | `runtime` | no | [`runtime`]: how busy the Tokio runtime is, and how late it runs what is ready |
//! | `sqlx` | no | [`db`]: [`Timed`](db::Timed) round any executor; [`pool`]: pool metrics; needs Tokio |
//! | `client` | no | [`client`]: a tower layer for the calls that the service makes |
//! | `bb8`, `deadpool` | no | [`pool`]: their pools, those of Redis connections too. Any other pool: `pool` |
//! | `task` | no | [`task`]: background tasks, consumers of queues, periodic jobs; needs Tokio |
//! | `resilience` | no | [`resilience`]: retries, timeouts and circuit breakers, as tower layers and as plain calls; needs Tokio |
//! | `moka` | no | [`MokaCache`](cache::MokaCache), [`MokaSyncCache`](cache::MokaSyncCache) |
//! | `read-through` | no | [`cache::read_through`]: a cache that loads by itself, once for all who ask; needs Tokio |
//! | `redis` | no | [`redis`]: commands timed, look-ups counted; Redis behind the memory of a read-through cache |
//! | `profile` | no | [`profile`]: CPU profiles on the admin listener, as flame graphs or for pprof; the timing of single functions |
//! | `jemalloc` | no | `allocator`: what jemalloc says of itself, where the program runs on it; heap profiles, with `profile`; not in `full` |
//! | `full` | no | all of these |
//! | `reqwest-middleware` | no | the layer of [`client`] as a middleware of reqwest |
//!
//! [`cache::CountedCache`] and [`cache::CacheMetrics`], for a cache of any kind, need no feature.
//!
//! # With a recorder of your own
//!
//! Everything writes through the [`metrics`](https://docs.rs/metrics) facade, to whatever recorder is installed: leave
//! out [`install()`] and use [`Metrics::global()`], or give one explicitly to [`Metrics::with_recorder()`], as tests do:
//!
//! ```
//! # fn main() -> Result<(), outrigger::InstallError> {
//! let metrics = outrigger::standalone()?; // as install(), but not global
//! let cache = outrigger::cache::CacheMetrics::new(&metrics, "names");
//! cache.hit();
//! let page = metrics.render().unwrap_or_default();
//! assert!(page.contains(r#"cache_requests_total{cache_name="names",cache_result="hit"} 1"#));
//! # Ok(())
//! # }
//! ```
//!
//! Handles are kept here. Our recorder's [`idle_timeout`](Builder::idle_timeout) goes well with that; another recorder's
//! may drop a series that a handle still writes to, and what is written then is lost.
//!
//! # Exemplars
//!
//! With the feature `exemplars`, an observation that is made while a sampled span of OpenTelemetry is current leaves the
//! span's trace and span id with the bucket that it fell into. The last one of each bucket is on a page that is asked
//! for as OpenMetrics, which Prometheus does; it keeps them with `--enable-feature=exemplar-storage`.
//!
//! A span of `tracing` is current while it is entered, when the subscriber has `tracing-opentelemetry`'s layer. For
//! request metrics, the layer that opens the span goes outside ours, that is after it:
//! `.layer(metrics.http_layer()).layer(TraceLayer::new_for_http())`. Inside, it would have left its span by the time
//! that ours sees the response.
//!
//! # Native histograms
//!
//! With the feature `protobuf`, the metrics that [`Builder::native_histogram`] names have exponential buckets too: no
//! bounds to choose, and quantiles within a few per cent over the whole range. Prometheus scrapes them with
//! `--enable-feature=native-histograms`; of these metrics it then leaves the classic buckets aside, unless the scrape
//! configuration says otherwise. Whoever asks for text gets the classic buckets as before.
//!
//! # Bounds
//!
//! Label values come from closed sets or are capped, and what does not fit is counted in
//! `outrigger_series_dropped_total`. No raw path, host, SQL text or bound value becomes a label. Every metric stands in
//! the catalogue, [`outrigger-semconv`](https://docs.rs/outrigger-semconv).

#![deny(missing_docs)]
#![cfg_attr(not(feature = "full"), allow(rustdoc::broken_intra_doc_links, reason = "the tour names every part"))]

#[cfg(feature = "admin")]
pub mod admin;
#[cfg(feature = "jemalloc")]
pub mod allocator;
#[cfg(any(feature = "resilience", feature = "task"))]
mod backoff;
mod build_info;
pub mod cache;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "db")]
pub mod db;
#[cfg(feature = "exporter")]
pub mod exporter;
#[cfg(feature = "http")]
pub mod http;
#[cfg(any(feature = "exporter", feature = "recorder"))]
mod install;
mod late;
#[cfg(any(feature = "db", feature = "http", feature = "task"))]
mod log_limit;
#[cfg(any(feature = "client", feature = "http"))]
mod message;
mod metrics;
mod named;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "pool")]
pub mod pool;
#[cfg(feature = "process")]
pub mod process;
#[cfg(feature = "profile")]
pub mod profile;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "resilience")]
pub mod resilience;
mod resource;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(any(feature = "client", feature = "db", feature = "http", feature = "profile", feature = "task"))]
mod series;
mod shutdown;
#[cfg(feature = "task")]
pub mod task;
#[cfg(any(feature = "exemplars", feature = "http"))]
mod trace;

pub use self::build_info::BuildInfo;
#[cfg(feature = "exporter")]
pub use self::exporter::prometheus_builder;
#[cfg(any(feature = "exporter", feature = "recorder"))]
pub use self::install::InstallError;
#[cfg(feature = "recorder")]
pub use self::install::{Builder, builder, install, standalone};
pub use self::metrics::Metrics;
pub use self::shutdown::Shutdown;
#[cfg(feature = "recorder")]
pub use outrigger_recorder::{BuildError, Matcher};

#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/migrating-from-axum-prometheus.md")]
pub mod migrating_from_axum_prometheus {}

/// The program of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
