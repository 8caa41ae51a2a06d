use proptest::prelude::*;

use super::{PointDetector, PointSettings, PointVerdict, Unusual};
use crate::{SeriesState, StateError};

const MINUTE: f64 = 60.0;

fn detector() -> PointDetector {
    PointDetector::new(PointSettings::default())
}

/// Values around `level` by a fixed pattern of noise, a minute apart.
fn feed(detector: &mut PointDetector, from: f64, rows: u64, mut value: impl FnMut(u64) -> f64) -> Vec<PointVerdict> {
    (0..rows).map(|row| detector.observe(from + row as f64 * MINUTE, value(row))).collect()
}

fn noise(rng: &mut fastrand::Rng, level: f64, spread: f64) -> f64 {
    level + spread * ((0..6).map(|_| rng.f64()).sum::<f64>() - 3.0)
}

fn alerts(verdicts: &[PointVerdict]) -> Vec<Unusual> {
    verdicts.iter().filter(|verdict| verdict.alert).filter_map(|verdict| verdict.unusual).collect()
}

#[test]
fn a_spike_a_drop_and_a_new_level_are_told_once_and_in_words() {
    for (unlike, check) in [
        (300.0, (|unusual| matches!(unusual, Unusual::Spike { .. })) as fn(&Unusual) -> bool),
        (2.0, |unusual| matches!(unusual, Unusual::Drop { .. })),
    ] {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut detector = detector();
        let calm = feed(&mut detector, 0.0, 1000, |_| noise(&mut rng, 100.0, 5.0));
        let mut rng = fastrand::Rng::with_seed(8);
        let during = feed(&mut detector, 60_000.0, 30, |_| noise(&mut rng, unlike, 1.0));
        assert!(alerts(&calm).len() <= 1, "{:?}", alerts(&calm));
        let told = alerts(&during);
        assert!(during[0].alert && told.len() <= 2 && check(&told[0]), "{told:?}");
        assert!(told[0].to_string().contains(" from "), "{}", told[0]);
        // What goes on is unusual still, but no news.
        let held = during.iter().find(|verdict| verdict.unusual.is_some() && !verdict.alert);
        assert!(held.is_some_and(|held| held.score > 0.0 && held.news() == 0.0), "{during:?}");
        assert_eq!(during[0].news(), during[0].score);
    }
}

#[test]
fn what_a_series_does_every_day_is_not_unusual_and_what_it_never_did_at_that_hour_is() {
    let day = |row: u64| if row % 1440 < 720 { 100.0 } else { 10.0 };
    let mut detector = detector();
    feed(&mut detector, 0.0, 5 * 1440, day);
    assert_eq!(alerts(&feed(&mut detector, 5.0 * 86_400.0, 1440, day)), []);
    // The value of the night by day: nothing new but for the hour.
    let by_day = feed(&mut detector, 6.0 * 86_400.0, 60, |_| 10.0);
    let told = alerts(&by_day);
    assert!(matches!(told.first(), Some(Unusual::Hour { value: 10.0, low: 100.0, high: 100.0 })), "{told:?}");
    assert_eq!(told[0].to_string(), "10; usual at this hour: 100 to 100");
}

#[test]
fn spread_and_drift_have_words_of_their_own() {
    let spread = Unusual::Spread { from: 1.5, to: 12.0 };
    assert_eq!(spread.to_string(), "values vary by 12, usually by 1.5");
    let drift = Unusual::Drift { from: 40.0, to: 71.25 };
    assert_eq!(drift.to_string(), "the level is 71.2, the usual one is 40");
    let hour = Unusual::Hour { value: 12.0, low: 10.0, high: 14.5 };
    assert_eq!(hour.to_string(), "12 again, but not of late; usual at this hour: 10 to 14.5");
    let level = Unusual::Level { from: 40.0, to: 0.5 };
    assert_eq!(level.to_string(), "the level fell from 40 to 0.5");
}

#[test]
fn calm_noise_of_a_month_alerts_less_than_every_other_day() {
    let mut all = 0;
    for seed in 0..4 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut detector = detector();
        all += alerts(&feed(&mut detector, 0.0, 30 * 1440, |_| noise(&mut rng, 50.0, 10.0))).len();
    }
    assert!(all <= 60, "{all} alerts in 120 days");
}

#[test]
fn a_series_that_never_changes_is_calm() {
    for level in [0.0, 1e-12, 0.1, 45.0, 1e18, -3.0] {
        let verdicts = feed(&mut detector(), 0.0, 3000, |_| level);
        assert!(verdicts.iter().all(|verdict| verdict.score == 0.0), "{level}");
    }
}

#[test]
fn unknown_times_end_a_hold_and_leave_the_hours_out() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut detector = detector();
    let mut told = 0;
    for row in 0..4000 {
        let value = if row % 1500 == 1000 { 1e3 * f64::from(row) } else { noise(&mut rng, 100.0, 5.0) };
        let verdict = detector.observe(f64::NAN, value);
        told += usize::from(verdict.alert && value > 1e3);
    }
    assert_eq!(told, 2);
}

#[test]
fn states_of_other_versions_and_damaged_ones_are_refused() {
    let mut original = detector();
    feed(&mut original, 0.0, 300, |row| (row % 17) as f64);
    let kept = serde_json::to_string(&original.state()).unwrap();
    let read = |text: &str| serde_json::from_str::<SeriesState>(text).unwrap();
    let restore = |text: &str| PointDetector::restore(PointSettings::default(), read(text)).map(|_| ());
    assert_eq!(restore(&kept), Ok(()));
    let newer = kept.replacen("\"version\":1", "\"version\":7", 1);
    assert_eq!(restore(&newer), Err(StateError::UnknownVersion { found: 7, supported: 1 }));
    for (whole, damaged) in [
        ("\"rows\":300", "\"rows\":3"),
        ("\"usual_variance\":", "\"usual_variance\":-"),
        ("\"low\":0.0", "\"low\":99.0"),
        ("\"watch\"", "\"match\""),
    ] {
        assert!(kept.contains(whole), "{kept}");
        assert!(matches!(restore(&kept.replace(whole, damaged)), Err(StateError::Damaged { .. })), "{whole}");
    }
    assert!(serde_json::from_str::<SeriesState>("{\"watch\":null,\"version\":1}").is_err());
}

/// Series of plausible and of absurd content, repeated so that warm-ups end.
fn series() -> impl Strategy<Value = Vec<(f64, f64, usize)>> {
    let value =
        prop_oneof![6 => -100.0..100.0, 2 => Just(0.0), 1 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(f64::MAX)];
    let step = prop_oneof![8 => 1.0..4000.0, 1 => Just(0.0), 1 => any::<f64>()];
    proptest::collection::vec((step, value, 1_usize..60), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_gives_numbers_and_a_restored_detector_goes_on_as_the_original(series in series()) {
        let mut detector = detector();
        let mut at = 1.7e9;
        for (step, value, repeat) in series {
            for ripple in 0..repeat {
                let before = at;
                at += step;
                let mut restored = PointDetector::restore(PointSettings::default(), detector.state()).unwrap();
                let value = value + ripple as f64 * 0.1;
                let verdict = detector.observe(at, value);
                prop_assert!(verdict.score.is_finite() && verdict.score >= 0.0, "{verdict:?}");
                prop_assert!(!verdict.alert || verdict.unusual.is_some());
                prop_assert_eq!(verdict, restored.observe(at, value));
                if let Some(unusual) = verdict.unusual {
                    let text = unusual.to_string();
                    prop_assert!(!text.contains("NaN") && !text.contains('?'), "{text}");
                }
                if !at.is_finite() {
                    at = before;
                }
            }
        }
    }

    #[test]
    fn the_unit_of_the_values_does_not_matter(seed in any::<u64>(), unit in 1e-9..1e9) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut one, mut other) = (detector(), detector());
        for row in 0..600 {
            let value = noise(&mut rng, 10.0, 2.0) * if rng.u8(..) == 0 { 5.0 } else { 1.0 };
            let at = f64::from(row) * MINUTE;
            let (one, other) = (one.observe(at, value), other.observe(at, value * unit));
            prop_assert!((one.score - other.score).abs() < 0.5, "{one:?} {other:?}");
        }
    }
}
