//! Observations of one series.

use crate::counting::counts;
use crate::observations::{Case, Histogram, find, measured_observations, samples};
use crate::processor::{bind, median, thread_time, time as busy};
use crate::{Error, Result};
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

pub(super) fn run(case: &str, count: usize) -> Result<()> {
    let (histogram, samples) = warm(&find(case)?)?;
    measured_observations(&histogram.observe, &samples, count);
    Ok(())
}

/// Nanoseconds of processor time for an observation, made by each of so many threads on one series, and for the work that
/// an observation leaves to later.
///
/// On a busy machine two threads may take turns and never meet. So it goes on until there are rounds enough in which they
/// ran side by side, or patience ends, and the best of them count. `overlap` says how good they were, 1 being always.
pub(super) fn time(case: &str, threads: usize) -> Result<()> {
    const COUNTED: usize = 7;
    const SIDE_BY_SIDE: f64 = 0.95;
    const PATIENCE: Duration = Duration::from_secs(4);

    let (histogram, samples) = warm(&find(case)?)?;
    let begun = Instant::now();
    let mut rounds = Vec::new();
    while rounds.iter().filter(|round: &&Round| round.overlap > SIDE_BY_SIDE).count() < COUNTED
        && (rounds.len() < COUNTED || begun.elapsed() < PATIENCE)
    {
        rounds.push(round(&histogram, &samples, threads)?);
    }
    rounds.sort_by(|one, other| other.overlap.total_cmp(&one.overlap));
    rounds.truncate(COUNTED);
    let middle = |figure: fn(&Round) -> f64| median(&mut rounds.iter().map(figure).collect::<Vec<_>>());
    println!("nanos={}", middle(|round| round.nanos));
    println!("later_nanos={}", middle(|round| round.later_nanos));
    println!("overlap={}", middle(|round| round.overlap));
    Ok(())
}

struct Round {
    nanos: f64,
    later_nanos: f64,
    /// The threads' processor time over the wall's.
    overlap: f64,
}

fn round(histogram: &Histogram, samples: &[f64], threads: usize) -> Result<Round> {
    const COUNT: usize = 100_000;

    let running = AtomicUsize::new(0);
    let observe = &histogram.observe;
    let (running, one_processor_each) = (&running, threads > 1);
    let one = move |thread| {
        let bound = if one_processor_each { bind(thread) } else { Ok(()) };
        // Spinning: whoever has to be woken comes late.
        running.fetch_add(1, SeqCst);
        while running.load(SeqCst) < threads {
            hint::spin_loop();
        }
        bound?;
        let (begun, wall) = (thread_time()?, Instant::now());
        measured_observations(observe, samples, COUNT);
        Ok::<_, Error>(((thread_time()? - begun).as_secs_f64(), wall, Instant::now()))
    };
    let ran = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect::<Result<Vec<_>>>()
    })?;
    let busy_for: f64 = ran.iter().map(|(busy, ..)| busy).sum();
    let begun = ran.iter().map(|(_, begun, _)| *begun).min();
    let ended = ran.iter().map(|(.., ended)| *ended).max();
    let wall = ended.zip(begun).map_or(0.0, |(ended, begun)| (ended - begun).as_secs_f64());
    let observations = (COUNT * threads) as f64;
    Ok(Round {
        nanos: busy_for * 1e9 / observations,
        later_nanos: busy(&histogram.upkeep)?.as_secs_f64() * 1e9 / observations,
        overlap: busy_for / (wall * threads as f64),
    })
}

/// What ten million observations leave behind when nobody scrapes.
pub(super) fn memory(case: &str) -> Result<()> {
    let (histogram, samples) = warm(&find(case)?)?;
    let before = counts().held;
    measured_observations(&histogram.observe, &samples, 10_000_000);
    println!("held={}", counts().held.saturating_sub(before));
    Ok(())
}

fn warm(case: &Case) -> Result<(Histogram, Vec<f64>)> {
    let samples = samples();
    let histogram = (case.build)()?;
    measured_observations(&histogram.observe, &samples, samples.len());
    (histogram.upkeep)();
    Ok((histogram, samples))
}
