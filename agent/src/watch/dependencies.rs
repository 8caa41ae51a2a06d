//! The calls to dependencies, judged like routes.
//!
//! A dependency that is slow belongs to the incident of the routes that wait for it. Alone it opens one only if it has lasted,
//! concerns many of its calls, and costs them time that a caller notices.

use std::time::SystemTime;

use outrigger_detect::{Phase, Shift, Verdict};

use super::sign::before;
use super::{Role, Sign, Signal, Subject, Watches};
use crate::derive::DependencyKey;
use crate::incident::Severity;

/// What a dependency's trouble must amount to before it opens an incident alone: how long it lasts, in seconds; calls that
/// are affected, and their share; what each of them loses, in seconds.
const MIN_SECONDS: f64 = 60.0;
const MIN_AFFECTED: u64 = 20;
const MIN_SHARE: f64 = 0.1;
const MIN_ADDED_SECONDS: f64 = 0.05;
/// From this share of affected calls on it is critical.
const CRITICAL_SHARE: f64 = 0.5;

/// The dependencies that are anomalous.
pub(super) fn signs(watches: &Watches<DependencyKey>, at: SystemTime, signs: &mut Vec<Sign>) {
    for (key, watch) in watches.iter() {
        for (signal, verdict) in watch.verdicts() {
            if let Verdict { phase: Phase::Anomalous, shift: Some(shift), score, .. } = verdict {
                signs.push(sign(key, *signal, shift, *score, at));
            }
        }
    }
}

fn sign(key: &DependencyKey, signal: Signal, shift: &Shift, score: f64, at: SystemTime) -> Sign {
    let (before_it, now, seconds, matters) = match shift {
        Shift::Latency(shift) => {
            let matters = shift.added_seconds >= shift.affected as f64 * MIN_ADDED_SECONDS;
            (shift.before.p95, shift.during.p95, shift.added_seconds, matters)
        }
        Shift::Errors(shift) => (shift.ratio_before, shift.ratio_during, shift.affected as f64, true),
    };
    let (requests, affected) = (shift.requests(), shift.affected());
    let share = affected as f64 / requests.max(1) as f64;
    let opens = matters && shift.onset_seconds_ago() >= MIN_SECONDS && affected >= MIN_AFFECTED && share >= MIN_SHARE;
    Sign {
        subject: Subject::Dependency(key.clone()),
        signal,
        role: if opens { Role::Opens } else { Role::Supports },
        severity: if share >= CRITICAL_SHARE { Severity::Critical } else { Severity::Warning },
        score,
        since: before(at, shift.onset_seconds_ago()),
        // A dependency is called; it is requested by nobody.
        words: shift.to_string().replace("requests", "calls"),
        before: Some(before_it),
        now: Some(now),
        requests,
        affected,
        seconds,
        aftermath_seconds: 0.0,
    }
}
