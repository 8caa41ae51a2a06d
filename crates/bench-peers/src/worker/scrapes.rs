//! Scrapes of one registry.

use crate::Result;
use crate::counting::{counts, peak};
use crate::observations::samples;
use crate::processor::{median, time as busy};
use crate::registries::{Registry, find};

const OBSERVATIONS_PER_SERIES: usize = 4;

/// Milliseconds of processor time for a page after each series was written to.
pub(super) fn time(registry: &str, series: usize) -> Result<()> {
    const ROUNDS: usize = 3;

    let registry = filled(registry, series)?;
    let bytes = page(&registry);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        observe(&registry, series);
        times.push(busy(|| _ = page(&registry))?.as_secs_f64() * 1e3);
    }
    println!("millis={}\npage={bytes}", median(&mut times));
    Ok(())
}

/// Allocations for a page, and how much more than the registry is held while it is made.
pub(super) fn memory(registry: &str, series: usize) -> Result<()> {
    let registry = filled(registry, series)?;
    page(&registry);
    let before = counts();
    let (peak, bytes) = peak(|| page(&registry));
    println!("allocations={}\npeak={}\npage={bytes}", counts().allocations - before.allocations, peak - before.held);
    Ok(())
}

fn filled(name: &str, series: usize) -> Result<Registry> {
    let registry = (find(name)?.build)(series)?;
    observe(&registry, series);
    Ok(registry)
}

fn observe(registry: &Registry, series: usize) {
    for (number, sample) in samples().into_iter().cycle().take(series * OBSERVATIONS_PER_SERIES).enumerate() {
        (registry.observe)(number / OBSERVATIONS_PER_SERIES, sample);
    }
}

/// Makes the page and drops each piece of it, as if it had been sent. Returns its size.
fn page(registry: &Registry) -> usize {
    let mut bytes = 0;
    (registry.scrape)(&mut |piece| bytes += piece.len());
    bytes
}
