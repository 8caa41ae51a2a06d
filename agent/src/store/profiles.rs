//! The files of profiles: those of incidents stay on disk and are counted at the start, the calm ones are read.

use std::fs;
use std::io;
use std::path::Path;

use super::{INCIDENTS, file, files, folder};
use crate::profile::baseline::{MAX_PIECE, SUFFIX};
use crate::profile::shelf::{Outbox, of_file};
use crate::profile::{FOLDER, KeptFile};

/// The most calm profiles that are read.
const MAX_READ: usize = 1000;

/// What an earlier agent kept. Files that are none of the agent's stay unseen.
pub(super) fn read(folder: &Path) -> Vec<KeptFile> {
    let mut found = Vec::new();
    for path in files(&folder.join(INCIDENTS)) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| of_file(name).is_some()) else {
            continue;
        };
        let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        found.push(KeptFile::Exhibit { name: name.to_owned(), bytes: usize::try_from(bytes).unwrap_or(usize::MAX) });
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
