//! Causes in words.

use outrigger_detect::{Attribution, CauseKind, Part, Symptoms};

use super::Cause;
use super::facts::{Facts, Need};
use super::meter::Key;
use super::usual::Contrast;

/// From this strength on, a cause is called likely.
const LIKELY: f64 = 0.6;

/// The part that tells a cause.
pub(super) struct Told<'a> {
    pub(super) key: &'a Key,
    pub(super) part: Part,
    pub(super) contrast: Contrast,
}

/// What speaks for a cause.
pub(super) fn evidence(
    kind: CauseKind,
    attribution: &Attribution,
    told: Option<&Told<'_>>,
    symptoms: &Symptoms,
    facts: &Facts<'_>,
) -> String {
    match (kind, told) {
        (CauseKind::Traffic, _) => format!("{:.1} times the usual requests per second", symptoms.traffic),
        (CauseKind::Deploy, _) => "the service was started anew shortly before".to_owned(),
        (CauseKind::Errors, _) => "requests fail, and nothing measured that they call fails more than usual".to_owned(),
        (_, None) => "requests wait, and nothing that is measured accounts for it".to_owned(),
        (_, Some(told)) if attribution.of_failures => {
            format!("{:.0} failures more than usual, for {:.0} failed requests", told.part.failed, symptoms.failed)
        }
        (CauseKind::Dependency, Some(told)) if told.part.by_calls + told.part.by_duration <= 0.0 => format!(
            "requests wait, and nothing whose time is measured accounts for it; {:.0} calls failed or were made again \
             beyond the usual",
            told.part.failed
        ),
        (_, Some(told)) if attribution.may_suffer => {
            let text = of_time(kind, told, symptoms, facts);
            format!("{text}; it may suffer itself, since processors are short, requests surge or the runtime is late")
        }
        (_, Some(told)) => of_time(kind, told, symptoms, facts),
    }
}

fn of_time(kind: CauseKind, told: &Told<'_>, symptoms: &Symptoms, facts: &Facts<'_>) -> String {
    let Told { key, part, contrast } = told;
    let share = (part.by_calls + part.by_duration) / symptoms.added_seconds;
    let share = format!("it added {:.0} % of the time that requests lost", (share * 100.0).clamp(0.0, 100.0));
    let lasted = || {
        let (before, now) = facts.share(key).unwrap_or_default();
        format!("{} of the time instead of {}", percent(now), percent(before))
    };
    let mut text = match kind {
        CauseKind::Cpu => {
            format!("the process computes {:.0} s more than as many requests usually need; {share}", part.by_calls)
        }
        CauseKind::ConnectionPool => format!(
            "waiting for a connection and holding it without a statement take {} instead of {} each time; {share}",
            millis(contrast.seconds.1),
            millis(contrast.seconds.0),
        ),
        CauseKind::Runtime => format!(
            "what is ready to run waits {} instead of {}; {share}",
            millis(contrast.seconds.1),
            millis(contrast.seconds.0),
        ),
        CauseKind::CpuThrottling => format!("the container had used up its CPU limit {}", lasted()),
        CauseKind::CpuContention => {
            let (before, now) = facts.others();
            format!(
                "other programs use {now:.1} processors instead of {before:.1}; something waited for one {}",
                lasted()
            )
        }
        CauseKind::MemoryPressure => format!("something waited for memory {}", lasted()),
        CauseKind::DiskPressure => format!("something waited for a disk {}", lasted()),
        _ => format!(
            "{} instead of {} for each request, {} instead of {} each; {share}",
            times(contrast.calls.1),
            times(contrast.calls.0),
            millis(contrast.seconds.1),
            millis(contrast.seconds.0),
        ),
    };
    if let Some(more) = fact(kind, key, facts) {
        text.push_str("; ");
        text.push_str(&more);
    }
    text
}

/// What makes it clearer.
fn fact(kind: CauseKind, key: &Key, facts: &Facts<'_>) -> Option<String> {
    match kind {
        CauseKind::ConnectionPool => {
            let Need { per_second, held_seconds, most } = facts.need(&key.name)?;
            let most = most.map_or_else(String::new, |most| format!(", and the pool has {most:.0}"));
            let needed = per_second * held_seconds;
            Some(format!(
                "{per_second:.1} uses per second that last {} each need {needed:.1} connections (Little's law){most}",
                millis(held_seconds)
            ))
        }
        CauseKind::Cache => {
            let (before, now) = facts.hit_ratio(&key.name)?;
            Some(format!("its hit ratio went from {} to {}", percent(before), percent(now)))
        }
        CauseKind::SlowQuery | CauseKind::MissingIndex if facts.lacks_index(&key.name) => {
            Some("its plan was found to read rows that an index would spare it".to_owned())
        }
        CauseKind::NPlusOne => {
            let (route, statements) = facts.repeats()?;
            Some(format!(
                "the service found {statements:.0} statements repeated within a request, most of them on {route}"
            ))
        }
        CauseKind::Retries => Some(format!("{:.0} calls were made again beyond the usual", facts.retries())),
        CauseKind::MemoryPressure => {
            Some(format!("the container's working set is at {} of its limit", percent(facts.working_set()?)))
        }
        _ => None,
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
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
        CauseKind::MissingIndex => "a statement of the database that no index serves",
        CauseKind::NPlusOne => "more statements for each request",
        CauseKind::ConnectionPool => "the pool of connections is exhausted",
        CauseKind::Cache => "the cache misses",
        CauseKind::Dependency => "a dependency",
        CauseKind::Cpu => "computing",
        CauseKind::Runtime => "the runtime is blocked",
        CauseKind::Retries => "calls are made again",
        CauseKind::CpuThrottling => "the container is held at its CPU limit",
        CauseKind::CpuContention => "other programs have the processors",
        CauseKind::MemoryPressure => "memory is scarce",
        CauseKind::DiskPressure => "the disks do not keep up",
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
            CauseKind::MissingIndex => {
                "Create the index that the service's log names for this table, or let the filter use one that there is."
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
            CauseKind::Retries => {
                "Find why the calls fail; bound attempts by a budget, and space them with backoff and jitter."
            }
            CauseKind::CpuThrottling => {
                "Raise the container's CPU limit, or compute less at a time; look at its throttling."
            }
            CauseKind::CpuContention => {
                "Find what else runs on the machine; request the processors that the service needs."
            }
            CauseKind::MemoryPressure => {
                "Raise the memory limit or use less; look for growth in the process, and for swapping."
            }
            CauseKind::DiskPressure => {
                "Find what reads or writes so much, here or beside; move it, or write less at once."
            }
            CauseKind::Traffic => "Shed or spread the load, or add instances; look who sends it.",
            CauseKind::Deploy => "Compare the versions; go back if the trouble began with it.",
            CauseKind::Errors => "Look at the logs of the failing route from the onset on.",
        }
    }
}
