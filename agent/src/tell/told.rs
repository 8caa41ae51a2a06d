//! What was told of an incident, kept with it in memory and on disk.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::event::{Event, Turn};
use super::hold::Reason;
use super::{Channel, TellRule, TellSettings, rule};
use crate::incident::{Incident, Opening, Severity};
use crate::time;

/// What was told of an incident. A field that is added needs a default, so that older files can be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    /// What stood when it was first told: an alert's labels stay the same until it is resolved.
    pub(super) opening: Option<Opening>,
    /// How grave it became since.
    gravest: Option<Severity>,
    /// How often it changed in a way worth telling, beside its beginnings and ends.
    pub(super) updates: u32,
    /// When that was last looked at.
    #[serde(with = "time::maybe")]
    looked_at: Option<SystemTime>,
    /// What it looked like then.
    face: String,
    /// What each destination accepted. One that is not here is not told.
    accepted: BTreeMap<String, Accepted>,
    /// Destinations that are not told of it, as far as that was counted, and why.
    #[serde(skip)]
    excluded: BTreeMap<String, Reason>,
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
    /// The last beginning or end that was sent. It may have arrived although it was not accepted, so it is begun to be told.
    tried: u32,
    /// When it last accepted a beginning.
    #[serde(with = "time::maybe")]
    at: Option<SystemTime>,
    /// How grave it knows the incident to be, at the gravest; unknown of what older agents kept.
    severity: Option<Severity>,
    /// The last change that was held back here, and why: it is counted once.
    held: Option<(u32, Reason)>,
}

impl Told {
    /// Destinations that still wait for a change up to this sequence.
    pub(crate) fn waiting(&self, sequence: u32) -> impl Iterator<Item = &String> {
        self.accepted.iter().filter(move |(_, accepted)| accepted.sequence < sequence).map(|(key, _)| key)
    }

    /// Lets another destination go on where one was; nobody, if there is none. False if that one was not told.
    pub(super) fn hand_over(&mut self, old: &str, new: Option<&str>) -> bool {
        let Some(accepted) = self.accepted.remove(old) else { return false };
        if let Some(new) = new {
            self.accepted.entry(new.to_owned()).or_insert(accepted);
        }
        true
    }

    /// Why nobody was told of what came with this sequence, if nobody was: the reason of one of the destinations.
    pub(super) fn held(&self, sequence: u32) -> Option<Reason> {
        let held = |accepted: &Accepted| {
            let (held, why) = accepted.held?;
            (accepted.sequence < sequence && accepted.tried < sequence && held >= sequence).then_some(why)
        };
        let of_all: Option<Vec<_>> = self.accepted.values().map(held).collect();
        of_all?.into_iter().chain(self.excluded.values().copied()).next()
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

    /// Makes destinations wait for what it has to say from now on, if they are to be told of it, and notes whether it looks
    /// different than when it was last told. What was begun to be told is told to its end, whatever the settings say since.
    /// Answers whether anything came of it; who is not told, and why, goes to `excluded`.
    pub(super) fn enrol(
        &mut self,
        destinations: &[(&str, Channel)],
        now: SystemTime,
        settings: &TellSettings,
        service_of: impl Fn(&str) -> Option<String>,
        excluded: &mut Vec<(Channel, Reason)>,
    ) -> bool {
        if destinations.is_empty() {
            return false;
        }
        let known = self.told.accepted.len();
        let is_there = |key: &String| destinations.iter().any(|(known, _)| known == key);
        self.told.accepted.retain(|key, _| is_there(key));
        self.told.excluded.retain(|key, _| is_there(key));
        let mut is_news = self.told.accepted.len() < known;
        let is_new = destinations.iter().any(|(key, _)| !self.told.accepted.contains_key(*key));
        let is_told = self.told.opening.is_some();
        if is_new || !is_told {
            let untold = || Opening { service: service_of(self.target()), ..self.opening() };
            let mut opening = self.told.opening.clone().unwrap_or_else(untold);
            let service = opening.service.clone();
            if !is_told {
                opening.severity = rule::severity(&settings.rules, self, service.as_deref());
            }
            let is_grave = is_told || opening.severity >= settings.min_severity;
            let is_far = is_told
                || self.highest_score().is_none_or(|score| score >= settings.min_score as f64)
                || self.holds_another();
            for (key, channel) in destinations {
                if self.told.accepted.contains_key(*key) {
                    continue;
                }
                let reason = if !rule::tells(&settings.rules, self, service.as_deref(), *channel) {
                    Some(Reason::Muted)
                } else if !is_grave {
                    Some(Reason::Severity)
                } else {
                    (!is_far).then_some(Reason::Score)
                };
                if let Some(reason) = reason {
                    let is_counted = self.told.excluded.insert((*key).to_owned(), reason).is_some();
                    excluded.extend((!is_counted).then_some((*channel, reason)));
                    continue;
                }
                self.told.excluded.remove(*key);
                let sequence = self.sequence.saturating_sub(1);
                let accepted = Accepted { sequence, updates: self.told.updates, ..Accepted::default() };
                self.told.accepted.insert((*key).to_owned(), accepted);
                is_news = true;
            }
            if self.told.accepted.is_empty() {
                self.unsaved |= is_news;
                return is_news;
            }
            if !is_told {
                self.told.opening = Some(opening);
                is_news = true;
            }
        }
        is_news |= self.grade(&settings.rules);
        let is_due = self
            .told
            .looked_at
            .is_none_or(|at| now.duration_since(at).is_ok_and(|age| age >= settings.update_interval));
        if is_due {
            let is_graver = self.severity() > self.told_opening().severity;
            let face = self.face() + if is_graver { ", graver" } else { "" };
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

    /// Notes how grave it has become; what nobody was told of yet is then told as that. True if that is news.
    fn grade(&mut self, rules: &[TellRule]) -> bool {
        let service = self.told.opening.as_ref().and_then(|opening| opening.service.as_deref());
        let severity = rule::severity(rules, self, service).max(self.severity());
        let is_begun = self.told.accepted.values().any(|accepted| accepted.at.is_some() || accepted.tried > 0);
        if let Some(opening) = self.told.opening.as_mut().filter(|_| !is_begun) {
            opening.severity = severity;
        }
        self.told.gravest.replace(severity) != Some(severity)
    }

    /// How grave it was at its gravest, as far as it was to be told.
    pub(crate) fn severity(&self) -> Severity {
        self.told.gravest.unwrap_or_else(|| self.told_opening().severity)
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
        if self.is_firing() { self.between(accepted, with_updates) } else { None }
    }

    /// What comes after a beginning that was accepted. The end says all that it could have said.
    fn between(&self, accepted: &Accepted, with_updates: bool) -> Option<Event> {
        let event = Event { turn: Turn::Graver, ..self.change(self.sequence) };
        let update = self.told.updates;
        if with_updates {
            return (accepted.updates < update).then_some(Event { turn: Turn::Updated, update, ..event });
        }
        (event.severity > accepted.severity.unwrap_or(self.told_opening().severity)).then_some(event)
    }

    /// How many changes a destination did not accept yet. Updates count as one, since only the last is told.
    pub(super) fn untold(&self, key: &str, with_updates: bool) -> u64 {
        let Some(accepted) = self.told.accepted.get(key) else { return 0 };
        let changes = self.sequence.saturating_sub(accepted.sequence);
        u64::from(changes).max(u64::from(self.next(key, with_updates).is_some()))
    }

    pub(super) fn is_accepted(&self, key: &str, event: Event) -> bool {
        self.told.accepted.get(key).is_some_and(|accepted| accepted.sequence >= event.sequence)
    }

    /// The alerts of a beginning or end: one, and a second one if it became graver since the first was told.
    pub(super) fn alerts(&self, event: Event) -> impl Iterator<Item = Event> + use<> {
        let (first, gravest) = (self.told_opening().severity, self.severity());
        let graver = (gravest > first).then_some(gravest);
        std::iter::once(first).chain(graver).map(move |severity| Event { severity, ..event })
    }

    /// Whether it ended so lately that an alert's end is told again.
    pub(super) fn is_just_over(&self, now: SystemTime) -> bool {
        self.over_at().is_some_and(|at| now.duration_since(at).is_ok_and(|age| age < super::alert::ENDS_FOR))
    }

    /// An end between two beginnings is none to who has one alert for both: a beginning that comes after it stands for it.
    pub(super) fn forget_end_before(&mut self, key: &str, begin: Event) {
        if let Some(next) = self.next(key, false)
            && next.turn == Turn::Resolved
        {
            self.accept(key, Event { sequence: begin.sequence.saturating_sub(1), ..next }, None);
        }
    }

    /// Whether a destination that accepted the beginning knows that the incident is so grave.
    pub(super) fn knows(&self, key: &str, severity: Severity) -> bool {
        let known = self.told.accepted.get(key).and_then(|accepted| accepted.severity);
        severity <= known.unwrap_or(self.told_opening().severity)
    }

    /// Whether a destination may think that it fires.
    pub(super) fn was_told(&self, key: &str) -> bool {
        self.told.accepted.get(key).is_some_and(|accepted| accepted.at.is_some() || accepted.tried > 0)
    }

    /// Notes that a destination accepted a change at some time, or will not. True if that is news.
    pub(super) fn accept(&mut self, key: &str, event: Event, at: Option<SystemTime>) -> bool {
        let Some(accepted) = self.told.accepted.get_mut(key) else { return false };
        let before = *accepted;
        if event.sequence > accepted.sequence && event.turn.begins() {
            accepted.at = at.or(accepted.at);
        }
        if event.turn != Turn::Resolved {
            accepted.severity = accepted.severity.max(Some(event.severity));
        }
        accepted.sequence = accepted.sequence.max(event.sequence);
        accepted.updates = accepted.updates.max(event.update);
        let is_news = *accepted != before;
        self.unsaved |= is_news;
        is_news
    }

    /// Notes that a change is held back. True if that was not known.
    pub(super) fn note_hold(&mut self, key: &str, sequence: u32, reason: Reason) -> bool {
        let Some(accepted) = self.told.accepted.get_mut(key) else { return false };
        let is_known = accepted.held.is_some_and(|(held, why)| why == reason && held >= sequence);
        if !is_known {
            accepted.held = Some((sequence, reason));
            self.unsaved = true;
        }
        !is_known
    }

    /// Notes that a change is sent.
    pub(super) fn note_try(&mut self, key: &str, event: Event) {
        if let Some(accepted) = self.told.accepted.get_mut(key)
            && accepted.tried < event.sequence
        {
            accepted.tried = event.sequence;
            self.unsaved = true;
        }
    }

    /// Whether a beginning or end was sent before.
    pub(super) fn was_tried(&self, key: &str, event: Event) -> bool {
        let tried = self.told.accepted.get(key).map_or(0, |accepted| accepted.tried);
        !event.turn.is_between() && event.sequence <= tried
    }

    /// Whether something waits, or waited, for the end of quiet hours, or of too many messages: what came after it, its end
    /// too, then comes as late.
    pub(super) fn waits_quietly(&self, key: &str) -> bool {
        let held = self.told.accepted.get(key).and_then(|accepted| accepted.held);
        matches!(held, Some((_, Reason::QuietHours | Reason::RateLimited)))
    }

    /// Why the beginning before this end was held back and is still not told, if so.
    pub(super) fn held(&self, key: &str, end: u32) -> Option<Reason> {
        let accepted = self.told.accepted.get(key)?;
        let is_untried = |held: u32| held > accepted.tried;
        accepted
            .held
            .filter(|(held, _)| is_untried(*held) && (accepted.sequence.saturating_add(1)..end).contains(held))
            .map(|(_, why)| why)
    }

    /// When a destination last accepted a beginning.
    pub(super) fn told_at(&self, key: &str) -> Option<SystemTime> {
        self.told.accepted.get(key)?.at
    }

    /// How often it began.
    pub(super) fn beginnings(&self) -> u32 {
        self.sequence.div_ceil(2)
    }

    /// The suspect as it was first told, else as it stands now.
    pub(crate) fn told_opening(&self) -> Opening {
        self.told.opening.clone().unwrap_or_else(|| self.opening())
    }

    /// A change and all beginnings and ends after it.
    pub(super) fn changes_from(&self, first: Event) -> impl Iterator<Item = Event> {
        let rest = (first.sequence.saturating_add(1)..=self.sequence).map(|sequence| self.change(sequence));
        std::iter::once(first).chain(rest)
    }

    /// The beginning or end with this sequence: they take turns, up to how the incident stands now.
    fn change(&self, sequence: u32) -> Event {
        let is_like_now = self.sequence.saturating_sub(sequence).is_multiple_of(2);
        let turn = match (is_like_now == self.is_firing(), sequence) {
            (false, _) => Turn::Resolved,
            (true, ..=1) => Turn::Opened,
            (true, _) => Turn::Reopened,
        };
        Event { turn, sequence, update: 0, severity: self.severity() }
    }
}
