//! Where the pages of a replay come from, and where those of a server are kept.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::{cannot_write, is_compressed, say};
use crate::replay::files::Files;
use crate::replay::prometheus::Source;
use crate::replay::recording::{self, Taken};

/// Where pages come from.
pub(super) enum Pages {
    Files(Files),
    Prometheus { source: Box<Source>, runtime: tokio::runtime::Runtime, save: Option<Save> },
}

impl Pages {
    pub(super) fn next(&mut self) -> Result<Option<Taken>, String> {
        match self {
            Self::Files(files) => Ok(files.next()),
            Self::Prometheus { source, runtime, save } => {
                let taken = runtime.block_on(source.next()).map_err(|error| error.to_string())?;
                if let (Some(save), Some(taken)) = (save, &taken) {
                    save.write(taken)?;
                }
                Ok(taken)
            }
        }
    }

    /// The share that was read, if that is known.
    pub(super) fn done(&self) -> Option<f64> {
        match self {
            Self::Files(_) => None,
            Self::Prometheus { source, .. } => Some(source.done),
        }
    }

    /// Says what could not be read, and completes what was saved, if it is the whole.
    pub(super) fn finish(self, is_whole: bool) -> Result<(), String> {
        let (complaints, saved) = match self {
            Self::Files(files) => (files.complaints, Ok(())),
            Self::Prometheus { source, save, .. } => {
                (source.complaints, save.map_or(Ok(()), |save| save.finish(is_whole)))
            }
        };
        complaints.iter().for_each(|complaint| say(complaint));
        saved
    }
}

/// A recording of what a server gave. Until it is whole it has a name of its own, so that nobody takes a part for the whole,
/// and the same call can be made again.
pub(super) struct Save {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
    pages: u64,
}

impl Save {
    /// Begins one. What somebody kept is not lost to a second call.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        is_free(path)?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|error| cannot_write(&part, &error))?;
        Ok(Self { path: path.to_owned(), part, file: BufWriter::new(file), pages: 0 })
    }

    fn write(&mut self, taken: &Taken) -> Result<(), String> {
        self.pages += 1;
        let written = recording::write(&mut self.file, taken, is_compressed(&self.path));
        written.map(drop).map_err(|error| cannot_write(&self.part, &error))
    }

    fn finish(mut self, is_whole: bool) -> Result<(), String> {
        let flushed = self.file.flush();
        if !is_whole {
            if self.pages == 0 {
                // An empty file that stays harms nobody.
                let _ = fs::remove_file(&self.part);
            } else {
                say(&format!("{}: the pages that came are kept there; the same call begins anew", self.part.display()));
            }
            return Ok(());
        }
        flushed.map_err(|error| cannot_write(&self.part, &error))?;
        is_free(&self.path)?;
        fs::rename(&self.part, &self.path).map_err(|error| cannot_write(&self.path, &error))
    }
}

fn is_free(path: &Path) -> Result<(), String> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    Err(cannot_write(path, &io::ErrorKind::AlreadyExists.into()))
}
