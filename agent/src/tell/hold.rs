//! What is held back, and why: nothing is held or dropped in silence.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Teller;
use super::destination::Destination;
use super::event::{Event, Turn};
use crate::incident::{Incident, Incidents, Severity};
use crate::time::Time;

/// Why a change is not told now, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// A rule keeps it from this kind of destination.
    Muted,
    /// It is not grave enough.
    Severity,
    /// It is not far enough from usual.
    Score,
    /// A silence covers it.
    Silenced,
    /// People sleep.
    QuietHours,
    /// It comes and goes, and that was told.
    Flapping,
    /// Too many messages went out within a minute.
    RateLimited,
}

impl Reason {
    pub(crate) const ALL: [Self; 7] =
        [Self::Muted, Self::Severity, Self::Score, Self::Silenced, Self::QuietHours, Self::Flapping, Self::RateLimited];

    /// The value of the `reason` label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Muted => "muted",
            Self::Severity => "severity",
            Self::Score => "score",
            Self::Silenced => "silenced",
            Self::QuietHours => "quiet_hours",
            Self::Flapping => "flapping",
            Self::RateLimited => "rate_limited",
        }
    }

    /// Whether a beginning that was held so is dropped once its end has come.
    pub(crate) fn drops(self) -> bool {
        matches!(self, Self::Silenced | Self::Flapping)
    }
}

/// Why nobody is told of an incident, as the API shows it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct HeldView {
    pub(crate) reason: Reason,
    /// When the silence ends that holds it.
    pub(crate) until: Option<Time>,
}

/// How many changes for each reason, in the order of [`Reason::ALL`].
pub(crate) type ByReason = [u64; Reason::ALL.len()];

pub(super) fn add(counts: &mut ByReason, reason: Reason, more: u64) {
    if let Some((_, count)) = Reason::ALL.iter().zip(counts).find(|(known, _)| **known == reason) {
        *count += more;
    }
}

/// What comes and goes is looked at over this time.
const FLAP_WINDOW: Duration = Duration::from_secs(3600);
/// The time between the last one told and the next; it doubles with each further beginning, unless it is critical.
const FIRST_FLAP_PAUSE: Duration = Duration::from_secs(300);
const LONGEST_FLAP_PAUSE: Duration = Duration::from_secs(3600);

/// The same trouble: target, suspect, signal.
type Trouble = (String, String, &'static str);

/// How often each trouble began of late, and when a destination was last told so.
#[derive(Default)]
pub(super) struct Flaps(HashMap<Trouble, (u32, Option<SystemTime>)>);

impl Flaps {
    /// Counts what the incidents themselves remember, so that a restart changes nothing.
    pub(super) fn of(incidents: &mut Incidents, key: &str, now: SystemTime) -> Self {
        let mut flaps = HashMap::new();
        let is_late = |incident: &&mut Incident| {
            incident.over_at().is_none_or(|at| now.duration_since(at).is_ok_and(|age| age < FLAP_WINDOW))
        };
        for incident in incidents.all_mut().filter(is_late) {
            let (times, told) = flaps.entry(trouble(incident)).or_insert((0_u32, None));
            *times = times.saturating_add(incident.beginnings());
            *told = (*told).max(incident.told_at(key));
        }
        Self(flaps)
    }

    /// How often the trouble of an incident began within the window.
    pub(super) fn times(&self, incident: &Incident) -> u32 {
        self.0.get(&trouble(incident)).map_or(1, |(times, _)| *times)
    }

    /// `is_critical` says that it is too grave to wait for long.
    fn hold(&self, incident: &Incident, free: usize, is_critical: bool, now: SystemTime) -> bool {
        let Some((times, Some(told))) = self.0.get(&trouble(incident)) else { return false };
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        let Some(doublings) = times.checked_sub(free.saturating_add(1)) else { return false };
        let longest = if is_critical { FIRST_FLAP_PAUSE } else { LONGEST_FLAP_PAUSE };
        let pause = FIRST_FLAP_PAUSE.saturating_mul(1 << doublings.min(16)).min(longest);
        now.duration_since(*told).is_ok_and(|since| since < pause)
    }
}

fn trouble(incident: &Incident) -> Trouble {
    let opening = incident.told_opening();
    let subject = opening.subject.unwrap_or_else(|| format!("{} {}", opening.method, opening.route));
    (incident.target().to_owned(), subject, opening.signal.as_str())
}

impl Teller {
    /// Why a change is not told now, if so. The end of what was told is never held, so that nothing fires for ever.
    pub(super) fn hold(&self, incident: &Incident, event: Event, flaps: &Flaps, now: SystemTime) -> Option<Reason> {
        if event.turn == Turn::Resolved {
            return None;
        }
        let settings = &self.settings;
        if self.silences.until(&settings.silences, incident, now).is_some() {
            return Some(Reason::Silenced);
        }
        let gravity = incident.severity();
        if gravity < settings.quiet_below && self.is_quiet(now) {
            return Some(Reason::QuietHours);
        }
        (event.turn.begins() && flaps.hold(incident, settings.flap_after, gravity == Severity::Critical, now))
            .then_some(Reason::Flapping)
    }

    /// Whether a change that follows others in one message waits instead.
    pub(super) fn waits(&self, key: &str, incident: &Incident, event: Event, flaps: &Flaps, now: SystemTime) -> bool {
        !incident.was_tried(key, event) && self.hold(incident, event, flaps, now).is_some()
    }

    /// Why nobody is told of an incident, as the API shows it, if nobody is.
    pub(crate) fn held(&self, incident: &Incident, now: SystemTime) -> Option<HeldView> {
        let reason = incident.told.held(incident.sequence).filter(|_| incident.is_firing())?;
        let until = match reason {
            // It may be over, and what it held about to be told.
            Reason::Silenced => Some(self.silences.until(&self.settings.silences, incident, now)?),
            Reason::QuietHours if !self.is_quiet(now) => return None,
            _ => None,
        };
        Some(HeldView { reason, until: until.map(Time) })
    }

    fn is_quiet(&self, now: SystemTime) -> bool {
        self.settings.quiet_hours.iter().any(|hours| hours.hold(now, self.settings.utc_offset))
    }

    /// The first change of an incident that a destination is to be told now. What is held is noted, and dropped if it is
    /// over already.
    pub(super) fn first_change(
        &mut self,
        destination: &Destination,
        incident: &mut Incident,
        flaps: &Flaps,
        now: SystemTime,
    ) -> Option<Event> {
        let with_updates = destination.channel == super::Channel::Webhook;
        // Each round leaves one beginning and its end behind.
        while let Some(event) = incident.next(&destination.key, with_updates) {
            if incident.was_tried(&destination.key, event) {
                return Some(event);
            }
            let Some(reason) = self.hold(incident, event, flaps, now) else { return Some(event) };
            let health = self.health.of(destination.channel);
            if incident.note_hold(&destination.key, event.sequence, reason) {
                add(&mut health.held, reason, 1);
            }
            if !(reason.drops() && !event.turn.is_between() && event.sequence < incident.sequence) {
                add(&mut health.on_hold, reason, incident.untold(&destination.key, with_updates));
                return None;
            }
            let end = Event { turn: Turn::Resolved, sequence: event.sequence + 1, ..event };
            incident.accept(&destination.key, end, None);
            add(&mut health.skipped, reason, 2);
        }
        None
    }
}
