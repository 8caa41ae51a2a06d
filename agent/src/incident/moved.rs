//! What else moved in an incident: dependencies, resources, budgets, traffic, figures.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::record::Toll;
use super::{Incident, Severity};
use crate::time;
use crate::watch::{Role, Sign, Signal, Subject};

/// The most things beside routes that an incident holds; the weakest evidence goes first.
const MAX_MOVED: usize = 40;

/// Something beside the routes that moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) subject: Subject,
    pub(super) signal: Signal,
    pub(super) role: Role,
    pub(super) severity: Severity,
    pub(super) score: f64,
    #[serde(with = "time")]
    pub(super) started_at: SystemTime,
    /// When it was as usual again.
    #[serde(with = "time::maybe", default)]
    pub(super) ended_at: Option<SystemTime>,
    pub(super) before: Option<f64>,
    pub(super) during: Option<f64>,
    pub(super) words: String,
    pub(super) toll: Toll,
    /// It came, or became graver, after a person last marked the incident.
    #[serde(default)]
    pub(super) is_unmarked: bool,
}

impl Moved {
    pub(super) fn is(&self, sign: &Sign) -> bool {
        self.signal == sign.signal && self.subject == sign.subject
    }

    /// Whether it keeps its incident open.
    pub(super) fn lasts(&self) -> bool {
        // Callers who come back in a flood have come back.
        let is_surge = self.signal == Signal::Traffic && self.during >= self.before;
        self.ended_at.is_none() && self.role != Role::Supports && !is_surge
    }

    /// What it is, in a few words.
    pub(super) fn title(&self) -> String {
        let what = match self.signal {
            Signal::Latency => "slower than usual",
            Signal::Errors => "failing more than usual",
            Signal::Traffic if self.during < self.before => "gets less traffic than usual",
            Signal::Traffic => "gets more traffic than usual",
            Signal::Burn => "spends its error budget too fast",
            Signal::Saturation => "running full",
            Signal::Level => "unusual",
        };
        format!("{} {what}", self.subject)
    }
}

impl Incident {
    /// Takes in the signs that belong to it. What it holds and is not among them has ended.
    pub(super) fn take_signs<'a>(&mut self, signs: impl Iterator<Item = (&'a Sign, Role)>, at: SystemTime) {
        let mut is_there = vec![false; self.moved.len()];
        for (sign, role) in signs {
            match self.moved.iter().position(|moved| moved.is(sign)) {
                Some(index) => {
                    if let Some(there) = is_there.get_mut(index) {
                        *there = true;
                    }
                    if let Some(moved) = self.moved.get_mut(index) {
                        moved.take(sign, role);
                    }
                }
                None => self.moved.push(Moved::of(sign, role)),
            }
        }
        for (moved, is_there) in self.moved.iter_mut().zip(is_there) {
            if !is_there {
                moved.ended_at.get_or_insert(at);
            }
        }
        // The service as a whole says more than each of its routes.
        let rank = |moved: &Moved| {
            (moved.role == Role::Supports, moved.subject != Subject::Service, std::cmp::Reverse(moved.severity))
        };
        self.moved.sort_by(|a, b| {
            let by_cost = b.toll.seconds.total_cmp(&a.toll.seconds).then(b.score.total_cmp(&a.score));
            rank(a).cmp(&rank(b)).then(by_cost)
        });
        self.moved.truncate(MAX_MOVED);
        if self.moved.iter().any(|moved| moved.is_unmarked && moved.lasts()) {
            self.outgrow(at);
        }
    }
}

impl Moved {
    fn of(sign: &Sign, role: Role) -> Self {
        Self {
            subject: sign.subject.clone(),
            signal: sign.signal,
            role,
            severity: sign.severity,
            score: sign.score,
            started_at: sign.since,
            ended_at: None,
            before: sign.before,
            during: sign.now,
            words: sign.words.clone(),
            toll: Toll { requests: sign.requests, affected: sign.affected, seconds: sign.seconds },
            is_unmarked: true,
        }
    }

    fn take(&mut self, sign: &Sign, role: Role) {
        let (started_at, severity) = (self.started_at.min(sign.since), self.severity.max(sign.severity));
        // What opened an incident keeps it open until it ends.
        let role = if self.role == Role::Supports { role } else { self.role };
        let is_unmarked = self.is_unmarked || severity > self.severity || role != self.role;
        *self = Self { started_at, severity, is_unmarked, ..Self::of(sign, role) };
    }
}
