//! Whose turn it is: incidents first, then the target whose calm profile is due.

use std::time::{Duration, Instant};

use super::{Failure, OfTarget, ProfileSettings, Purpose};
use crate::incident::Incidents;
use crate::target::Target;

/// How often an incident's profile is tried.
const MAX_TRIES: u32 = 4;
/// The pause before it is tried again, unless the target says how long,
const RETRY: Duration = Duration::from_secs(5);
/// and at most.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Two profiles of incidents of one target lie as far apart as this.
const BETWEEN_INCIDENTS: Duration = Duration::from_secs(60);
/// A target that has no profiles to give is not asked again for so long.
const LASTING: Duration = Duration::from_secs(3600);
/// A calm profile that failed is tried again after this, or when the next one is due.
const CALM_RETRY: Duration = Duration::from_secs(300);
/// The first calm profile comes so long after the target answered first, so that neither of them is starting,
const SETTLING: Duration = Duration::from_secs(30);
/// and the first few of them this far apart, so that an early incident has something to be compared with.
const FIRST_FEW: usize = 3;
const BETWEEN_FIRST: Duration = Duration::from_secs(60);
/// For so long after an incident's end a target is not calm yet.
const AFTERMATH: Duration = Duration::from_secs(120);

/// When a target's next profile may be taken.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Until then none at all.
    paused_until: Option<Instant>,
    /// Until then no calm one. It moves on while the target is not calm.
    calm_from: Option<Instant>,
    /// When the last one of an incident was complete.
    incident_taken: Option<Instant>,
    /// The incident whose profile is being tried, how often it was, and when it may be again.
    trying: Option<(String, u32, Instant)>,
    /// The last one failed.
    is_failing: bool,
}

/// The next profile: its target's place, and what it is for. Calm ones only if the agent `is_idle`.
pub(super) fn choose(
    settings: &ProfileSettings,
    known: &mut [OfTarget],
    incidents: &Incidents,
    targets: &[Target],
    is_idle: bool,
    now: Instant,
) -> Option<(usize, Purpose)> {
    let mut calm: Option<(usize, Instant)> = None;
    for (at, of) in known.iter_mut().enumerate() {
        let is_up = targets.iter().any(|target| target.address.label() == of.label && target.health.is_up());
        if of.url.is_none() || !is_up || of.plan.paused_until.is_some_and(|until| now < until) {
            continue;
        }
        let plan = &mut of.plan;
        if let Some(incident) = incidents.open(&of.label) {
            plan.calm_from = Some(now + AFTERMATH);
            if incident.profile.is_none() && plan.may_try(&incident.id, now) {
                return Some((at, Purpose::Incident(incident.id.clone())));
            }
            continue;
        }
        let due = *plan.calm_from.get_or_insert(now + settings.every.min(SETTLING));
        if now >= due && calm.is_none_or(|(_, earliest)| due < earliest) {
            calm = Some((at, due));
        }
    }
    let (at, _) = calm.filter(|_| is_idle)?;
    let of = known.get_mut(at)?;
    let pause = if of.baseline.len() + 1 < FIRST_FEW { settings.every.min(BETWEEN_FIRST) } else { settings.every };
    of.plan.calm_from = Some(now + pause);
    Some((at, Purpose::Calm))
}

impl Plan {
    fn may_try(&self, id: &str, now: Instant) -> bool {
        let has_rested = self.incident_taken.is_none_or(|taken| now.duration_since(taken) >= BETWEEN_INCIDENTS);
        match &self.trying {
            Some((trying, tries, from)) if trying == id => has_rested && *tries < MAX_TRIES && now >= *from,
            _ => has_rested,
        }
    }

    pub(super) fn worked(&mut self, purpose: &Purpose, now: Instant) {
        self.is_failing = false;
        if *purpose != Purpose::Calm {
            self.incident_taken = Some(now);
            self.trying = None;
        }
    }

    /// Takes note of a failure. True if the one before was none.
    pub(super) fn failed(&mut self, purpose: &Purpose, failure: &Failure, now: Instant) -> bool {
        let is_first = !std::mem::replace(&mut self.is_failing, true);
        let is_lasting = failure.is_lasting();
        match purpose {
            Purpose::Calm => {
                let soon = self.calm_from.map_or(now + CALM_RETRY, |due| due.max(now + CALM_RETRY));
                self.calm_from = Some(if is_lasting { now + LASTING } else { soon });
                // Too long for a calm one is not too long for an incident.
                if is_lasting && *failure != Failure::TooLarge {
                    self.paused_until = Some(now + LASTING);
                }
            }
            Purpose::Incident(id) => {
                let pause = match failure {
                    Failure::Busy(Some(pause)) => (*pause).clamp(Duration::from_secs(1), LONGEST_RETRY),
                    _ => RETRY,
                };
                let before = self.trying.take().filter(|(trying, ..)| trying == id).map_or(0, |(_, tries, _)| tries);
                let tries = if is_lasting { MAX_TRIES } else { before + 1 };
                self.trying = Some((id.clone(), tries, now + pause));
                if is_lasting {
                    self.paused_until = Some(now + LASTING);
                }
            }
        }
        is_first
    }

    /// The profile of this incident is not tried again.
    pub(super) fn gave_up(&self, id: &str) -> bool {
        self.trying.as_ref().is_some_and(|(trying, tries, _)| trying == id && *tries >= MAX_TRIES)
    }
}
