//! A task that is woken from outside and says how late it ran.

use std::time::{Duration, Instant};

use ::metrics::{Histogram, Label};
use outrigger_semconv::{label, runtime};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::PROBE_INTERVAL;
use crate::Metrics;
use crate::late::Late;
use crate::metrics::register_histogram;

/// The sending half.
pub(super) struct Probe {
    /// Holds one: while that waits to be taken, no other is sent.
    task: mpsc::Sender<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    /// The one before has not arrived.
    NotYet,
    /// The task was dropped, and with it the runtime.
    RuntimeEnded,
}

impl Probe {
    pub(super) fn start(metrics: &Metrics, name: &str, runtime: &Handle) -> Self {
        let (task, arrivals) = mpsc::channel(1);
        runtime.spawn(receive(arrivals, metrics.clone(), name.to_owned()));
        Self { task }
    }

    pub(super) fn send(&self) -> Sent {
        match self.task.try_send(Instant::now()) {
            Ok(()) => Sent::Yes,
            Err(TrySendError::Full(_)) => Sent::NotYet,
            Err(TrySendError::Closed(_)) => Sent::RuntimeEnded,
        }
    }
}

async fn receive(mut arrivals: mpsc::Receiver<Instant>, metrics: Metrics, name: String) {
    let delay: Late<Histogram> = Late::default();
    while let Some(sent) = arrivals.recv().await {
        let late = sent.elapsed();
        let histogram = delay.get(&metrics, |recorder| {
            let labels = vec![Label::new(label::TOKIO_RUNTIME_NAME, name.clone())];
            register_histogram(recorder, &runtime::SCHEDULING_DELAY, labels)
        });
        for late in with_the_unsent(late) {
            histogram.record(late.as_secs_f64());
        }
    }
}

/// The delay of a probe, and of those that could not be sent while it was under way.
fn with_the_unsent(late: Duration) -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(late), |late| late.checked_sub(PROBE_INTERVAL).filter(|rest| !rest.is_zero()))
        .take(UNSENT_LIMIT)
}

/// A standstill beyond ten minutes adds no more.
const UNSENT_LIMIT: usize = 2400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_counts_as_all_the_probes_that_it_held_up() {
        let ms = Duration::from_millis;
        let counted = |late| with_the_unsent(late).collect::<Vec<_>>();
        assert_eq!(counted(Duration::ZERO), [Duration::ZERO]);
        assert_eq!(counted(ms(249)), [ms(249)]);
        assert_eq!(counted(ms(250)), [ms(250)]);
        assert_eq!(counted(ms(800)), [ms(800), ms(550), ms(300), ms(50)]);
        assert_eq!(counted(Duration::MAX).len(), UNSENT_LIMIT);
    }
}
