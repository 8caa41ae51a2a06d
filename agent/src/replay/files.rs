//! Recorded files, read side by side in the order of time.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::recording::{self, Taken};

/// Recordings that are read together.
pub(crate) struct Files {
    files: Vec<Recording>,
    /// What could not be read, for people.
    pub(crate) complaints: Vec<String>,
}

struct Recording {
    path: PathBuf,
    input: Box<dyn BufRead>,
    records: u64,
    /// The next record; `None` at the end.
    next: Option<Taken>,
}

/// The most files that are open at a time.
const MAX_FILES: usize = 500;

impl Files {
    /// Opens files, and the files of folders.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, String> {
        let mut all = Vec::new();
        for path in paths {
            let wrong = |error: io::Error| format!("{}: cannot be read: {error}", path.display());
            if !fs::metadata(path).map_err(wrong)?.is_dir() {
                all.push(path.clone());
                continue;
            }
            for entry in fs::read_dir(path).map_err(wrong)? {
                let entry = entry.map_err(wrong)?.path();
                let is_hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
                if entry.is_file() && !is_hidden {
                    all.push(entry);
                }
            }
        }
        all.sort();
        all.dedup();
        if all.len() > MAX_FILES {
            return Err(format!(
                "{} files are more than can be read together, which is {MAX_FILES}; put some into one with `cat`",
                all.len()
            ));
        }
        let mut files = Self { files: Vec::new(), complaints: Vec::new() };
        for path in all {
            let input = open(&path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
            let mut file = Recording { path, input, records: 0, next: None };
            file.advance(&mut files.complaints);
            files.files.push(file);
        }
        Ok(files)
    }
}

impl Recording {
    fn advance(&mut self, complaints: &mut Vec<String>) {
        self.next = recording::read(&mut self.input).unwrap_or_else(|error| {
            let upto = if self.records == 0 {
                "nothing of it was read".to_owned()
            } else {
                format!("{} pages of it were read", self.records)
            };
            complaints.push(format!("{}: {error}; {upto}", self.path.display()));
            None
        });
        self.records += u64::from(self.next.is_some());
    }
}

impl Iterator for Files {
    type Item = Taken;

    /// The earliest record that was not read yet.
    fn next(&mut self) -> Option<Taken> {
        let heads = self.files.iter().enumerate().filter_map(|(number, file)| Some((file.next.as_ref()?.at, number)));
        let (_, earliest) = heads.min()?;
        let file = self.files.get_mut(earliest)?;
        let taken = file.next.take();
        file.advance(&mut self.complaints);
        taken
    }
}

/// Opens a file, through gzip if it begins like that.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut input = BufReader::with_capacity(1 << 16, File::open(path)?);
    let is_compressed = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    if is_compressed {
        Ok(Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(input))))
    } else {
        Ok(Box::new(input))
    }
}
