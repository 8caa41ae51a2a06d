//! What is made of an operation that has ended, beyond its metrics.

use std::sync::Arc;

use super::dialect::{self, Dialect};
use super::scan;
use super::{ErrorType, Statement, n_plus_one, shape, slow};
use crate::Metrics;

/// What a pool or a program has set; shared by the statements that go the same way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Seconds from which on an operation is slow, infinity for never; `None` leaves it to the metrics.
    pub(super) slow_seconds: Option<f64>,
    /// Who is asked for advice on slow statements.
    #[cfg(feature = "postgres")]
    pub(super) advisor: Option<super::plan::Advisor>,
}

/// An operation that has ended.
pub(crate) struct Finished<'a> {
    pub(crate) metrics: &'a Metrics,
    pub(crate) statement: &'a Arc<Statement>,
    pub(crate) seconds: f64,
    /// Rows that the caller has been given; `None` where an operation gives none.
    pub(crate) rows: Option<u64>,
    pub(crate) error: Option<ErrorType>,
}

/// Called at the end of each operation that has a statement; not for `BEGIN`, `COMMIT`, `ROLLBACK` of a transaction.
///
/// In the quiet case, a thread-local is read and two numbers are compared.
#[inline]
pub(crate) fn finished(finished: &Finished<'_>) {
    n_plus_one::count(finished);
    let settings = finished.statement.settings();
    let threshold = settings.slow_seconds.unwrap_or_else(|| finished.metrics.insight().slow.threshold());
    if finished.seconds >= threshold {
        slow::found(finished);
        #[cfg(feature = "postgres")]
        if let Some(advisor) = settings.advisor.clone().or_else(|| finished.metrics.insight().plan.advisor()) {
            advisor.offer(finished.statement);
        }
    }
}

/// What is looked up only when there is something to tell.
impl Statement {
    /// Without values: see [`shape`]. `None` where it cannot be told what is one.
    pub(super) fn shape(&self) -> Option<String> {
        let known = dialect::is_understood(self.text(), self.system());
        known.then(|| shape::shape(self.text(), Dialect::of(self.system())))
    }

    /// The first table.
    pub(super) fn collection(&self) -> Option<&str> {
        scan::scan(self.text(), self.system()).collection
    }

    /// The text, if it was kept as a whole.
    #[cfg(feature = "postgres")]
    pub(super) fn whole_text(&self) -> Option<&str> {
        // Where a long text is cut depends on its characters.
        (self.text().len() < scan::SCAN_LIMIT - char::MAX.len_utf8()).then_some(self.text())
    }
}

/// The series of all that is found through a [`Metrics`].
#[derive(Default)]
pub(crate) struct Insight {
    pub(super) slow: slow::Series,
    pub(super) n_plus_one: n_plus_one::Series,
    #[cfg(feature = "postgres")]
    pub(super) plan: super::plan::Series,
}
