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
    /// The incident that is being followed: its id and onset, and when it was seen to be over.
    episode: Option<(String, f64, Option<f64>)>,
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
/// The most routes of an incident that are drawn.
const MAX_SCENES: usize = 4;

impl Film {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, strips: BTreeMap::new(), episode: None }
    }

    /// Takes in the intervals that ended at `now`, in seconds since the epoch.
    pub(crate) fn note(&mut self, routes: &Routes, now: f64) {
        let keep_from = self.episode.as_ref().map_or(now, |(_, onset, _)| onset.min(now)) - LEAD;
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

    /// Follows the incident that is open at `now`, given as its id and onset. Answers the one that has been over for long
    /// enough to be looked at as a whole.
    pub(crate) fn follow(&mut self, open: Option<(&str, f64)>, now: f64) -> Option<String> {
        let is_done = match (&mut self.episode, &open) {
            (None, _) => false,
            (Some((id, _, over)), Some((open, _))) if id == open => {
                *over = None;
                false
            }
            // Another one is open.
            (Some(_), Some(_)) => true,
            (Some((_, _, over)), None) => now - *over.get_or_insert(now) >= TAIL,
        };
        let done = if is_done { self.end() } else { None };
        if let Some((id, onset)) = open {
            self.episode.get_or_insert_with(|| (id.to_owned(), onset, None));
        }
        done
    }

    /// The incident that is being followed, which is followed no longer.
    pub(crate) fn end(&mut self) -> Option<String> {
        Some(self.episode.take()?.0)
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
