//! What jemalloc says of itself, for a program that runs on it.
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
//! ```
//!
//! A page of [`install()`](crate::install) or [`standalone()`](crate::standalone) then carries, read when the page is asked
//! for:
//!
//! | metric | kind | |
//! |---|---|---|
//! | `jemalloc_allocated_bytes` | gauge | allocated by the program, and not freed |
//! | `jemalloc_active_bytes` | gauge | in pages that hold allocations: beyond `allocated` is fragmentation |
//! | `jemalloc_metadata_bytes` | gauge | for the allocator itself |
//! | `jemalloc_resident_bytes` | gauge | in physical memory |
//! | `jemalloc_mapped_bytes` | gauge | in extents that are mapped |
//! | `jemalloc_retained_bytes` | gauge | address space that is kept for later, without memory behind it |
//!
//! With a recorder of your own, call [`record`] before you render its page. In a program that runs on another allocator
//! nothing is emitted. Needs `make` and a C compiler where the program is built.
//!
//! # Cost
//!
//! Each page has jemalloc gather its figures: some microseconds for each of its arenas, four to a processor.

use outrigger_semconv::{Metric, runtime};
use tikv_jemalloc_ctl::{epoch, stats};

use crate::Metrics;
use crate::metrics::register_gauge;

/// Reads the allocator and writes what it finds to the recorder; nothing in a program that runs on another one.
pub fn record(metrics: &Metrics) {
    for (metric, bytes) in read() {
        metrics.resolve(|recorder| register_gauge(recorder, metric, Vec::new()).set(bytes));
    }
}

/// As families of a page.
#[cfg(feature = "recorder")]
pub(crate) fn families() -> Vec<outrigger_exposition::Family> {
    use outrigger_exposition::{Family, Kind, Point, Value};
    let family = |(metric, bytes): (&Metric, f64)| Family {
        help: Some(metric.help.to_owned()),
        points: vec![Point::new(Vec::new(), Value::Gauge(bytes))],
        ..Family::new(metric.name, Kind::Gauge)
    };
    read().into_iter().map(family).collect()
}

fn read() -> Vec<(&'static Metric, f64)> {
    // jemalloc shows what it gathered last; this has it gather anew.
    if !is_the_programs_own() || epoch::advance().is_err() {
        return Vec::new();
    }
    [
        (&runtime::JEMALLOC_ALLOCATED, stats::allocated::read()),
        (&runtime::JEMALLOC_ACTIVE, stats::active::read()),
        (&runtime::JEMALLOC_METADATA, stats::metadata::read()),
        (&runtime::JEMALLOC_RESIDENT, stats::resident::read()),
        (&runtime::JEMALLOC_MAPPED, stats::mapped::read()),
        (&runtime::JEMALLOC_RETAINED, stats::retained::read()),
    ]
    .into_iter()
    .filter_map(|(metric, bytes)| {
        #[allow(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes")]
        bytes.ok().map(|bytes| (metric, bytes as f64))
    })
    .collect()
}

/// Whether this program's allocations go to jemalloc: what a thread has allocated there grows with them.
fn is_the_programs_own() -> bool {
    use std::sync::OnceLock;
    static OWN: OnceLock<bool> = OnceLock::new();
    *OWN.get_or_init(|| {
        let allocated = || tikv_jemalloc_ctl::thread::allocatedp::read().map(|bytes| bytes.get());
        let Ok(before) = allocated() else { return false };
        drop(std::hint::black_box(vec![0_u8; 4096]));
        allocated().is_ok_and(|after| after > before)
    })
}
