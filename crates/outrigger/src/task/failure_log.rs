//! Failures that nobody else would hear of.

use std::time::Instant;

use super::Task;
use crate::log_limit::LogLimit;

/// Logs the failures of one task's runs, so many a second and no more.
#[derive(Default)]
pub(super) struct FailureLog {
    limit: LogLimit,
}

impl FailureLog {
    /// Logs the failure, if it is one, and hands it on.
    pub(super) fn of(&self, task: &Task, error_type: Option<&'static str>) -> Option<&'static str> {
        if let Some(error_type) = error_type
            && let Some(suppressed) = self.limit.admit(Instant::now())
        {
            tracing::warn!(task = task.name(), error_type, suppressed, "a run of a task failed");
        }
        error_type
    }

    /// Logs a panic.
    pub(super) fn panic(&self, task: &Task, what: &'static str) {
        if let Some(suppressed) = self.limit.admit(Instant::now()) {
            tracing::error!(task = task.name(), suppressed, "{what}");
        }
    }
}
