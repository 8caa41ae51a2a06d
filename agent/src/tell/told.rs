//! What was told of an incident, kept with it in memory and on disk.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::TellSettings;
use super::event::{Event, Turn};
use crate::incident::{Incident, Opening};
use crate::time;

/// What was told of an incident. A field that is added needs a default, so that older files can be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    /// What stood when it was first told: an alert's labels stay the same until it is resolved.
    pub(super) opening: Option<Opening>,
    /// How often it changed in a way worth telling, beside its beginnings and ends.
    pub(super) updates: u32,
    /// When that was last looked at.
    #[serde(with = "time::maybe")]
    looked_at: Option<SystemTime>,
    /// What it looked like then.
    face: String,
    /// What each destination accepted. One that is not here is not told.
    accepted: BTreeMap<String, Accepted>,
    /// The last change that is on disk.
    #[serde(skip)]
    saved: Option<Stand>,
}

/// Where an incident stands: its sequence and its updates.
pub(crate) type Stand = (u32, u32);

/// The last change that a destination accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Accepted {
    sequence: u32,
    updates: u32,
}

impl Told {
    /// Destinations that still wait for a change up to this sequence.
    pub(crate) fn waiting(&self, sequence: u32) -> impl Iterator<Item = &String> {
        self.accepted.iter().filter(move |(_, accepted)| accepted.sequence < sequence).map(|(key, _)| key)
    }
}

impl Incident {
    /// Where it stands.
    pub(crate) fn stand(&self) -> Stand {
        (self.sequence, self.told.updates)
    }

    /// Notes that it is on disk as it stood then.
    pub(crate) fn saved_at(&mut self, stand: Stand) {
        self.told.saved = self.told.saved.max(Some(stand));
    }

    pub(super) fn is_saved(&self) -> bool {
        self.told.saved >= Some(self.stand())
    }

    /// Makes destinations wait for what it has to say from now on, if it is grave enough, and notes whether it looks different than when it was
    /// last told. True if anything came of it.
    pub(super) fn enrol(
        &mut self,
        keys: &[&str],
        now: SystemTime,
        settings: &TellSettings,
        service_of: impl Fn(&str) -> Option<String>,
    ) -> bool {
        let is_told = self.told.opening.is_some();
        if keys.is_empty() || !(is_told || self.opening().severity >= settings.min_severity) {
            return false;
        }
        let known = self.told.accepted.len();
        self.told.accepted.retain(|key, _| keys.contains(&key.as_str()));
        let mut is_news = self.told.accepted.len() < known;
        for key in keys {
            if !self.told.accepted.contains_key(*key) {
                let accepted = Accepted { sequence: self.sequence.saturating_sub(1), updates: self.told.updates };
                self.told.accepted.insert((*key).to_owned(), accepted);
                is_news = true;
            }
        }
        if !is_told {
            self.told.opening = Some(Opening { service: service_of(self.target()), ..self.opening() });
            is_news = true;
        }
        let is_due = self
            .told
            .looked_at
            .is_none_or(|at| now.duration_since(at).is_ok_and(|age| age >= settings.update_interval));
        if is_due {
            let face = self.face();
            if self.told.looked_at.is_some() && face != self.told.face {
                self.told.updates = self.told.updates.saturating_add(1);
            }
            if face != self.told.face {
                (self.told.looked_at, self.told.face) = (Some(now), face);
                is_news = true;
            }
        }
        self.unsaved |= is_news;
        is_news
    }

    /// The newest beginning or end, if this destination is told of the incident at all.
    pub(super) fn current(&self, key: &str) -> Option<Event> {
        self.told.accepted.get(key).map(|_| self.change(self.sequence))
    }

    /// The first change that a destination did not accept yet.
    pub(super) fn next(&self, key: &str, with_updates: bool) -> Option<Event> {
        let accepted = self.told.accepted.get(key)?;
        if accepted.sequence < self.sequence {
            return Some(self.change(accepted.sequence.saturating_add(1)));
        }
        // The end says all that an update could have said.
        let update = self.told.updates;
        let is_due = with_updates && self.is_open() && accepted.updates < update;
        is_due.then_some(Event { turn: Turn::Updated, sequence: self.sequence, update })
    }

    /// How many changes a destination did not accept yet. Updates count as one, since only the last is told.
    pub(super) fn untold(&self, key: &str, with_updates: bool) -> u64 {
        let Some(accepted) = self.told.accepted.get(key) else { return 0 };
        let changes = self.sequence.saturating_sub(accepted.sequence);
        u64::from(changes).max(u64::from(with_updates && self.is_open() && accepted.updates < self.told.updates))
    }

    pub(super) fn is_accepted(&self, key: &str, event: Event) -> bool {
        self.told.accepted.get(key).is_some_and(|accepted| accepted.sequence >= event.sequence)
    }

    /// Notes that a destination accepted a change, or will not. True if that is news.
    pub(super) fn accept(&mut self, key: &str, event: Event) -> bool {
        let Some(accepted) = self.told.accepted.get_mut(key) else { return false };
        let before = *accepted;
        accepted.sequence = accepted.sequence.max(event.sequence);
        accepted.updates = accepted.updates.max(event.update);
        let is_news = *accepted != before;
        self.unsaved |= is_news;
        is_news
    }

    /// The beginning or end with this sequence: they take turns, up to how the incident stands now.
    fn change(&self, sequence: u32) -> Event {
        let is_like_now = self.sequence.saturating_sub(sequence).is_multiple_of(2);
        let turn = match (is_like_now == self.is_open(), sequence) {
            (false, _) => Turn::Resolved,
            (true, ..=1) => Turn::Opened,
            (true, _) => Turn::Reopened,
        };
        Event { turn, sequence, update: 0 }
    }
}
