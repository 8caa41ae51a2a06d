//! The task that reads a pool.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::{Counts, Pool, PoolMetrics};

/// How often a pool is read.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// One watch of a pool: what is its own, where another of the name may write to the same series, as it does for a moment
/// when a pool is replaced.
pub(super) struct Watch {
    pub(super) metrics: PoolMetrics,
    /// Says what the pool counts itself.
    pub(super) at_first: Counts,
    number: u64,
    /// Of the pool's own count of timeouts: what is counted here, or was there before.
    timeouts_seen: AtomicU64,
}

impl Watch {
    pub(super) fn new(metrics: PoolMetrics, at_first: Counts) -> Self {
        let number = metrics.next_watch();
        Self { metrics, at_first, number, timeouts_seen: AtomicU64::new(at_first.timeouts.unwrap_or_default()) }
    }

    fn set(&self, counts: Counts) {
        self.metrics.set_gauges(counts);
        self.count_timeouts(&counts);
    }

    pub(super) fn count_timeouts(&self, counts: &Counts) {
        self.metrics.count_timeouts(counts, &self.timeouts_seen);
    }

    fn end(&self) {
        // Else the series are the next pool's by now.
        if self.metrics.is_last_watch(self.number) {
            self.metrics.emptied(self.at_first.pending.is_some());
        }
    }
}

/// The task ends when this is dropped, and says itself that the pool is gone: nobody else could without racing with its
/// last sample.
pub(super) struct Sampler {
    _stop: Option<oneshot::Sender<()>>,
}

impl Sampler {
    pub(super) fn start(watch: Arc<Watch>, pool: impl Pool) -> Self {
        let Ok(runtime) = Handle::try_current() else {
            tracing::warn!(
                pool = watch.metrics.name(),
                "pool::watch was called outside a Tokio runtime: the pool is not sampled"
            );
            return Self { _stop: None };
        };
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(sample_until(stopped, watch, pool));
        Self { _stop: Some(stop) }
    }
}

async fn sample_until(mut stopped: oneshot::Receiver<()>, watch: Arc<Watch>, pool: impl Pool) {
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            _ = ticks.tick() => {}
        }
        if pool.is_closed() {
            break;
        }
        watch.set(pool.counts());
    }
    watch.end();
}
