//! What pictures need of one target: the recent past of its routes, longer while an incident is open.

use std::collections::BTreeMap;

use super::incident::{Told, seconds};
use super::scene::{Scene, Span};
use super::strip::Strip;
use crate::derive::{RouteKey, Routes};

/// The recent past of one target.
#[derive(Debug)]
pub(crate) struct Film {
    limits: Limits,
    strips: BTreeMap<RouteKey, Strip>,
    /// The incidents that are being followed.
    episodes: Vec<Episode>,
}

/// An incident that is being followed.
#[derive(Debug)]
struct Episode {
    id: String,
    onset: f64,
    /// When it was seen to be over.
    over: Option<f64>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Routes. Further ones get no picture.
    pub(crate) routes: usize,
    /// Intervals of each.
    pub(crate) cells: usize,
}

/// What a picture shows before an incident, and after it, in seconds.
const LEAD: f64 = 1800.0;
const TAIL: f64 = 300.0;
/// The most incidents that are followed at a time.
const MAX_EPISODES: usize = 32;
/// The most routes of an incident that are drawn.
const MAX_SCENES: usize = 4;

impl Film {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, strips: BTreeMap::new(), episodes: Vec::new() }
    }

    /// Takes in the intervals that ended at `now`, in seconds since the epoch.
    pub(crate) fn note(&mut self, routes: &Routes, now: f64) {
        let keep_from = self.episodes.iter().map(|episode| episode.onset).fold(now, f64::min) - LEAD;
        self.strips.retain(|key, _| routes.get(key).is_some());
        for (key, route) in routes.iter() {
            let Some(interval) = route.last() else { continue };
            let has_room = self.strips.len() < self.limits.routes;
            match self.strips.get_mut(key) {
                Some(strip) => strip.push(&route.bounds, interval, now, keep_from),
                // Most routes of a page may never be asked for.
                None if interval.requests() > 0 && has_room => {
                    let mut strip = Strip::new(self.limits.cells);
                    strip.push(&route.bounds, interval, now, keep_from);
                    self.strips.insert(key.clone(), strip);
                }
                None => {}
            }
        }
    }

    /// Follows the incidents that are open at `now`, given as id and onset. Answers those that have been over for long enough
    /// to be looked at as a whole.
    pub(crate) fn follow<'a>(&mut self, open: impl Iterator<Item = (&'a str, f64)>, now: f64) -> Vec<String> {
        for episode in self.episodes.iter_mut().filter(|episode| episode.over.is_none()) {
            // Unless it is among those that are open, which are gone through below.
            episode.over = Some(now);
        }
        for (id, onset) in open {
            let has_room = self.episodes.len() < MAX_EPISODES;
            match self.episodes.iter_mut().find(|episode| episode.id == id) {
                Some(episode) => episode.over = None,
                None if has_room => {
                    self.episodes.push(Episode { id: id.to_owned(), onset, over: None });
                }
                None => {}
            }
        }
        let is_done = |episode: &mut Episode| episode.over.is_some_and(|over| now - over >= TAIL);
        self.episodes.extract_if(.., is_done).map(|episode| episode.id).collect()
    }

    /// The incidents that are being followed, which are followed no longer.
    pub(crate) fn end(&mut self) -> Vec<String> {
        std::mem::take(&mut self.episodes).into_iter().map(|episode| episode.id).collect()
    }

    /// The routes that an incident affected most, around it.
    pub(crate) fn scenes(&self, told: &Told) -> Vec<Scene> {
        let onset = seconds(told.started_at);
        let span = Span { onset, detected: seconds(told.detected_at), end: told.end() };
        let length = span.end.map_or(0.0, |end| end - onset);
        // As much before it as it lasted, so that a short one is not lost in a long picture.
        let lead = (2.0 * length).clamp(LEAD / 3.0, LEAD);
        let (from, to) = (onset - lead, span.end.map_or(f64::INFINITY, |end| end + (length / 2.0).clamp(120.0, TAIL)));
        let scene = |(key, strip): (&RouteKey, &Strip)| Scene {
            route: format!("{} {}", key.method, key.route),
            bounds: strip.bounds().to_vec(),
            cells: strip.between(from, to),
            span,
        };
        let mut keys: Vec<RouteKey> = Vec::new();
        for route in &told.routes {
            let key = RouteKey { method: route.method.clone(), route: route.route.clone() };
            if !keys.contains(&key) && keys.len() < MAX_SCENES {
                keys.push(key);
            }
        }
        let mut scenes: Vec<_> = keys.iter().filter_map(|key| self.strips.get_key_value(key)).map(scene).collect();
        if scenes.is_empty() && keys.is_empty() {
            // It is about no route: the busiest one shows what requests felt of it.
            let requests =
                |strip: &Strip| strip.between(from, to).iter().map(|cell| cell.requests() as f64).sum::<f64>();
            let busiest = self.strips.iter().max_by(|a, b| requests(a.1).total_cmp(&requests(b.1)));
            scenes.extend(busiest.map(scene));
        }
        scenes.retain(|scene| !scene.cells.is_empty());
        scenes
    }
}
