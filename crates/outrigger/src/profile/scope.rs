//! The timing of a single function or block.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use ::metrics::Label;
use outrigger_semconv::{label, profile};

use crate::Metrics;
use crate::series::{Histograms, LabelSet, Row};

/// Times what happens until the guard is dropped, in `profile_scope_duration_seconds`.
///
/// It writes to the [global recorder](Metrics::global); [`Metrics::profile_scope`] writes to another one. An `await`
/// within the scope counts with all its waiting. Some hundred nanoseconds.
///
/// ```
/// fn price(basket: &[u32]) -> u32 {
///     let _timed = outrigger::profile::scope("checkout.price");
///     basket.iter().sum()
/// }
/// # price(&[1, 2]);
/// ```
pub fn scope(name: &str) -> Scope {
    Metrics::global().profile_scope(name)
}

impl Metrics {
    /// As [`profile::scope`](scope), for these metrics.
    ///
    /// At most 200 names have series of their own; later ones share the name `_other`, and are counted in
    /// `outrigger_series_dropped_total`.
    pub fn profile_scope(&self, name: &str) -> Scope {
        Scope { row: self.scopes().0.row(name), metrics: self.clone(), begun: Instant::now() }
    }
}

/// A scope that is being timed. Made by [`scope`].
#[must_use = "it times until it is dropped: `let _timed = ...`"]
pub struct Scope {
    metrics: Metrics,
    row: Arc<Row<Left>>,
    begun: Instant,
}

impl Drop for Scope {
    fn drop(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let left = if thread::panicking() { Left::Panic } else { Left::Normally };
        self.metrics.scopes().0.record(&self.metrics, &self.row, left, seconds);
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("begun", &self.begun).finish_non_exhaustive()
    }
}

/// The series of all scopes.
pub(crate) struct Scopes(Histograms<Left>);

impl Default for Scopes {
    fn default() -> Self {
        Self(Histograms::new(&profile::SCOPE_DURATION, SERIES))
    }
}

/// How a scope was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Left {
    Normally,
    Panic,
}

impl LabelSet for Left {
    fn labels(self, row: &str) -> Vec<Label> {
        let mut labels = vec![Label::new(label::PROFILE_SCOPE, row.to_owned())];
        if self == Self::Panic {
            labels.push(Label::new(label::ERROR_TYPE, "panic"));
        }
        labels
    }

    fn folded(self) -> Self {
        self
    }
}

const SERIES: usize = 200;
