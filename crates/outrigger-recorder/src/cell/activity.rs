//! Whether a cell was written since somebody last looked.

use std::sync::atomic::{AtomicBool, Ordering};

/// A mark that each write wipes off. While nobody puts it there, a write only reads it, so that the line is not passed
/// between processors for it.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    quiet: AtomicBool,
}

impl Activity {
    /// Called after each write of the value, so that who finds the mark wiped off finds the value too.
    #[inline(always)]
    pub(crate) fn note(&self) {
        if self.quiet.load(Ordering::Relaxed) {
            self.quiet.store(false, Ordering::Release);
        }
    }

    /// Puts the mark there, and says whether it was there already.
    pub(crate) fn quieten(&self) -> bool {
        self.quiet.swap(true, Ordering::AcqRel)
    }
}
