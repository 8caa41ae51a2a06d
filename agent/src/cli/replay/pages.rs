//! Where the pages of a replay come from, and where those of a server are kept.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use super::{cannot_write, is_compressed, say};
use crate::replay::files::Files;
use crate::replay::prometheus::Source;
use crate::replay::recording::{self, Taken};

/// Where pages come from.
pub(super) enum Pages {
    Files(Files),
    Prometheus { source: Box<Source>, runtime: tokio::runtime::Runtime, save: Option<(PathBuf, BufWriter<File>)> },
}

impl Pages {
    pub(super) fn next(&mut self) -> Result<Option<Taken>, String> {
        match self {
            Self::Files(files) => Ok(files.next()),
            Self::Prometheus { source, runtime, save } => {
                let taken = runtime.block_on(source.next()).map_err(|error| error.to_string())?;
                if let (Some((path, file)), Some(taken)) = (save, &taken) {
                    recording::write(file, taken, is_compressed(path)).map_err(|error| cannot_write(path, &error))?;
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

    /// Says what could not be read, and completes what was saved.
    pub(super) fn finish(self) -> Result<(), String> {
        let complaints = match self {
            Self::Files(files) => files.complaints,
            Self::Prometheus { source, save, .. } => {
                if let Some((path, mut file)) = save {
                    file.flush().map_err(|error| cannot_write(&path, &error))?;
                }
                source.complaints
            }
        };
        complaints.iter().for_each(|complaint| say(complaint));
        Ok(())
    }
}
