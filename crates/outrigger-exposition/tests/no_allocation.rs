//! Reading a page through a visitor allocates nothing, bad lines included.

#![allow(unsafe_code, reason = "counting allocations takes an allocator of one's own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use outrigger_exposition::{Format, LineError, Sample, Visitor, parse};

thread_local! {
    /// Of this thread alone: the test harness allocates on its own ones.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Looks at all that it is handed without keeping any of it.
#[derive(Default)]
struct Look {
    labels: usize,
    bad_lines: usize,
}

impl Visitor for Look {
    fn sample(&mut self, sample: &Sample<'_>) {
        for (name, value) in sample.labels {
            self.labels += 1;
            black_box((name, value.raw()));
        }
    }

    fn bad_line(&mut self, error: &LineError<'_>) {
        self.bad_lines += 1;
        black_box(error.start);
    }
}

#[test]
fn parsing_allocates_nothing() {
    for page in [
        &include_bytes!("../corpus/go_client.txt")[..],
        include_bytes!("../corpus/openmetrics_exemplars.txt"),
        include_bytes!("../corpus/broken_lines.txt"),
        include_bytes!("../corpus/utf8_names.txt"),
    ] {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut look = Look::default();
            let before = ALLOCATIONS.get();
            let parsed = parse(page, format, &mut look);
            assert_eq!(ALLOCATIONS.get() - before, 0);
            assert!(parsed.samples > 0 && look.labels + look.bad_lines > 0);
        }
    }
    let before = ALLOCATIONS.get();
    drop(black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter counts");
}
