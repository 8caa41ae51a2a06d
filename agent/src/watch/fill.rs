//! What can run full: pools of connections, file descriptors, memory, disks.
//!
//! What is full is told when it stays so, and what fills when it will be full before long. Connections, descriptors and memory
//! follow the traffic: while the service is asked more than when the rise began, a rise is no leak.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use outrigger_detect::{Forecast, Outlook, SeriesState, StateError, Toward};
use serde::{Deserialize, Serialize};

use super::sign::{before, unix};
use super::steady::Steady;
use super::{Role, Sign, Signal, Subject};
use crate::incident::Severity;

/// The most things that are watched on one target.
const MAX_FILLS: usize = 32;
/// How long an outlook stands before it is told, in seconds.
const OUTLOOK_SECONDS: f64 = 300.0;
/// What is full sooner than this is critical, in seconds.
const CRITICAL_SECONDS: f64 = 1800.0;
/// What is no longer on the page is forgotten after so long, in seconds: a process is looked for anew after a scrape that
/// failed, and at the agent's start.
const ABSENT_SECONDS: f64 = 600.0;
/// How much more traffic explains a rise.
const MORE_TRAFFIC: f64 = 1.2;
/// The pieces of time in which traffic is remembered, in seconds, and their number: four hours.
const PIECE_SECONDS: f64 = 600.0;
const PIECES: usize = 24;

/// A kind of thing that can run full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pool,
    Descriptors,
    Memory,
    Disk,
}

impl Kind {
    fn resource(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }

    /// The share of its limit from which it is full, and how long it must be so, in seconds.
    fn full(self) -> (f64, f64) {
        match self {
            // A pool is made to be used up; it is too small once callers wait.
            Self::Pool => (1.0, 60.0),
            Self::Descriptors => (0.95, 60.0),
            Self::Memory => (0.95, 300.0),
            Self::Disk => (0.98, 300.0),
        }
    }

    fn amount(self, value: f64) -> String {
        match self {
            Self::Pool | Self::Descriptors => format!("{value:.0}"),
            Self::Memory | Self::Disk if value.abs() >= 1e9 => format!("{:.1} GB", value / 1e9),
            Self::Memory | Self::Disk => format!("{:.0} MB", value / 1e6),
        }
    }
}

/// How full something is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gauge {
    pub(crate) kind: Kind,
    /// Which of its kind; empty if there is one.
    pub(crate) name: String,
    pub(crate) used: f64,
    pub(crate) limit: f64,
    /// Those who wait for some of it, if that is known.
    pub(crate) waiting: Option<f64>,
}

/// What can run full, of one target or of the host.
#[derive(Debug, Default)]
pub(crate) struct Fills {
    list: Vec<Fill>,
    /// Requests per second in pieces of time, oldest first.
    rates: VecDeque<f64>,
    /// Seconds and requests of the piece at hand.
    piece: (f64, f64),
}

#[derive(Debug)]
struct Fill {
    gauge: Gauge,
    forecast: Forecast,
    outlook: Option<Outlook>,
    soon: Steady,
    full: Steady,
    /// Since when each is told.
    soon_since: Option<f64>,
    full_since: Option<f64>,
    /// How long it has not been on the page, in seconds.
    absent: f64,
}

/// What is kept of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptFill {
    resource: String,
    name: String,
    forecast: SeriesState,
    soon: Steady,
    full: Steady,
    /// How full it was last, so that what is told is told on until the next look.
    #[serde(default)]
    used: f64,
    #[serde(default)]
    limit: f64,
    #[serde(default)]
    outlook: Option<Outlook>,
}

/// What is kept of everything that can run full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptTrend {
    /// Requests per second in pieces of time, oldest first.
    rates: Vec<f64>,
}

impl Fills {
    /// Takes in how full everything is at the end of an interval with so many requests. `restarted` begins anew: another
    /// process fills from nothing.
    pub(crate) fn observe(
        &mut self,
        gauges: Vec<Gauge>,
        requests: f64,
        seconds: f64,
        restarted: bool,
        at: SystemTime,
        horizon: Duration,
    ) {
        let at = unix(at);
        if restarted {
            self.list.clear();
        }
        let mut gauges = gauges;
        gauges.retain(|gauge| gauge.limit > 0.0 && gauge.used.is_finite() && gauge.limit.is_finite());
        for fill in &mut self.list {
            let is_there = gauges.iter().any(|gauge| fill.is(gauge));
            fill.absent = if is_there { 0.0 } else { fill.absent + seconds.max(0.0) };
        }
        self.list.retain(|fill| fill.absent <= ABSENT_SECONDS);
        self.traffic(requests, seconds);
        for gauge in gauges {
            let index = self.list.iter().position(|fill| fill.is(&gauge)).or_else(|| {
                (self.list.len() < MAX_FILLS).then(|| self.list.push(Fill::new(gauge.clone())))?;
                self.list.len().checked_sub(1)
            });
            let (rates, piece) = (&self.rates, self.piece);
            let grew = |outlook: &Outlook| grew(rates, piece, outlook.seen_seconds);
            if let Some(fill) = index.and_then(|index| self.list.get_mut(index)) {
                fill.observe(gauge, at, seconds, horizon, grew);
            }
        }
    }

    fn traffic(&mut self, requests: f64, seconds: f64) {
        self.piece = (self.piece.0 + seconds.max(0.0), self.piece.1 + requests);
        if self.piece.0 >= PIECE_SECONDS {
            self.rates.push_back(self.piece.1 / self.piece.0);
            self.piece = (0.0, 0.0);
            if self.rates.len() > PIECES {
                self.rates.pop_front();
            }
        }
    }

    pub(crate) fn signs(&self, at: SystemTime, signs: &mut Vec<Sign>) {
        signs.extend(self.list.iter().filter_map(|fill| fill.sign(at)));
    }

    /// The share of each limit that is in use, and when it will be reached if that is foreseen, in seconds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Subject, f64, Option<f64>)> {
        // One that was taken up again and not seen yet has no figure.
        self.list.iter().filter(|fill| fill.gauge.used > 0.0).map(|fill| {
            let soon = fill.outlook.filter(|_| fill.soon_since.is_some()).map(|outlook| outlook.seconds);
            (fill.subject(), fill.gauge.used / fill.gauge.limit, soon)
        })
    }

    /// The traffic of the last hours, which may explain a rise.
    pub(crate) fn keep_trend(&self) -> KeptTrend {
        KeptTrend { rates: self.rates.iter().copied().collect() }
    }

    pub(crate) fn restore_trend(&mut self, kept: KeptTrend) {
        self.rates = kept.rates.into_iter().filter(|rate| rate.is_finite() && *rate >= 0.0).take(PIECES).collect();
    }

    pub(crate) fn keep(&self) -> Vec<KeptFill> {
        let kept = |fill: &Fill| KeptFill {
            resource: fill.gauge.kind.resource().to_owned(),
            name: fill.gauge.name.clone(),
            forecast: fill.forecast.state(),
            soon: fill.soon,
            full: fill.full,
            used: fill.gauge.used,
            limit: fill.gauge.limit,
            outlook: fill.outlook.filter(Outlook::is_finite),
        };
        self.list.iter().map(kept).collect()
    }

    pub(crate) fn restore(kept: Vec<KeptFill>, refused: &mut Option<StateError>) -> Self {
        let mut fills = Self::default();
        for KeptFill { resource, name, forecast, soon, full, used, limit, outlook } in kept.into_iter().take(MAX_FILLS)
        {
            let kinds = [Kind::Pool, Kind::Descriptors, Kind::Memory, Kind::Disk];
            let Some(kind) = kinds.into_iter().find(|kind| kind.resource() == resource) else { continue };
            match Forecast::restore(Toward::Above, forecast) {
                Ok(forecast) if soon.is_sound() && full.is_sound() => {
                    let is_sound = used.is_finite() && limit.is_finite() && limit > 0.0;
                    let (used, limit) = if is_sound { (used, limit) } else { (0.0, 1.0) };
                    let gauge = Gauge { kind, name, used, limit, waiting: None };
                    let (soon_since, full_since) = (soon.told_since(), full.told_since());
                    // Without a figure there is nothing to tell until the next look.
                    let (soon_since, full_since) =
                        if is_sound { (soon_since.filter(|_| outlook.is_some()), full_since) } else { (None, None) };
                    fills.list.push(Fill { forecast, soon, full, outlook, soon_since, full_since, ..Fill::new(gauge) });
                }
                Ok(_) => {}
                Err(error) => _ = refused.get_or_insert(error),
            }
        }
        fills
    }
}

/// Whether the traffic has grown since so many seconds ago. While nobody knows, it may have; but what has risen for longer
/// than traffic is remembered has risen by night as well.
fn grew(rates: &VecDeque<f64>, (seconds, requests): (f64, f64), ago: f64) -> bool {
    if ago > PIECES as f64 * PIECE_SECONDS && rates.len() >= PIECES {
        return false;
    }
    let pieces = (ago / PIECE_SECONDS).ceil().clamp(1.0, PIECES as f64) as usize;
    let now = if seconds >= PIECE_SECONDS / 2.0 { Some(requests / seconds) } else { rates.back().copied() };
    // A rise that began before the agent did is held against the oldest that is known.
    let then = rates.len().checked_sub(pieces).map_or(rates.front(), |index| rates.get(index));
    match (now, then) {
        (Some(now), Some(then)) => now > then * MORE_TRAFFIC,
        _ => true,
    }
}

impl Fill {
    fn new(gauge: Gauge) -> Self {
        Self {
            gauge,
            forecast: Forecast::new(Toward::Above),
            outlook: None,
            soon: Steady::default(),
            full: Steady::default(),
            soon_since: None,
            full_since: None,
            absent: 0.0,
        }
    }

    fn subject(&self) -> Subject {
        Subject::resource(self.gauge.kind.resource(), &self.gauge.name)
    }

    fn is(&self, gauge: &Gauge) -> bool {
        self.gauge.kind == gauge.kind && self.gauge.name == gauge.name
    }

    fn observe(&mut self, gauge: Gauge, at: f64, seconds: f64, horizon: Duration, grew: impl FnOnce(&Outlook) -> bool) {
        let (share, after) = gauge.kind.full();
        let is_full = gauge.used >= share * gauge.limit && gauge.waiting.is_none_or(|waiting| waiting >= 1.0);
        // A pool without a word of who waits may just be busy.
        let is_full = is_full && (gauge.kind != Kind::Pool || gauge.waiting.is_some());
        self.full_since = self.full.observe(is_full, at, seconds, after);
        let outlook = self.forecast.observe(at, gauge.used, gauge.limit);
        let is_soon = |outlook: &Outlook| outlook.seconds <= horizon.as_secs_f64();
        // Traffic may explain a rise that begins; it takes back nothing that was told.
        let is_told = self.soon.told_since().is_some();
        let is_own = |outlook: &Outlook| is_told || gauge.kind == Kind::Disk || !grew(outlook);
        let outlook = outlook.filter(|outlook| is_soon(outlook) && is_own(outlook));
        self.soon_since = self.soon.observe(outlook.is_some(), at, seconds, OUTLOOK_SECONDS);
        // Between two looks that agree, the last one is told.
        if outlook.is_some() || self.soon_since.is_none() {
            self.outlook = outlook;
        }
        self.gauge = gauge;
    }

    fn sign(&self, at: SystemTime) -> Option<Sign> {
        let Gauge { kind, used, limit, waiting, .. } = &self.gauge;
        let of = format!("{} of {}", kind.amount(*used), kind.amount(*limit));
        let waiting = waiting.map_or(String::new(), |waiting| format!(", {waiting:.0} wait"));
        let (since, severity, words) = match (self.full_since, self.soon_since.zip(self.outlook)) {
            (Some(since), _) => (since, Severity::Critical, format!("{of} in use{waiting}")),
            (None, Some((since, outlook))) => {
                let is_near = outlook.seconds <= CRITICAL_SECONDS;
                let words = format!(
                    "full in {} ({} to {}): {of} in use, {} more per hour for {}",
                    span(outlook.seconds),
                    span(outlook.soonest),
                    span(outlook.latest),
                    kind.amount(outlook.per_hour),
                    span(outlook.seen_seconds),
                );
                (since, if is_near { Severity::Critical } else { Severity::Warning }, words)
            }
            (None, None) => return None,
        };
        Some(Sign {
            subject: self.subject(),
            signal: Signal::Saturation,
            role: Role::Apart,
            severity,
            score: used / limit,
            since: before(at, unix(at) - since),
            words,
            before: None,
            now: Some(used / limit),
            requests: 0,
            affected: 0,
            seconds: 0.0,
            // A full pool is how slow statements show; it empties after them.
            aftermath_seconds: 120.0,
        })
    }
}

/// A span of time with the digits that it deserves.
fn span(seconds: f64) -> String {
    let minutes = seconds / 60.0;
    match seconds {
        ..90.0 => format!("{seconds:.0} s"),
        ..5400.0 => format!("{minutes:.0} min"),
        ..172_800.0 => format!("{:.1} h", minutes / 60.0),
        _ if seconds.is_finite() => format!("{:.0} days", minutes / 1440.0),
        _ => "a long time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at memory of this share of its limit, or at nothing, five seconds after the last look.
    fn look(fills: &mut Fills, at: &mut SystemTime, share: Option<f64>) -> usize {
        look_when(fills, at, share, 100.0)
    }

    /// The same, after so many requests.
    fn look_when(fills: &mut Fills, at: &mut SystemTime, share: Option<f64>, requests: f64) -> usize {
        *at += Duration::from_secs(5);
        let gauge = |share| Gauge {
            kind: Kind::Memory,
            name: "container".to_owned(),
            used: share * 1e9,
            limit: 1e9,
            waiting: None,
        };
        fills.observe(share.map(gauge).into_iter().collect(), requests, 5.0, false, *at, Duration::from_secs(14_400));
        let mut signs = Vec::new();
        fills.signs(*at, &mut signs);
        signs.len()
    }

    #[test]
    fn what_is_away_for_a_page_is_told_on_and_what_is_gone_is_not() {
        let (mut fills, mut at) = (Fills::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let told = (0..80).map(|_| look(&mut fills, &mut at, Some(0.97))).last();
        assert_eq!(told, Some(1), "full for long enough");
        assert_eq!(look(&mut fills, &mut at, None), 1, "the process was not found this time");

        // Another agent goes on with it, before it has found the process.
        let kept = serde_json::to_string(&fills.keep()).unwrap();
        let mut other = Fills::restore(serde_json::from_str(&kept).unwrap(), &mut None);
        assert_eq!(look(&mut other, &mut at, None), 1);
        assert_eq!(look(&mut other, &mut at, Some(0.97)), 1);

        let gone = (0..130).map(|_| look(&mut fills, &mut at, None)).last();
        assert_eq!((gone, fills.list.len()), (Some(0), 0));
    }

    #[test]
    fn a_rise_that_traffic_may_explain_is_none_while_the_traffic_is_not_known() {
        let outlook_seen = 3600.0;
        assert!(grew(&VecDeque::new(), (0.0, 0.0), outlook_seen));
        let mut busier: VecDeque<f64> = (1..=12).map(|piece| f64::from(piece) * 10.0).collect();
        assert!(grew(&busier, (0.0, 0.0), outlook_seen));
        busier.iter_mut().for_each(|rate| *rate = 50.0);
        assert!(!grew(&busier, (0.0, 0.0), outlook_seen));
    }

    #[test]
    fn a_leak_that_is_told_is_told_on_in_the_morning() {
        let (mut fills, mut at) = (Fills::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let mut share = 0.4;
        for _ in 0..12 * 60 * 5 {
            assert_eq!(look(&mut fills, &mut at, Some(share)), 0);
        }
        // A third of its limit more in each hour.
        let mut leak = |requests| {
            share += 1.0 / 3.0 / 720.0;
            look_when(&mut fills, &mut at, Some(share), requests)
        };
        assert!((0..12 * 80).any(|_| leak(100.0) == 1), "told ahead");
        let told = (0..12 * 12).filter(|_| leak(300.0) == 1).count();
        assert_eq!(told, 12 * 12, "however many requests come");
        let morning: VecDeque<f64> = (1..=PIECES).map(|piece| piece as f64 * 10.0).collect();
        assert!(!grew(&morning, (0.0, 0.0), 2.0 * 86_400.0), "what has grown for two days");
    }
}
