//! What must be found, how fast, and how it ends.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod traffic;

use fastrand::Rng;
use outrigger_detect::{Ending, Interval, LatencyDetector, LatencySettings, LatencyShift, Phase, Shift, Verdict};
use traffic::{BOUNDS, Route, Watched};

fn latency(verdict: &Verdict) -> LatencyShift {
    match verdict.shift {
        Some(Shift::Latency(shift)) => shift,
        other => panic!("expected a latency shift, found {other:?}"),
    }
}

/// The p-th percentile.
fn percentile(values: &mut [f64], p: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * p / 100]
}

/// Warms up for two minutes, injects the fault, and returns the intervals until it is found on each of 100 seeds.
fn intervals_to_find(tick: f64, rate: f64, fault: (f64, f64), change: impl Fn(&mut Route)) -> Vec<f64> {
    let find = |seed| {
        let mut route = Route::new(seed, rate);
        change(&mut route);
        let mut watched = Watched::new(route, tick);
        assert_eq!(watched.alarms_within(300.0), 0, "seed {seed} alarmed before the fault");
        watched.route.fault = Some(fault);
        let seconds = watched.seconds_until(Phase::Anomalous, 40.0 * tick);
        seconds.unwrap_or_else(|| panic!("seed {seed} at {rate}/s and {tick} s was not found")) / tick
    };
    (0..100).map(find).collect()
}

/// Seconds until an anomaly ends, and the verdict that ends it.
fn until_it_ends(watched: &mut Watched, limit: f64) -> (f64, Verdict) {
    let steps = (limit / watched.tick) as usize;
    (1..=steps)
        .map(|step| (step as f64 * watched.tick, watched.step()))
        .find(|(_, verdict)| verdict.ended.is_some())
        .unwrap_or_else(|| panic!("no end within {limit} s"))
}

#[test]
fn a_strong_shift_at_five_requests_per_second() {
    for (tick, at_most) in [(1.0, 18.0), (5.0, 5.0), (15.0, 3.0), (60.0, 3.0)] {
        let mut intervals = intervals_to_find(tick, 5.0, (0.3, 0.15), |_| {});
        let p90 = percentile(&mut intervals, 90);
        println!("30 % + 150 ms at {tick} s: median {}, p90 {p90}", percentile(&mut intervals, 50));
        assert!(p90 <= at_most, "90 % are found within {p90} intervals of {tick} s, {at_most} expected");
    }
}

#[test]
fn a_whole_route_that_leaves_the_first_buckets() {
    let mut intervals =
        intervals_to_find(1.0, 5.0, (1.0, 0.02), |route| (route.fast, route.slow) = ((0.002, 0.5), (0.004, 0.5)));
    assert!(percentile(&mut intervals, 100) <= 12.0, "{intervals:?}");
}

#[test]
fn the_demo() {
    let (mut delays, mut recoveries) = (Vec::new(), Vec::new());
    let mut early = 0;
    for seed in 0..500 {
        let mut watched = Watched::new(Route::of_the_demo(seed), 1.0);
        early += watched.alarms_within(50.0);
        let mut rng = Rng::with_seed(seed + 9000);
        watched.route.fault = Some((0.3 + 0.6 * rng.f64(), 0.1 + 0.5 * rng.f64()));
        let delay = watched.seconds_until(Phase::Anomalous, 60.0).unwrap_or(f64::INFINITY);
        delays.push(delay);
        watched.alarms_within(60.0 - delay);
        watched.route.fault = None;
        recoveries.push(watched.seconds_until(Phase::Calm, 120.0).unwrap_or(f64::INFINITY));
    }
    let late = delays.iter().filter(|delay| **delay > 15.0).count();
    for (what, values) in [("detection", &mut delays), ("recovery", &mut recoveries)] {
        let [p50, p95, p99, most] = [50, 95, 99, 100].map(|p| percentile(values, p));
        println!("{what}: p50 {p50} s, p95 {p95} s, p99 {p99} s, most {most} s");
    }
    assert_eq!(early, 0, "alarms before the fault");
    assert!(late <= 3, "{late} of 500 faults are found only after 15 s");
    assert!(percentile(&mut delays, 100) <= 30.0, "the slowest detection took {} s", percentile(&mut delays, 100));
    assert!(
        percentile(&mut recoveries, 100) <= 30.0,
        "the slowest recovery took {} s",
        percentile(&mut recoveries, 100)
    );
}

#[test]
fn the_shift_explains_itself() {
    let mut watched = Watched::new(Route::new(7, 20.0), 1.0);
    watched.alarms_within(300.0);
    watched.route.fault = Some((0.4, 0.3));
    let delay = watched.seconds_until(Phase::Anomalous, 30.0).unwrap();
    let mut verdict = watched.step();
    for _ in 0..18 {
        verdict = watched.step();
    }
    let shift = latency(&verdict);
    let since = delay + 19.0;
    assert!(
        (shift.onset_seconds_ago - since).abs() <= 3.0,
        "onset {} s ago, fault {since} s ago",
        shift.onset_seconds_ago
    );
    assert_eq!(shift.bound, 0.25);
    assert!((shift.share_during - 0.4).abs() < 0.1, "{shift:?}");
    assert!(shift.share_before < 0.02, "{shift:?}");
    assert!((shift.affected as f64 - 0.4 * 20.0 * since).abs() < 0.2 * 0.4 * 20.0 * since, "{shift:?}");
    assert!((shift.added_seconds - 0.3 * 0.4 * 20.0 * since).abs() < 0.3 * 0.3 * 0.4 * 20.0 * since, "{shift:?}");
    assert!(shift.before.p50 < 0.03 && shift.during.p95 > 0.25, "{shift:?}");
    assert_eq!(verdict.shift.unwrap().requests(), shift.requests);
    let sentence = verdict.shift.unwrap().to_string();
    assert!(sentence.starts_with("requests over 250 ms went from "), "{sentence}");
}

#[test]
fn a_restart_is_quiet() {
    let mut alarms = 0;
    for seed in 0..200 {
        let mut watched = Watched::new(Route::of_the_demo(seed), 1.0);
        watched.alarms_within(300.0);
        for _ in 0..5 {
            let idle =
                Interval { at: f64::NAN, bounds: &BOUNDS, delta: &[0; 16], sum: 0.0, seconds: 1.0, reset: false };
            assert_eq!(watched.detector.observe(&idle).phase, Phase::Calm);
        }
        // Cold caches: half of the requests take 200 ms more for twenty seconds.
        watched.route.fault = Some((0.5, 0.2));
        assert_eq!(watched.step_with(true).phase, Phase::Calm);
        alarms += watched.alarms_within(20.0);
        watched.route.fault = None;
        alarms += watched.alarms_within(300.0);
    }
    assert!(alarms <= 2, "{alarms} alarms after 200 restarts");
}

#[test]
fn a_release_that_is_slower_is_found_after_its_restart() {
    let mut watched = Watched::new(Route::new(3, 20.0), 1.0);
    watched.alarms_within(300.0);
    watched.route.fault = Some((0.5, 0.2));
    watched.step_with(true);
    let seconds = watched.seconds_until(Phase::Anomalous, 60.0).unwrap();
    assert!((30.0..45.0).contains(&seconds), "found after {seconds} s");
}

#[test]
fn an_anomaly_outlives_a_restart_and_ends_when_it_is_over() {
    let mut watched = Watched::new(Route::new(3, 20.0), 1.0);
    watched.alarms_within(300.0);
    watched.route.fault = Some((0.5, 0.2));
    watched.seconds_until(Phase::Anomalous, 60.0).unwrap();
    watched.route.fault = None;
    assert_eq!(watched.step_with(true).phase, Phase::Anomalous);
    let (seconds, verdict) = until_it_ends(&mut watched, 120.0);
    assert_eq!((verdict.phase, verdict.ended), (Phase::Calm, Some(Ending::Recovered)));
    assert_eq!(watched.step().ended, None, "it ends once");
    assert!(seconds <= 60.0, "recovered after {seconds} s");
}

#[test]
fn an_anomaly_without_traffic_closes() {
    let mut watched = Watched::new(Route::new(3, 20.0), 1.0);
    watched.alarms_within(300.0);
    watched.route.fault = Some((0.5, 0.2));
    watched.seconds_until(Phase::Anomalous, 60.0).unwrap();
    watched.route.rate = 0.0;
    let (seconds, verdict) = until_it_ends(&mut watched, 400.0);
    assert_eq!((verdict.phase, verdict.ended), (Phase::Calm, Some(Ending::Idle { seconds: 300.0 })));
    assert_eq!(watched.step().ended, None, "it ends once");
    assert!((295.0..=305.0).contains(&seconds), "closed after {seconds} s");
}

#[test]
fn what_stays_is_learnt() {
    let mut watched = Watched::new(Route::new(3, 20.0), 5.0);
    watched.alarms_within(300.0);
    watched.route.fault = Some((0.5, 0.2));
    watched.seconds_until(Phase::Anomalous, 60.0).unwrap();
    let (seconds, verdict) = until_it_ends(&mut watched, 2.0 * 3600.0);
    assert_eq!((verdict.phase, verdict.ended), (Phase::WarmingUp, Some(Ending::Adopted)));
    assert!((3500.0..=3700.0).contains(&seconds), "adopted after {seconds} s");
    assert_eq!(watched.alarms_within(1800.0), 0);
    assert_eq!(watched.step().phase, Phase::Calm);
}

#[test]
fn warm_up_needs_time_and_requests() {
    let warm_up = |rate, tick| Watched::new(Route::new(5, rate), tick).seconds_until(Phase::Calm, 4000.0);
    assert!(warm_up(3.0, 1.0).unwrap() <= 50.0);
    assert!(warm_up(40.0, 1.0).unwrap() >= 40.0);
    assert!(warm_up(0.2, 1.0).unwrap() >= 300.0);
    assert_eq!(warm_up(0.01, 5.0), None);
}

#[test]
fn other_bounds_end_an_anomaly_without_recovery() {
    let mut watched = Watched::new(Route::new(3, 20.0), 1.0);
    watched.alarms_within(300.0);
    watched.route.fault = Some((0.5, 0.2));
    watched.seconds_until(Phase::Anomalous, 60.0).unwrap();
    let other = Interval { at: f64::NAN, bounds: &[0.1, 1.0], delta: &[9, 9, 0], sum: 4.0, seconds: 1.0, reset: false };
    let verdict = watched.detector.observe(&other);
    assert_eq!((verdict.phase, verdict.ended), (Phase::WarmingUp, Some(Ending::Adopted)));
    assert_eq!(watched.detector.observe(&other).ended, None);
}

#[test]
fn other_bounds_start_over() {
    let mut detector = LatencyDetector::new(LatencySettings::default());
    let mut feed = |bounds: &[f64], delta: &[u64]| {
        detector.observe(&Interval { at: f64::NAN, bounds, delta, sum: 0.1, seconds: 1.0, reset: false }).phase
    };
    for _ in 0..60 {
        feed(&[0.1, 1.0], &[9, 1, 0]);
    }
    assert_eq!(feed(&[0.1, 1.0], &[9, 1, 0]), Phase::Calm);
    assert_eq!(feed(&[0.1, 0.5, 1.0], &[9, 1, 0, 0]), Phase::WarmingUp);
    for _ in 0..60 {
        feed(&[0.1, 0.5, 1.0], &[9, 1, 0, 0]);
    }
    assert_eq!(feed(&[0.1, 0.5, 1.0], &[9, 1, 0, 0]), Phase::Calm);
    // What cannot be read changes nothing.
    for (bounds, delta) in [
        (&[0.1, 0.5, 1.0][..], &[9, 1, 0][..]),
        (&[0.5, 0.1, 1.0], &[9, 1, 0, 0]),
        (&[0.1, f64::NAN, 1.0], &[9, 1, 0, 0]),
        (&[0.1; 200], &[0; 201]),
    ] {
        assert_eq!(feed(bounds, delta), Phase::Calm);
    }
}

#[test]
fn a_slow_drift_costs_what_it_adds_though_the_baseline_followed_it() {
    let mut watched = Watched::new(Route::new(3, 10.0), 10.0);
    assert_eq!(watched.alarms_within(5.0 * 3600.0), 0);
    // A quarter slower with every hour.
    let mut verdict = watched.step();
    let mut hours = 0.0_f64;
    while verdict.phase != Phase::Anomalous && hours < 8.0 {
        hours += watched.tick / 3600.0;
        watched.route.scale = 1.25_f64.powf(hours);
        verdict = watched.step();
    }
    let shift = latency(&verdict);
    assert!(shift.onset_seconds_ago >= 900.0, "{hours} hours: {shift:?}");
    assert!(shift.requests as f64 > 0.8 * 10.0 * shift.onset_seconds_ago, "{shift:?}");
    // What a request took at first, and what the drift adds to it on the way.
    let usual = 0.95 * 0.02 * 0.125_f64.exp() + 0.05 * 0.12 * 0.125_f64.exp();
    let added = (1.25_f64.powf(hours - 0.5 * shift.onset_seconds_ago / 3600.0) - 1.0) * usual;
    let told = shift.added_seconds / shift.requests as f64;
    assert!((0.5..1.6).contains(&(told / added)), "{told} s a request, truly {added} s: {shift:?} after {hours} hours");
}

#[test]
fn a_slow_drift_of_a_quiet_route_is_told_for_more_than_a_moment() {
    let mut found = 0;
    for seed in 0..10 {
        let mut watched = Watched::new(Route::new(seed, 0.03), 30.0);
        watched.alarms_within(24.0 * 3600.0);
        let mut hours = 0.0_f64;
        while watched.step().phase != Phase::Anomalous && hours < 12.0 {
            hours += watched.tick / 3600.0;
            watched.route.scale = 1.25_f64.powf(hours);
        }
        let stays = watched.seconds_until(Phase::WarmingUp, 800.0).is_none();
        found += usize::from(hours < 12.0 && stays);
    }
    assert!(found >= 8, "{found} of 10 drifts are told for a while");
}

#[test]
fn a_drift_that_matters_to_nobody_is_not_told() {
    for seed in 0..10 {
        // A millisecond more, of a route whose answers lie around the lowest bound.
        let route = Route { fast: (0.004, 0.2), slow_share: 0.0, ..Route::new(seed, 20.0) };
        let mut watched = Watched::new(route, 10.0);
        let mut alarms = watched.alarms_within(5.0 * 3600.0);
        for minute in 0..240 {
            watched.route.scale = 1.0 + 0.25 * f64::from(minute) / 240.0;
            alarms += watched.alarms_within(60.0);
        }
        alarms += watched.alarms_within(2.0 * 3600.0);
        assert_eq!(alarms, 0, "seed {seed}");
    }
}

#[test]
fn pauses_in_quick_succession_are_one_anomaly_that_ends_with_them() {
    let mut found = 0;
    for seed in 0..40 {
        let mut watched = Watched::new(Route::new(seed, 40.0), 10.0);
        watched.alarms_within(1800.0);
        let mut alarms = 0;
        for _ in 0..20 {
            // One interval of four is bad: a tenth of its requests waits for half a second.
            watched.route.fault = Some((0.1, 0.5));
            alarms += watched.alarms_within(10.0);
            watched.route.fault = None;
            alarms += watched.alarms_within(30.0);
        }
        found += usize::from(alarms > 0);
        assert!(watched.seconds_until(Phase::Calm, 300.0).is_some(), "seed {seed} does not end");
    }
    assert!(found >= 38, "{found} of 40 storms are found");
}
