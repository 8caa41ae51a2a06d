//! What is due at a destination: any number of alerts, or one message.

use std::collections::HashSet;
use std::time::{Instant, SystemTime};

use super::destination::Destination;
use super::event::{Event, Turn};
use super::hold::{Flaps, Reason, add};
use super::{Channel, Teller, alert};
use crate::incident::{Incident, Incidents};

/// The most alerts of one request, what is new first.
const MAX_ALERTS: usize = 1000;
/// The most changes in one message.
const MAX_GROUP: usize = 50;

impl Teller {
    /// What is due, and how often the trouble of each began of late.
    pub(super) fn due(
        &mut self,
        destination: &mut Destination,
        incidents: &mut Incidents,
        now: SystemTime,
        is_kept: bool,
    ) -> Vec<(String, Event, u32)> {
        let key = &destination.key;
        let is_told = |incident: &mut Incident| {
            let is_resent = destination.channel == Channel::Alertmanager && incident.is_just_over(now);
            !incident.is_firing() && incident.untold(key, false) == 0 && !is_resent
        };
        if incidents.all_mut().all(is_told) {
            return Vec::new();
        }
        let flaps = Flaps::of(incidents, &destination.key, now);
        if destination.channel == Channel::Alertmanager {
            self.alerts(destination, incidents, &flaps, now, is_kept)
        } else {
            self.message(destination, incidents, &flaps, now, is_kept)
        }
    }

    fn alerts(
        &mut self,
        destination: &Destination,
        incidents: &mut Incidents,
        flaps: &Flaps,
        now: SystemTime,
        is_kept: bool,
    ) -> Vec<(String, Event, u32)> {
        let key = &destination.key;
        let resend = destination.sent.is_none_or(|at| at.elapsed() >= self.settings.resend_interval);
        let mut labels = HashSet::new();
        let (mut due, mut is_any_new) = (Vec::new(), false);
        // Newest first: an older alert of the same labels is the same alert, and has nothing to say any more.
        for incident in incidents.all_mut() {
            let Some(event) = incident.current(key) else { continue };
            let is_pending = !incident.is_accepted(key, event);
            // A beginning that is not told, or that it became graver.
            let mut news = None;
            if event.turn != Turn::Resolved {
                incident.forget_end_before(key, event);
                news = self.first_change(destination, incident, flaps, now);
                if is_pending && news.is_none() {
                    continue;
                }
            } else if is_pending && let Some(reason) = incident.held(key, event.sequence) {
                // Its beginning was held back until its end came.
                let untold = incident.untold(key, false);
                add(&mut self.health.of(destination.channel).skipped, reason, untold);
                incident.accept(key, event, None);
                continue;
            }
            for event in incident.alerts(event) {
                let is_new = is_pending || (event.turn != Turn::Resolved && !incident.knows(key, event.severity));
                if is_new && !is_pending && news.is_none() {
                    continue;
                }
                if !labels.insert(alert::labels(incident, event.severity)) {
                    incident.accept(key, event, None);
                    continue;
                }
                self.health.of(destination.channel).pending += u64::from(is_new);
                let is_resent = event.turn != Turn::Resolved || (incident.is_just_over(now) && incident.was_told(key));
                if !(is_new || is_resent) || (is_kept && !incident.is_saved()) {
                    continue;
                }
                is_any_new |= is_new;
                due.push((incident.id.clone(), event, flaps.times(incident), is_new));
            }
        }
        due.sort_by_key(|(_, event, _, is_new)| (!is_new, event.turn == Turn::Resolved));
        if !(resend || is_any_new) {
            return Vec::new();
        }
        due.into_iter().take(MAX_ALERTS).map(|(id, event, times, _)| (id, event, times)).collect()
    }

    fn message(
        &mut self,
        destination: &mut Destination,
        incidents: &mut Incidents,
        flaps: &Flaps,
        now: SystemTime,
        is_kept: bool,
    ) -> Vec<(String, Event, u32)> {
        let with_updates = destination.channel == Channel::Webhook;
        // What a person's template looks like for several, nobody knows; and what was not taken together may be taken alone.
        let is_templated = with_updates && self.settings.webhook_template.is_some();
        let together = if is_templated || destination.goes_singly { 1 } else { MAX_GROUP };
        let (mut due, mut pending): (Vec<(String, Event, u32)>, u64) = (Vec::new(), 0);
        // Oldest first, the changes of one incident in their order. One that is never taken, such as a body that something
        // in between rejects, holds up no other.
        for incident in incidents.all_mut().rev() {
            let Some(first) = self.first_change(destination, incident, flaps, now) else { continue };
            pending += incident.untold(&destination.key, with_updates);
            if is_kept && !incident.is_saved() {
                continue;
            }
            let (incident, key) = (&*incident, &destination.key);
            let times = flaps.times(incident);
            let is_stuck = due.first().is_some_and(|(id, ..)| Some(id) == destination.stuck.as_ref());
            if together == 1 && is_stuck {
                due.clear();
            }
            // A beginning that is to wait does so also after an end that is told.
            let goes = |event: &Event| *event == first || !self.waits(key, incident, *event, flaps, now);
            let changes = incident.changes_from(first).take_while(goes).take(together.saturating_sub(due.len()));
            due.extend(changes.map(|event| (incident.id.clone(), event, times)));
        }
        if due.is_empty() {
            destination.waits_since = None;
        } else if destination.waits_since.get_or_insert_with(Instant::now).elapsed() < self.settings.group_wait {
            due.clear();
        } else if !destination.rate.has_room(self.settings.rate_limit, now) {
            for (id, event, _) in &due {
                let incident = incidents.get_mut(id);
                if incident
                    .is_some_and(|incident| incident.note_hold(&destination.key, event.sequence, Reason::RateLimited))
                {
                    add(&mut self.health.of(destination.channel).held, Reason::RateLimited, 1);
                }
            }
            add(&mut self.health.of(destination.channel).on_hold, Reason::RateLimited, pending);
            (due, pending) = (Vec::new(), 0);
        }
        self.health.of(destination.channel).pending += pending;
        due
    }
}
