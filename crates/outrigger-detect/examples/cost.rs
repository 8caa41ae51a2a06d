//! Prints what one interval of a route with 15 bounds costs a detector, in nanoseconds.
//!
//! ```sh
//! cargo run --release -p outrigger-detect --example cost
//! ```

use std::time::Instant;

use outrigger_detect::{Interval, LatencyDetector, LatencySettings};

const BOUNDS: [f64; 15] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const ROUNDS: u32 = 20;
const INTERVALS: u32 = 20_000;

fn main() {
    for seconds in [1.0, 10.0] {
        let mut rng = fastrand::Rng::with_seed(1);
        // Latencies over half of the buckets, as a service has them.
        let deltas: Vec<[u64; 16]> = (0..INTERVALS)
            .map(|_| {
                let mut delta = [0; 16];
                for _ in 0..(20.0 * seconds) as usize {
                    let bucket = (rng.f64() + rng.f64() + rng.f64()) * 4.0;
                    delta[bucket as usize] += 1;
                }
                delta
            })
            .collect();
        let mut detector = LatencyDetector::new(LatencySettings::default());
        let mut at = 0.0;
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            for delta in &deltas {
                at += seconds;
                let interval = Interval { at, bounds: &BOUNDS, delta, sum: 2.0 * seconds, seconds, reset: false };
                std::hint::black_box(detector.observe(&interval));
            }
            best = best.min(began.elapsed().as_secs_f64() / f64::from(INTERVALS));
        }
        println!("{:.0} ns per interval of {seconds} s", best * 1e9);
    }
}
