//! What is made of an operation that has ended, beyond its metrics.

use std::sync::Arc;

use super::{ErrorType, Statement};
use crate::Metrics;

/// What a pool or a program has set; shared by the statements that go the same way.
#[derive(Debug, Default)]
pub(crate) struct Settings {}

/// An operation that has ended.
#[allow(dead_code, reason = "read where insight is asked for")]
pub(crate) struct Finished<'a> {
    pub(crate) metrics: &'a Metrics,
    pub(crate) statement: &'a Arc<Statement>,
    pub(crate) seconds: f64,
    /// Rows that the caller has been given; `None` where an operation gives none.
    pub(crate) rows: Option<u64>,
    pub(crate) error: Option<ErrorType>,
}

/// Called at the end of each operation that has a statement; not for `BEGIN`, `COMMIT`, `ROLLBACK` of a transaction.
pub(crate) fn finished(_finished: &Finished<'_>) {}
