//! A load that is timed, however it ends.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use pin_project_lite::pin_project;

use super::CacheMetrics;
use super::metrics::LoadOutcome;

pin_project! {
    /// The future of [`CacheMetrics::load`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Load<F> {
        clock: Clock,
        #[pin]
        load: F,
    }
}

impl<F> Load<F> {
    pub(super) fn new(metrics: CacheMetrics, load: F) -> Self {
        Self { clock: Clock { metrics, start: None, running: false }, load }
    }
}

impl<F, T, E> Future for Load<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.clock.start.get_or_insert_with(Instant::now);
        this.clock.running = true;
        let output = this.load.poll(cx);
        this.clock.running = false;
        let output = ready!(output);
        this.clock.stop(if output.is_ok() { LoadOutcome::Loaded } else { LoadOutcome::Error });
        Poll::Ready(output)
    }
}

impl<F> fmt::Debug for Load<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("cache", &self.clock.metrics).finish_non_exhaustive()
    }
}

pub(super) struct Clock {
    metrics: CacheMetrics,
    /// Set from the first poll to the end.
    start: Option<Instant>,
    /// Set while the load's code runs: dropped now means that it panicked.
    running: bool,
}

impl Clock {
    /// One that runs already, for a load that blocks.
    pub(super) fn started(metrics: CacheMetrics) -> Self {
        Self { metrics, start: Some(Instant::now()), running: true }
    }

    pub(super) fn stop(&mut self, outcome: LoadOutcome) {
        if let Some(start) = self.start.take() {
            self.metrics.loaded(outcome, start.elapsed().as_secs_f64());
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.stop(if self.running { LoadOutcome::Panic } else { LoadOutcome::Cancelled });
    }
}
