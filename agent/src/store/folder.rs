//! The data folder: which one it is, and that it belongs to one agent only.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A folder that this agent holds until it ends, however it ends: the system takes the lock back.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Why a folder cannot be used.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Another agent holds it: this one, if it said so.
    Taken { pid: Option<u32> },
    /// It cannot be made, or not be written.
    Unusable(io::Error),
}

impl Folder {
    /// Makes the folder if it is missing, for this user alone, and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, Refusal> {
        let lock = make(path).and_then(|()| {
            let mut options = OpenOptions::new();
            // Not truncated: until the lock is ours, what stands there is its holder's number.
            options.read(true).write(true).create(true).truncate(false);
            private(&mut options).open(path.join(LOCK))
        });
        let mut lock = lock.map_err(Refusal::Unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refusal::Taken { pid: holder(&mut lock) }),
            Err(TryLockError::Error(error)) => return Err(Refusal::Unusable(error)),
        }
        let signed =
            lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        signed.map_err(Refusal::Unusable)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder that only its user can look into; one that is there stays as it is.
pub(super) fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Only its user may read what is made so.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// Who holds the lock, going by what it wrote there.
fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(LONGEST_PID).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const LOCK: &str = "lock";
/// The most bytes of a lock file that are read.
const LONGEST_PID: u64 = 32;

/// The folder that an agent uses unless it is told another one: systemd's `StateDirectory=`, else `outrigger` in the XDG
/// state home. `None` where the environment names neither, nor a home.
pub(crate) fn usual(env: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    // Relative paths are to be ignored, as the XDG specification says. systemd separates several by colons.
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let given = env("STATE_DIRECTORY").and_then(|folders| std::env::split_paths(&folders).next()).and_then(absolute);
    given.or_else(|| {
        let state = env("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute);
        let home = || env("HOME").map(PathBuf::from).and_then(absolute).map(|home| home.join(".local/state"));
        Some(state.or_else(home)?.join("outrigger"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_folder_is_systemds_then_xdgs_then_the_homes() {
        let usual = |variables: &[(&str, &str)]| {
            let found = usual(|name| variables.iter().find(|(variable, _)| *variable == name).map(|(_, v)| v.into()));
            found.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let (home, xdg) = (("HOME", "/home/a"), ("XDG_STATE_HOME", "/state"));
        assert_eq!(usual(&[]), "");
        assert_eq!(usual(&[home]), "/home/a/.local/state/outrigger");
        assert_eq!(usual(&[home, ("XDG_STATE_HOME", "relative")]), "/home/a/.local/state/outrigger");
        assert_eq!(usual(&[home, xdg]), "/state/outrigger");
        assert_eq!(usual(&[home, xdg, ("STATE_DIRECTORY", "/var/lib/o:/var/lib/p")]), "/var/lib/o");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_is_made_for_its_user_alone_and_held_by_one() {
        use std::os::unix::fs::PermissionsExt as _;
        let temporary = outrigger_testkit::Folder::new("folder");
        let path = temporary.path().join("a/b");
        let first = Folder::open(&path).unwrap();
        assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let own = Some(std::process::id());
        assert!(matches!(Folder::open(&path), Err(Refusal::Taken { pid }) if pid == own));
        drop(first);
        Folder::open(&path).unwrap();

        let file = temporary.write("file", "");
        assert!(matches!(Folder::open(&file), Err(Refusal::Unusable(_))), "a file is no folder");
        assert!(matches!(Folder::open(&file.join("below")), Err(Refusal::Unusable(_))));
    }
}
