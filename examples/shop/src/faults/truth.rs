//! The truth file: when which fault was on, as JSON lines, for those who want to know whether a detector was right.
//!
//! A fault has a line when it begins, with `"end":null`, and one under the same id when it ends. One that has no second
//! line was on when the shop was killed.

use super::switches::Active;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Appends to a file, or to nothing where none was asked for.
pub(crate) struct TruthFile(Option<File>);

/// One line.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    id: &'a str,
    kind: &'static str,
    routes: &'a [String],
    cause: &'static str,
    share: f64,
    strength_ms: Option<u64>,
    start: &'a str,
    end: Option<String>,
}

impl TruthFile {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        Ok(Self(file))
    }

    /// Writes a line with one call, so that readers see all of it or none.
    pub(super) fn append(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        file.write_all(&line)
    }
}

impl<'a> Entry<'a> {
    pub(super) fn begun(fault: &'a Active) -> Self {
        Self {
            id: &fault.id,
            kind: fault.kind.name(),
            routes: &fault.setting.routes,
            cause: fault.kind.cause(),
            share: fault.setting.share,
            strength_ms: fault.setting.strength_ms,
            start: &fault.start,
            end: None,
        }
    }

    pub(super) fn ended(fault: &'a Active, end: String) -> Self {
        Self { end: Some(end), ..Self::begun(fault) }
    }
}
