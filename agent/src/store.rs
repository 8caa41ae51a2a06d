//! The agent's memory: what it knows, kept on disk so that a restart neither forgets nor learns anew.
//!
//! ```text
//! <data folder>/
//!   lock                  held by the agent that runs; its process id
//!   state.json            detectors, and where each counter stood
//!   incidents/<id>.json   one incident each, readable as it is
//!   incidents/<id>.*      its CPU profile and the graphs of it
//!   profiles/*.pb.gz      CPU profiles from when all was calm
//! ```
//!
//! Files are versioned JSON, and are replaced whole. One that is damaged or of another version is set aside under another
//! name, never deleted. Incidents are written before the state: an agent that dies in between finds an incident that is
//! open on a route that looks calm, which ends or opens again; the other way round it would be told twice.
//!
//! Reading happens once, at the start. Writing happens in a thread of its own, at most one at a time, from a copy, so that
//! no disk delays a tick. An agent without a usable folder works all the same, and forgets when it ends.

mod file;
pub(crate) mod folder;
mod profiles;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::incident::{self, Incident};
use crate::profile::KeptFile;
use crate::profile::shelf::Outbox;
use crate::target::KeptTarget;
use crate::tell::KeptTell;
use crate::time;
use crate::watch::KeptFill;
use folder::{Folder, Refusal};

/// The format of all files that this release reads and writes.
const VERSION: u32 = 1;
const STATE: &str = "state.json";
const INCIDENTS: &str = "incidents";
/// The most bytes of the state. A route takes some tens of thousands.
const MAX_STATE: usize = 256 << 20;
/// The most bytes of an incident.
const MAX_INCIDENT: usize = 16 << 20;
/// The most files of incidents that are looked at.
const MAX_FILES: usize = 100_000;
/// Writing may take this part of the time: where it is slow, it is done less often.
const WRITING_SHARE: u32 = 20;

/// A writing that takes longer than this hangs.
const LONGEST_WRITING: Duration = Duration::from_secs(60);

/// The agent's data folder, if it has one.
pub(crate) struct Store {
    folder: Option<Arc<Folder>>,
    every: Duration,
    /// When the last writing began, and how long it took.
    began: Instant,
    took: Duration,
    /// Something changed that is worth a writing of its own.
    is_urgent: bool,
    is_writing: bool,
    health: StoreHealth,
}

/// How reading and writing went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StoreHealth {
    /// There is a folder, the last writing worked, and none hangs.
    pub(crate) up: bool,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    /// Files that were set aside.
    pub(crate) set_aside: u64,
    /// Size of the last state that was written.
    pub(crate) state_bytes: u64,
}

/// What is kept in `state.json`. A field that is added needs `#[serde(default)]`, so that older files can be read.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    version: u32,
    pub(crate) targets: Vec<KeptTarget>,
    /// What of the host can run full.
    #[serde(default)]
    pub(crate) host: Vec<KeptFill>,
    /// Silences, and what was told of late.
    #[serde(default)]
    pub(crate) tell: KeptTell,
}

impl Snapshot {
    pub(crate) fn new(targets: Vec<KeptTarget>, host: Vec<KeptFill>) -> Self {
        Self { version: VERSION, targets, host, tell: KeptTell::default() }
    }
}

/// What is kept of an incident: what the agent needs, and what it means in words.
#[derive(Serialize, Deserialize)]
struct Bundle {
    version: u32,
    #[serde(with = "time")]
    written_at: SystemTime,
    #[serde(skip_deserializing)]
    summary: String,
    incident: Incident,
}

/// Any of the files, as far as its version.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// What the agent knew when it ended.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) profiles: Vec<KeptFile>,
}

/// Something to write.
pub(crate) struct Writing {
    pub(crate) snapshot: Snapshot,
    pub(crate) incidents: Vec<Incident>,
    /// Incidents that are kept no longer.
    pub(crate) dropped: Vec<String>,
    pub(crate) profiles: Outbox,
}

/// What came of a writing.
pub(crate) struct Written {
    took: Duration,
    state: Result<u64, String>,
    /// Incidents that are not on disk, and why the first of them is not.
    pub(crate) unsaved: Vec<String>,
    /// Files of profiles that are on disk now.
    pub(crate) saved: Vec<String>,
    /// What of the profiles is still to be done.
    pub(crate) profiles: Outbox,
}

impl Store {
    /// Takes the folder, if there is to be one.
    ///
    /// # Errors
    /// Another agent holds it; its process id, if it is known. A folder that cannot be used for another reason is no error.
    pub(crate) fn open(path: Option<&Path>, every: Duration) -> Result<Self, Option<u32>> {
        let folder = match path.map(|path| (path, Folder::open(path))) {
            Some((_, Ok(folder))) => Some(Arc::new(folder)),
            Some((_, Err(Refusal::Taken { pid }))) => return Err(pid),
            Some((path, Err(Refusal::Unusable(error)))) => {
                tracing::warn!(
                    folder = %path.display(), %error,
                    "the data folder cannot be used, so nothing is kept across restarts; choose another with --data-dir"
                );
                None
            }
            None => None,
        };
        let health = StoreHealth { up: folder.is_some(), ..StoreHealth::default() };
        let (began, took) = (Instant::now(), Duration::ZERO);
        Ok(Self { folder, every, began, took, is_urgent: false, is_writing: false, health })
    }

    /// Reads what an earlier agent kept.
    pub(crate) fn load(&mut self) -> Memory {
        let Some(folder) = self.folder.clone() else { return Memory::default() };
        let snapshot = self.read::<Snapshot>(&folder.path().join(STATE), MAX_STATE);
        let mut incidents = Vec::new();
        for path in files(&folder.path().join(INCIDENTS)) {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                // A writing that did not come to its end; the file that it was to replace is whole.
                let _ = fs::remove_file(&path);
            } else if path.extension().is_some_and(|extension| extension == "json")
                && let Some(bundle) = self.read::<Bundle>(&path, MAX_INCIDENT)
            {
                if incident::is_id(stem) && bundle.incident.id == stem {
                    incidents.push(bundle.incident);
                } else {
                    self.set_aside(&path, "its name is not the incident's");
                }
            }
        }
        Memory { snapshot, incidents, profiles: profiles::read(folder.path()) }
    }

    /// Sets the state aside as it was read: not all of it could be used.
    pub(crate) fn set_state_aside(&mut self, why: &str) {
        if let Some(folder) = self.folder.clone() {
            self.set_aside(&folder.path().join(STATE), why);
        }
    }

    /// The agent's folder.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.folder.as_ref().map(|folder| folder.path())
    }

    /// How reading and writing went until now.
    pub(crate) fn health(&self) -> StoreHealth {
        let hangs = self.is_writing && self.began.elapsed() > LONGEST_WRITING;
        StoreHealth { up: self.health.up && !hangs, ..self.health }
    }

    /// Writes this often from now on.
    pub(crate) fn set_every(&mut self, every: Duration) {
        self.every = every;
    }

    /// Asks for a writing as soon as can be.
    pub(crate) fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// Whether it is time to write. At most one writing is under way.
    pub(crate) fn is_due(&self) -> bool {
        let pause = self.every.max(self.took * WRITING_SHARE);
        self.folder.is_some() && !self.is_writing && (self.is_urgent || self.began.elapsed() >= pause)
    }

    /// Begins a writing. The answer does it, in a thread that may block; [`Store::end`] takes what comes of it.
    pub(crate) fn begin(&mut self, writing: Writing) -> Option<impl FnOnce() -> Written + Send + use<>> {
        let folder = self.folder.clone()?;
        self.is_writing = true;
        self.is_urgent = false;
        self.began = Instant::now();
        Some(move || write(folder.path(), writing))
    }

    /// Takes note of how a writing went.
    pub(crate) fn end(&mut self, written: &Written) {
        self.is_writing = false;
        self.took = written.took;
        let error = written.state.as_ref().err();
        match (error, self.health.up) {
            (Some(error), true) => {
                tracing::warn!(%error, "the agent's state cannot be written; it is tried again");
            }
            (None, false) => tracing::info!("the agent's state can be written again"),
            _ => {}
        }
        self.health.up = error.is_none();
        *(if error.is_none() { &mut self.health.successes } else { &mut self.health.failures }) += 1;
        if let Ok(bytes) = written.state {
            self.health.state_bytes = bytes;
        }
    }

    /// Reads a file of this version; any other is set aside.
    fn read<T: for<'de> Deserialize<'de>>(&mut self, path: &Path, limit: usize) -> Option<T> {
        let bytes = match file::read(path, limit) {
            Ok(bytes) => bytes?,
            Err(error) => {
                self.set_aside(path, &error.to_string());
                return None;
            }
        };
        match parse(&bytes) {
            Ok(value) => Some(value),
            Err(why) => {
                self.set_aside(path, &why);
                None
            }
        }
    }

    fn set_aside(&mut self, path: &Path, why: &str) {
        match file::set_aside(path) {
            Ok(aside) => {
                self.health.set_aside += 1;
                let (file, aside) = (path.display(), aside.display());
                tracing::warn!(%file, why, "a file of the data folder cannot be used and was set aside as {aside}");
            }
            Err(error) => {
                // Writing would replace it.
                self.folder = None;
                self.health.up = false;
                let file = path.display();
                tracing::warn!(%file, why, %error, "a file can neither be used nor set aside, so nothing is kept across restarts");
            }
        }
    }
}

fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, String> {
    let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if head.version != VERSION {
        return Err(format!("it has version {}, this release reads version {VERSION}", head.version));
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// The files in a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).take(MAX_FILES).collect();
    files.sort();
    files
}

/// Does a writing.
fn write(folder: &Path, writing: Writing) -> Written {
    let began = Instant::now();
    let incidents = folder.join(INCIDENTS);
    let mut first_error = None;
    let mut unsaved = Vec::new();
    if !(writing.incidents.is_empty() && writing.dropped.is_empty()) {
        first_error = folder::make(&incidents).err();
    }
    for incident in writing.incidents {
        let (id, summary) = (incident.id.clone(), incident.summary());
        let bundle = Bundle { version: VERSION, written_at: SystemTime::now(), summary, incident };
        if let Err(error) = file::write(&incidents.join(format!("{id}.json")), &bundle, MAX_INCIDENT) {
            first_error.get_or_insert(error);
            unsaved.push(id);
        }
    }
    for id in writing.dropped {
        match fs::remove_file(incidents.join(format!("{id}.json"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                first_error.get_or_insert(error);
            }
            _ => {}
        }
    }
    let mut outbox = writing.profiles;
    let saved = profiles::write(folder, &mut outbox, &mut first_error);
    let state = match (first_error, file::write(&folder.join(STATE), &writing.snapshot, MAX_STATE)) {
        (None, Ok(bytes)) => Ok(bytes),
        (Some(error), _) | (None, Err(error)) => Err(error.to_string()),
    };
    Written { took: began.elapsed(), state, unsaved, saved, profiles: outbox }
}

#[cfg(test)]
mod tests;
