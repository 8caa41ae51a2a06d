//! Temporary folders that vanish with their server, or with the test process.

use crate::process::{guardian, user};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

/// A temporary folder, removed with all that is in it when dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes a folder for `what`, which appears in its name.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn new(what: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = guardian::folder().join(format!("{what}-{number}"));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own folder's mode");
        Self { path }
    }

    /// A folder that the unprivileged user of [`Program::unprivileged`](crate::Program::unprivileged) owns.
    pub(crate) fn unprivileged(what: &str) -> Self {
        let folder = Self::new(what);
        if let Some(user) = user::to_drop_to() {
            chown(&folder.path, Some(user.uid), Some(user.gid)).expect("root may give a folder away");
        }
        folder
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into it, readable by all, and gives its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path.join(name);
        fs::write(&file, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("own file's mode");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A straggler may still have created a file between two of our reads of the folder.
        for _ in 0..50 {
            if fs::remove_dir_all(&self.path).is_ok() || !self.path.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!("testkit: cannot remove {}; the guardian will try at the end", self.path.display());
    }
}
