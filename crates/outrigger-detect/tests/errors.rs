//! The error detector: few failures after a clean past, many, noise, and the end of it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use fastrand::Rng;
use outrigger_detect::{Ending, ErrorDetector, ErrorInterval, ErrorSettings, ErrorShift, Phase, Shift, Verdict};

struct Service {
    rng: Rng,
    detector: ErrorDetector,
    requests: u64,
    ratio: f64,
}

impl Service {
    /// Warmed up for five minutes at one interval a second.
    fn new(seed: u64, requests: u64, ratio: f64) -> Self {
        let detector = ErrorDetector::new(ErrorSettings::default());
        let mut service = Self { rng: Rng::with_seed(seed), detector, requests, ratio };
        service.run(300);
        service
    }

    fn feed(&mut self, failed: u64, total: u64) -> Verdict {
        self.detector.observe(ErrorInterval { failed, total, seconds: 1.0, reset: false })
    }

    fn step(&mut self) -> Verdict {
        let failed = (0..self.requests).filter(|_| self.rng.f64() < self.ratio).count() as u64;
        self.feed(failed, self.requests)
    }

    /// Anomalous intervals within so many.
    fn run(&mut self, intervals: usize) -> usize {
        (0..intervals).filter(|_| self.step().phase == Phase::Anomalous).count()
    }

    fn intervals_until(&mut self, phase: Phase, limit: usize) -> Option<usize> {
        (1..=limit).find(|_| self.step().phase == phase)
    }
}

fn errors(verdict: &Verdict) -> ErrorShift {
    match verdict.shift {
        Some(Shift::Errors(shift)) => shift,
        other => panic!("expected an error shift, found {other:?}"),
    }
}

#[test]
fn five_failures_of_twenty_after_a_clean_past() {
    // Spread over four seconds, and all in one interval.
    let mut service = Service::new(1, 5, 0.0);
    let verdicts = [1, 2, 1, 1].map(|failed| service.feed(failed, 5));
    assert_eq!(verdicts[3].phase, Phase::Anomalous, "{verdicts:?}");
    let shift = errors(&verdicts[3]);
    assert_eq!((shift.affected, shift.ratio_before), (5, 0.0));
    assert!(shift.ratio_during >= 0.2, "{shift:?}");
    assert!(
        verdicts[3].shift.unwrap().to_string().starts_with("failed requests went from 0 % to "),
        "{}",
        verdicts[3].shift.unwrap()
    );

    let mut service = Service::new(1, 20, 0.0);
    assert_eq!(service.feed(5, 20).phase, Phase::Anomalous);
}

#[test]
fn a_failure_or_two_never_alarm() {
    for requests in [1, 5, 20, 100] {
        let mut service = Service::new(1, requests, 0.0);
        for failed in [1, 1] {
            assert_eq!(service.feed(failed, requests.max(failed)).phase, Phase::Calm, "{requests} a second");
        }
        assert_eq!(service.run(600), 0);
    }
}

#[test]
fn failures_within_the_objective_are_quiet() {
    let alarms: usize = (0..200).map(|seed| Service::new(seed, 50, 0.001).run(1800)).sum();
    assert_eq!(alarms, 0);
}

#[test]
fn a_usual_ratio_is_learnt_and_a_higher_one_found() {
    let mut found = Vec::new();
    let mut quiet = 0;
    for seed in 0..200 {
        let mut service = Service::new(seed, 20, 0.02);
        quiet += usize::from(service.run(600) > 0);
        service.ratio = 0.2;
        found.push(service.intervals_until(Phase::Anomalous, 60).unwrap());
        service.run(20);
        service.ratio = 0.02;
        let recovered = service.intervals_until(Phase::Calm, 60).unwrap();
        assert!(recovered <= 40, "seed {seed} recovered after {recovered} s");
    }
    found.sort_unstable();
    println!("2 % to 20 %: median {} s, most {} s; {quiet} of 200 alarmed in ten calm minutes", found[100], found[199]);
    assert!(quiet <= 2, "{quiet} of 200 services alarmed at their usual ratio");
    assert!(found[190] <= 10 && found[199] <= 20, "{found:?}");
}

#[test]
fn a_total_failure_of_a_rare_request_is_found() {
    let mut service = Service::new(1, 3, 0.0);
    let mut intervals = 0;
    while service.feed(u64::from(intervals % 10 == 0), u64::from(intervals % 10 == 0)).phase != Phase::Anomalous {
        intervals += 1;
        assert!(intervals < 60, "three failures of three were not found");
    }
}

#[test]
fn failures_of_a_restart_are_not_judged() {
    let mut service = Service::new(1, 10, 0.0);
    assert_eq!(
        service.detector.observe(ErrorInterval { failed: 10, total: 10, seconds: 1.0, reset: true }).phase,
        Phase::Calm
    );
    for _ in 0..20 {
        assert_eq!(service.feed(5, 10).phase, Phase::Calm);
    }
}

#[test]
fn more_failures_than_requests_are_read_as_all() {
    let mut service = Service::new(1, 10, 0.0);
    let verdict = service.feed(u64::MAX, 10);
    assert_eq!(errors(&verdict).affected, 10);
}

#[test]
fn the_usual_ratio_is_quiet_for_days_at_any_traffic() {
    // Requests in five seconds, and the share of them that fails.
    for (requests, ratio) in [(1, 0.01), (1, 0.05), (5, 0.0005), (50, 0.002), (500, 0.02), (20, 0.6), (3, 0.97)] {
        let mut service = Service::new(11, requests, ratio);
        let alarms: usize = (0..3 * 17_280)
            .filter(|_| {
                let failed = binomial(&mut service.rng, requests, ratio);
                let interval = ErrorInterval { failed, total: requests, seconds: 5.0, reset: false };
                service.detector.observe(interval).phase == Phase::Anomalous
            })
            .count();
        assert_eq!(alarms, 0, "{requests} requests, {ratio}");
    }
}

/// Failures of so many requests: by counting the successes up to each failure, which takes no time if there are few.
fn binomial(rng: &mut Rng, requests: u64, ratio: f64) -> u64 {
    let (mut at, mut failed) = (0.0, 0);
    loop {
        at += ((1.0 - rng.f64()).ln() / (1.0 - ratio).ln()).floor() + 1.0;
        if at > requests as f64 {
            return failed;
        }
        failed += 1;
    }
}

#[test]
fn failures_that_come_in_bursts_are_known_after_the_first_alarms() {
    // One in two thousand requests is tried again five times, and fails each time.
    let mut service = Service::new(4, 50, 0.0);
    let mut opened = Vec::new();
    let mut before = Phase::Calm;
    for interval in 0..2 * 17_280 {
        let failed = 6 * binomial(&mut service.rng, 50, 0.0005);
        let phase = service.detector.observe(ErrorInterval { failed, total: 50, seconds: 5.0, reset: false }).phase;
        if phase == Phase::Anomalous && before != Phase::Anomalous {
            opened.push(interval);
        }
        before = phase;
    }
    assert!(opened.len() <= 3, "{opened:?}");
    // A ratio of one in ten still stands out.
    let found = (0..30).find(|_| {
        let failed = binomial(&mut service.rng, 50, 0.1);
        let interval = ErrorInterval { failed, total: 50, seconds: 5.0, reset: false };
        service.detector.observe(interval).phase == Phase::Anomalous
    });
    assert!(found.is_some_and(|intervals| intervals <= 20), "{found:?}");
}

#[test]
fn a_restored_detector_goes_on_as_the_original() {
    let mut service = Service::new(6, 10, 0.01);
    for step in 0..400 {
        service.ratio = if step > 200 { 0.3 } else { 0.01 };
        let state = serde_json::to_string(&service.detector.state()).unwrap();
        let state = serde_json::from_str(&state).unwrap();
        let mut restored = ErrorDetector::restore(ErrorSettings::default(), state).unwrap();
        let failed = binomial(&mut service.rng, 10, service.ratio);
        let (original, resumed) = (service.feed(failed, 10), {
            restored.observe(ErrorInterval { failed, total: 10, seconds: 1.0, reset: false })
        });
        assert_eq!(original.phase, resumed.phase);
        assert!((original.score - resumed.score).abs() < 1e-9);
    }
    assert_eq!(service.step().phase, Phase::Anomalous);
}

impl Service {
    /// Runs for so many intervals of five seconds, and answers how often an anomaly opened and the last verdict.
    fn run_on(&mut self, intervals: usize, ratio: f64) -> (usize, Verdict) {
        self.ratio = ratio;
        let mut opened = 0;
        let mut verdict = self.feed(0, 0);
        for _ in 0..intervals {
            let before = verdict.phase;
            let failed = binomial(&mut self.rng, self.requests, ratio);
            verdict = self.detector.observe(ErrorInterval { failed, total: self.requests, seconds: 5.0, reset: false });
            opened += usize::from(verdict.phase == Phase::Anomalous && before != Phase::Anomalous);
        }
        (opened, verdict)
    }
}

/// Intervals of five seconds in a minute.
const MINUTE: usize = 12;

#[test]
fn what_failed_for_an_hour_does_not_hide_what_fails_after_it() {
    let mut service = Service::new(8, 50, 0.0);
    service.run_on(360 * MINUTE, 0.002);
    // Adopted after an hour, and over a little later.
    let (opened, verdict) = service.run_on(75 * MINUTE, 0.15);
    assert_eq!((opened, verdict.phase), (1, Phase::Calm));
    assert_eq!(service.run_on(60 * MINUTE, 0.002).0, 0);
    let (opened, verdict) = service.run_on(2 * MINUTE, 0.03);
    assert_eq!((opened, verdict.phase), (1, Phase::Anomalous), "a fifth of what was adopted");
}

#[test]
fn a_grave_failure_is_normal_only_after_a_day() {
    let mut service = Service::new(8, 20, 0.0);
    let (opened, verdict) = service.run_on(5 * 60 * MINUTE, 0.4);
    assert_eq!((opened, verdict.phase), (1, Phase::Anomalous));
    assert_eq!(service.run_on(20 * 60 * MINUTE, 0.4).1.phase, Phase::Calm);
}

#[test]
fn a_ratio_that_creeps_up_is_found() {
    let mut service = Service::new(9, 500, 0.0);
    service.run_on(6 * 60 * MINUTE, 0.005);
    let mut ratio = 0.005;
    while ratio < 0.1 && service.run_on(5 * MINUTE, ratio).1.phase != Phase::Anomalous {
        ratio *= 1.3;
    }
    assert!(ratio < 0.1, "not found on the way up");
}

#[test]
fn a_quiet_route_that_fails_throughout_is_one_anomaly() {
    let mut detector = ErrorDetector::new(ErrorSettings::default());
    let mut opened = 0;
    let mut before = Phase::WarmingUp;
    // A request every six minutes.
    for interval in 0..72 * 500 {
        let total = u64::from(interval % 72 == 0);
        let failed = if interval >= 72 * 300 { total } else { 0 };
        let verdict = detector.observe(ErrorInterval { failed, total, seconds: 5.0, reset: false });
        opened += usize::from(verdict.phase == Phase::Anomalous && before != Phase::Anomalous);
        before = verdict.phase;
    }
    assert_eq!((opened, before), (1, Phase::Anomalous));
    let ended = (0..12 * 60)
        .find_map(|_| detector.observe(ErrorInterval { failed: 0, total: 0, seconds: 5.0, reset: false }).ended);
    assert!(matches!(ended, Some(Ending::Idle { .. })), "{ended:?}");
    // The next failure goes on where it was left, unless many requests went well before it.
    let next = |failed, total| ErrorInterval { failed, total, seconds: 5.0, reset: false };
    let mut recovered = ErrorDetector::restore(ErrorSettings::default(), detector.state()).unwrap();
    assert_eq!(detector.observe(next(1, 1)).phase, Phase::Anomalous);
    assert_eq!(recovered.observe(next(0, 100)).phase, Phase::Calm);
    assert_eq!(recovered.observe(next(1, 1)).phase, Phase::Calm);
}
