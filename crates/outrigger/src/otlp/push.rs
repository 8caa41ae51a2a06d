//! The task that pushes: at each tick, when asked to, and a last time when told to end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::metrics::{Counter, Label};
use outrigger_exposition::Family;
use outrigger_semconv::{agent, label};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::delivery::{Attempt, Endpoint};
use super::message::{self, Form, Message, Request, Temporality};
use crate::Metrics;
use crate::metrics::register_counter;

/// Makes a snapshot. Collectors of the user's run in it.
pub(super) type Source = Arc<dyn Fn() -> Vec<Family> + Send + Sync>;

/// A running push, to be asked and ended.
#[derive(Debug)]
pub(crate) struct Control {
    flushes: mpsc::Sender<oneshot::Sender<bool>>,
    stop: watch::Sender<Option<Instant>>,
    ended: watch::Receiver<Option<bool>>,
    task: AbortHandle,
}

impl Control {
    /// Pushes now; whether everything was taken.
    pub(super) async fn flush(&self) -> bool {
        let (answer, taken) = oneshot::channel();
        // Without an answer the task has ended.
        self.flushes.send(answer).await.is_ok() && taken.await.unwrap_or(false)
    }

    /// Tells the task to push a last time and end. However often it is called, there is one last push.
    pub(crate) fn stop(&self) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            stop.get_or_insert_with(Instant::now);
            is_first
        });
    }

    /// Waits for the end after [`stop`](Self::stop), by then at the latest; whether everything was taken.
    pub(crate) async fn end(&self, by: Instant) -> bool {
        let mut ended = self.ended.clone();
        match timeout_at(by, ended.wait_for(Option::is_some)).await {
            Ok(ended) => ended.is_ok_and(|taken| *taken == Some(true)),
            Err(_) => {
                self.task.abort();
                false
            }
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some() || self.task.is_finished()
    }
}

/// What the task needs.
pub(super) struct Push {
    pub(super) source: Source,
    pub(super) endpoint: Endpoint,
    pub(super) form: Form,
    pub(super) temporality: Temporality,
    pub(super) interval: Duration,
    /// The pause after the first attempt that failed.
    pub(super) pause: Duration,
    pub(super) counts: Counts,
}

/// What the library says of its pushes.
pub(super) struct Counts {
    successes: Counter,
    failures: Counter,
    rejected: Counter,
    retries_exhausted: Counter,
    unsupported: Counter,
    series_limit: Counter,
}

impl Counts {
    pub(super) fn of(metrics: &Metrics) -> Self {
        let counter = |metric, label: &'static str, value: &'static str| {
            let labels = vec![Label::from_static_parts(label, value)];
            let counter = metrics.resolve(|recorder| register_counter(recorder, metric, labels)).handle;
            // There at zero, so that its first rise can be seen.
            counter.increment(0);
            counter
        };
        Self {
            successes: counter(&agent::OTLP_EXPORTS, label::OUTCOME, "success"),
            failures: counter(&agent::OTLP_EXPORTS, label::OUTCOME, "failure"),
            rejected: counter(&agent::OTLP_DROPPED, label::REASON, "rejected"),
            retries_exhausted: counter(&agent::OTLP_DROPPED, label::REASON, "retries_exhausted"),
            unsupported: counter(&agent::OTLP_DROPPED, label::REASON, "unsupported"),
            series_limit: counter(&agent::OTLP_DROPPED, label::REASON, "series_limit"),
        }
    }
}

impl Push {
    pub(super) fn start(self, runtime: &tokio::runtime::Handle) -> Control {
        let (flush_sender, flushes) = mpsc::channel(MAX_FLUSHES);
        let (stop, stopped) = watch::channel(None);
        let (ended_sender, ended) = watch::channel(None);
        let task = Task { push: self, stopped, is_well: true, not_before: None };
        let task = runtime.spawn(task.run(flushes, ended_sender)).abort_handle();
        Control { flushes: flush_sender, stop, ended, task }
    }
}

struct Task {
    push: Push,
    /// When the word to stop was given.
    stopped: watch::Receiver<Option<Instant>>,
    is_well: bool,
    /// The endpoint has asked to be left alone until then.
    not_before: Option<Instant>,
}

/// How a request ended.
enum End {
    Taken,
    Refused,
    /// The time is up, for the requests behind it too.
    GaveUp,
}

impl Task {
    async fn run(mut self, mut flushes: mpsc::Receiver<oneshot::Sender<bool>>, ended: watch::Sender<Option<bool>>) {
        // Services that were started together shall not push together.
        let mut next = Instant::now() + jitter(self.push.interval);
        let stopped = loop {
            let mut asked = Vec::new();
            tokio::select! {
                biased;
                stopped = told_to_stop(&mut self.stopped) => break stopped,
                Some(flush) = flushes.recv() => asked.push(flush),
                () = sleep_until(next) => {}
            }
            // Who has asked by now is answered by the same push.
            while let Ok(flush) = flushes.try_recv() {
                asked.push(flush);
            }
            let begun = Instant::now();
            let taken = self.push_until(begun + self.push.interval, false).await;
            for flush in asked {
                // Who has stopped waiting need not be told.
                let _ = flush.send(taken);
            }
            next = (begun + self.push.interval).max(self.not_before.take().unwrap_or(begun));
        };
        let taken = self.push_until(stopped + LAST_PUSH, true).await;
        ended.send_replace(Some(taken));
    }

    /// One push; whether everything was taken.
    async fn push_until(&mut self, deadline: Instant, is_last: bool) -> bool {
        let now = message::nanos_of(SystemTime::now());
        let message = match self.message(now).await {
            Ok(message) => message,
            Err(error) => {
                self.push.counts.failures.increment(1);
                if std::mem::replace(&mut self.is_well, false) {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "nothing is pushed over OTLP until the collector that panicked no longer does"
                    );
                }
                return false;
            }
        };
        self.push.counts.unsupported.increment(message.unsupported);
        self.push.counts.series_limit.increment(message.over_limit);

        let mut delivered = vec![false; message.requests.len()];
        let mut has_time = true;
        for (request, delivered) in message.requests.iter().zip(&mut delivered) {
            let end = if has_time { self.deliver(request, deadline, is_last).await } else { End::GaveUp };
            match end {
                End::Taken => *delivered = true,
                End::Refused => self.push.counts.rejected.increment(request.points),
                End::GaveUp => {
                    has_time = false;
                    // What another push could not deliver is in the next one.
                    if is_last {
                        self.push.counts.retries_exhausted.increment(request.points);
                    }
                }
            }
        }
        let taken = delivered.iter().all(|delivered| *delivered);
        if matches!(self.push.temporality, Temporality::Delta(_)) {
            let settle = move |temporality: &mut Temporality| {
                if let Temporality::Delta(deltas) = temporality {
                    deltas.settle(now, |request| delivered.get(request).copied().unwrap_or(false));
                }
            };
            // It fails when the runtime ends, and then there is no next push that would miss it.
            let _ = self.remembered(settle).await;
        }
        taken
    }

    /// A snapshot of now, as requests.
    async fn message(&mut self, now: u64) -> Result<Message, JoinError> {
        let source = Arc::clone(&self.push.source);
        // On its own, since a panic of a collector would take with it what is remembered.
        let families = spawn_blocking(move || source()).await?;
        let form = self.push.form.clone();
        self.remembered(move |temporality| message::message(families, &form, temporality, now)).await
    }

    /// Works on what is remembered between pushes. It takes milliseconds: too long for a thread that answers requests.
    async fn remembered<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Temporality) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let mut temporality = std::mem::replace(&mut self.push.temporality, Temporality::Cumulative { start: 0 });
        let worked = spawn_blocking(move || (work(&mut temporality), temporality));
        let (done, temporality) = worked.await?;
        self.push.temporality = temporality;
        Ok(done)
    }

    async fn deliver(&mut self, request: &Request, deadline: Instant, is_last: bool) -> End {
        let patience = match self.push.temporality {
            // Nothing is counted twice if it is sent again.
            Temporality::Cumulative { .. } => Duration::ZERO,
            Temporality::Delta(_) => LAST_ANSWER,
        };
        let mut pause = self.push.pause;
        loop {
            if !is_last && self.stopped.borrow().is_some() {
                return End::GaveUp;
            }
            let answer = timeout_at(deadline, self.push.endpoint.send(request.body.clone()));
            let enough = async {
                let stopped = told_to_stop(&mut self.stopped).await;
                sleep_until(stopped + patience).await;
            };
            let attempt = tokio::select! {
                biased;
                answer = answer => answer,
                // The last push brings what this one may not have.
                () = enough, if !is_last => return End::GaveUp,
            };
            let attempt =
                attempt.unwrap_or_else(|_| Attempt::Later { reason: "no answer in time".to_owned(), after: None });
            self.note(&attempt);
            let after = match attempt {
                Attempt::Taken { rejected } => {
                    self.push.counts.rejected.increment(rejected);
                    return End::Taken;
                }
                Attempt::Refused(_) => return End::Refused,
                Attempt::Later { after, .. } => after,
            };
            let again = Instant::now() + after.unwrap_or_else(|| jitter(pause));
            pause = (pause * 2).min(LONGEST_PAUSE);
            if again >= deadline {
                self.not_before = after.map(|_| again);
                return End::GaveUp;
            }
            tokio::select! {
                () = sleep_until(again) => {}
                // The last push brings what this one could not.
                _ = told_to_stop(&mut self.stopped), if !is_last => return End::GaveUp,
            }
        }
    }

    /// Counts an attempt, and logs when the endpoint's state changes.
    fn note(&mut self, attempt: &Attempt) {
        let endpoint = self.push.endpoint.uri();
        let was_well = self.is_well;
        self.is_well = matches!(attempt, Attempt::Taken { .. });
        match attempt {
            Attempt::Taken { .. } => {
                self.push.counts.successes.increment(1);
                if !was_well {
                    tracing::info!(%endpoint, "the OTLP endpoint takes metrics again");
                }
            }
            Attempt::Refused(reason) => {
                self.push.counts.failures.increment(1);
                if was_well {
                    tracing::warn!(%endpoint, %reason, "the OTLP endpoint refuses metrics");
                }
            }
            Attempt::Later { reason, .. } => {
                self.push.counts.failures.increment(1);
                if was_well {
                    tracing::warn!(%endpoint, %reason, "the OTLP endpoint takes no metrics; it is tried again");
                }
            }
        }
    }
}

/// Waits for the word to stop, and says when it was given; waits for ever if nobody is left who could give it.
async fn told_to_stop(stopped: &mut watch::Receiver<Option<Instant>>) -> Instant {
    let stopped = stopped.wait_for(Option::is_some).await.ok().and_then(|stopped| *stopped);
    match stopped {
        Some(at) => at,
        None => std::future::pending().await,
    }
}

/// Between half of a pause and all of it.
fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Flushes that wait to be noticed; who asks for more waits to ask.
const MAX_FLUSHES: usize = 16;
/// The time that the last push has from the word to stop: a little less than who waits for it, so that it can count what
/// is lost.
const LAST_PUSH: Duration = Duration::from_millis(950);
/// The part of it in which a delta that is under way may still be answered.
const LAST_ANSWER: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
