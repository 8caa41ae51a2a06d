//! What must stay quiet. The bounds on false alarms are what was measured when they were written, rounded up a little.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod traffic;

use outrigger_detect::{LatencyDetector, LatencySettings};
use traffic::{Route, Watched};

const HOUR: f64 = 3600.0;

/// Alarms on 200 routes, an hour each.
fn alarms(tick: f64, route: impl Fn(u64) -> Route) -> usize {
    (0..200).map(|seed| Watched::new(route(seed), tick).alarms_within(HOUR)).sum()
}

/// Alarms on 200 routes over two hours, where a rule changes the route as time passes.
fn alarms_while(route: impl Fn(u64) -> Route, rule: impl Fn(&mut Route, f64)) -> usize {
    let watch = |seed| {
        let mut watched = Watched::new(route(seed), 5.0);
        let mut alarms = 0;
        for minute in 0..120 {
            rule(&mut watched.route, f64::from(minute) * 60.0);
            alarms += watched.alarms_within(60.0);
        }
        alarms
    };
    (0..200).map(watch).sum()
}

fn check(what: &str, alarms: usize, at_most: usize) {
    println!("{what}: {alarms} alarms");
    assert!(alarms <= at_most, "{what}: {alarms} false alarms, at most {at_most} expected");
}

#[test]
fn independent_requests() {
    for tick in [1.0, 5.0, 15.0, 60.0] {
        check(&format!("5/s at {tick} s"), alarms(tick, |seed| Route::new(seed, 5.0)), 1);
        check(&format!("40/s at {tick} s"), alarms(tick, |seed| Route::new(seed, 40.0)), 1);
        check(&format!("0.3/s at {tick} s"), alarms(tick, |seed| Route::new(seed, 0.3)), 3);
    }
}

#[test]
fn a_speed_that_wobbles() {
    let route = |seed| Route { wobble: 0.1, ..Route::new(seed, 20.0) };
    check("wobble of 10 % at 1 s", alarms(1.0, route), 4);
    check("wobble of 10 % at 5 s", alarms(5.0, route), 4);
}

#[test]
fn pauses() {
    let route = |seed| Route { pauses: Some((60.0, 0.3)), ..Route::new(seed, 10.0) };
    check("pauses of 300 ms at 1 s", alarms(1.0, route), 12);
    check("pauses of 300 ms at 5 s", alarms(5.0, route), 15);
    let route = |seed| Route { pauses: Some((600.0, 1.0)), ..Route::new(seed, 20.0) };
    // Of these 1,200 pauses some come in quick succession: three within as many minutes are a storm, one alone is none.
    check("rare pauses of a second at 1 s", alarms(1.0, route), 70);
}

#[test]
fn a_body_within_the_first_bucket() {
    let route = |seed| Route { fast: (0.001, 0.6), slow: (0.003, 0.6), wobble: 0.2, ..Route::new(seed, 10.0) };
    check("answers below 5 ms at 1 s", alarms(1.0, route), 0);
    check("answers below 5 ms at 5 s", alarms(5.0, route), 0);
}

#[test]
fn traffic_that_swings() {
    let route = |seed| Route { wobble: 0.05, ..Route::new(seed, 20.0) };
    // A day within two hours: the rate by a factor of seven, the latency with it by up to 15 %.
    let day = |route: &mut Route, seconds: f64| {
        let swing = (std::f64::consts::TAU * seconds / 7200.0).sin();
        route.rate = 20.0 + 15.0 * swing;
        route.scale = 1.0 + 0.075 * (1.0 + swing);
    };
    check("daily rhythm", alarms_while(route, day), 3);
}

#[test]
fn a_slow_drift() {
    let route = |seed| Route::new(seed, 20.0);
    check(
        "20 % slower in two hours",
        alarms_while(route, |route, seconds| route.scale = 1.0 + 0.2 * seconds / 7200.0),
        3,
    );
}

/// What a job leaves behind is over by then.
const AFTERMATH: f64 = 300.0;

/// Alarms in an hour that ends with a job which slows the route so many times for a while.
fn hour_with_a_job(watched: &mut Watched, times: f64, seconds: f64) -> usize {
    assert_eq!(watched.alarms_within(HOUR - seconds - AFTERMATH), 0, "alarms without the job");
    watched.route.scale = times;
    let during = watched.alarms_within(seconds);
    watched.route.scale = 1.0;
    assert!(watched.alarms_within(AFTERMATH) <= during, "alarms after the job");
    during
}

#[test]
fn a_job_of_every_hour_is_told_until_it_is_known() {
    for seed in 0..20 {
        let mut watched = Watched::new(Route { wobble: 0.03, ..Route::new(seed, 20.0) }, 10.0);
        watched.epoch = 1.8e9;
        let first: usize = (0..3).map(|_| hour_with_a_job(&mut watched, 2.0, 180.0)).sum();
        assert_eq!(first, 3, "seed {seed}: each of the first is told");
        for hour in 0..4 {
            assert_eq!(hour_with_a_job(&mut watched, 2.0, 180.0), 0, "seed {seed}, {hour} hours after it is known");
        }
        // It outlives a restart of whoever watches.
        watched.detector = LatencyDetector::restore(LatencySettings::default(), watched.detector.state()).unwrap();
        assert_eq!(hour_with_a_job(&mut watched, 2.0, 180.0), 0, "seed {seed}, restored");
        // What is worse, lasts longer, or comes at another time is told.
        assert_eq!(hour_with_a_job(&mut watched, 5.0, 180.0), 1, "seed {seed}, much slower");
        assert_eq!(hour_with_a_job(&mut watched, 2.0, 900.0), 1, "seed {seed}, much longer");
        assert_eq!(watched.alarms_within(1200.0), 0);
        watched.route.scale = 2.0;
        assert_eq!(watched.alarms_within(180.0), 1, "seed {seed}, at another time");
    }
}

#[test]
fn the_demo_without_a_fault() {
    let alarms = |seed| Watched::new(Route::of_the_demo(seed), 1.0).alarms_within(650.0);
    check("500 demos of ten minutes", (1000..1500).map(alarms).sum(), 2);
}
