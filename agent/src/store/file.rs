//! Files that are whole or not there, and that are never lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::folder::private;

/// Writes a value as JSON so that the file is the old one or the new one at any moment, also if the power fails. Answers
/// its size in bytes.
///
/// # Errors
/// What the system says, or that the value takes more than `limit` bytes; the old file then stays.
pub(super) fn write(path: &Path, value: &impl Serialize, limit: usize) -> io::Result<u64> {
    let mut bytes = Bounded { bytes: Vec::new(), limit };
    serde_json::to_writer(&mut bytes, value)?;
    write_bytes(path, &bytes.bytes)
}

/// Writes bytes likewise.
///
/// # Errors
/// What the system says; the old file then stays.
pub(super) fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<u64> {
    let temporary = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = private(&mut options).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    // The new name is safe once the folder is. Where a folder cannot be synced, the system does it in its own time.
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
    Ok(bytes.len() as u64)
}

/// Reads a file of at most `limit` bytes; `None` if there is none.
pub(super) fn read(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::other(format!("it is longer than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Gives a file that cannot be used another name beside it, and answers that name.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The folder is ours alone, so a name that is free stays free.
    for number in 0..MOST_ASIDE {
        let aside = path.with_file_name(format!("{name}.aside-{seconds}-{number}"));
        if !aside.exists() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::other("there is no free name to set it aside"))
}

/// Names that are tried within one second.
const MOST_ASIDE: u32 = 1000;

/// Takes bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > self.limit {
            return Err(io::Error::other(format!("it would take more than {} bytes", self.limit)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_testkit::Folder;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = Folder::new("file");
        let path = folder.path().join("a.json");
        assert_eq!(read(&path, 100).unwrap(), None);
        assert_eq!(write(&path, &[1, 2], 100).unwrap(), 5);
        assert!(write(&path, &"x".repeat(200), 100).unwrap_err().to_string().contains("more than 100 bytes"));
        assert_eq!(read(&path, 100).unwrap().as_deref(), Some(&b"[1,2]"[..]));
        assert!(read(&path, 4).unwrap_err().to_string().contains("longer than 4 bytes"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
    }

    #[test]
    fn what_is_set_aside_keeps_its_bytes_however_often() {
        let folder = Folder::new("file");
        let path = folder.path().join("a.json");
        let aside: Vec<_> = (0..5)
            .map(|number: u8| {
                fs::write(&path, [number]).unwrap();
                set_aside(&path).unwrap()
            })
            .collect();
        assert!(!path.exists());
        for (number, aside) in aside.iter().enumerate() {
            assert_eq!(fs::read(aside).unwrap(), [number as u8]);
        }
    }
}
