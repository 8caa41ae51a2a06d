//! The slow-query log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::metrics::{Counter, Label};
use outrigger_semconv::{db_findings, label};

use super::ErrorType;
use super::insight::Finished;
use crate::Metrics;
use crate::log_limit::LogLimit;
use crate::series::{LabelSet, Table};

impl Metrics {
    /// From which duration on a database operation is slow: it is counted in `db_client_slow_queries_total` and logged, at
    /// level WARN with the target `outrigger::db`; `None` for never.
    ///
    /// A line says the system, the operation, the table, the seconds, the rows where they are known, and the statement's
    /// shape, never its values. At most ten are logged in a second; the next one tells how many were not. It holds for
    /// this handle and all its clones; a pool may have a threshold of its own. Defaults to 100 ms.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), outrigger::InstallError> {
    /// let metrics = outrigger::standalone()?.slow_queries(Duration::from_millis(50));
    /// # let _ = metrics;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the settings are those of the handle that is returned, and of its clones"]
    pub fn slow_queries(self, threshold: impl Into<Option<Duration>>) -> Self {
        self.insight().slow.threshold.store(seconds(threshold.into()).to_bits(), Ordering::Relaxed);
        self
    }
}

#[cfg(feature = "sqlx")]
impl<DB: sqlx::Database> super::TimedPool<DB> {
    /// From which duration on an operation of this pool is slow, `None` for never. Defaults to what
    /// [`Metrics::slow_queries`] says.
    #[must_use]
    pub fn slow_threshold(self, threshold: impl Into<Option<Duration>>) -> Self {
        let seconds = seconds(threshold.into());
        self.with_settings(|settings| settings.slow_seconds = Some(seconds))
    }
}

/// A threshold as a number that a duration can be compared with.
pub(super) fn seconds(threshold: Option<Duration>) -> f64 {
    threshold.map_or(f64::INFINITY, |threshold| threshold.as_secs_f64())
}

/// Counts and logs a slow operation.
#[cold]
pub(super) fn found(finished: &Finished<'_>) {
    let Finished { metrics, statement, seconds, rows, error, .. } = *finished;
    let slow = &metrics.insight().slow;
    let row = slow.counts.row(statement.collection().unwrap_or_default());
    let labels = SlowLabels { system: statement.system(), operation: statement.operation() };
    slow.counts.record(metrics, &row, labels, 1.0);

    let Some(suppressed) = slow.log.admit(Instant::now()) else { return };
    tracing::warn!(
        target: "outrigger::db",
        system = statement.system(),
        operation = statement.operation(),
        collection = statement.collection(),
        seconds,
        rows,
        error_type = error.as_ref().map(ErrorType::as_str),
        statement = statement.shape().map(tracing::field::display),
        suppressed,
        "slow query"
    );
}

pub(super) struct Series {
    /// Seconds, as bits.
    threshold: AtomicU64,
    counts: Table<SlowLabels, Counter>,
    log: LogLimit,
}

impl Series {
    #[inline]
    pub(super) fn threshold(&self) -> f64 {
        f64::from_bits(self.threshold.load(Ordering::Relaxed))
    }
}

impl Default for Series {
    fn default() -> Self {
        Self {
            threshold: AtomicU64::new(THRESHOLD.to_bits()),
            counts: Table::new(&db_findings::CLIENT_SLOW_QUERIES, SERIES_LIMIT),
            log: LogLimit::default(),
        }
    }
}

/// The labels beside the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SlowLabels {
    system: &'static str,
    operation: &'static str,
}

impl LabelSet for SlowLabels {
    fn labels(self, collection: &str) -> Vec<Label> {
        let mut labels =
            vec![Label::new(label::DB_SYSTEM_NAME, self.system), Label::new(label::DB_OPERATION_NAME, self.operation)];
        if !collection.is_empty() {
            labels.push(Label::new(label::DB_COLLECTION_NAME, collection.to_owned()));
        }
        labels
    }

    fn folded(self) -> Self {
        Self { operation: label::OTHER, ..self }
    }
}

/// Seconds: the objective of database operations.
const THRESHOLD: f64 = 0.1;
/// Label sets.
const SERIES_LIMIT: usize = 1000;
