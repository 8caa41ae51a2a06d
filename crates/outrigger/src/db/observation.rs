//! One database operation from its call to its end, as a guard inside a future or stream.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use outrigger_semconv::{db, label};

use super::insight::{self, Finished};
use super::labels::{ErrorType, OpenLabels, OperationLabels};
use super::statement::{Statement, Way};
use crate::Metrics;
use crate::series::{Histograms, Row};

/// The series of all database operations of a [`Metrics`].
pub(crate) struct Series {
    pub(super) durations: Histograms<OperationLabels>,
    pub(super) rows: Histograms<OperationLabels>,
    /// The statements that go by no way of their own, for each system that speaks SQL.
    plain: [Way; SYSTEMS.len()],
    other_sql: Way,
}

/// Those that speak SQL and are known by name.
const SYSTEMS: [&str; 4] = ["postgresql", "sqlite", "mysql", "mariadb"];

impl Default for Series {
    fn default() -> Self {
        let plain = |system| Way::new(system, OpenLabels::default(), Arc::default());
        Self {
            durations: Histograms::new(&db::CLIENT_OPERATION_DURATION, SERIES_LIMIT),
            rows: Histograms::new(&db::CLIENT_RESPONSE_RETURNED_ROWS, SERIES_LIMIT),
            plain: SYSTEMS.map(plain),
            other_sql: plain("other_sql"),
        }
    }
}

impl Series {
    /// The way to a system, or to `other_sql`.
    pub(super) fn plain(&self, system: &str) -> &Way {
        self.plain.iter().find(|way| way.system == system).unwrap_or(&self.other_sql)
    }
}

/// An operation under way. Dropping it ends it.
pub(super) struct Observation {
    metrics: Metrics,
    subject: Subject,
    /// Set at the first poll: what is never polled asks the database nothing.
    start: Option<Instant>,
    state: State,
    rows: Option<u64>,
    /// It waits for a connection: the database has not been asked yet.
    unsent: bool,
    /// Of a stream, how long its driver has been waited for, without the time that its consumer takes.
    waited: Option<Duration>,
    /// Since when it is waited for.
    waits_since: Option<Instant>,
}

/// What is done.
pub(super) enum Subject {
    Statement(Arc<Statement>),
    Named(Arc<Row<OperationLabels>>, OperationLabels),
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
    pub(super) fn new(metrics: &Metrics, subject: Subject) -> Self {
        Self {
            metrics: metrics.clone(),
            subject,
            start: None,
            state: State::Idle,
            rows: None,
            unsent: false,
            waited: None,
            waits_since: None,
        }
    }

    /// It ends with [`finish`](Self::finish); dropped before, it was given up.
    pub(super) fn start(&mut self) {
        self.start.get_or_insert_with(Instant::now);
        self.state = State::Waiting;
    }

    pub(super) fn watch<T>(&mut self, run: impl FnOnce() -> Poll<T>) -> Poll<T> {
        self.start.get_or_insert_with(Instant::now);
        self.state = State::Running;
        let output = run();
        self.state = if output.is_pending() { State::Waiting } else { State::Idle };
        output
    }

    /// What is waited for since then is a connection, not the operation itself.
    #[cfg(feature = "sqlx")]
    pub(super) fn wait_for_connection(&mut self, since: Instant) {
        (self.unsent, self.start) = (true, Some(since));
    }

    /// The connection is there: the operation begins at the given moment, else with the next poll.
    #[cfg(feature = "sqlx")]
    pub(super) fn connected(&mut self, start: Option<Instant>) {
        (self.unsent, self.start) = (false, start);
    }

    /// As [`watch`](Self::watch), for each step of a stream. The clock is read where the driver waits, not for each row.
    #[cfg(feature = "sqlx")]
    pub(super) fn watch_step<T>(&mut self, run: impl FnOnce() -> Poll<T>) -> Poll<T> {
        self.add_wait();
        self.waited.get_or_insert_default();
        let output = self.watch(run);
        if output.is_pending() {
            self.waits_since = Some(Instant::now());
        }
        output
    }

    /// How long the driver was waited for, if it is a stream's.
    fn add_wait(&mut self) -> Option<Duration> {
        if let Some(since) = self.waits_since.take() {
            *self.waited.get_or_insert_default() += since.elapsed();
        }
        self.waited
    }

    /// So many rows came; none is a number too.
    pub(super) fn count_rows(&mut self, rows: usize) {
        *self.rows.get_or_insert_default() += u64::try_from(rows).unwrap_or(u64::MAX);
    }

    /// Records the duration and the outcome; the first call counts.
    pub(super) fn finish(&mut self, error: Option<ErrorType>) {
        let Some(start) = self.start.take() else { return };
        let seconds = start.elapsed().as_secs_f64();
        let waited = self.add_wait();
        let metrics = &self.metrics;
        let series = metrics.db();
        match &self.subject {
            Subject::Named(row, labels) => {
                series.durations.record(metrics, row, OperationLabels { error, ..*labels }, seconds);
            }
            Subject::Statement(statement) => {
                let labels = OperationLabels { error, ..statement.labels() };
                let slot = error.is_none().then_some(&statement.duration);
                series.durations.record_through(slot, metrics, &statement.durations, labels, seconds);
                if let (Some(rows), None) = (self.rows, error) {
                    let slot = Some(&statement.returned);
                    series.rows.record_through(slot, metrics, &statement.rows, labels, number(rows));
                }
                if !self.unsent && !error.is_some_and(|error| error.is_of_pool()) {
                    let seconds = waited.map_or(seconds, |waited| waited.as_secs_f64());
                    insight::finished(&Finished { metrics, statement, seconds, rows: self.rows, error });
                }
            }
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.finish(match self.state {
            State::Waiting if std::thread::panicking() => Some(ErrorType::PANIC),
            State::Running => Some(ErrorType::PANIC),
            State::Waiting => Some(ErrorType::CANCELLED),
            State::Idle => None,
        });
    }
}

fn number(rows: u64) -> f64 {
    f64::from(u32::try_from(rows).unwrap_or(u32::MAX))
}

/// Label sets of one metric. 100 tables with 4 verbs each and some errors stay below it.
const SERIES_LIMIT: usize = 1000;

const _: () = assert!(!label::OTHER.is_empty(), "the overflow row must not look like a statement without a table");
