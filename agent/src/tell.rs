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
mod due;
mod event;
mod handover;
mod hold;
mod matcher;
mod message;
mod quiet;
mod rate;
mod row;
mod rule;
mod settings;
mod silence;
mod template;
#[cfg(test)]
mod tests;
mod told;
pub(crate) mod trial;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::incident::{Incident, Incidents};
use destination::{Destination, Outcome, Ready, send};
use event::{Event, Turn};
use handover::Handover;
use hold::{ByReason, add};
pub(crate) use hold::{HeldView, Reason};
use message::Change;
pub use quiet::{QuietHours, UtcOffset};
use rate::Rate;
pub(crate) use row::{Cell, Row, from_json};
pub use rule::TellRule;
pub use settings::{Secret, TellSettings};
pub(crate) use settings::{origin, secret_from};
pub use silence::Silence;
use silence::Silences;
pub(crate) use silence::{SilenceView, SilencesView};
pub use template::Template;
pub(crate) use told::{Stand, Told};

/// What nobody took for so long after its incident's end is told no more.
const GIVE_UP: Duration = Duration::from_secs(86_400);
/// The same for what waited for the end of quiet hours, which may be a week's, or for too many messages.
const GIVE_UP_QUIETLY: Duration = Duration::from_secs(8 * 86_400);

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
    /// Silences that last.
    pub(crate) silences: usize,
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
    /// Changes of incidents that are kept no longer, or of a destination that is none any more.
    pub(crate) forgotten: u64,
    /// Changes that were held back, or not meant for it, once for each reason.
    pub(crate) held: ByReason,
    /// Changes that are held back now.
    pub(crate) on_hold: ByReason,
    /// Changes that were over before their hold was.
    pub(crate) skipped: ByReason,
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

/// What outlives the agent beside what each incident keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptTell {
    silences: Silences,
    rates: BTreeMap<String, Rate>,
}

/// Who tells. It belongs to the owner of the state.
pub(crate) struct Teller {
    settings: TellSettings,
    /// Where people find the agent's page, without a slash at the end.
    page: String,
    destinations: Vec<Destination>,
    /// Destinations that are none any more, until the incidents know.
    handovers: Vec<Handover>,
    /// Time between two ticks.
    interval: Duration,
    silences: Silences,
    pub(crate) work: JoinSet<Sent>,
    health: TellHealth,
}

impl Teller {
    /// `page` is where people find the agent's page unless the settings say it.
    pub(crate) fn new(settings: &TellSettings, page: &str) -> Self {
        Self {
            page: settings.page_url.as_ref().map_or_else(|| page.to_owned(), ToString::to_string),
            destinations: Destination::all(settings),
            handovers: Vec::new(),
            interval: Duration::ZERO,
            settings: settings.clone(),
            silences: Silences::default(),
            work: JoinSet::new(),
            health: TellHealth::default(),
        }
    }

    /// Tells by other settings from now on. What runs, runs to its end.
    pub(crate) fn set(&mut self, settings: &TellSettings, page: &str) {
        let old: Vec<_> = self.destinations.iter().map(|at| at.key.clone()).collect();
        let mut new = Self::new(settings, page);
        for destination in &mut new.destinations {
            if let Some(old) = self.destinations.iter_mut().find(|old| old.key == destination.key) {
                std::mem::swap(old, destination);
            }
        }
        new.destinations = new.destinations.into_iter().map(|at| at.bounded(settings)).collect();
        (self.settings, self.page, self.destinations) = (new.settings, new.page, new.destinations);
        self.hand_over(old);
    }

    /// There is a tick this often from now on.
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Goes on from what an earlier agent kept.
    pub(crate) fn restore(&mut self, kept: KeptTell) {
        self.silences = kept.silences;
        for destination in &mut self.destinations {
            destination.rate = kept.rates.get(&destination.key).cloned().unwrap_or_default();
        }
        self.hand_over(kept.rates.into_keys());
    }

    /// What another agent needs to go on from here.
    pub(crate) fn keep(&self) -> KeptTell {
        let rates = self.destinations.iter().map(|at| (at.key.clone(), at.rate.clone())).collect();
        KeptTell { silences: self.silences.clone(), rates }
    }

    /// Adds a silence, or says why it cannot be.
    pub(crate) fn silence(&mut self, row: &Row, now: SystemTime) -> Result<SilenceView, String> {
        self.silences.add(row, now)
    }

    /// Ends a silence of the API; false if there is none with this id.
    pub(crate) fn unsilence(&mut self, id: &str) -> bool {
        self.silences.remove(id)
    }

    /// The silences that last.
    pub(crate) fn silences(&self, now: SystemTime) -> SilencesView {
        self.silences.view(&self.settings.silences, now)
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
        let mut is_news = self.end_handovers(incidents);
        let destinations: Vec<_> = self.destinations.iter().map(|at| (at.key.as_str(), at.channel)).collect();
        let mut excluded = Vec::new();
        for incident in incidents.all_mut().filter(|incident| incident.is_firing()) {
            is_news |= incident.enrol(&destinations, now, &self.settings, &service_of, &mut excluded);
        }
        for (channel, reason) in excluded {
            add(&mut self.health.of(channel).held, reason, 1);
        }
        is_news
    }

    /// Sends what is due. `is_kept` says that incidents are kept on disk: what is not there yet then waits.
    pub(crate) fn tell(&mut self, incidents: &mut Incidents, client: &Client, now: SystemTime, is_kept: bool) {
        self.silences.expire(now);
        self.health.silences = self.silences.len(&self.settings.silences, now);
        for channel in &mut self.health.channels {
            (channel.pending, channel.on_hold) = (0, ByReason::default());
        }
        let mut destinations = std::mem::take(&mut self.destinations);
        for destination in &mut destinations {
            self.expire(destination, incidents, now);
            let mut due = self.due(destination, incidents, now, is_kept);
            if due.is_empty() || destination.is_busy || !destination.is_due(Instant::now()) {
                continue;
            }
            let Some((request, count)) = self.request(destination, incidents, &due, now) else { continue };
            due.truncate(count);
            destination.is_busy = true;
            destination.waits_since = None;
            if destination.channel != Channel::Alertmanager {
                destination.rate.note(now);
            }
            let (client, timeout) = (client.clone(), self.settings.timeout);
            let key = destination.key.clone();
            let events: Vec<_> = due.into_iter().map(|(id, event, _)| (id, event)).collect();
            note_tries(incidents, &key, &events);
            self.work.spawn(async move {
                let outcome = send(&client, request, timeout).await;
                Sent { destination: key, events, outcome }
            });
        }
        self.destinations = destinations;
    }

    /// A request, and how many of what is due are in it.
    fn request(
        &self,
        destination: &Destination,
        incidents: &Incidents,
        due: &[(String, Event, u32)],
        now: SystemTime,
    ) -> Option<(Ready, usize)> {
        let change = |(id, event, times): &(String, Event, u32)| {
            Some(Change { incident: incidents.get(id)?, event: *event, times: *times, page: &self.page })
        };
        let changes: Vec<_> = due.iter().filter_map(change).collect();
        let settings = &self.settings;
        match destination.channel {
            Channel::Alertmanager => {
                // It is sent no sooner than at a tick, and not while a request is under way.
                let ahead = settings.resend_interval.max(self.interval).max(settings.timeout) * alert::INTERVALS_AHEAD;
                Some((destination.json(alert::body(&changes, now, ahead), Vec::new()), due.len()))
            }
            Channel::Webhook => {
                let (template, secret) = (settings.webhook_template.as_ref(), settings.webhook_secret.as_ref());
                message::webhook(destination, &changes, template, secret).map(|request| (request, due.len()))
            }
            Channel::Slack => message::slack(destination, &changes, settings.slack_template.as_ref()),
        }
    }

    fn expire(&mut self, destination: &Destination, incidents: &mut Incidents, now: SystemTime) {
        for incident in incidents.all_mut() {
            let patience = if incident.waits_quietly(&destination.key) { GIVE_UP_QUIETLY } else { GIVE_UP };
            let is_old = incident.over_at().is_some_and(|at| now.duration_since(at).is_ok_and(|age| age > patience));
            let untold = if is_old { incident.untold(&destination.key, false) } else { 0 };
            if untold > 0
                && let Some(event) = incident.current(&destination.key)
            {
                incident.accept(&destination.key, event, None);
                self.health.of(destination.channel).expired += untold;
                tracing::warn!(id = incident.id, at = %destination.shown, "word of an incident was not taken for a day");
            }
        }
    }

    /// Takes in what came of a request. True if an incident changed by it.
    pub(crate) fn take(&mut self, sent: Sent, incidents: &mut Incidents, now: SystemTime) -> bool {
        let Sent { destination: key, events, outcome } = sent;
        // A reload may have removed it.
        let Some(destination) = self.destinations.iter_mut().find(|destination| destination.key == key) else {
            return false;
        };
        destination.note(&outcome);
        let is_later = matches!(outcome, Outcome::Later { .. });
        destination.stuck = events.first().filter(|_| is_later).map(|(id, _)| id.clone());
        let is_one_of_many =
            outcome != Outcome::Taken && events.len() > 1 && destination.channel != Channel::Alertmanager;
        destination.goes_singly = is_later || is_one_of_many;
        let health = self.health.of(destination.channel);
        *(if outcome == Outcome::Taken { &mut health.successes } else { &mut health.failures }) += 1;
        let taken_at = (outcome == Outcome::Taken).then_some(now);
        let is_over = match outcome {
            Outcome::Taken => true,
            // It may be one of them that is wrong: each gets its own chance.
            Outcome::Refused(_) if is_one_of_many => false,
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
                changed |= incident.accept(&key, event, taken_at);
            }
        }
        changed
    }
}

/// Notes that changes are sent.
fn note_tries(incidents: &mut Incidents, key: &str, events: &[(String, Event)]) {
    for (id, event) in events {
        if let Some(incident) = incidents.get_mut(id) {
            incident.note_try(key, *event);
        }
    }
}

impl Incident {
    /// Words for a change, with what it is about.
    fn headline(&self, event: Event) -> String {
        let (state, target) = (event.state(), self.target());
        let now = if event.turn == Turn::Graver { format!(": now {}", event.severity.as_str()) } else { String::new() };
        format!("Incident {state} on {target}{now}")
    }
}
