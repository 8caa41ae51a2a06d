//! Telling others of incidents: Alertmanagers, a webhook, a Slack-compatible one.
//!
//! What is still to be told follows from the incidents themselves: each keeps which of its changes every destination
//! accepted ([`Told`]), in memory and on disk. So there is no queue that could be lost or run over: its bound is that of the
//! incidents. The owner of the state asks [`Teller::tell`] at each tick; requests run in tasks of their own, one at a time
//! for each destination, and what came of them is taken in by [`Teller::take`]. Nobody waits for a destination.
//!
//! A change is told once it is on disk, so that an agent that is killed in between tells it again under the same key.

mod alert;
mod destination;
mod event;
mod message;
mod settings;
#[cfg(test)]
mod tests;
mod told;

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;

use crate::client::Client;
use crate::incident::{Incident, Incidents};
use destination::{Destination, Outcome, send};
use event::Event;
pub use settings::{Secret, TellSettings};
pub(crate) use settings::{origin, secret_from};
pub(crate) use told::{Stand, Told};

/// What nobody took for so long after its incident's end is told no more.
const GIVE_UP: Duration = Duration::from_secs(86_400);
/// The most alerts of one request, what is new first. One target has at most one that fires.
const MAX_ALERTS: usize = 1000;

/// The kinds of destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Alertmanager,
    Webhook,
    Slack,
}

impl Channel {
    pub(crate) const ALL: [Self; 3] = [Self::Alertmanager, Self::Webhook, Self::Slack];

    /// The value of the `destination` label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
        }
    }
}

/// What became of notifications, in the order of [`Channel::ALL`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TellHealth {
    pub(crate) channels: [ChannelHealth; 3],
}

/// What became of the notifications of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChannelHealth {
    /// Requests that were accepted.
    pub(crate) successes: u64,
    /// Requests that were not.
    pub(crate) failures: u64,
    /// Changes that still have to be told.
    pub(crate) pending: u64,
    /// Changes that were refused for good.
    pub(crate) rejected: u64,
    /// Changes that nobody took for a day.
    pub(crate) expired: u64,
    /// Changes of incidents that are kept no longer.
    pub(crate) forgotten: u64,
}

impl TellHealth {
    fn of(&mut self, channel: Channel) -> &mut ChannelHealth {
        let [alertmanager, webhook, slack] = &mut self.channels;
        match channel {
            Channel::Alertmanager => alertmanager,
            Channel::Webhook => webhook,
            Channel::Slack => slack,
        }
    }
}

/// What came of a request.
pub(crate) struct Sent {
    destination: String,
    events: Vec<(String, Event)>,
    outcome: Outcome,
}

/// Who tells. It belongs to the owner of the state.
pub(crate) struct Teller {
    settings: TellSettings,
    /// Where people find the agent's page, without a slash at the end.
    page: String,
    destinations: Vec<Destination>,
    pub(crate) work: JoinSet<Sent>,
    health: TellHealth,
}

impl Teller {
    /// `page` is where people find the agent's page unless the settings say it.
    pub(crate) fn new(settings: &TellSettings, page: &str) -> Self {
        Self {
            page: settings.page_url.as_ref().map_or_else(|| page.to_owned(), ToString::to_string),
            destinations: Destination::all(settings),
            settings: settings.clone(),
            work: JoinSet::new(),
            health: TellHealth::default(),
        }
    }

    /// Tells by other settings from now on. What runs, runs to its end.
    pub(crate) fn set(&mut self, settings: &TellSettings, page: &str) {
        let mut new = Self::new(settings, page);
        for destination in &mut new.destinations {
            if let Some(old) = self.destinations.iter_mut().find(|old| old.key == destination.key) {
                std::mem::swap(old, destination);
            }
        }
        (self.settings, self.page, self.destinations) = (new.settings, new.page, new.destinations);
    }

    /// What became of notifications until now.
    pub(crate) fn health(&self) -> TellHealth {
        self.health
    }

    /// Notes in the incidents what has to be told of them, to be called before they are written. True if one of them
    /// changed by it and has to be written soon. `service_of` knows what the service at a target calls itself.
    pub(crate) fn prepare(
        &mut self,
        incidents: &mut Incidents,
        now: SystemTime,
        service_of: impl Fn(&str) -> Option<String>,
    ) -> bool {
        for key in incidents.take_untold() {
            if let Some(destination) = self.destinations.iter().find(|destination| destination.key == key) {
                self.health.of(destination.channel).forgotten += 1;
            }
        }
        let keys: Vec<_> = self.destinations.iter().map(|destination| destination.key.as_str()).collect();
        let mut is_news = false;
        for incident in incidents.all_mut() {
            is_news |= incident.is_open() && incident.enrol(&keys, now, &self.settings, &service_of);
        }
        is_news
    }

    /// Sends what is due. `is_kept` says that incidents are kept on disk: what is not there yet then waits.
    pub(crate) fn tell(&mut self, incidents: &mut Incidents, client: &Client, now: SystemTime, is_kept: bool) {
        for channel in &mut self.health.channels {
            channel.pending = 0;
        }
        let mut destinations = std::mem::take(&mut self.destinations);
        for destination in &mut destinations {
            self.expire(destination, incidents, now);
            let events = self.due(destination, incidents, is_kept);
            if events.is_empty() || destination.is_busy || !destination.is_due(Instant::now()) {
                continue;
            }
            let mut found = events.iter().filter_map(|(id, event)| Some((incidents.get(id)?, *event)));
            let request = if destination.channel == Channel::Alertmanager {
                let ahead = self.settings.resend_interval * alert::INTERVALS_AHEAD;
                destination.json(alert::body(found, &self.page, now, ahead), Vec::new())
            } else {
                let Some((incident, event)) = found.next() else { continue };
                if destination.channel == Channel::Slack {
                    message::slack(destination, incident, event, &self.page)
                } else {
                    let secret = self.settings.webhook_secret.as_ref();
                    message::webhook(destination, incident, event, &self.page, secret)
                }
            };
            destination.is_busy = true;
            let (client, timeout) = (client.clone(), self.settings.timeout);
            let key = destination.key.clone();
            self.work.spawn(async move {
                let outcome = send(&client, request, timeout).await;
                Sent { destination: key, events, outcome }
            });
        }
        self.destinations = destinations;
    }

    /// What is due at a destination: any number of alerts, or one message.
    fn due(&mut self, destination: &Destination, incidents: &mut Incidents, is_kept: bool) -> Vec<(String, Event)> {
        let pending = &mut self.health.of(destination.channel).pending;
        let mut due = Vec::new();
        if destination.channel == Channel::Alertmanager {
            if incidents.all_mut().all(|incident| !incident.is_open() && incident.untold(&destination.key, false) == 0)
            {
                return due;
            }
            let resend = destination.sent.is_none_or(|at| at.elapsed() >= self.settings.resend_interval);
            let mut labels = HashSet::new();
            let (mut firing, mut is_new) = (Vec::new(), false);
            // Newest first: an older alert of the same labels is the same alert, and has nothing to say any more.
            for incident in incidents.all_mut() {
                let Some(event) = incident.current(&destination.key) else { continue };
                let is_pending = !incident.is_accepted(&destination.key, event);
                if !incident.is_open() && !is_pending {
                    labels.insert(alert::labels(incident));
                    continue;
                }
                if !labels.insert(alert::labels(incident)) {
                    incident.accept(&destination.key, event);
                    continue;
                }
                *pending += u64::from(is_pending);
                if is_kept && !incident.is_saved() {
                    continue;
                }
                is_new |= is_pending;
                firing.push((incident.id.clone(), event, is_pending));
            }
            firing.sort_by_key(|(.., is_pending)| !is_pending);
            if resend || is_new {
                due.extend(firing.into_iter().take(MAX_ALERTS).map(|(id, event, _)| (id, event)));
            }
        } else {
            let with_updates = destination.channel == Channel::Webhook;
            // Oldest first, the changes of one incident in their order. One that is never taken, such as a body that
            // something in between rejects, holds up no other.
            for incident in incidents.all_mut().rev() {
                let Some(event) = incident.next(&destination.key, with_updates) else { continue };
                *pending += incident.untold(&destination.key, with_updates);
                let is_behind = due.first().is_some_and(|(id, _)| Some(id) != destination.stuck.as_ref());
                if !is_behind && (!is_kept || incident.is_saved()) {
                    due = vec![(incident.id.clone(), event)];
                }
            }
        }
        due
    }

    fn expire(&mut self, destination: &Destination, incidents: &mut Incidents, now: SystemTime) {
        for incident in incidents.all_mut() {
            let is_old = incident.ended_at().is_some_and(|at| now.duration_since(at).is_ok_and(|age| age > GIVE_UP));
            let untold = if is_old { incident.untold(&destination.key, false) } else { 0 };
            if untold > 0
                && let Some(event) = incident.current(&destination.key)
            {
                incident.accept(&destination.key, event);
                self.health.of(destination.channel).expired += untold;
                tracing::warn!(id = incident.id, at = %destination.shown, "word of an incident was not taken for a day");
            }
        }
    }

    /// Takes in what came of a request. True if an incident changed by it.
    pub(crate) fn take(&mut self, sent: Sent, incidents: &mut Incidents) -> bool {
        let Sent { destination: key, events, outcome } = sent;
        // A reload may have removed it.
        let Some(destination) = self.destinations.iter_mut().find(|destination| destination.key == key) else {
            return false;
        };
        destination.note(&outcome);
        let is_later = matches!(outcome, Outcome::Later { .. });
        destination.stuck = events.first().filter(|_| is_later).map(|(id, _)| id.clone());
        let health = self.health.of(destination.channel);
        *(if outcome == Outcome::Taken { &mut health.successes } else { &mut health.failures }) += 1;
        let is_over = match outcome {
            Outcome::Taken => true,
            // An alert that fires is sent again all the same, and one that was refused resolves by itself.
            Outcome::Refused(_) => {
                health.rejected += events.len() as u64;
                true
            }
            Outcome::Later { .. } => false,
        };
        let mut changed = false;
        for (id, event) in events {
            if is_over && let Some(incident) = incidents.get_mut(&id) {
                changed |= incident.accept(&key, event);
            }
        }
        changed
    }
}

impl Incident {
    /// Words for a change, with what it is about.
    fn headline(&self, event: Event) -> String {
        format!("Incident {} on {}", event.state(), self.target())
    }
}
