//! The run: phases, arrivals, progress, the end.

use crate::day::Day;
use crate::journey::{Journey, World};
use crate::options::{Options, Weights};
use crate::report::{self, Phase, Report};
use fastrand::Rng;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// Journeys under way when the last phase ends may take this long; then they are cut off, and counted as unfinished.
const LAST_JOURNEYS: Duration = Duration::from_secs(3);

/// Sends journeys through all phases, or until a signal, and reports.
pub(crate) async fn run(options: &Options) -> io::Result<Report> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000));
    let phases = phases(options, seed);
    let world = Arc::new(World::new(options, phases.len()));
    let target = options.target.base();
    if !options.quiet {
        eprintln!("load: seed {seed}, {} journeys/s at {target}, Ctrl-C ends it with a report", options.rate);
    }

    let begun = Instant::now();
    let mut arrivals = Arrivals::new(&phases, seed);
    let mut next = arrivals.next();
    let end = begun + phases.iter().map(|phase| phase.lasts).sum();
    let enrolment = tokio::spawn(enrol(world.clone(), options.users, phases[0].lasts / 2, seed));
    let mut journeys = JoinSet::new();
    let mut progress = interval_at(begun + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
    progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0_u64;
    let interrupted = loop {
        let wake = next.as_ref().map_or(end, |arrival| begun + arrival.after);
        tokio::select! {
            _ = interrupt.recv() => break true,
            _ = terminate.recv() => break true,
            Some(_) = journeys.join_next() => {}
            _ = progress.tick(), if !options.quiet => {
                report::progress(&phases, begun.elapsed(), &world.stats.take_recent(), PROGRESS_INTERVAL, journeys.len());
            }
            () = sleep_until(wake) => {
                let Some(arrival) = next else { break false };
                if journeys.len() < options.max_journeys as usize {
                    number += 1;
                    let random = Rng::with_seed(seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
                    world.stats.journey(arrival.phase, |journeys| journeys.begun += 1);
                    let weights = arrival.weights(&phases, options.weights);
                    journeys.spawn(Journey::new(world.clone(), arrival.phase, random, wake, weights).run());
                } else {
                    world.stats.journey(arrival.phase, |journeys| journeys.dropped += 1);
                }
                next = arrivals.next();
            }
        }
    };
    let ran = begun.elapsed();
    enrolment.abort();
    let all_ended = async { while journeys.join_next().await.is_some() {} };
    tokio::select! {
        _ = tokio::time::timeout(LAST_JOURNEYS, all_ended) => {}
        // Told twice: at once, then.
        _ = interrupt.recv(), if interrupted => {}
    }
    journeys.shutdown().await;
    Ok(Report::new(options, seed, interrupted, &phases, ran, world.stats.snapshot()))
}

fn phases(options: &Options, seed: u64) -> Vec<Phase> {
    let day = options.day.map(|lasts| Day::new(lasts, seed));
    vec![
        Phase { name: "warm-up", lasts: options.warm_up, rate: options.rate, day: None },
        Phase { name: "sustained", lasts: options.sustained, rate: options.rate, day },
        Phase { name: "peak", lasts: options.peak, rate: options.rate * options.peak_factor, day: None },
    ]
}

/// Makes users for the journeys to come, evenly over the given time. Without a warm-up there are none beforehand, and
/// journeys sign up as they need.
async fn enrol(world: Arc<World>, users: u32, within: Duration, seed: u64) {
    let begun = Instant::now();
    let mut enrolments = JoinSet::new();
    for number in (0..users).take_while(|_| !within.is_zero()) {
        let due = begun + within.mul_f64(f64::from(number) / f64::from(users));
        let random = Rng::with_seed(seed ^ u64::from(number).rotate_left(32));
        enrolments.spawn(Journey::new(world.clone(), 0, random, due, Weights::default()).enrol());
    }
    while enrolments.join_next().await.is_some() {}
}

/// Moments of a Poisson process: the time to the next arrival does not depend on the last, let alone on any answer.
struct Arrivals<'a> {
    phases: &'a [Phase],
    phase: usize,
    /// Since the phase's begin.
    at: Duration,
    /// When the phase begins.
    phase_begins: Duration,
    random: Rng,
}

struct Arrival {
    phase: usize,
    /// Since the phase's begin.
    at: Duration,
    /// Since the run's begin.
    after: Duration,
}

impl Arrival {
    /// What this customer does.
    fn weights(&self, phases: &[Phase], usual: Weights) -> Weights {
        match phases.get(self.phase).and_then(|phase| phase.day.as_ref()) {
            Some(day) => day.weights(usual, self.at),
            None => usual,
        }
    }
}

impl<'a> Arrivals<'a> {
    fn new(phases: &'a [Phase], seed: u64) -> Self {
        Self { phases, phase: 0, at: Duration::ZERO, phase_begins: Duration::ZERO, random: Rng::with_seed(seed) }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            let phase = self.phases.get(self.phase)?;
            let highest = phase.day.as_ref().map_or(1.0, |_| Day::HIGHEST);
            let gap = -(1.0 - self.random.f64()).ln() / (phase.rate * highest);
            self.at += Duration::from_secs_f64(gap);
            if self.at < phase.lasts {
                // Those who would come at the highest rate, thinned to the one of the moment (Lewis and Shedler 1979).
                if let Some(day) = &phase.day
                    && self.random.f64() * highest >= day.factor(self.at)
                {
                    continue;
                }
                return Some(Arrival { phase: self.phase, at: self.at, after: self.phase_begins + self.at });
            }
            // The process has no memory: at its new rate it begins anew.
            self.phase_begins += phase.lasts;
            self.at = Duration::ZERO;
            self.phase += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_at_their_phases_rate_and_in_order() {
        let phases = [
            Phase { name: "slow", lasts: Duration::from_secs(1_000), rate: 5.0, day: None },
            Phase { name: "none", lasts: Duration::ZERO, rate: 5.0, day: None },
            Phase { name: "fast", lasts: Duration::from_secs(1_000), rate: 20.0, day: None },
        ];
        let arrivals: Vec<Arrival> = Arrivals::new(&phases, 3).collect();
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.after));
        let count = |phase| arrivals.iter().filter(|arrival| arrival.phase == phase).count();
        assert!((4_700..5_300).contains(&count(0)), "{}", count(0));
        assert_eq!(count(1), 0);
        assert!((19_400..20_600).contains(&count(2)), "{}", count(2));
        let of_fast = arrivals.iter().filter(|arrival| arrival.phase == 2);
        assert!(of_fast.clone().all(|arrival| arrival.after >= Duration::from_secs(1_000)));
        assert!(of_fast.clone().all(|arrival| arrival.after < Duration::from_secs(2_000)));
    }

    #[test]
    fn a_day_has_its_height_before_its_depth() {
        let hour = Duration::from_secs(3_600);
        let phases = [Phase { name: "day", lasts: hour, rate: 10.0, day: Some(Day::new(hour, 5)) }];
        let arrivals: Vec<Arrival> = Arrivals::new(&phases, 3).collect();
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.after));
        let morning = arrivals.iter().filter(|arrival| arrival.at < hour / 2).count();
        assert!((20_000..24_500).contains(&morning), "{morning}");
        assert!((13_000..18_000).contains(&(arrivals.len() - morning)), "{}", arrivals.len() - morning);
    }

    #[test]
    fn a_seed_brings_the_same_customers() {
        let phases = [Phase { name: "one", lasts: Duration::from_secs(10), rate: 50.0, day: None }];
        let moments = |seed| Arrivals::new(&phases, seed).map(|arrival| arrival.after).collect::<Vec<_>>();
        assert_eq!(moments(1), moments(1));
        assert_ne!(moments(1), moments(2));
    }
}
