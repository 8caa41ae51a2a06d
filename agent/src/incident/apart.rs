//! Incidents beside those about requests: error budgets that are spent too fast, resources that run full.

use std::time::{Duration, SystemTime};

use super::{Change, Incident, Incidents, Scope};
use crate::watch::{Role, Sign};

impl Incidents {
    /// Takes in the signs of a target that have incidents of their own. Answers what became of which incident, by its id.
    ///
    /// While the target's requests suffer, none opens: the sign stands in their incident. Nor does one as their aftermath. If
    /// that was called a false alarm, it stands only for what it held then.
    pub(crate) fn update_apart(&mut self, target: &str, at: SystemTime, signs: &[Sign]) -> Vec<(String, Change)> {
        let mut changes = Vec::new();
        let covered = |incidents: &Self, sign: &Sign| {
            let Some(newest) = incidents.newest(target) else { return false };
            let aftermath = Duration::try_from_secs_f64(sign.aftermath_seconds).unwrap_or_default();
            let is_marked = |moved: &super::moved::Moved| moved.is(sign) && !moved.is_unmarked;
            match newest.resolved_at {
                None => newest.is_firing() || newest.moved.iter().any(is_marked),
                Some(ended) => at.duration_since(ended).unwrap_or_default() <= aftermath,
            }
        };
        let own = || signs.iter().filter(|sign| sign.role == Role::Apart);
        for sign in own() {
            let scope = Scope::of(sign);
            let is_open = self.list.iter().any(|incident| incident.is_of(target, &scope) && incident.is_open());
            if !is_open && !covered(self, sign) {
                let change = self.begin(target, &scope, at, |incident| incident.knows_one_of(signs));
                let opened = self.list.iter().find(|incident| incident.is_of(target, &scope) && incident.is_open());
                changes.extend(opened.map(|incident| (incident.id.clone(), change)));
            }
        }
        for incident in self.list.iter_mut().filter(|incident| incident.target == target && incident.is_open()) {
            if incident.scope == Scope::Requests {
                continue;
            }
            let (scope, was_firing) = (incident.scope.clone(), incident.is_firing());
            incident.silent_since = None;
            incident.unsaved = true;
            incident.take_signs(own().filter(|sign| Scope::of(sign) == scope).map(|sign| (sign, Role::Apart)), at);
            incident.date(at);
            if incident.is_firing() && !was_firing {
                changes.retain(|(id, _)| *id != incident.id);
                changes.push((incident.id.clone(), Change::Reopened));
            }
            if !incident.lasts() {
                incident.end(at);
                changes.push((incident.id.clone(), Change::Resolved));
            }
        }
        changes
    }
}

impl Incident {
    /// Whether one of these signs is one that opened it.
    pub(super) fn knows_one_of(&self, signs: &[Sign]) -> bool {
        let opened = |sign: &&Sign| sign.role != Role::Supports;
        signs.iter().filter(opened).any(|sign| {
            let is_it = |moved: &&super::moved::Moved| moved.subject == sign.subject && moved.signal == sign.signal;
            self.moved.iter().find(is_it).is_some_and(|moved| moved.role != Role::Supports)
        })
    }
}
