//! The files of profiles: those of incidents stay on disk and are counted at the start, the calm ones are read.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{INCIDENTS, file, files, folder};
use crate::profile::baseline::{MAX_PIECE, SUFFIX};
use crate::profile::shelf::{Outbox, of_file};
use crate::profile::{FOLDER, KeptFile};

/// The most calm profiles that are read.
const MAX_READ: usize = 1000;

/// The incident whose file was set aside under this name.
fn of_aside(name: &str) -> Option<String> {
    name.split_once(".json.aside-").map(|(id, _)| id.to_owned())
}

/// What an earlier agent kept. Files that are none of the agent's, or of an incident that was set aside, stay unseen.
pub(super) fn read(folder: &Path) -> Vec<KeptFile> {
    let mut found = Vec::new();
    let incidents = files(&folder.join(INCIDENTS));
    let name = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let aside: BTreeSet<_> = incidents.iter().filter_map(name).filter_map(|name| of_aside(&name)).collect();
    for path in &incidents {
        let Some(name) = name(path) else { continue };
        let Some((id, _)) = of_file(&name) else { continue };
        // Whoever mends an incident's file wants its profile too.
        if aside.contains(id) && incidents.binary_search(&path.with_file_name(format!("{id}.json"))).is_err() {
            continue;
        }
        let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
        found.push(KeptFile::Exhibit { name, bytes: usize::try_from(bytes).unwrap_or(usize::MAX) });
    }
    for path in files(&folder.join(FOLDER)).into_iter().take(MAX_READ) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if path.extension().is_some_and(|extension| extension == "tmp") {
            // A writing that did not come to its end.
            let _ = fs::remove_file(&path);
        } else if name.ends_with(SUFFIX)
            && let Ok(Some(bytes)) = file::read(&path, MAX_PIECE)
        {
            found.push(KeptFile::Calm { name: name.to_owned(), bytes: bytes.into() });
        }
    }
    found
}

/// Writes and removes files; what could not be done stays in the outbox. Answers what was written.
pub(super) fn write(folder: &Path, outbox: &mut Outbox, first_error: &mut Option<io::Error>) -> Vec<String> {
    if outbox.is_empty() {
        return Vec::new();
    }
    for name in [INCIDENTS, FOLDER] {
        if let Err(error) = folder::make(&folder.join(name)) {
            first_error.get_or_insert(error);
        }
    }
    let mut saved = Vec::new();
    outbox.files.retain(|name, bytes| match file::write_bytes(&folder.join(name), bytes) {
        Ok(_) => {
            saved.push(name.clone());
            false
        }
        Err(error) => {
            first_error.get_or_insert(error);
            true
        }
    });
    outbox.removed.retain(|name| match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            first_error.get_or_insert(error);
            true
        }
        _ => false,
    });
    saved
}
