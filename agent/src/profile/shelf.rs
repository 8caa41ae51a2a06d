//! The profiles of incidents that are kept, and what of them still has to reach the disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::exhibit::{Exhibit, Form};

/// The most bytes that wait for the disk, or that are kept where there is none.
const MAX_IN_MEMORY: usize = 16 << 20;

/// Profiles by incident, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    kept: VecDeque<Kept>,
    /// Those that made room for others.
    pub(crate) dropped: u64,
}

#[derive(Debug)]
struct Kept {
    id: String,
    bytes: usize,
    /// Until it is on disk.
    exhibit: Option<Exhibit>,
    /// Its files that are not.
    missing: usize,
}

/// Where a file of an incident's profile is.
#[derive(Debug)]
pub(crate) enum Place {
    Memory(Bytes),
    /// In the data folder, under this name.
    Disk(String),
}

impl Shelf {
    /// Takes up a profile that is on disk; older ones come later.
    pub(crate) fn restore(&mut self, id: String, bytes: usize) {
        self.kept.push_back(Kept { id, bytes, exhibit: None, missing: 0 });
    }

    pub(crate) fn put(&mut self, id: &str, exhibit: Exhibit) {
        self.kept.retain(|kept| kept.id != id);
        let missing = Form::ALL.iter().filter(|form| exhibit.get(**form).is_some()).count();
        self.kept.push_front(Kept { id: id.to_owned(), bytes: exhibit.bytes(), exhibit: Some(exhibit), missing });
    }

    /// Notes that a file of this incident is on disk.
    pub(crate) fn saved(&mut self, id: &str) {
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.id == id) {
            kept.missing = kept.missing.saturating_sub(1);
            if kept.missing == 0 {
                kept.exhibit = None;
            }
        }
    }

    /// Where a file of an incident's profile is, if it is kept.
    pub(crate) fn place(&self, id: &str, form: Form) -> Option<Place> {
        let kept = self.kept.iter().find(|kept| kept.id == id)?;
        match &kept.exhibit {
            Some(exhibit) => exhibit.get(form).cloned().map(Place::Memory),
            None => Some(Place::Disk(file_name(id, form))),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kept.iter().map(|kept| kept.bytes).sum()
    }

    /// Removes the oldest until there are no more than `keep`, of no more than `max_bytes` together, and memory has room.
    /// Answers their incidents.
    pub(crate) fn shrink(&mut self, keep: usize, max_bytes: usize) -> Vec<String> {
        let mut gone = Vec::new();
        while self.kept.len() > keep || self.bytes() > max_bytes {
            let Some(oldest) = self.kept.pop_back() else { break };
            gone.push(oldest.id);
        }
        let waiting = |kept: &VecDeque<Kept>| -> usize {
            kept.iter().filter_map(|kept| kept.exhibit.as_ref()).map(Exhibit::bytes).sum()
        };
        while waiting(&self.kept) > MAX_IN_MEMORY
            && let Some(oldest) = self.kept.iter().rposition(|kept| kept.exhibit.is_some())
            && let Some(oldest) = self.kept.remove(oldest)
        {
            gone.push(oldest.id);
        }
        self.dropped += gone.len() as u64;
        gone
    }

    /// Removes the profile of an incident that is kept no longer. True if there was one.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let before = self.kept.len();
        self.kept.retain(|kept| kept.id != id);
        self.kept.len() < before
    }
}

/// The path of a file below the data folder.
pub(crate) fn file_name(id: &str, form: Form) -> String {
    format!("incidents/{id}.{}", form.name())
}

/// The incident and the form that a file below `incidents` is of.
pub(crate) fn of_file(name: &str) -> Option<(&str, Form)> {
    let (id, end) = name.split_once('.')?;
    let form = Form::ALL.into_iter().find(|form| form.name() == end)?;
    crate::incident::is_id(id).then_some((id, form))
}

/// Files to write and to remove, by their paths below the data folder.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) files: BTreeMap<String, Bytes>,
    pub(crate) removed: BTreeSet<String>,
}

/// The most names that wait to be removed. Without a disk nobody takes them; what stays on one goes at the next start.
const MAX_REMOVED: usize = 10_000;

impl Outbox {
    pub(crate) fn write(&mut self, name: String, bytes: Bytes) {
        self.removed.remove(&name);
        self.files.insert(name, bytes);
    }

    pub(crate) fn remove(&mut self, name: String) {
        self.files.remove(&name);
        if self.removed.len() < MAX_REMOVED {
            self.removed.insert(name);
        }
    }

    /// Takes back what could not be done, behind what was asked for since.
    pub(crate) fn take_back(&mut self, undone: Self) {
        for (name, bytes) in undone.files {
            if !self.removed.contains(&name) {
                self.files.entry(name).or_insert(bytes);
            }
        }
        for name in undone.removed {
            if !self.files.contains_key(&name) {
                self.remove(name);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.removed.is_empty()
    }
}
