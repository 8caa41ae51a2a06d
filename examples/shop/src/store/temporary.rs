//! The folder of a database that nobody asked to keep.

use std::io;
use std::path::Path;
use tempfile::TempDir;

/// A folder that only this user can read, removed with all it holds when dropped. `kill -9` leaves it behind.
pub(crate) struct TemporaryFolder(TempDir);

impl TemporaryFolder {
    pub(crate) fn create() -> io::Result<Self> {
        Ok(Self(tempfile::Builder::new().prefix("outrigger-shop-").tempdir()?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Removes the folder and says what went wrong, if anything did.
    pub(crate) fn remove(self) -> io::Result<()> {
        self.0.close()
    }
}
