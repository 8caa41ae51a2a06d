//! Incidents that outlive the agent: what is taken up again, what still has to be written, and what is forgotten.

use std::time::SystemTime;

use super::moved::Moved;
use super::record::{End, How};
use super::{Incident, IncidentSettings, Incidents, Mark, Scope};
use crate::watch::Role;

impl Incidents {
    /// Takes up what an earlier agent kept. An incident that it left open goes on, unless `is_watched` does not know its
    /// target: nobody will ever see that one recover.
    pub(crate) fn restore(
        settings: &IncidentSettings,
        mut kept: Vec<Incident>,
        at: SystemTime,
        is_watched: impl Fn(&str) -> bool,
    ) -> Self {
        kept.sort_by(|a, b| (b.detected_at, &b.id).cmp(&(a.detected_at, &a.id)));
        let mut incidents = Self { settings: settings.clone(), ..Self::default() };
        for mut incident in kept {
            // Only the newest of a target and scope can be open; another one would stay so for ever.
            let is_first = !incidents.list.iter().any(|newer| newer.is_of(&incident.target, &incident.scope));
            if incident.resolved_at.is_none() && !(is_first && is_watched(&incident.target)) {
                incident.close(at);
            }
            if incident.is_firing() != (incident.sequence % 2 == 1) && incident.sequence > 0 {
                // It was marked while a mark did not end what fires yet.
                incident.sequence = incident.sequence.saturating_add(1);
                incident.unsaved = true;
            }
            let stand = incident.stand();
            if !incident.unsaved {
                incident.saved_at(stand);
            }
            incidents.list.push_back(incident);
        }
        incidents.forget(at);
        incidents
    }

    /// Keeps incidents by other settings from now on.
    pub(crate) fn set(&mut self, settings: &IncidentSettings, at: SystemTime) {
        self.settings = settings.clone();
        self.forget(at);
    }

    /// Closes the open incidents of a target that is not watched any more. True if there were any.
    pub(crate) fn close(&mut self, target: &str, at: SystemTime) -> bool {
        let mut any = false;
        for incident in self.list.iter_mut().filter(|incident| incident.target == target && incident.is_open()) {
            incident.close(at);
            any = true;
        }
        any
    }

    /// The incident with this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Incident> {
        self.list.iter().find(|incident| incident.id == id)
    }

    /// All that are open on a target.
    pub(crate) fn all_open(&self, target: &str) -> impl Iterator<Item = &Incident> {
        self.list.iter().filter(move |incident| incident.target == target && incident.is_open())
    }

    /// The incident with this id, to be changed.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Incident> {
        self.list.iter_mut().find(|incident| incident.id == id)
    }

    /// All of them, newest first.
    pub(crate) fn all_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Incident> {
        self.list.iter_mut()
    }

    /// The destinations that waited for word of incidents that were forgotten since this was last asked.
    pub(crate) fn take_untold(&mut self) -> Vec<String> {
        std::mem::take(&mut self.untold)
    }

    /// Notes what a person said of an incident; `None` if there is no such incident.
    pub(crate) fn mark(&mut self, id: &str, mark: Mark) -> Option<&Incident> {
        let incident = self.list.iter_mut().find(|incident| incident.id == id)?;
        let was_firing = incident.is_firing();
        incident.mark = Some(mark);
        incident.moved.iter_mut().for_each(|moved| moved.is_unmarked = false);
        // A mark ends what fires, and taking it back begins it again.
        incident.sequence = incident.sequence.saturating_add(u32::from(incident.is_firing() != was_firing));
        incident.unsaved = true;
        Some(incident)
    }

    /// The incidents that changed since this was last asked.
    pub(crate) fn take_unsaved(&mut self) -> Vec<Incident> {
        let take = |incident: &mut Incident| std::mem::take(&mut incident.unsaved).then(|| incident.clone());
        self.list.iter_mut().filter_map(take).collect()
    }

    /// These could not be written after all.
    pub(crate) fn still_unsaved(&mut self, ids: &[String]) {
        for incident in self.list.iter_mut().filter(|incident| ids.contains(&incident.id)) {
            incident.unsaved = true;
        }
    }

    /// The ids that were forgotten since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> Vec<String> {
        std::mem::take(&mut self.dropped)
    }

    /// Incidents of a target that people called false alarms.
    pub(crate) fn false_alarms(&self, target: &str) -> u64 {
        let of = self.list.iter().filter(|incident| incident.target == target && incident.is_false_alarm());
        of.count() as u64
    }

    /// Forgets what is too old or too much. What is open stays, however old.
    pub(crate) fn forget(&mut self, at: SystemTime) {
        let keep_for = self.settings.keep_for;
        let is_old = |resolved: SystemTime| at.duration_since(resolved).is_ok_and(|age| age > keep_for);
        let (dropped, untold) = (&mut self.dropped, &mut self.untold);
        self.list.retain(|incident| {
            let goes = incident.resolved_at.is_some_and(is_old);
            if goes {
                untold.extend(incident.told.waiting(incident.sequence).cloned());
                dropped.push(incident.id.clone());
            }
            !goes
        });
        while self.list.len() > self.settings.keep
            && let Some(oldest) = self.list.iter().rposition(|incident| incident.resolved_at.is_some())
            && let Some(incident) = self.list.remove(oldest)
        {
            self.untold.extend(incident.told.waiting(incident.sequence).cloned());
            self.dropped.push(incident.id);
        }
        // Without a disk nobody takes them. What stays on one for want of room here goes at the next start.
        self.dropped.truncate(MAX_DROPPED);
    }
}

/// The most ids that wait for their files to be removed.
const MAX_DROPPED: usize = 10_000;

impl Incident {
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    pub(crate) fn is_false_alarm(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.false_alarm)
    }

    /// Ends it without knowing how it ended.
    fn close(&mut self, at: SystemTime) {
        for route in &mut self.routes {
            route.ended.get_or_insert(End { how: How::Unwatched, at, idle_since: None });
        }
        self.moved.iter_mut().for_each(|moved| _ = moved.ended_at.get_or_insert(at));
        self.end(at);
        self.unsaved = true;
    }

    pub(super) fn is_of(&self, target: &str, scope: &Scope) -> bool {
        self.target == target && self.scope == *scope
    }

    /// Whether anything that keeps it open goes on.
    pub(super) fn lasts(&self) -> bool {
        self.routes.iter().any(|route| route.ended.is_none()) || self.moved.iter().any(Moved::lasts)
    }

    /// Notes when it began, by what opened it.
    pub(super) fn date(&mut self, at: SystemTime) {
        let moved = self.moved.iter().filter(|moved| moved.role != Role::Supports).map(|moved| moved.started_at);
        self.started_at = self.routes.iter().map(|route| route.started_at).chain(moved).min().unwrap_or(at);
    }

    pub(super) fn end(&mut self, at: SystemTime) {
        self.sequence = self.sequence.saturating_add(u32::from(self.is_firing()));
        self.resolved_at = Some(at);
    }
}

/// Whether a text from outside can be the id of an incident.
pub(crate) fn is_id(text: &str) -> bool {
    let (millis, number) = text.split_once('-').unwrap_or_default();
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let sized = |text: &str, most| (1..=most).contains(&text.len());
    sized(millis, 32) && sized(number, 20) && hex(millis) && digits(number)
}
