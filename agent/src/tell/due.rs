//! What is due at a destination: any number of alerts, or one message.

use std::collections::HashSet;
use std::time::{Instant, SystemTime};

use super::destination::Destination;
use super::event::{Event, Turn};
use super::hold::{Flaps, Reason, add};
use super::{Channel, Teller, alert};
use crate::incident::Incidents;

/// The most alerts of one request, what is new first. One target has at most one that fires.
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
        if incidents.all_mut().all(|incident| !incident.is_firing() && incident.untold(key, false) == 0) {
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
        let resend = destination.sent.is_none_or(|at| at.elapsed() >= self.settings.resend_interval);
        let mut labels = HashSet::new();
        let (mut firing, mut is_new) = (Vec::new(), false);
        // Newest first: an older alert of the same labels is the same alert, and has nothing to say any more.
        for incident in incidents.all_mut() {
            let Some(event) = incident.current(&destination.key) else { continue };
            let is_pending = !incident.is_accepted(&destination.key, event);
            if !incident.is_firing() && !is_pending {
                labels.insert(alert::labels(incident));
                continue;
            }
            if is_pending && event.turn != Turn::Resolved {
                if self.first_change(destination, incident, flaps, now).is_none() {
                    continue;
                }
            } else if is_pending && let Some(reason) = incident.held(&destination.key, event.sequence) {
                // Its beginning was held back until its end came.
                let untold = incident.untold(&destination.key, false);
                add(&mut self.health.of(destination.channel).skipped, reason, untold);
                incident.accept(&destination.key, event, None);
                continue;
            }
            if !labels.insert(alert::labels(incident)) {
                incident.accept(&destination.key, event, None);
                continue;
            }
            self.health.of(destination.channel).pending += u64::from(is_pending);
            if is_kept && !incident.is_saved() {
                continue;
            }
            is_new |= is_pending;
            firing.push((incident.id.clone(), event, flaps.times(incident), is_pending));
        }
        firing.sort_by_key(|(.., is_pending)| !is_pending);
        if !(resend || is_new) {
            return Vec::new();
        }
        firing.into_iter().take(MAX_ALERTS).map(|(id, event, times, _)| (id, event, times)).collect()
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
            let times = flaps.times(incident);
            let is_stuck = due.first().is_some_and(|(id, ..)| Some(id) == destination.stuck.as_ref());
            if together == 1 && is_stuck {
                due.clear();
            }
            let changes = incident.changes_from(first).take(together.saturating_sub(due.len()));
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
