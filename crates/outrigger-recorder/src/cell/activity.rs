//! Whether a cell was written since somebody last looked.

use crate::sync::{AtomicBool, Ordering};

/// A mark that each write wipes off. While nobody puts it there, a write only reads it, so that the line is not passed
/// between processors for it.
///
/// A writer changes the value and then looks for the mark; a page puts the mark there and then looks at the value. One
/// of them must see the other, so all four steps are sequentially consistent. (Where the value is changed by one
/// instruction that locks, as on x86, this costs nothing.)
#[derive(Debug, Default)]
pub(crate) struct Activity {
    quiet: AtomicBool,
}

impl Activity {
    /// Called after each write of the value.
    #[inline(always)]
    pub(crate) fn note(&self) {
        in_one_order();
        if self.quiet.load(Ordering::SeqCst) {
            // Costs what a store in this order costs, and loom puts it in one order with that of a page.
            self.quiet.swap(false, Ordering::SeqCst);
        }
    }

    /// Puts the mark there, and says whether it was there already.
    pub(crate) fn quieten(&self) -> bool {
        let was_quiet = self.quiet.swap(true, Ordering::SeqCst);
        in_one_order();
        was_quiet
    }
}

/// Loom takes what is sequentially consistent for acquiring and releasing, but for fences: in its models they stand for
/// the one order that the language promises.
#[inline(always)]
fn in_one_order() {
    #[cfg(outrigger_loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}
