//! The thread that reads a runtime's counts and sends the probes: outside of the runtime, so that one which stands still
//! is seen to.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::metrics::{Counter, Gauge, Label};
use outrigger_semconv::{Metric, label, runtime};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::probe::{Probe, Sent};
use crate::Metrics;
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge};

/// How often the runtime's counts are read.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// How often a task is woken to see how late it runs.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// What is read and written, once for each metric.
struct Count<T> {
    metric: &'static Metric,
    read: fn(&RuntimeMetrics) -> u64,
    handle: Late<T>,
}

pub(super) struct Sampler {
    metrics: Metrics,
    name: Cow<'static, str>,
    runtime: RuntimeMetrics,
    stop: Arc<AtomicBool>,
    probe: Probe,
    gauges: Vec<Count<Gauge>>,
    counters: Vec<Count<Counter>>,
    #[cfg(target_has_atomic = "64")]
    busy: Busy,
}

/// The time that the workers were busy, and what it was at the last look.
#[cfg(target_has_atomic = "64")]
struct Busy {
    utilization: Late<Gauge>,
    time: Late<Counter>,
    last: Option<(Instant, Duration)>,
}

impl Sampler {
    pub(super) fn new(metrics: Metrics, name: Cow<'static, str>, handle: Handle, stop: Arc<AtomicBool>) -> Self {
        let probe = Probe::start(&metrics, &name, &handle);
        let (gauges, counters) = (gauges(), counters());
        Self {
            metrics,
            name,
            runtime: handle.metrics(),
            stop,
            probe,
            gauges,
            counters,
            #[cfg(target_has_atomic = "64")]
            busy: Busy { utilization: Late::default(), time: Late::default(), last: None },
        }
    }

    pub(super) fn run(mut self) {
        let mut sample_due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            if let Sent::RuntimeEnded = self.probe.send() {
                break;
            }
            let now = Instant::now();
            if now >= sample_due {
                self.sample(now);
                sample_due = now + SAMPLE_INTERVAL;
            }
            thread::park_timeout(PROBE_INTERVAL);
        }
    }

    fn sample(&mut self, now: Instant) {
        let labels = || vec![Label::new(label::TOKIO_RUNTIME_NAME, self.name.clone())];
        for Count { metric, read, handle } in &self.gauges {
            let gauge = handle.get(&self.metrics, |recorder| register_gauge(recorder, metric, labels()));
            #[allow(clippy::cast_precision_loss, reason = "no runtime has 2^53 tasks")]
            gauge.set(read(&self.runtime) as f64);
        }
        for Count { metric, read, handle } in &self.counters {
            let counter = handle.get(&self.metrics, |recorder| register_counter(recorder, metric, labels()));
            counter.absolute(read(&self.runtime));
        }
        #[cfg(target_has_atomic = "64")]
        {
            let workers = self.runtime.num_workers();
            let busy: Duration = (0..workers).map(|worker| self.runtime.worker_total_busy_duration(worker)).sum();
            let time = &self.busy.time;
            let time = time.get(&self.metrics, |recorder| register_counter(recorder, &runtime::BUSY_TIME, labels()));
            time.absolute(busy.as_secs());
            if let Some((then, before)) = self.busy.last.replace((now, busy)) {
                let gauge = &self.busy.utilization;
                let gauge =
                    gauge.get(&self.metrics, |recorder| register_gauge(recorder, &runtime::UTILIZATION, labels()));
                gauge.set(utilization(busy.saturating_sub(before), now - then, workers));
            }
        }
    }
}

/// The busy share of the time that the workers had. A worker adds what it did when it goes to sleep, so that a look may
/// find more than fits into the time since the last.
#[cfg(target_has_atomic = "64")]
fn utilization(busy: Duration, passed: Duration, workers: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "no machine has 2^53 threads")]
    let available = passed.as_secs_f64() * workers as f64;
    if available > 0.0 { (busy.as_secs_f64() / available).min(1.0) } else { 0.0 }
}

fn gauges() -> Vec<Count<Gauge>> {
    let gauge = |metric, read| Count { metric, read, handle: Late::default() };
    let mut gauges = vec![
        gauge(&runtime::WORKERS, |runtime| runtime.num_workers() as u64),
        gauge(&runtime::ALIVE_TASKS, |runtime| runtime.num_alive_tasks() as u64),
        gauge(&runtime::GLOBAL_QUEUE_DEPTH, |runtime| runtime.global_queue_depth() as u64),
    ];
    #[cfg(tokio_unstable)]
    gauges.extend([
        gauge(&runtime::BLOCKING_THREADS, |runtime| runtime.num_blocking_threads() as u64),
        gauge(&runtime::IDLE_BLOCKING_THREADS, |runtime| runtime.num_idle_blocking_threads() as u64),
        gauge(&runtime::BLOCKING_QUEUE_DEPTH, |runtime| runtime.blocking_queue_depth() as u64),
        gauge(&runtime::LOCAL_QUEUE_DEPTH, |runtime| {
            (0..runtime.num_workers()).map(|worker| runtime.worker_local_queue_depth(worker) as u64).sum()
        }),
    ]);
    gauges.shrink_to_fit();
    gauges
}

fn counters() -> Vec<Count<Counter>> {
    let mut counters = Vec::new();
    #[cfg(target_has_atomic = "64")]
    {
        let counter = |metric, read| Count { metric, read, handle: Late::default() };
        counters.push(counter(&runtime::PARKS, |runtime| {
            (0..runtime.num_workers()).map(|worker| runtime.worker_park_count(worker)).sum()
        }));
        #[cfg(tokio_unstable)]
        counters.extend([
            counter(&runtime::SPAWNED_TASKS, RuntimeMetrics::spawned_tasks_count),
            counter(&runtime::FORCED_YIELDS, RuntimeMetrics::budget_forced_yield_count),
            counter(&runtime::POLLS, |runtime| {
                (0..runtime.num_workers()).map(|worker| runtime.worker_poll_count(worker)).sum()
            }),
            counter(&runtime::STEALS, |runtime| {
                (0..runtime.num_workers()).map(|worker| runtime.worker_steal_count(worker)).sum()
            }),
            counter(&runtime::OVERFLOWS, |runtime| {
                (0..runtime.num_workers()).map(|worker| runtime.worker_overflow_count(worker)).sum()
            }),
        ]);
    }
    counters.shrink_to_fit();
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_has_atomic = "64")]
    fn utilization_is_a_share_of_all_workers_time() {
        let ms = Duration::from_millis;
        assert_eq!(utilization(ms(500), ms(1000), 1), 0.5);
        assert_eq!(utilization(ms(500), ms(1000), 4), 0.125);
        assert_eq!(utilization(ms(9000), ms(1000), 4), 1.0, "more than there was");
        assert_eq!(utilization(ms(1), ms(0), 4), 0.0);
        assert_eq!(utilization(ms(1), ms(1000), 0), 0.0);
    }
}
