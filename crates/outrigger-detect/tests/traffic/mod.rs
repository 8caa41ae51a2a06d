//! Synthetic traffic of one route: Poisson arrivals, log-normal latencies, and what disturbs them.
#![allow(dead_code, reason = "each test file uses its part")]

use fastrand::Rng;
use outrigger_detect::{Interval, LatencyDetector, LatencySettings, Phase, Verdict};

/// The bounds of the catalogue for requests.
pub(crate) const BOUNDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A route. The settings may be changed while it runs.
pub(crate) struct Route {
    pub(crate) rng: Rng,
    /// Requests per second.
    pub(crate) rate: f64,
    /// Median and log-deviation of the fast path and the slow one, and the slow one's share.
    pub(crate) fast: (f64, f64),
    pub(crate) slow: (f64, f64),
    pub(crate) slow_share: f64,
    /// Log-deviation of the whole route's speed, renewed every ten seconds or so: overdispersion.
    pub(crate) wobble: f64,
    /// Pauses of the process: mean seconds between them, and length. Requests that arrive in one wait for its end.
    pub(crate) pauses: Option<(f64, f64)>,
    /// Factor on all latencies.
    pub(crate) scale: f64,
    /// Share of the requests that an injected fault delays, and by how many seconds.
    pub(crate) fault: Option<(f64, f64)>,
    /// Requests under way: when they end, and their latency.
    pub(crate) pending: Vec<(f64, f64)>,
    /// What moves by itself.
    pub(crate) speed: f64,
    pub(crate) pause_until: f64,
    pub(crate) next_pause: f64,
    pub(crate) now: f64,
}

impl Route {
    pub(crate) fn new(seed: u64, rate: f64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            rate,
            fast: (0.02, 0.5),
            slow: (0.12, 0.5),
            slow_share: 0.05,
            wobble: 0.0,
            pauses: None,
            scale: 1.0,
            fault: None,
            pending: Vec::new(),
            speed: 0.0,
            pause_until: 0.0,
            next_pause: 0.0,
            now: 0.0,
        }
    }

    /// A route as the demo's shop has them: a random rate and body, with some noise of a small machine.
    pub(crate) fn of_the_demo(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rate = 3.0 + 37.0 * rng.f64();
        let mut route = Self::new(rng.u64(..), rate);
        route.fast = (0.001 * (30.0_f64).powf(rng.f64()), 0.3 + 0.4 * rng.f64());
        route.slow = (route.fast.0 * (2.0 + 8.0 * rng.f64()), 0.5);
        route.slow_share = 0.2 * rng.f64();
        route.wobble = 0.1;
        route.pauses = Some((120.0, 0.15));
        route
    }

    /// The requests that end within the next `seconds`, per bucket, and their times in all.
    pub(crate) fn next(&mut self, seconds: f64) -> ([u64; 16], f64) {
        let end = self.now + seconds;
        loop {
            self.now += -(1.0 - self.rng.f64()).ln() / self.rate.max(1e-9);
            if self.now >= end {
                break;
            }
            if self.rng.f64() < 0.1 / self.rate.max(0.1) {
                self.speed = self.wobble * normal(&mut self.rng);
            }
            let latency = self.latency();
            self.pending.push((self.now + latency, latency));
        }
        self.now = end;
        let mut delta = [0; 16];
        let mut sum = 0.0;
        self.pending.retain(|(done, latency)| {
            if *done < end {
                delta[BOUNDS.partition_point(|bound| bound < latency)] += 1;
                sum += latency;
            }
            *done >= end
        });
        (delta, sum)
    }

    fn latency(&mut self) -> f64 {
        let (median, deviation) = if self.rng.f64() < self.slow_share { self.slow } else { self.fast };
        let mut latency = median * (deviation * normal(&mut self.rng) + self.speed).exp() * self.scale;
        if let Some((every, length)) = self.pauses {
            if self.now >= self.next_pause {
                if self.next_pause > 0.0 {
                    self.pause_until = self.now + length * (0.5 + self.rng.f64());
                }
                self.next_pause = self.now - every * (1.0 - self.rng.f64()).ln();
            }
            latency += (self.pause_until - self.now).max(0.0);
        }
        if let Some((share, delay)) = self.fault
            && self.rng.f64() < share
        {
            latency += delay;
        }
        latency
    }
}

/// Box and Muller's normal deviate.
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// A route under a detector that is fed at a fixed tick.
pub(crate) struct Watched {
    pub(crate) route: Route,
    pub(crate) detector: LatencyDetector,
    pub(crate) tick: f64,
    /// When the route's time began, in seconds since the epoch; not a number: not known.
    pub(crate) epoch: f64,
}

impl Watched {
    pub(crate) fn new(route: Route, tick: f64) -> Self {
        Self { route, detector: LatencyDetector::new(LatencySettings::default()), tick, epoch: f64::NAN }
    }

    pub(crate) fn step(&mut self) -> Verdict {
        self.step_with(false)
    }

    pub(crate) fn step_with(&mut self, reset: bool) -> Verdict {
        let (delta, sum) = self.route.next(self.tick);
        self.detector.observe(&Interval {
            at: self.epoch + self.route.now,
            bounds: &BOUNDS,
            delta: &delta,
            sum,
            seconds: self.tick,
            reset,
        })
    }

    /// Runs for a while and counts how often an anomaly opened.
    pub(crate) fn alarms_within(&mut self, seconds: f64) -> usize {
        let mut open = false;
        let mut alarms = 0;
        for _ in 0..(seconds / self.tick) as usize {
            let verdict = self.step();
            let anomalous = verdict.phase == Phase::Anomalous;
            if anomalous && !open {
                alarms += 1;
            }
            open = anomalous;
        }
        alarms
    }

    /// Seconds until the phase is reached, or `None` within the limit.
    pub(crate) fn seconds_until(&mut self, phase: Phase, limit: f64) -> Option<f64> {
        let mut seconds = 0.0;
        while seconds < limit {
            seconds += self.tick;
            if self.step().phase == phase {
                return Some(seconds);
            }
        }
        None
    }
}
