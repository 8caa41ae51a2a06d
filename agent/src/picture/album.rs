//! The pictures of a running agent: of the incident that is open, and of the latest that were.
//!
//! They are kept in memory only, and bounded: an incident from before a restart has words and
//! its distribution, but no picture over time.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use super::film::{Film, Limits};
use super::incident::{Told, page, since_epoch};
use super::scene::Scene;
use crate::incident::{IncidentView, Incidents};
use crate::target::Target;

/// Pictures of all targets.
#[derive(Debug, Default)]
pub(crate) struct Album {
    /// By target.
    films: BTreeMap<String, Film>,
    /// Incidents that are over, by id, the latest first.
    kept: VecDeque<(String, Vec<Scene>)>,
}

/// With fifteen buckets, a route takes some 40 kB.
const LIMITS: Limits = Limits { routes: 100, cells: 180 };
/// The most incidents whose pictures are kept.
const MAX_KEPT: usize = 30;
/// Where a picture's page leads back to.
const HOME: &str = "/";

impl Album {
    /// Takes in what a target's last page, scraped at `at`, brought.
    pub(crate) fn note(&mut self, target: &Target, incidents: &Incidents, at: SystemTime) {
        let (label, now) = (target.address.label(), since_epoch(at));
        let film = match self.films.get_mut(label) {
            Some(film) => film,
            None => self.films.entry(label.to_owned()).or_insert_with(|| Film::new(LIMITS)),
        };
        film.note(&target.routes, now);
        let open = incidents.all_open(label).map(|incident| (incident.id.as_str(), since_epoch(incident.began_at())));
        for done in film.follow(open, now) {
            let scenes = incidents.get(&done).and_then(|incident| Some(film.scenes(&Told::of(&incident.view())?)));
            if let Some(scenes) = scenes.filter(|scenes| !scenes.is_empty()) {
                // It may have been over before.
                self.kept.retain(|(id, _)| *id != done);
                self.kept.truncate(MAX_KEPT - 1);
                self.kept.push_front((done, scenes));
            }
        }
    }

    /// Forgets targets that are not watched any more.
    pub(crate) fn retain(&mut self, is_watched: impl Fn(&str) -> bool) {
        self.films.retain(|label, _| is_watched(label));
    }

    /// The page of an incident, with its picture if there is one.
    pub(crate) fn page(&self, incident: &IncidentView) -> Option<String> {
        let told = Told::of(incident)?;
        let kept = self.kept.iter().find(|(id, _)| *id == told.id && told.end().is_some());
        let scenes = match kept {
            Some((_, scenes)) => scenes.clone(),
            None => self.films.get(&told.target).map(|film| film.scenes(&told)).unwrap_or_default(),
        };
        Some(page(&told, &scenes, HOME))
    }
}
