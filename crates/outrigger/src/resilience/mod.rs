//! Timeouts, retries and circuit breakers round the calls to a dependency, counted, so that a failing dependency is visible
//! from its caller.
//!
//! ```
//! use std::time::Duration;
//! use outrigger::{Metrics, resilience::{BreakerSettings, RetrySettings}};
//! use tower::{ServiceBuilder, ServiceExt, retry::RetryLayer, service_fn};
//!
//! # async fn ask(question: u32) -> Result<u32, std::io::Error> { Ok(question) }
//! # async fn query() -> Result<u32, std::io::Error> { Ok(7) }
//! async fn run(metrics: &Metrics) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     let payments = metrics.dependency("payments");
//!     let breaker = payments.breaker(BreakerSettings::default());
//!
//!     // As tower layers, the outermost first: each attempt has its timeout, and the breaker sees each attempt. What the
//!     // breaker rejects is not tried again.
//!     let client = ServiceBuilder::new()
//!         .layer(RetryLayer::new(payments.retry(RetrySettings::default())))
//!         .layer(breaker.layer())
//!         .layer(payments.timeout_layer(Duration::from_secs(2)))
//!         .service(service_fn(ask));
//!     client.oneshot(7).await?;
//!
//!     // As plain calls, for anything that is no service.
//!     let answer = breaker.call(payments.timeout(Duration::from_secs(2), query())).await?;
//! #   answer?;
//!     Ok(())
//! }
//! ```
//!
//! # What it emits
//!
//! All with `dependency`.
//!
//! | metric | kind | from |
//! |---|---|---|
//! | `resilience_timeouts_total` | counter | [`Dependency::timeout`], [`TimeoutLayer`] |
//! | `resilience_retries_total` | counter | [`RetryPolicy`]: attempts after the first, each as it begins |
//! | `resilience_retries_exhausted_total` | counter, `reason` = `attempts`, `budget` | [`RetryPolicy`]: calls that failed and were not tried again, though their failure was of that kind |
//! | `resilience_breaker_state` | gauge, 1 for the `breaker_state` that it is in, of `closed`, `open`, `half_open`, 0 for the others | [`Breaker`] |
//! | `resilience_breaker_transitions_total` | counter, `breaker_state`: the new one | [`Breaker`] |
//! | `resilience_breaker_calls_total` | counter, `breaker_result` = `success`, `failure`, `rejected`, `cancelled` | [`Breaker`] |
//!
//! An open breaker becomes half open with the first call that comes after its time, and says so then.
//!
//! # Cost
//!
//! A call through a breaker takes its lock twice, for a few instructions each time, and adds to one counter. A timeout is a
//! timer of Tokio's. What is retried is cloned for each attempt.
//!
//! # Limits
//!
//! 1,000 names for each [`Metrics`], then `_other`, counted in `outrigger_series_dropped_total`. A name is one that the
//! code gives, never a user's. A name stands for one breaker: two of one name overwrite each other's state.

mod breaker;
mod classify;
mod machine;
mod retry;
mod series;
mod timeout;

use std::fmt;
use std::sync::Arc;

pub use self::breaker::{
    Breaker, BreakerFuture, BreakerLayer, BreakerService, BreakerSettings, CallError, Rejected, State,
};
pub use self::classify::{Classify, OnError, UnlessRejected};
pub use self::retry::{RetryDelay, RetryPolicy, RetrySettings};
pub(crate) use self::series::Series;
pub use self::timeout::{TimeoutFuture, TimeoutLayer, TimeoutService};
pub use crate::backoff::Backoff;

use crate::Metrics;

impl Metrics {
    /// What the service calls by this name. See [`resilience`](crate::resilience).
    #[must_use]
    pub fn dependency(&self, name: &str) -> Dependency {
        let series = self.dependencies().get(self, name, Series::new);
        Dependency { shared: Arc::new(Shared { metrics: self.clone(), series }) }
    }
}

/// Something that the service calls, by its name. A cheap clone. See the [module](self).
#[derive(Clone)]
pub struct Dependency {
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Metrics,
    series: Arc<Series>,
}

impl Dependency {
    /// The name, or `_other` past the cap.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.series.name()
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// What a service's error becomes where a layer has errors of its own.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
