//! CPU profiles of the targets: one when an incident opens, short ones while all is calm to compare it with.
//!
//! ```text
//! plan (whose turn) -> fetch (HTTP) -> pprof (decode) -> compare -> flame (SVG), growth (functions) -> shelf (disk)
//! ```
//!
//! Profiles come from where the target serves them, `/debug/pprof/profile` beside its page unless the settings name another
//! place: the library's admin listener and Go's `net/http/pprof` both have it. A target that has none is left alone for an
//! hour. One profile is taken at a time by the whole agent, in a task of its own, and an incident's goes first: a calm one
//! that is under way is broken off for it. So no scrape, no tick and no shutdown ever waits for one.

pub(crate) mod baseline;
mod compare;
pub(crate) mod exhibit;
pub(crate) mod fetch;
mod flame;
mod growth;
mod plan;
mod pprof;
mod settings;
pub(crate) mod shelf;
mod take;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Uri;

use crate::health::Durations;
use crate::incident::Incidents;
use crate::target::Target;
use baseline::{Baseline, Piece};
use exhibit::{Exhibit, Form};
pub(crate) use exhibit::{Note, NoteView};
pub(crate) use fetch::Failure;
use plan::Plan;
pub use settings::ProfileSettings;
use shelf::{Outbox, Shelf};
use take::Product;
pub(crate) use take::{Order, Taken, take};

/// An incident that opens again so long after its profile gets another one.
const STALE: Duration = Duration::from_secs(600);

/// The most bytes of calm profiles of all targets together.
const MAX_CALM_BYTES: usize = 32 << 20;

/// All about profiles: what is planned, what is known, what is kept.
#[derive(Debug)]
pub(crate) struct Profiles {
    settings: ProfileSettings,
    targets: Vec<OfTarget>,
    /// The one that is under way.
    running: Option<Running>,
    /// How many were begun.
    begun: u64,
    pub(crate) shelf: Shelf,
    pub(crate) outbox: Outbox,
    /// Calm profiles that were dropped since all of them took too much.
    pub(crate) dropped_pieces: u64,
    /// What making pictures took.
    pub(crate) making: Durations,
}

/// What is known of one target's profiles.
#[derive(Debug, Default)]
pub(crate) struct OfTarget {
    label: String,
    url: Option<Uri>,
    plan: Plan,
    baseline: Baseline,
    /// Profiles that were taken of incidents and in calm.
    pub(crate) taken: [u64; 2],
    /// Those that were not, by [`Failure::REASONS`].
    pub(crate) failures: [u64; Failure::REASONS.len()],
}

/// What a profile is taken for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Purpose {
    /// The incident with this id.
    Incident(String),
    Calm,
}

impl Purpose {
    /// The values of the label `profile_purpose`, as in [`OfTarget::taken`].
    pub(crate) const NAMES: [&'static str; 2] = ["incident", "calm"];

    fn place(&self) -> usize {
        usize::from(*self == Self::Calm)
    }
}

#[derive(Debug)]
struct Running {
    number: u64,
    is_calm: bool,
}

/// A file of profiles that an earlier agent kept.
#[derive(Debug)]
pub(crate) enum KeptFile {
    /// Of an incident: its name below `incidents`, and its size.
    Exhibit { name: String, bytes: usize },
    /// A calm one: its name below [`FOLDER`].
    Calm { name: String, bytes: Bytes },
}

/// Where calm profiles are kept below the data folder.
pub(crate) const FOLDER: &str = "profiles";

impl Profiles {
    pub(crate) fn new(settings: &ProfileSettings, targets: &[Target]) -> Self {
        let mut profiles = Self {
            settings: settings.clone(),
            targets: Vec::new(),
            running: None,
            begun: 0,
            shelf: Shelf::default(),
            outbox: Outbox::default(),
            dropped_pieces: 0,
            making: Durations::default(),
        };
        profiles.apply(settings, targets);
        profiles
    }

    /// Works by other settings, for these targets, from now on.
    pub(crate) fn apply(&mut self, settings: &ProfileSettings, targets: &[Target]) {
        let mut old = std::mem::take(&mut self.targets);
        self.settings = settings.clone();
        for target in targets {
            let label = target.address.label();
            let url = match settings.urls.iter().find(|(of, _)| of == label) {
                Some((_, url)) => url.clone(),
                None => fetch::usual_url(&target.address),
            };
            let known = old.iter().position(|known| known.label == label).map(|at| old.swap_remove(at));
            let mut known = known.unwrap_or_else(|| OfTarget { label: label.to_owned(), ..OfTarget::default() });
            if known.url != url {
                known.plan = Plan::default();
            }
            known.url = url;
            self.targets.push(known);
        }
        for gone in old {
            gone.baseline.pieces().for_each(|piece| self.outbox.remove(calm_file(&gone.label, piece)));
        }
    }

    /// Takes up what an earlier agent kept. What is of nobody any more goes.
    pub(crate) fn restore(&mut self, files: Vec<KeptFile>, incidents: &mut Incidents) {
        let mut sizes: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        let mut found: Vec<(String, &'static str)> = Vec::new();
        for file in files {
            match file {
                KeptFile::Calm { name, bytes } => {
                    let owner =
                        self.targets.iter_mut().find_map(|of| Some((baseline::taken_at(&of.label, &name)?, of)));
                    let Some((at, owner)) = owner else {
                        self.outbox.remove(format!("{FOLDER}/{name}"));
                        continue;
                    };
                    for gone in owner.baseline.add(Piece { at, bytes }) {
                        self.outbox.remove(calm_file(&owner.label, &gone));
                    }
                }
                KeptFile::Exhibit { name, bytes } => match shelf::of_file(&name) {
                    Some((id, form)) if incidents.get(id).is_some() => {
                        *sizes.entry(id.to_owned()).or_default() += bytes;
                        found.push((id.to_owned(), form.name()));
                    }
                    _ => self.outbox.remove(format!("incidents/{name}")),
                },
            }
        }
        for incident in incidents.all_mut() {
            if let Some(bytes) = sizes.remove(&incident.id) {
                self.shelf.restore(incident.id.clone(), bytes);
            }
            let is_there = |name: &String| found.iter().any(|(id, form)| *id == incident.id && form == name);
            if let Some(note) = &mut incident.profile {
                note.files.retain(is_there);
            }
        }
        self.shrink(incidents);
        self.shrink_calm();
    }

    /// The next profile to be taken, if it is time for one. One that is under way for another purpose is to be broken off.
    pub(crate) fn next(&mut self, incidents: &Incidents, targets: &[Target], now: Instant) -> Option<Order> {
        if !self.settings.enabled || self.running.as_ref().is_some_and(|running| !running.is_calm) {
            return None;
        }
        let is_idle = self.running.is_none();
        let (at, purpose) = plan::choose(&self.settings, &mut self.targets, incidents, targets, is_idle, now)?;
        let target = self.targets.get_mut(at)?;
        let url = target.url.clone()?;
        self.begun += 1;
        let is_calm = purpose == Purpose::Calm;
        self.running = Some(Running { number: self.begun, is_calm });
        let started = targets.iter().find(|of| of.address.label() == target.label);
        let started = started.and_then(|of| Duration::try_from_secs_f64(of.series.process_start()?).ok());
        let started = started.and_then(|since| UNIX_EPOCH.checked_add(since));
        let (calm, is_earlier) = match &purpose {
            Purpose::Incident(id) => {
                let onset = incidents.get(id).map(|incident| incident.began_at());
                onset.map(|onset| target.baseline.before(onset, started)).unwrap_or_default()
            }
            Purpose::Calm => Default::default(),
        };
        let over = if is_calm { self.settings.calm_seconds } else { self.settings.seconds };
        Some(Order { number: self.begun, label: target.label.clone(), url, over, purpose, calm, is_earlier })
    }

    /// Takes in what came of an order. True if an incident has something new to say.
    pub(crate) fn take(&mut self, taken: Taken, incidents: &mut Incidents, now: Instant) -> bool {
        // One that was broken off may have been complete already.
        if self.running.as_ref().is_none_or(|running| running.number != taken.number) {
            return false;
        }
        self.running = None;
        if let Some(making) = taken.making {
            self.making.observe(making);
        }
        let Some(target) = self.targets.iter_mut().find(|target| target.label == taken.label) else { return false };
        let is_new = match taken.product {
            Err(failure) => {
                if let Some(count) = target.failures.get_mut(failure.reason()) {
                    *count += 1;
                }
                target.failed(&taken.purpose, &failure, incidents, now)
            }
            Ok(product) => {
                if let Some(count) = target.taken.get_mut(taken.purpose.place()) {
                    *count += 1;
                }
                target.plan.worked(&taken.purpose, now);
                match (product, &taken.purpose) {
                    (Product::Incident(made), Purpose::Incident(id)) => {
                        let (exhibit, note) = *made;
                        self.keep(id, exhibit, note, incidents)
                    }
                    (Product::Calm(bytes), _) => {
                        let piece = Piece { at: taken.at, bytes };
                        self.outbox.write(calm_file(&target.label, &piece), piece.bytes.clone());
                        for gone in target.baseline.add(piece) {
                            self.outbox.remove(calm_file(&target.label, &gone));
                        }
                        false
                    }
                    (Product::Incident(_), Purpose::Calm) => false,
                }
            }
        };
        self.shrink(incidents);
        self.shrink_calm();
        is_new
    }

    /// An incident of this target opened: what was taken since its onset was not calm.
    pub(crate) fn opened(&mut self, target: &str, onset: SystemTime, now: SystemTime) {
        if let Some(of) = self.targets.iter_mut().find(|of| of.label == target) {
            for gone in of.baseline.settle(onset, now) {
                self.outbox.remove(calm_file(&of.label, &gone));
            }
        }
    }

    /// An incident opened again. A profile that was taken long ago says nothing of what is the matter now: it makes room for
    /// another one.
    pub(crate) fn reopened(&mut self, id: &str, incidents: &mut Incidents, now: SystemTime) {
        let Some(incident) = incidents.get_mut(id) else { return };
        let taken_at = incident.profile.as_ref().and_then(|note| note.taken_at);
        if taken_at.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age >= STALE)) {
            incident.profile = None;
            incident.unsaved = true;
            self.forget(id);
        }
    }

    /// An incident is kept no longer.
    pub(crate) fn forget(&mut self, id: &str) {
        if self.shelf.remove(id) {
            remove_files(&mut self.outbox, id);
        }
    }

    /// Notes that files are on disk.
    pub(crate) fn saved(&mut self, names: &[String]) {
        for name in names {
            if let Some((id, _)) = name.strip_prefix("incidents/").and_then(shelf::of_file) {
                self.shelf.saved(id);
            }
        }
    }

    /// What is known of each target's profiles, with its label.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&str, &OfTarget)> {
        self.targets.iter().map(|target| (target.label.as_str(), target))
    }

    /// Bytes of everything that is kept.
    pub(crate) fn bytes(&self) -> usize {
        self.shelf.bytes() + self.calm_bytes()
    }

    fn keep(&mut self, id: &str, exhibit: Exhibit, note: Note, incidents: &mut Incidents) -> bool {
        let Some(incident) = incidents.get_mut(id) else { return false };
        tracing::info!(id, "a CPU profile was taken: {}", note.summary());
        for form in Form::ALL {
            if let Some(bytes) = exhibit.get(form) {
                self.outbox.write(shelf::file_name(id, form), bytes.clone());
            }
        }
        self.shelf.put(id, exhibit);
        incident.profile = Some(note);
        incident.weigh_profile();
        incident.unsaved = true;
        true
    }

    fn shrink(&mut self, incidents: &mut Incidents) {
        for id in self.shelf.shrink(self.settings.keep, self.settings.max_bytes) {
            remove_files(&mut self.outbox, &id);
            if let Some(incident) = incidents.get_mut(&id)
                && let Some(note) = &mut incident.profile
            {
                note.files.clear();
                incident.unsaved = true;
            }
        }
    }

    fn calm_bytes(&self) -> usize {
        self.targets.iter().map(|target| target.baseline.bytes()).sum()
    }

    /// Removes the oldest calm profiles of whoever has most of them until all have room.
    fn shrink_calm(&mut self) {
        while self.calm_bytes() > MAX_CALM_BYTES
            && let Some(most) = self.targets.iter_mut().max_by_key(|target| target.baseline.bytes())
            && let Some(gone) = most.baseline.pop()
        {
            self.outbox.remove(calm_file(&most.label, &gone));
            self.dropped_pieces += 1;
        }
    }
}

impl OfTarget {
    /// Takes note of a failure. True if an incident has something new to say.
    fn failed(&mut self, purpose: &Purpose, failure: &Failure, incidents: &mut Incidents, now: Instant) -> bool {
        let is_first = self.plan.failed(purpose, failure, now);
        let target = self.label.as_str();
        match failure {
            Failure::Absent(_) => tracing::debug!(target, "no profiles for an hour: {failure}"),
            _ if is_first => tracing::warn!(target, "no profile: {failure}"),
            _ => tracing::debug!(target, "no profile: {failure}"),
        }
        let Purpose::Incident(id) = purpose else { return false };
        // Of a target that never had a profile to give there is nothing to say.
        let is_stranger = matches!(failure, Failure::Absent(_)) && self.baseline.len() == 0;
        if is_stranger || !self.plan.gave_up(id) {
            return false;
        }
        let Some(incident) = incidents.get_mut(id) else { return false };
        incident.profile = Some(Note::failed(failure.to_string()));
        incident.unsaved = true;
        true
    }
}

fn calm_file(label: &str, piece: &Piece) -> String {
    format!("{FOLDER}/{}", baseline::file_name(label, piece))
}

fn remove_files(outbox: &mut Outbox, id: &str) {
    Form::ALL.into_iter().for_each(|form| outbox.remove(shelf::file_name(id, form)));
}
