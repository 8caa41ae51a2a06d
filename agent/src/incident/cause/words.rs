//! Causes in words.

use outrigger_detect::{CauseKind, Part, Symptoms};

use super::Cause;
use super::meter::Key;
use super::usual::Contrast;

/// From this strength on, a cause is called likely.
const LIKELY: f64 = 0.6;

/// What speaks for a cause.
pub(super) fn evidence(kind: CauseKind, told: Option<&(&Key, Part, Contrast)>, symptoms: &Symptoms) -> String {
    let share = |part: &Part| {
        let share = (part.by_calls + part.by_duration) / symptoms.added_seconds;
        format!("it added {:.0} % of the time that requests lost", (share * 100.0).clamp(0.0, 100.0))
    };
    match (kind, told) {
        (CauseKind::Traffic, _) => format!("{:.1} times the usual requests per second", symptoms.traffic),
        (CauseKind::Deploy, _) => "the service was started anew shortly before".to_owned(),
        (CauseKind::Errors, _) => "requests fail, and nothing measured that they call fails more than usual".to_owned(),
        (_, None) => "requests wait, and nothing that is measured accounts for it".to_owned(),
        (CauseKind::Cpu, Some((_, part, _))) => {
            format!(
                "the process computes {:.0} s more than as many requests usually need; {}",
                part.by_calls,
                share(part)
            )
        }
        (_, Some((_, part, _))) if symptoms.added_seconds <= symptoms.failed => {
            format!("{:.0} failures more than usual, for {:.0} failed requests", part.failed, symptoms.failed)
        }
        (CauseKind::ConnectionPool, Some((_, part, contrast))) => format!(
            "waiting for a connection and holding it without a statement take {} instead of {} each time; {}",
            millis(contrast.seconds.1),
            millis(contrast.seconds.0),
            share(part)
        ),
        (CauseKind::Runtime, Some((_, part, contrast))) => format!(
            "what is ready to run waits {} instead of {}; {}",
            millis(contrast.seconds.1),
            millis(contrast.seconds.0),
            share(part)
        ),
        (_, Some((_, part, contrast))) => format!(
            "{} instead of {} for each request, {} instead of {} each; {}",
            times(contrast.calls.1),
            times(contrast.calls.0),
            millis(contrast.seconds.1),
            millis(contrast.seconds.0),
            share(part)
        ),
    }
}

fn millis(seconds: f64) -> String {
    let millis = seconds * 1e3;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

fn times(calls: f64) -> String {
    if calls < 10.0 { format!("{calls:.2} times") } else { format!("{calls:.0} times") }
}

/// The kind in a few words.
fn title(kind: CauseKind) -> &'static str {
    match kind {
        CauseKind::SlowQuery => "slow statements of the database",
        CauseKind::NPlusOne => "more statements for each request",
        CauseKind::ConnectionPool => "the pool of connections is exhausted",
        CauseKind::Cache => "the cache misses",
        CauseKind::Dependency => "a dependency",
        CauseKind::Cpu => "computing",
        CauseKind::Runtime => "the runtime is blocked",
        CauseKind::Traffic => "more traffic",
        CauseKind::Deploy => "a restart",
        CauseKind::Errors => "the service's own code",
    }
}

impl Cause {
    /// A sentence.
    pub(crate) fn sentence(&self) -> String {
        let sure = if self.strength >= LIKELY { "Likely" } else { "Possible" };
        let subject = self.subject.as_ref().map_or(String::new(), |subject| format!(" ({subject})"));
        format!("{sure} cause: {}{subject}: {}.", title(self.cause), self.evidence)
    }

    /// What to do about it. The page `docs/causes.md` says more, and where it is from.
    pub(crate) fn advice(&self) -> &'static str {
        match self.cause {
            CauseKind::SlowQuery => {
                "Look at the statement's plan: a missing index, stale statistics, or a lock that it waits for."
            }
            CauseKind::NPlusOne => "Fetch the rows of a list by one statement (a join, or `IN`) instead of one each.",
            CauseKind::ConnectionPool => {
                "Find what holds connections without using them; a pool needs requests per second times seconds held."
            }
            CauseKind::Cache => {
                "Find what emptied the cache or shortened its entries' lives; load each key once while many ask for it."
            }
            CauseKind::Dependency => {
                "Look at what the route calls; time those calls, and give them a timeout and a breaker."
            }
            CauseKind::Cpu => "Take a CPU profile and compare it with one from before.",
            CauseKind::Runtime => {
                "Find what blocks a thread of the runtime; blocking work belongs on threads of its own."
            }
            CauseKind::Traffic => "Shed or spread the load, or add instances; look who sends it.",
            CauseKind::Deploy => "Compare the versions; go back if the trouble began with it.",
            CauseKind::Errors => "Look at the logs of the failing route from the onset on.",
        }
    }
}
