//! Error budgets: how fast they are spent, by the service as a whole and by each route.
//!
//! A request that no route matched counts for nothing here: strangers could thin the failures of others with it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use outrigger_detect::{Burn, BurnRate, BurnSettings, SeriesState, StateError, Urgency};
use serde::{Deserialize, Serialize};

use super::sign::{before, unix};
use super::{Role, Sign, Signal, SloSettings, Subject};
use crate::derive::{Key, Route, RouteKey, Routes};
use crate::incident::Severity;

/// The most budgets of routes that are counted, for each objective. One is counted once a request of its route was bad.
const MAX_ROUTES: usize = 100;
/// Bad requests below which nothing is told, whatever their share.
const MIN_BAD: u64 = 10;
/// And seconds for which it must have been so.
const MIN_BURNING: f64 = 15.0;
/// The time that a budget is for, in days and seconds.
const PERIOD_DAYS: i64 = 30;
const DAY: f64 = 86_400.0;
const PERIOD: f64 = PERIOD_DAYS as f64 * DAY;
/// How long the counts of single intervals are remembered, for incidents that began before they were noticed.
const RECENT: Duration = Duration::from_secs(600);
const MAX_RECENT: usize = 620;
/// An interval counts for no more than this, in seconds: pages that lie further apart have silence between them.
const LONGEST_INTERVAL: f64 = 300.0;

/// What a service promises of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Objective {
    Availability,
    Latency,
}

impl Objective {
    pub(crate) const ALL: [Self; 2] = [Self::Availability, Self::Latency];

    /// The value of the `objective` label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::Latency => "latency",
        }
    }

    /// The share of requests that may be bad.
    fn budget(self, settings: &SloSettings) -> f64 {
        match self {
            Self::Availability => 1.0 - settings.availability,
            Self::Latency => 1.0 - settings.latency_share,
        }
    }

    fn words(self, settings: &SloSettings) -> String {
        let percent = |share: f64| format!("{} %", (share * 1e6).round() / 1e4);
        match self {
            Self::Availability => format!("availability of {}", percent(settings.availability)),
            Self::Latency => {
                let latency = humantime::format_duration(settings.latency);
                format!("{} within {latency}", percent(settings.latency_share))
            }
        }
    }
}

/// Requests, and those of them that break a promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    bad: u64,
    total: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.bad = self.bad.saturating_add(other.bad);
        self.total = self.total.saturating_add(other.total);
    }
}

/// What an incident spent of an error budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) objective: Objective,
    /// Bad requests since its onset, and all of them.
    pub(crate) bad: u64,
    pub(crate) total: u64,
    /// The share of the budget of 30 days, if traffic is always as it was in this time.
    pub(crate) share: f64,
    /// The share of requests that may be bad.
    pub(crate) allowed: f64,
    /// The time in which they came, in seconds: that of silence is not counted.
    #[serde(default)]
    pub(crate) seconds: f64,
}

impl Spent {
    fn new(objective: Objective, Counts { bad, total }: Counts, seconds: f64, allowed: f64) -> Self {
        let pace = bad as f64 / total.max(1) as f64 / allowed.max(1e-9);
        Self { objective, bad, total, share: pace * seconds / PERIOD, allowed, seconds }
    }

    /// Adds what came later.
    pub(crate) fn add(&mut self, later: &Self) {
        let mut counts = Counts { bad: self.bad, total: self.total };
        counts.add(Counts { bad: later.bad, total: later.total });
        *self = Self::new(self.objective, counts, self.seconds + later.seconds, later.allowed);
    }
}

/// The bad requests of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    index: i64,
    counts: Counts,
}

/// One budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    rate: BurnRate,
    /// The last 30 days, oldest first.
    days: VecDeque<Day>,
    since: Option<f64>,
    at: f64,
    burn: Option<Burn>,
    burning_since: Option<f64>,
}

impl Budget {
    fn new(objective: Objective, settings: &SloSettings) -> Self {
        let rate = BurnRate::new(burn_settings(objective, settings));
        Self { rate, days: VecDeque::new(), since: None, at: 0.0, burn: None, burning_since: None }
    }

    fn observe(&mut self, at: f64, counts: Counts) {
        if !at.is_finite() {
            return;
        }
        self.at = at;
        // A clock that was ahead is put right.
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
        self.burn = self.rate.observe(at, counts.bad, counts.total);
        match self.burn {
            Some(_) => _ = self.burning_since.get_or_insert(at),
            None => self.burning_since = None,
        }
        let index = (self.at / DAY).floor() as i64;
        self.days.retain(|day| (0..PERIOD_DAYS).contains(&index.saturating_sub(day.index)));
        match self.days.back_mut() {
            Some(day) if day.index == index => day.counts.add(counts),
            _ => self.days.push_back(Day { index, counts }),
        }
    }

    /// The share of 30 days' budget that is left: negative when more is spent. What was before the first request counts as
    /// good.
    pub(crate) fn remaining(&self) -> f64 {
        let mut sum = Counts::default();
        self.days.iter().for_each(|day| sum.add(day.counts));
        let pace = sum.bad as f64 / sum.total.max(1) as f64 / self.rate.settings().budget.max(1e-9);
        let seen = (self.at - self.since.unwrap_or(self.at)).clamp(0.0, PERIOD);
        1.0 - pace * seen / PERIOD
    }

    /// How many times too fast it is spent, by window in seconds.
    pub(crate) fn paces(&self) -> [(f64, f64); 4] {
        self.rate.paces()
    }

    fn keep(&self, route: Option<RouteKey>, objective: Objective) -> KeptBudget {
        let days = self.days.iter().copied().collect();
        let Self { since, at, burning_since, .. } = *self;
        KeptBudget { route, objective, rate: self.rate.state(), days, since, at, burning_since }
    }
}

/// What is kept of a budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptBudget {
    route: Option<RouteKey>,
    objective: Objective,
    rate: SeriesState,
    days: Vec<Day>,
    since: Option<f64>,
    at: f64,
    #[serde(default)]
    burning_since: Option<f64>,
}

fn burn_settings(objective: Objective, settings: &SloSettings) -> BurnSettings {
    BurnSettings { budget: objective.budget(settings), min_bad: MIN_BAD }
}

/// The error budgets of one target.
#[derive(Debug)]
pub(crate) struct Budgets {
    settings: SloSettings,
    service: [Budget; 2],
    routes: BTreeMap<(RouteKey, Objective), Budget>,
    /// What the service's intervals counted of late, and their lengths in seconds.
    recent: VecDeque<(SystemTime, [Counts; 2], f64)>,
}

impl Budgets {
    pub(crate) fn new(settings: &SloSettings) -> Self {
        Self {
            settings: settings.clone(),
            service: Objective::ALL.map(|objective| Budget::new(objective, settings)),
            routes: BTreeMap::new(),
            recent: VecDeque::new(),
        }
    }

    /// Counts by other objectives from now on. What was bad by the old ones stays.
    pub(crate) fn set(&mut self, settings: &SloSettings) {
        self.settings = settings.clone();
        let again = |budget: &mut Budget, objective| {
            if let Ok(rate) = BurnRate::restore(burn_settings(objective, settings), budget.rate.state()) {
                budget.rate = rate;
            }
        };
        for (budget, objective) in self.service.iter_mut().zip(Objective::ALL) {
            again(budget, objective);
        }
        for ((_, objective), budget) in &mut self.routes {
            again(budget, *objective);
        }
    }

    /// Takes in the latest interval of all routes.
    pub(crate) fn observe(&mut self, routes: &Routes, time: SystemTime) {
        let at = unix(time);
        let mut service = [Counts::default(); 2];
        self.routes.retain(|(key, _), _| routes.get(key).is_some());
        for (key, route) in routes.iter().filter(|(key, _)| key.is_one()) {
            let Some(counts) = self.counts(route) else { continue };
            for ((sum, counts), objective) in service.iter_mut().zip(counts).zip(Objective::ALL) {
                sum.add(counts);
                // Most routes have nothing bad for days, and a look-up needs a key of its own.
                if counts.bad == 0 && self.routes.is_empty() {
                    continue;
                }
                let id = (key.clone(), objective);
                if let Some(budget) = self.routes.get_mut(&id) {
                    budget.observe(at, counts);
                } else if counts.bad > 0 && self.held(objective) < MAX_ROUTES {
                    let mut budget = Budget::new(objective, &self.settings);
                    budget.observe(at, counts);
                    self.routes.insert(id, budget);
                }
            }
        }
        for (budget, counts) in self.service.iter_mut().zip(service) {
            budget.observe(at, counts);
        }
        let seconds = routes.iter().find_map(|(_, route)| route.last()).map_or(0.0, |interval| interval.seconds);
        let seconds = if seconds.is_finite() { seconds.clamp(0.0, LONGEST_INTERVAL) } else { 0.0 };
        self.recent.push_back((time, service, seconds));
        while let Some((oldest, ..)) = self.recent.front()
            && (self.recent.len() > MAX_RECENT || time.duration_since(*oldest).is_ok_and(|age| age > RECENT))
        {
            self.recent.pop_front();
        }
    }

    /// How many routes have a budget of this objective. Slow requests are common, and must not take the room of failures.
    fn held(&self, objective: Objective) -> usize {
        self.routes.keys().filter(|(_, of)| *of == objective).count()
    }

    fn counts(&self, route: &Route) -> Option<[Counts; 2]> {
        let interval = route.last()?;
        let total = interval.requests();
        let latency = self.settings.latency.as_secs_f64();
        // What lies between two bounds may have been fast enough.
        let slow = interval.delta.iter().skip(1).zip(&route.bounds).filter(|(_, lower)| **lower >= latency);
        let slow = slow.fold(0_u64, |sum, (count, _)| sum.saturating_add(*count));
        Some([Counts { bad: interval.failed.min(total), total }, Counts { bad: slow, total }])
    }

    /// What the service spent since a moment of the last ten minutes, or in the latest interval.
    pub(crate) fn spent(&self, since: Option<SystemTime>) -> Vec<Spent> {
        let (mut sums, mut lasted) = ([Counts::default(); 2], 0.0);
        let latest = self.recent.back().map(|(at, ..)| *at);
        let is_meant = |at: SystemTime| since.map_or(Some(at) == latest, |since| at >= since);
        for (_, counts, seconds) in self.recent.iter().filter(|(at, ..)| is_meant(*at)) {
            sums.iter_mut().zip(counts).for_each(|(sum, counts)| sum.add(*counts));
            lasted += seconds;
        }
        let spent = |(objective, counts): (Objective, Counts)| {
            Spent::new(objective, counts, lasted, objective.budget(&self.settings))
        };
        Objective::ALL.into_iter().zip(sums).map(spent).collect()
    }

    /// All budgets: the service's without a route.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&RouteKey>, Objective, &Budget)> {
        let service =
            Objective::ALL.into_iter().zip(&self.service).map(|(objective, budget)| (None, objective, budget));
        service.chain(self.routes.iter().map(|((key, objective), budget)| (Some(key), *objective, budget)))
    }

    /// The budgets that are spent too fast, a sign for each subject.
    pub(super) fn signs(&self, time: SystemTime, signs: &mut Vec<Sign>) {
        if !self.settings.alert {
            return;
        }
        let at = unix(time);
        let first = signs.len();
        for (route, objective, budget) in self.iter() {
            let Some(burn) = &budget.burn else { continue };
            // A service that has just started, or an agent that has, sees everything fail for a moment.
            if budget.burning_since.is_none_or(|since| at - since < MIN_BURNING) {
                continue;
            }
            let subject = route.map_or(Subject::Service, |key| Subject::Route(key.clone()));
            // What a route may take is its own matter; the promise is one of the service as a whole.
            let is_own = route.is_none() || objective == Objective::Availability;
            let sign = Sign {
                subject,
                signal: Signal::Burn,
                role: if is_own { Role::Apart } else { Role::Supports },
                severity: if burn.urgency == Urgency::Critical { Severity::Critical } else { Severity::Warning },
                score: burn.pace,
                since: before(time, at - budget.burning_since.unwrap_or(at)),
                words: format!("{}: {burn}", objective.words(&self.settings)),
                before: Some(1.0),
                now: Some(burn.pace),
                requests: burn.total,
                affected: burn.bad,
                seconds: 0.0,
                // Its short window looks back so far.
                aftermath_seconds: burn.short_seconds + 60.0,
            };
            match signs.get_mut(first..).unwrap_or_default().iter_mut().find(|known| known.subject == sign.subject) {
                Some(known) => known.join(sign),
                None => signs.push(sign),
            }
        }
    }

    pub(super) fn keep(&self) -> Vec<KeptBudget> {
        let mut kept: Vec<_> =
            self.iter().map(|(route, objective, budget)| budget.keep(route.cloned(), objective)).collect();
        kept.sort_by(|a, b| (&a.route, a.objective).cmp(&(&b.route, b.objective)));
        kept
    }

    pub(super) fn restore(settings: &SloSettings, kept: Vec<KeptBudget>, refused: &mut Option<StateError>) -> Self {
        let mut budgets = Self::new(settings);
        for KeptBudget { route, objective, rate, days, since, at, burning_since } in kept {
            let rate = match BurnRate::restore(burn_settings(objective, settings), rate) {
                Ok(rate) => rate,
                Err(error) => {
                    refused.get_or_insert(error);
                    continue;
                }
            };
            // A file can claim anything.
            let days = days.into_iter().rev().take(PERIOD_DAYS as usize).rev().collect();
            let since = since.filter(|since| since.is_finite());
            let budget =
                Budget { rate, days, since, at: if at.is_finite() { at } else { 0.0 }, burn: None, burning_since };
            match route {
                Some(route) if budgets.held(objective) < MAX_ROUTES => {
                    budgets.routes.insert((route, objective), budget);
                }
                Some(_) => {}
                None => {
                    for (slot, own) in budgets.service.iter_mut().zip(Objective::ALL) {
                        if own == objective {
                            *slot = budget.clone();
                        }
                    }
                }
            }
        }
        budgets
    }
}

impl Sign {
    /// Two of one subject and signal are one.
    fn join(&mut self, other: Self) {
        self.words = format!("{}; {}", self.words, other.words);
        if self.role == Role::Apart && other.role == Role::Supports {
            // What only supports makes nothing graver or older.
            return;
        }
        self.severity = self.severity.max(other.severity);
        self.score = self.score.max(other.score);
        self.since = self.since.min(other.since);
        self.affected = self.affected.max(other.affected);
        self.aftermath_seconds = self.aftermath_seconds.max(other.aftermath_seconds);
        if other.role == Role::Apart {
            self.role = Role::Apart;
        }
    }
}
