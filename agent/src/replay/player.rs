//! Plays pages to the agent's own state and watches what it makes of them.
//!
//! Nothing here reads a clock: the time is that of the pages. A target that nobody looked at for long is taken up again as
//! an agent does that was restarted. A page whose time lies before that of the last one, or days after it, may be
//! damaged: it waits until others follow it, and is left out if they follow the last one instead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use super::recording::Taken;
use crate::collect::scrape::{Address, Scrape, ScrapeError};
use crate::config::Settings;
use crate::derive::{Interval, RouteKey};
use crate::incident::{Incident, IncidentSettings};
use crate::picture::incident::{Told, since_epoch};
use crate::picture::{Film, Limits, Scene};
use crate::state::State;
use crate::target::Target;

/// An incident that is over, or as far as it came, with its pictures.
#[derive(Debug)]
pub(crate) struct Episode {
    pub(crate) told: Told,
    /// The whole of it, as the API shows it.
    pub(crate) json: serde_json::Value,
    /// The routes that it affected most.
    pub(crate) scenes: Vec<Scene>,
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Played {
    pub(crate) pages: u64,
    /// Scrapes that gave no page.
    pub(crate) failures: u64,
    /// Pages whose time neither follows that of their target's others nor is followed, or of a target too many.
    pub(crate) dropped: u64,
    /// How often the time of a target went back for good.
    pub(crate) turns: u64,
    /// Pages with a histogram without buckets, where an agent would have asked for native ones.
    pub(crate) bare: u64,
    /// Requests that were counted.
    pub(crate) requests: u64,
    /// By target.
    pub(crate) targets: BTreeMap<String, PlayedTarget>,
}

/// What was played of one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PlayedTarget {
    /// The first page and the last, in seconds since the epoch.
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// The time that was judged, in seconds: what lies between pages, without the gaps.
    pub(crate) watched: f64,
    /// Routes that had requests.
    pub(crate) routes: usize,
    /// Those of them that were still being learnt at the end.
    pub(crate) warming_up: usize,
}

/// The most targets that are told apart.
const MAX_TARGETS: usize = 200;
/// After a gap longer than this the target is taken up anew, as the agent does after a restart.
const LONGEST_GAP: Duration = Duration::from_secs(300);
/// A page that follows later than this has to be followed itself: after so long a time all is learnt anew.
const LONGEST_LEAP: Duration = Duration::from_secs(86_400);
/// So many pages in a row that follow one another, but not the last one, are where their target goes on.
const STRAYS: usize = 3;
/// Nobody waits for memory here.
const LIMITS: Limits = Limits { routes: 500, cells: 1440 };

/// The agent's state under the clock of the pages.
pub(crate) struct Player {
    settings: Settings,
    state: State,
    lookers: Vec<Looker>,
    played: Played,
}

/// What is noted of one target.
struct Looker {
    /// The time of the last page, and the same by a clock that nobody sets.
    last: Option<SystemTime>,
    started: Instant,
    /// Pages in a row that follow one another, but not the last one.
    strays: Vec<Taken>,
    /// Pages since the target was last taken up, and its first and last moment before.
    run: usize,
    before: Option<(f64, f64)>,
    film: Film,
    /// Routes that had requests.
    routes: BTreeSet<RouteKey>,
}

impl Looker {
    fn new(started: Instant) -> Self {
        let (film, routes) = (Film::new(LIMITS), BTreeSet::new());
        Self { last: None, started, strays: Vec::new(), run: 0, before: None, film, routes }
    }

    /// The pages to play now that this one is there, and how many are left out.
    fn admit(&mut self, taken: Taken) -> (Vec<Taken>, usize) {
        let strays = self.strays.len();
        if self.last.is_none_or(|last| follows(taken.at, last)) {
            self.strays.clear();
            return (vec![taken], strays);
        }
        let is_row = self.strays.last().is_none_or(|stray| follows(taken.at, stray.at));
        if !is_row {
            self.strays.clear();
        }
        self.strays.push(taken);
        let row = if self.strays.len() < STRAYS { Vec::new() } else { std::mem::take(&mut self.strays) };
        (row, if is_row { 0 } else { strays })
    }
}

fn follows(at: SystemTime, last: SystemTime) -> bool {
    at.duration_since(last).is_ok_and(|since| !since.is_zero() && since <= LONGEST_LEAP)
}

impl Player {
    pub(crate) fn new(settings: &Settings) -> Self {
        // Whatever is found stays, however old it is and however much.
        let incidents = IncidentSettings { keep: 100_000, keep_for: Duration::from_secs(100 * 365 * 86_400) };
        let settings = Settings { targets: Vec::new(), incidents, ..settings.clone() };
        let state = State::new(&settings);
        Self { state, settings, lookers: Vec::new(), played: Played::default() }
    }

    /// Plays one page. Answers the incidents that have been over long enough for their pictures; one may open and end again.
    pub(crate) fn play(&mut self, taken: Taken) -> Vec<Episode> {
        let index = self.index(&taken.target);
        let Some((index, looker)) = index.and_then(|index| Some((index, self.lookers.get_mut(index)?))) else {
            self.played.dropped += 1;
            return Vec::new();
        };
        let (pages, dropped) = looker.admit(taken);
        self.played.dropped += dropped as u64;
        pages.into_iter().flat_map(|taken| self.play_next(index, taken)).collect()
    }

    /// Plays the page that comes next of its target.
    fn play_next(&mut self, index: usize, Taken { at, page, .. }: Taken) -> Vec<Episode> {
        let Some(looker) = self.lookers.get_mut(index) else { return Vec::new() };
        // None where the time goes back.
        let gap = at.duration_since(looker.last.replace(at).unwrap_or(at)).ok();
        let started = looker.started.checked_add(gap.unwrap_or_default()).unwrap_or(looker.started);
        looker.started = started;
        let goes_back = gap.is_none();
        self.played.turns += u64::from(goes_back);
        if gap.is_none_or(|gap| gap > LONGEST_GAP) {
            self.begin_run(index, at, goes_back);
            self.take_up_again(index, at);
        }
        self.played.pages += u64::from(page.is_ok());
        self.played.failures += u64::from(page.is_err());
        let page = page.map_err(ScrapeError::Connection);
        self.state.absorb_scrape(index, &Scrape { started, at, took: Duration::ZERO, page });
        self.note(index, at);
        self.follow(index, at)
    }

    /// What is still open, or was over only lately, and what was played in all.
    pub(crate) fn finish(mut self) -> (Vec<Episode>, Played) {
        let mut last = Vec::new();
        for index in 0..self.lookers.len() {
            if let Some(looker) = self.lookers.get_mut(index) {
                self.played.dropped += looker.strays.len() as u64;
                last.extend(episodes(looker.film.end(), &self.state, &looker.film));
            }
            let Some(target) = self.state.targets.get(index) else { continue };
            if let Some(played) = self.played.targets.get_mut(target.address.label()) {
                played.warming_up = target.warming_up();
            }
        }
        (last, self.played)
    }

    /// The number of a target, which may be new; `None` if there are too many.
    fn index(&mut self, label: &str) -> Option<usize> {
        if let Some(index) = self.state.targets.iter().position(|target| target.address.label() == label) {
            return Some(index);
        }
        if self.state.targets.len() >= MAX_TARGETS {
            return None;
        }
        self.state.targets.push(Target::new(Address::named(label), &self.settings));
        self.lookers.push(Looker::new(self.state.started));
        Some(self.state.targets.len() - 1)
    }

    /// Notes that what follows of a target stands apart from what was before.
    fn begin_run(&mut self, index: usize, at: SystemTime, goes_back: bool) {
        let (Some(target), Some(looker)) = (self.state.targets.get(index), self.lookers.get_mut(index)) else { return };
        let Some(played) = self.played.targets.get_mut(target.address.label()) else { return };
        if goes_back && looker.run < STRAYS {
            // The times of the few pages since the last run were damaged.
            let now = since_epoch(at);
            (played.from, played.to) = looker.before.unwrap_or((now, now));
        }
        (looker.run, looker.before) = (0, Some((played.from, played.to)));
    }

    /// As an agent goes on that was away: with all it knows, but for where the page's series are.
    fn take_up_again(&mut self, index: usize, now: SystemTime) {
        let Some(target) = self.state.targets.get_mut(index) else { return };
        let kept = target.keep();
        let mut anew = Target::new(target.address.clone(), &self.settings);
        if let Some(kept) = kept {
            // The state is of this very release.
            let _ = anew.restore(kept, &self.settings, now);
        }
        *target = anew;
    }

    /// Notes what the last page brought.
    fn note(&mut self, index: usize, at: SystemTime) {
        let now = since_epoch(at);
        let (Some(target), Some(looker)) = (self.state.targets.get(index), self.lookers.get_mut(index)) else { return };
        let label = target.address.label();
        let played = self.played.targets.entry(label.to_owned()).or_insert_with(|| PlayedTarget {
            from: now,
            to: now,
            ..Default::default()
        });
        (played.from, played.to) = (played.from.min(now), played.to.max(now));
        looker.run = looker.run.saturating_add(1);
        self.played.bare += u64::from(target.health.is_up() && target.series.has_bare_histogram());
        if target.health.is_up() && target.is_judged() {
            played.watched += target.series.interval().unwrap_or_default().as_secs_f64();
            for (key, route) in target.routes.iter() {
                let requests = route.last().map_or(0, Interval::requests);
                self.played.requests = self.played.requests.saturating_add(requests);
                if requests > 0 && !looker.routes.contains(key) {
                    looker.routes.insert(key.clone());
                }
            }
            played.routes = looker.routes.len();
            looker.film.note(&target.routes, now);
        }
    }

    /// Follows the target's incidents. Answers those that have been over for long enough.
    fn follow(&mut self, index: usize, at: SystemTime) -> Vec<Episode> {
        let (Some(target), Some(looker)) = (self.state.targets.get(index), self.lookers.get_mut(index)) else {
            return Vec::new();
        };
        let open = self.state.incidents.all_open(target.address.label());
        let open = open.map(|incident| (incident.id.as_str(), since_epoch(incident.began_at())));
        let done = looker.film.follow(open, since_epoch(at));
        episodes(done, &self.state, &looker.film)
    }
}

/// The incidents with these ids, with their pictures.
fn episodes(ids: Vec<String>, state: &State, film: &Film) -> Vec<Episode> {
    ids.iter().filter_map(|id| Episode::of(state.incidents.get(id)?, film)).collect()
}

impl Episode {
    fn of(incident: &Incident, film: &Film) -> Option<Self> {
        let json = serde_json::to_value(incident.view()).ok()?;
        let told = Told::of(&json)?;
        let scenes = film.scenes(&told);
        Some(Self { told, json, scenes })
    }
}
