//! The task that reads a pool.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::{Pool, PoolMetrics};

/// How often a pool is read.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The task ends when this is dropped, and says itself that the pool is gone: nobody else could without racing with its
/// last sample.
pub(super) struct Sampler {
    _stop: Option<oneshot::Sender<()>>,
}

impl Sampler {
    pub(super) fn start(metrics: PoolMetrics, pool: impl Pool) -> Self {
        let Ok(runtime) = Handle::try_current() else {
            tracing::warn!(
                pool = metrics.name(),
                "pool::watch was called outside a Tokio runtime: the pool is not sampled"
            );
            return Self { _stop: None };
        };
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(sample_until(stopped, metrics, pool));
        Self { _stop: Some(stop) }
    }
}

async fn sample_until(mut stopped: oneshot::Receiver<()>, metrics: PoolMetrics, pool: impl Pool) {
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut stopped => break,
        }
        if pool.is_closed() {
            break;
        }
        metrics.set(pool.counts());
    }
    metrics.emptied();
}
