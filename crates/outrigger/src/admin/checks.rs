//! The service's own checks: run together, each within a bound, their answer shared for a moment.

use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::metrics::Label;
use outrigger_semconv::{Metric, label, library};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{self, Instant};

use crate::Metrics;
use crate::metrics::{register_counter, register_gauge};

/// A check as the service gave it.
pub(super) struct Check {
    name: String,
    run: Box<dyn Fn() -> Running + Send + Sync>,
    /// So that the log tells changes and not each answer.
    was_up: AtomicBool,
    /// The last run, and when it began.
    last: Mutex<Option<(AbortHandle, Instant)>>,
}

type Running = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type BoxError = Box<dyn Error + Send + Sync>;

impl Check {
    pub(super) fn new<T, E, F>(name: &str, run: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self {
            // It becomes a line of an answer.
            name: name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect(),
            run: Box::new(move || {
                let running = run();
                Box::pin(async move { running.await.map(drop).map_err(Into::into) })
            }),
            was_up: AtomicBool::new(true),
            last: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// In a task of its own, so that one that panics or holds its thread is its own loss. While the last one
    /// goes on, none is begun: for how long it has.
    fn start(self: &Arc<Self>) -> Result<Started, Duration> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, begun)) = last.as_ref().filter(|(last, _)| !last.is_finished()) {
            return Err(begun.elapsed());
        }
        let check = Arc::clone(self);
        let started = tokio::spawn(async move {
            let begun = Instant::now();
            ((check.run)().await, begun.elapsed())
        });
        *last = Some((started.abort_handle(), Instant::now()));
        Ok(Started(started))
    }

    /// How it went, and after how long.
    async fn outcome(started: Result<Started, Duration>, begun: Instant, timeout: Duration) -> (Outcome, Duration) {
        let mut started = match started {
            Ok(started) => started,
            Err(so_far) => return (Outcome::Stuck, so_far),
        };
        // What is left of it, as `begun + timeout` may be beyond what an instant can say.
        match time::timeout(timeout.saturating_sub(begun.elapsed()), &mut started.0).await {
            Ok(Ok((Ok(()), took))) => (Outcome::Up, took),
            Ok(Ok((Err(error), took))) => (Outcome::Failed(chain(&*error)), took),
            Ok(Err(_)) => (Outcome::Panicked, begun.elapsed()),
            Err(_) => (Outcome::TimedOut(timeout), timeout),
        }
    }
}

/// A check under way, which ends when nobody waits for it any more.
struct Started(JoinHandle<(Result<(), BoxError>, Duration)>);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How a check ended.
pub(super) enum Outcome {
    Up,
    Failed(String),
    TimedOut(Duration),
    Panicked,
    Stuck,
}

impl Outcome {
    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }

    /// What anybody may read. What a check says of its failure may hold addresses and worse: that is for those who may
    /// read everything.
    pub(super) fn describe(&self, with_reason: bool) -> String {
        match self {
            Self::Up => "ok".to_owned(),
            Self::Failed(reason) if with_reason => format!("failed: {reason}"),
            Self::Failed(_) => "failed".to_owned(),
            Self::TimedOut(timeout) => format!("timed out after {timeout:?}"),
            Self::Panicked => "panicked".to_owned(),
            Self::Stuck => "has not ended since it timed out".to_owned(),
        }
    }
}

/// What all checks of a probe said.
pub(super) struct Report {
    at: Instant,
    pub(super) results: Vec<(Arc<Check>, Outcome)>,
}

impl Report {
    pub(super) fn is_up(&self) -> bool {
        self.results.iter().all(|(_, outcome)| outcome.is_up())
    }
}

/// The checks of one probe.
pub(super) struct Checks {
    metrics: Metrics,
    /// The value of the label.
    probe: &'static str,
    timeout: Duration,
    list: Arc<[Arc<Check>]>,
    last: Mutex<Option<Run>>,
}

impl Checks {
    pub(super) fn new(metrics: &Metrics, probe: &'static str, timeout: Duration, list: Vec<Check>) -> Arc<Self> {
        let list = list.into_iter().map(Arc::new).collect();
        Arc::new(Self { metrics: metrics.clone(), probe, timeout, list, last: Mutex::default() })
    }

    /// What the checks say, no older than a second. `None` when they came to no answer, because the listener ends.
    pub(super) async fn report(&self) -> Option<Arc<Report>> {
        let mut answer = self.refresh();
        let report = answer.wait_for(Option::is_some).await;
        report.ok().and_then(|report| report.clone())
    }

    /// Sees to it that an answer is there or on its way, which does not depend on who waits for it: a probe gives up
    /// early, and the next one is served by the same run.
    pub(super) fn refresh(&self) -> watch::Receiver<Option<Arc<Report>>> {
        if self.list.is_empty() {
            let nothing = Report { at: Instant::now(), results: Vec::new() };
            return watch::channel(Some(Arc::new(nothing))).1;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = last.as_ref().filter(|run| run.is_current()) {
            return run.answer.clone();
        }
        let (sender, answer) = watch::channel(None);
        let run = run(self.metrics.clone(), self.probe, self.timeout, Arc::clone(&self.list));
        let task = tokio::spawn(async move {
            sender.send_replace(Some(Arc::new(run.await)));
        });
        *last = Some(Run { answer: answer.clone(), task: task.abort_handle() });
        answer
    }
}

/// All checks, once.
struct Run {
    answer: watch::Receiver<Option<Arc<Report>>>,
    task: AbortHandle,
}

impl Run {
    fn is_current(&self) -> bool {
        match &*self.answer.borrow() {
            Some(report) => report.at.elapsed() < FRESH,
            None => !self.task.is_finished(),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(metrics: Metrics, probe: &'static str, timeout: Duration, list: Arc<[Arc<Check>]>) -> Report {
    let begun = Instant::now();
    let started: Vec<_> = list.iter().map(|check| (Arc::clone(check), check.start())).collect();
    let mut results = Vec::with_capacity(started.len());
    for (index, (check, started)) in started.into_iter().enumerate() {
        let (outcome, took) = Check::outcome(started, begun, timeout).await;
        tell(&check, probe, &outcome);
        if index < GAUGES {
            let labels = || vec![Label::new(label::CHECK, check.name.clone()), Label::new(label::PROBE, probe)];
            set(&metrics, &library::CHECK_UP, labels(), f64::from(u8::from(outcome.is_up())));
            set(&metrics, &library::CHECK_DURATION, labels(), took.as_secs_f64());
        } else {
            count_dropped(&metrics);
        }
        results.push((check, outcome));
    }
    Report { at: Instant::now(), results }
}

/// Logs what has changed.
fn tell(check: &Check, probe: &'static str, outcome: &Outcome) {
    let name = check.name();
    match (check.was_up.swap(outcome.is_up(), Relaxed), outcome.is_up()) {
        (true, false) => tracing::warn!(check = name, probe, "a check fails: {}", outcome.describe(true)),
        (false, true) => tracing::info!(check = name, probe, "a check succeeds again"),
        _ => {}
    }
}

fn set(metrics: &Metrics, metric: &'static Metric, labels: Vec<Label>, value: f64) {
    metrics.resolve(|recorder| register_gauge(recorder, metric, labels)).handle.set(value);
}

fn count_dropped(metrics: &Metrics) {
    let labels = vec![Label::new(label::METRIC, library::CHECK_UP.name)];
    metrics.resolve(|recorder| register_counter(recorder, &library::SERIES_DROPPED, labels)).handle.increment(1);
}

/// An error and its sources, in one line of bounded length.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source.filter(|_| text.len() < LONGEST_REASON) {
        let next = error.to_string();
        // Many errors say their source themselves.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text.chars().take(LONGEST_REASON).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(1);
/// Checks that have gauges; all are run.
const GAUGES: usize = 64;
const LONGEST_NAME: usize = 100;
const LONGEST_REASON: usize = 500;
