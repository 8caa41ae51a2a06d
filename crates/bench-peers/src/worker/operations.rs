//! What a service does, bare and wrapped.

use crate::Result;
use crate::counting::counts;
use crate::operations::{Operate, find, measured_operations};

/// Enough for everything to be registered and every buffer to have grown.
const WARM_UP: usize = 1_000;

pub(super) fn run(case: &str, count: usize) -> Result<()> {
    measured_operations(&mut warm(case)?, count);
    Ok(())
}

/// Prints how often one operation allocates.
pub(super) fn allocations(case: &str) -> Result<()> {
    const COUNT: usize = 1_000;

    let mut operate = warm(case)?;
    let before = counts().allocations;
    measured_operations(&mut operate, COUNT);
    println!("allocations={}", (counts().allocations - before) as f64 / COUNT as f64);
    Ok(())
}

fn warm(case: &str) -> Result<Operate> {
    let mut operate = (find(case)?.build)()?;
    measured_operations(&mut operate, WARM_UP);
    Ok(operate)
}
