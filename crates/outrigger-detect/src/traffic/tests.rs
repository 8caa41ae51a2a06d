use proptest::prelude::*;

use super::{TrafficDetector, TrafficSettings, TrafficVerdict};
use crate::{Forecast, Phase, SeriesState, StateError, Toward};

const STEP: f64 = 15.0;
const DAY: f64 = 86_400.0;
/// A Monday at midnight.
const MONDAY: f64 = 345_600.0;

struct Route {
    detector: TrafficDetector,
    rng: fastrand::Rng,
    at: f64,
    phase: Phase,
    anomalies: Vec<(f64, String)>,
}

impl Route {
    fn new(seed: u64) -> Self {
        let detector = TrafficDetector::new(TrafficSettings::default());
        Self {
            detector,
            rng: fastrand::Rng::with_seed(seed),
            at: MONDAY,
            phase: Phase::WarmingUp,
            anomalies: Vec::new(),
        }
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            let normal = (0..12).map(|_| self.rng.f64()).sum::<f64>() - 6.0;
            return (mean + normal * mean.sqrt()).max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.rng.f64(), 0);
        while product > limit {
            product *= self.rng.f64();
            count += 1;
        }
        count
    }

    /// Feeds seconds of traffic of a rate by time, and notes what opens.
    fn run(&mut self, seconds: f64, rate: impl Fn(f64) -> f64) -> TrafficVerdict {
        let end = self.at + seconds;
        let mut verdict = TrafficVerdict::default();
        while self.at < end {
            self.at += STEP;
            let requests = self.poisson(rate(self.at) * STEP);
            verdict = self.detector.observe(self.at, requests, STEP);
            assert!(verdict.score.is_finite() && verdict.score >= 0.0);
            if let (Some(change), true) = (verdict.change, self.phase != Phase::Anomalous) {
                self.anomalies.push((self.at, change.to_string()));
            }
            self.phase = verdict.phase;
        }
        verdict
    }
}

/// Three times more by day than by night, and a fifth of it on Saturdays and Sundays.
fn week(level: f64) -> impl Fn(f64) -> f64 {
    move |at| {
        let day = 1.0 + 0.5 * ((at / DAY).fract() * std::f64::consts::TAU).sin();
        let weekend = (at - MONDAY).rem_euclid(7.0 * DAY) >= 5.0 * DAY;
        level * day * if weekend { 0.2 } else { 1.0 }
    }
}

#[test]
fn two_ordinary_weeks_are_calm_at_any_level() {
    for level in [0.002, 0.05, 2.0, 300.0] {
        let mut route = Route::new(3);
        route.run(14.0 * DAY, week(level));
        // The first Saturday begins out of the blue.
        let after = route.anomalies.iter().filter(|(at, _)| *at > MONDAY + 5.2 * DAY).count();
        assert!(after == 0 && route.anomalies.len() <= 1, "{level}: {:?}", route.anomalies);
    }
}

#[test]
fn a_drop_is_told_within_two_minutes_and_ends_when_it_ends() {
    let mut route = Route::new(5);
    route.run(4.5 * DAY, week(120.0));
    assert_eq!(route.anomalies, []);
    let verdict = route.run(120.0, |_| 3.0);
    assert_eq!(verdict.phase, Phase::Anomalous);
    let change = verdict.change.unwrap();
    assert!(change.is_drop() && (2.0..4.0).contains(&change.rate), "{change:?}");
    let text = &route.anomalies[0].1;
    assert!(text.starts_with("requests fell from 1") && text.contains("; usual at this hour: "), "{text}");
    route.run(600.0, |_| 3.0);
    assert_eq!(route.run(420.0, week(120.0)).phase, Phase::Calm);
    assert_eq!(route.anomalies.len(), 1, "{:?}", route.anomalies);
}

/// Requests by day, none at night.
fn office(level: f64) -> impl Fn(f64) -> f64 {
    move |at| if (8.0..18.0).contains(&((at / 3600.0) % 24.0)) { level } else { 0.0 }
}

#[test]
fn a_route_that_should_have_woken_up_has_dropped() {
    let mut route = Route::new(5);
    route.run(DAY, office(5.0));
    // On the first day nobody knows that this is a rhythm.
    route.anomalies.clear();
    route.run(3.0 * DAY + 7.0 * 3600.0, office(5.0));
    assert_eq!(route.anomalies, []);
    assert_eq!(route.run(3.5 * 3600.0, |_| 0.0).phase, Phase::Anomalous);
    assert_eq!(route.anomalies.len(), 1, "{:?}", route.anomalies);
    assert!(route.anomalies[0].1.starts_with("requests are at 0/s; usual at this hour: "), "{:?}", route.anomalies);
}

#[test]
fn a_surge_is_told_and_adopted_after_an_hour() {
    let mut route = Route::new(9);
    route.run(3600.0, |_| 10.0);
    assert_eq!(route.run(300.0, |_| 80.0).phase, Phase::Anomalous);
    assert!(route.anomalies[0].1.starts_with("requests rose from "), "{:?}", route.anomalies);
    assert_eq!(route.run(4000.0, |_| 80.0).phase, Phase::Calm);
    route.run(7200.0, |_| 80.0);
    assert_eq!(route.anomalies.len(), 1);
    // What was adopted is usual: the next change is one.
    assert_eq!(route.run(300.0, |_| 4.0).phase, Phase::Anomalous);
}

#[test]
fn an_outage_of_a_holiday_is_told_and_the_holiday_not_again() {
    let mut route = Route::new(5);
    route.run(4.5 * DAY, week(120.0));
    // A Friday on which hardly anybody works.
    assert_eq!(route.run(4200.0, |_| 20.0).phase, Phase::Calm);
    route.run(2.5 * 3600.0, |_| 20.0);
    assert_eq!(route.anomalies.len(), 1, "{:?}", route.anomalies);
    assert_eq!(route.run(600.0, |_| 0.0).phase, Phase::Anomalous);
    assert!(route.anomalies[1].1.starts_with("requests fell from "), "{:?}", route.anomalies);
    // What had been adopted is what it comes back to.
    assert_eq!(route.run(900.0, |_| 20.0).phase, Phase::Calm);
    route.run(3600.0, |_| 20.0);
    assert_eq!(route.anomalies.len(), 2, "{:?}", route.anomalies);
}

#[test]
fn an_outage_is_not_the_new_normal_and_does_not_hide_the_next() {
    let mut route = Route::new(5);
    route.run(3.5 * DAY, week(120.0));
    assert_eq!(route.run(3.0 * 3600.0, |_| 0.0).phase, Phase::Anomalous);
    assert_eq!(route.run(0.5 * DAY, week(120.0)).phase, Phase::Calm);
    assert_eq!(route.anomalies.len(), 1, "{:?}", route.anomalies);
    // At the same time of the next day.
    route.run(0.375 * DAY, week(120.0));
    assert_eq!(route.run(900.0, |_| 0.0).phase, Phase::Anomalous);
    assert_eq!(route.anomalies.len(), 2, "{:?}", route.anomalies);
}

#[test]
fn a_loss_that_stays_is_learnt_on_its_second_day() {
    let mut route = Route::new(5);
    route.run(3.0 * DAY, office(50.0));
    route.anomalies.clear();
    route.run(DAY, office(8.0));
    assert_eq!(route.anomalies.len(), 1, "{:?}", route.anomalies);
    // Adopted after an hour, it has not changed what is known of the hours.
    route.run(DAY, office(8.0));
    assert_eq!(route.anomalies.len(), 2, "{:?}", route.anomalies);
    route.run(2.0 * DAY, |_| 0.0);
    route.run(2.0 * DAY, office(8.0));
    assert_eq!(route.anomalies.len(), 2, "{:?}", route.anomalies);
}

#[test]
fn rare_requests_are_never_judged() {
    let mut route = Route::new(2);
    route.run(3.0 * DAY, |at| if ((at / 3600.0) as u64).is_multiple_of(7) { 0.05 } else { 0.0001 });
    assert_eq!(route.anomalies, []);
}

#[test]
fn a_state_of_another_kind_or_version_is_refused() {
    let route = Route::new(1);
    let kept = serde_json::to_string(&route.detector.state()).unwrap();
    let read = |text: &str| serde_json::from_str::<SeriesState>(text).unwrap();
    let wrong = Forecast::restore(Toward::Above, read(&kept)).err();
    assert_eq!(wrong, Some(StateError::WrongSignal { found: "traffic", expected: "forecast" }));
    let restore = |text: &str| TrafficDetector::restore(TrafficSettings::default(), read(text)).err();
    assert_eq!(restore(&kept), None);
    let newer = kept.replacen("\"version\":1", "\"version\":2", 1);
    assert_eq!(restore(&newer), Some(StateError::UnknownVersion { found: 2, supported: 1 }));
    let damaged = kept.replacen("\"age\":0.0", "\"age\":-3.0", 1);
    assert!(matches!(restore(&damaged), Some(StateError::Damaged { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_gives_numbers_and_a_restored_detector_goes_on_as_the_original(
        intervals in proptest::collection::vec(
            (
                prop_oneof![6 => 0_u64..500, 1 => any::<u64>()],
                prop_oneof![6 => 1.0..100.0, 1 => any::<f64>()],
                prop_oneof![6 => 0.0..1e6, 1 => any::<f64>()],
                1_usize..50,
            ),
            1..12,
        )
    ) {
        let mut detector = TrafficDetector::new(TrafficSettings::default());
        for (requests, seconds, at, repeat) in intervals {
            for _ in 0..repeat {
                let state = serde_json::to_string(&detector.state()).unwrap();
                let state = serde_json::from_str(&state).unwrap();
                let mut restored = TrafficDetector::restore(TrafficSettings::default(), state).unwrap();
                let verdict = detector.observe(at, requests, seconds);
                prop_assert!(verdict.score.is_finite() && verdict.score >= 0.0, "{verdict:?}");
                prop_assert_eq!(verdict.change.is_some(), verdict.phase == Phase::Anomalous);
                prop_assert_eq!(verdict.phase, restored.observe(at, requests, seconds).phase);
                if let Some(change) = verdict.change {
                    prop_assert!(!change.to_string().contains('?'), "{change}");
                }
            }
        }
    }
}
