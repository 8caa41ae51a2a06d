//! One database operation from its call to its end, as a guard inside a future or stream.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use outrigger_semconv::{db, label};
use sqlx::{Database, Error};

use super::labels::{Failure, OperationLabels, system_name};
use super::statement::{self, Scanned};
use crate::Metrics;
use crate::series::{Histograms, Row};

/// The series of all database operations of a [`Metrics`].
pub(crate) struct Series(Histograms<OperationLabels>);

impl Default for Series {
    fn default() -> Self {
        Self(Histograms::new(&db::CLIENT_OPERATION_DURATION, SERIES_LIMIT))
    }
}

/// An operation under way. Dropping it ends it.
pub(super) struct Observation {
    metrics: Metrics,
    collection: Arc<Row<OperationLabels>>,
    labels: OperationLabels,
    /// Set at the first poll: what is never polled asks the database nothing.
    start: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Rows are there that the caller did not want: dropping it now is no failure.
    Idle,
    /// The driver's code runs. Dropped now means that it panicked.
    Running,
    /// The database has been asked and has not answered.
    Waiting,
}

impl Observation {
    pub(super) fn start<DB: Database>(metrics: &Metrics, sql: &str) -> Self {
        let system = system_name(DB::NAME);
        let Scanned { operation, collection } = statement::scan(sql, system);
        Self::new(metrics, system, operation, collection)
    }

    /// Preparing a statement reaches the same collection, but is not the operation itself.
    pub(super) fn start_prepare<DB: Database>(metrics: &Metrics, sql: &str) -> Self {
        let system = system_name(DB::NAME);
        Self::new(metrics, system, "PREPARE", statement::scan(sql, system).collection)
    }

    fn new(metrics: &Metrics, system: &'static str, operation: &'static str, collection: Option<&str>) -> Self {
        Self {
            metrics: metrics.clone(),
            collection: metrics.db().0.row(collection.unwrap_or_default()),
            labels: OperationLabels { system, operation, failure: None },
            start: None,
            state: State::Idle,
        }
    }

    fn watch<T>(&mut self, run: impl FnOnce() -> Poll<T>) -> Poll<T> {
        self.start.get_or_insert_with(Instant::now);
        self.state = State::Running;
        let output = run();
        self.state = if output.is_pending() { State::Waiting } else { State::Idle };
        output
    }

    /// Records the duration and the outcome; the first call counts.
    fn finish(&mut self, failure: Option<Failure>) {
        if let Some(start) = self.start.take() {
            let labels = OperationLabels { failure, ..self.labels };
            let seconds = start.elapsed().as_secs_f64();
            self.metrics.db().0.record(&self.metrics, &self.collection, labels, seconds);
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.finish(match self.state {
            State::Running => Some(Failure::Kind("panic")),
            State::Waiting => Some(Failure::Kind("cancelled")),
            State::Idle => None,
        });
    }
}

/// Written out rather than as an `async` block: there, a drop guard's `Copy` fields are captured one by one, and the
/// guard itself would be dropped before the query runs.
pub(super) struct ObservedFuture<'e, T> {
    inner: BoxFuture<'e, Result<T, Error>>,
    /// `None` once it has ended.
    observation: Option<Observation>,
}

impl<'e, T> ObservedFuture<'e, T> {
    pub(super) fn new(inner: BoxFuture<'e, Result<T, Error>>, observation: Observation) -> Self {
        Self { inner, observation: Some(observation) }
    }
}

impl<T> Future for ObservedFuture<'_, T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(observation) = this.observation.as_mut() else {
            return this.inner.as_mut().poll(cx);
        };
        let output = ready!(observation.watch(|| this.inner.as_mut().poll(cx)));
        observation.finish(output.as_ref().err().and_then(Failure::of));
        this.observation = None;
        Poll::Ready(output)
    }
}

pub(super) struct ObservedStream<'e, T> {
    inner: BoxStream<'e, Result<T, Error>>,
    /// `None` once it has ended.
    observation: Option<Observation>,
}

impl<'e, T> ObservedStream<'e, T> {
    pub(super) fn new(inner: BoxStream<'e, Result<T, Error>>, observation: Observation) -> Self {
        Self { inner, observation: Some(observation) }
    }
}

impl<T> Stream for ObservedStream<'_, T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(observation) = this.observation.as_mut() else {
            return this.inner.as_mut().poll_next(cx);
        };
        let item = ready!(observation.watch(|| this.inner.as_mut().poll_next(cx)));
        match &item {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                observation.finish(Failure::of(error));
                this.observation = None;
            }
            None => this.observation = None,
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

/// Label sets of the duration. 100 tables with 4 verbs each and some errors stay below it.
const SERIES_LIMIT: usize = 1000;

const _: () = assert!(!label::OTHER.is_empty(), "the overflow row must not look like a statement without a table");
