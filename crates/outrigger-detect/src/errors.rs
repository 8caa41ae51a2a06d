//! Failures of a route against its own baseline and its objective.

mod ratio;
mod sequential;

use serde::{Deserialize, Serialize};

use self::{
    ratio::Ratio,
    sequential::{Evidence, Recovery},
};
use crate::{
    Ending, ErrorInterval, ErrorSettings, ErrorShift, Phase, Shift, State, StateError, Verdict, interval::elapsed,
};

/// How far above the usual ratio is still usual, as a factor: the worst of noise that comes in bursts.
const HEADROOM: f64 = 1.5;
/// An anomaly that begins with fewer failures, or stays below so many times the usual ratio, and goes by itself, was noise: it
/// is known from then on.
const SMALL_BURST: u64 = 10;
const SMALL_RISE: f64 = 5.0;
/// More failures than this share of the requests become normal only after so many times as long: hardly anybody means to live
/// with them, but what fails for good must not hide all that comes later.
const GRAVE: f64 = 0.2;
const GRAVE_TIMES: f64 = 24.0;
/// How fast the usual time between two requests is learnt, and the most that one such time counts for, in seconds.
const LONGEST_GAP: f64 = 3600.0;
const GAP_WEIGHT: f64 = 0.1;
/// Scores above this part of the opening score slow learning down, by the factor below: what may be the beginning of an
/// anomaly should not become normal.
const SUSPICION: f64 = 0.5;
const SUSPICION_WEIGHT: f64 = 0.25;

/// Finds routes that fail more often than they use to, and than the objective allows. One detector watches one route.
///
/// The requests are a sequence of successes and failures, and each interval's exact binomial likelihood is compared under
/// the usual ratio and under higher ones. The evidence adds up from the moment at which the ratio most likely rose, so that
/// three failures of three tell as well as three thousand of a million, whatever the interval's length; nothing is
/// approximated by a normal distribution, and looking at it after every interval costs nothing: were the ratio never above
/// the usual one, the mean time to a false alarm would be beyond `exp(min_score² / 2)` intervals.
#[derive(Clone, Debug)]
pub struct ErrorDetector {
    settings: ErrorSettings,
    memory: ErrorMemory,
}

/// Everything that an error detector learns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ErrorMemory {
    warm: bool,
    usual: Ratio,
    evidence: Evidence,
    /// Seconds of cold caches left after a restart.
    grace: f64,
    /// Seconds since the last request.
    idle: f64,
    open: Option<Open>,
    /// The usual time between two requests, in seconds.
    #[serde(default)]
    gap: f64,
}

/// An anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    /// Since the onset.
    failed: u64,
    total: u64,
    seconds: f64,
    /// Seconds since it opened.
    lasted: f64,
    recovery: Recovery,
    /// Failures and requests of the interval that opened it.
    first: (u64, u64),
    /// The ratio at its opening.
    highest: f64,
}

impl ErrorDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: ErrorSettings) -> Self {
        Self { settings, memory: ErrorMemory::default() }
    }

    /// Takes up a kept state under the given settings.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to a latency detector, or is damaged.
    pub fn restore(settings: ErrorSettings, state: State) -> Result<Self, StateError> {
        Ok(Self { settings, memory: state.open_errors()? })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &ErrorSettings {
        &self.settings
    }

    /// What the detector knows, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> State {
        State::of_errors(self.memory.clone())
    }

    /// Takes in one interval and answers where the route stands.
    pub fn observe(&mut self, interval: ErrorInterval) -> Verdict {
        let ErrorInterval { failed, total, seconds, reset } = interval;
        let (failed, seconds) = (failed.min(total), elapsed(seconds));
        let settings = self.settings;
        let memory = &mut self.memory;
        if reset {
            memory.grace = settings.pace.restart_grace_seconds.max(0.0);
            memory.evidence = Evidence::default();
        }
        if total > 0 {
            let gap = ((memory.idle + seconds) / total as f64).min(LONGEST_GAP);
            memory.gap += GAP_WEIGHT * (gap - memory.gap);
        }
        memory.idle = if total == 0 { memory.idle + seconds } else { 0.0 };
        let mut ended = memory.expire(seconds, &settings);
        let mut score = 0.0;
        if memory.grace > 0.0 {
            if total > 0 {
                memory.grace -= seconds;
            }
        } else if memory.warm {
            score = memory.judge(failed, total, seconds, &settings);
            if memory.open.is_some_and(|open| open.recovery.is_certain(settings.pace.clear_seconds)) {
                memory.forgive(&settings);
                memory.close();
                ended = Some(Ending::Recovered);
            }
        } else {
            memory.usual.learn(failed, total, seconds, &settings, 1.0);
            memory.warm = memory.usual.is_older_than(settings.pace.warm_up_seconds, settings.pace.warm_up_requests);
        }
        let phase = match (memory.warm, memory.open) {
            (false, _) => Phase::WarmingUp,
            (true, None) => Phase::Calm,
            (true, Some(_)) => Phase::Anomalous,
        };
        Verdict { phase, score, shift: memory.shift().map(Shift::Errors), ended }
    }
}

impl ErrorMemory {
    /// Ends an anomaly that has become normal, or of which nothing is heard any more.
    fn expire(&mut self, seconds: f64, settings: &ErrorSettings) -> Option<Ending> {
        let open = self.open.as_mut()?;
        open.lasted += seconds;
        open.seconds += seconds;
        let is_grave = open.failed as f64 > GRAVE * open.total as f64;
        if open.lasted >= settings.pace.adopt_seconds * if is_grave { GRAVE_TIMES } else { 1.0 } {
            self.usual.adopt(open.failed, open.total, open.seconds);
            self.close();
            return Some(Ending::Adopted);
        }
        if self.idle >= settings.pace.idle_limit(self.gap) {
            // What was seen stays: the next failure says that it goes on, and some successes that it does not.
            self.open = None;
            self.evidence.limit(settings.min_score);
            return Some(Ending::Idle { seconds: self.idle });
        }
        None
    }

    /// Learns from an anomaly that was small and went by itself what not to tell again.
    fn forgive(&mut self, settings: &ErrorSettings) {
        let Some(open) = self.open else { return };
        let is_small_rise = open.highest < SMALL_RISE * self.usual.share().max(settings.objective);
        if is_small_rise {
            self.usual.forgive(open.highest);
        }
        if is_small_rise || open.first.0 <= SMALL_BURST {
            self.usual.learn_burst(open.first.0 as f64, open.first.1 as f64);
        }
    }

    fn close(&mut self) {
        self.open = None;
        self.evidence = Evidence::default();
    }

    /// Weighs an interval, opens an anomaly if it is time, or brings the open one up to date. Answers the score.
    fn judge(&mut self, failed: u64, total: u64, seconds: f64, settings: &ErrorSettings) -> f64 {
        let usual = (self.usual.highest(settings.objective) * HEADROOM).max(settings.objective).clamp(1e-9, 0.97);
        let found = self.evidence.weigh(failed, total, seconds, usual, self.usual.burst());
        if let Some(open) = &mut self.open {
            open.failed = open.failed.saturating_add(failed);
            open.total = open.total.saturating_add(total);
            let during = open.failed as f64 / open.total.max(1) as f64;
            open.highest = open.highest.max(during);
            open.recovery.weigh(failed, total, seconds, usual, during);
            return found.score;
        }
        let first = (failed, total);
        let rise = found.failed as f64 / found.total.max(1) as f64 - self.usual.share().max(settings.objective);
        let matters = failed > 0 && found.failed >= settings.min_failures && rise >= settings.min_share;
        if matters && found.score >= settings.min_score && found.score > 0.0 {
            let (failed, total, seconds) = (found.failed, found.total, found.seconds);
            let (learnt, of) = (failed.saturating_sub(first.0), total.saturating_sub(first.1));
            self.usual.take_back(learnt, of, seconds);
            let highest = failed as f64 / total.max(1) as f64;
            self.open =
                Some(Open { failed, total, seconds, lasted: 0.0, recovery: Recovery::default(), first, highest });
        } else {
            let weight = if found.score > SUSPICION * settings.min_score { SUSPICION_WEIGHT } else { 1.0 };
            self.usual.learn(failed, total, seconds, settings, weight);
        }
        found.score
    }

    fn shift(&self) -> Option<ErrorShift> {
        let Open { failed, total, seconds, .. } = self.open?;
        let ratio_before = self.usual.share();
        Some(ErrorShift {
            onset_seconds_ago: seconds,
            ratio_before,
            ratio_during: if total > 0 { failed as f64 / total as f64 } else { 0.0 },
            requests: total,
            // Floating point rounds huge counts, and may round them up.
            affected: ((failed as f64 - total as f64 * ratio_before).round().max(0.0) as u64).min(total),
        })
    }

    pub(crate) fn is_sound(&self) -> bool {
        let is_time = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
        self.usual.is_sound()
            && self.evidence.is_sound()
            && self.grace.is_finite()
            && is_time(self.idle)
            && is_time(self.gap)
            && (self.warm || self.open.is_none())
            && self.open.is_none_or(|open| {
                open.failed <= open.total && is_time(open.seconds) && is_time(open.lasted) && open.recovery.is_sound()
            })
    }
}
