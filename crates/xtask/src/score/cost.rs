//! What one detector costs.

use crate::sh::{self, Result};
use outrigger_detect::{Interval, LatencyDetector, LatencySettings};
use std::hint::black_box;
use std::time::Instant;

pub(super) struct Cost {
    /// Microseconds for one histogram and tick.
    pub(super) micros: f64,
    /// Bytes of one detector; nothing if the test that counts them said none.
    pub(super) bytes: Option<u64>,
}

/// The bounds of the catalogue's request histograms are as many.
const BOUNDS: [f64; 15] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Short rounds, and many, so that some run through without losing the processor to another program.
const TICKS: u32 = 500;
const ROUNDS: u32 = 300;

pub(super) fn measure() -> Result<Cost> {
    // The fastest of some rounds: what disturbs a measurement only ever adds.
    let micros = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min);
    let said = sh::cargo()
        .args([
            "test",
            "--release",
            "--quiet",
            "--package",
            "outrigger-detect",
            "--test",
            "memory",
            "--",
            "--nocapture",
        ])
        .output()?;
    if !said.status.success() {
        eprintln!("the test that counts a detector's bytes failed:\n{}", String::from_utf8_lossy(&said.stderr));
    }
    let said = String::from_utf8_lossy(&said.stdout);
    // The harness may have written a dot for another test before it.
    let before = said.split_once(" bytes per route").map(|(before, _)| before);
    let bytes = before.and_then(|before| before.rsplit(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok());
    Ok(Cost { micros, bytes })
}

fn round(seed: u32) -> f64 {
    let mut detector = LatencyDetector::new(LatencySettings::default());
    let mut random = fastrand::Rng::with_seed(seed.into());
    let deltas: Vec<[u64; 16]> = (0..256)
        .map(|_| [30, 50, 80, 30, 10, 6, 4, 2, 1, 1, 0, 0, 0, 0, 0, 0].map(|mean: u64| random.u64(0..=2 * mean)))
        .collect();
    let mut at = 1_767_225_600.0;
    let mut tick = |delta: &[u64; 16]| {
        at += 5.0;
        black_box(detector.observe(&Interval { at, bounds: &BOUNDS, delta, sum: 9.0, seconds: 5.0, reset: false }));
    };
    // Past the warm-up.
    deltas.iter().cycle().take(2_000).for_each(&mut tick);
    let start = Instant::now();
    deltas.iter().cycle().take(TICKS as usize).for_each(&mut tick);
    start.elapsed().as_secs_f64() * 1e6 / f64::from(TICKS)
}
