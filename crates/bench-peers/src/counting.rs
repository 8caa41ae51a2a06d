//! An allocator that counts. Only the worker for memory installs it: the others run with the system's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// What has been asked of the allocator since the process began.
#[derive(Clone, Copy)]
pub struct Counts {
    pub allocations: usize,
    pub bytes: usize,
    /// Bytes that are held now.
    pub held: usize,
}

pub fn counts() -> Counts {
    let bytes = ALLOCATED.load(Relaxed);
    Counts { allocations: ALLOCATIONS.load(Relaxed), bytes, held: bytes.saturating_sub(FREED.load(Relaxed)) }
}

/// The most that was held at once while `run` ran, and what it returned.
pub fn peak<T>(run: impl FnOnce() -> T) -> (usize, T) {
    PEAK.store(counts().held, Relaxed);
    let returned = run();
    (PEAK.load(Relaxed), returned)
}

fn allocated(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    let allocated = ALLOCATED.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(allocated.saturating_sub(FREED.load(Relaxed)), Relaxed);
}

// SAFETY: `System` does all the work; beside it only counters change.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        FREED.fetch_add(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        FREED.fetch_add(layout.size(), Relaxed);
        allocated(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
