//! Prometheus' own checks. Each gives `None` when `promtool` is not installed (see [`require`](crate::require)).

use crate::{Finished, Program, find::server_program};
use std::{path::Path, time::Duration};

const DEADLINE: Duration = Duration::from_secs(120);

/// Runs `promtool` with these arguments and standard input.
///
/// # Panics
/// When it does not end within two minutes.
#[must_use]
#[track_caller]
pub fn promtool(args: &[&str], input: &str) -> Option<Finished> {
    Some(Program::new(server_program("promtool")?).args(args).run_with_input(input.as_bytes(), DEADLINE))
}

/// `promtool check metrics` on a page: its complaints, one a line; empty when it has none.
///
/// # Panics
/// When it fails without a complaint.
#[must_use]
#[track_caller]
pub fn check_metrics(page: &str) -> Option<Vec<String>> {
    let finished = promtool(&["check", "metrics"], page)?;
    let complaints: Vec<String> = finished.log.lines().map(str::to_owned).collect();
    assert!(finished.status.success() == complaints.is_empty(), "promtool: {:?}: {complaints:?}", finished.status);
    Some(complaints)
}

/// `promtool check rules` on a file.
///
/// # Panics
/// When it does not end within two minutes.
#[must_use]
#[track_caller]
pub fn check_rules(file: impl AsRef<Path>) -> Option<Finished> {
    promtool(&["check", "rules", &file.as_ref().to_string_lossy()], "")
}

/// `promtool test rules` on a file of tests.
///
/// # Panics
/// When it does not end within two minutes.
#[must_use]
#[track_caller]
pub fn test_rules(file: impl AsRef<Path>) -> Option<Finished> {
    promtool(&["test", "rules", &file.as_ref().to_string_lossy()], "")
}
