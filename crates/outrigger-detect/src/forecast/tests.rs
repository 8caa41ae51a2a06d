use proptest::prelude::*;

use super::{Forecast, Outlook, Toward};
use crate::{SeriesState, StateError};

/// Seconds between values.
const STEP: f64 = 15.0;

/// Feeds values by time and answers the outlooks with the time of each.
fn feed(forecast: &mut Forecast, seconds: f64, limit: f64, value: impl Fn(f64) -> f64) -> Vec<(f64, Outlook)> {
    let rows = (seconds / STEP) as u64;
    let time = |row: u64| row as f64 * STEP;
    (0..rows).filter_map(|row| Some((time(row), forecast.observe(1e9 + time(row), value(time(row)), limit)?))).collect()
}

fn noise(at: f64) -> f64 {
    let mut rng = fastrand::Rng::with_seed(at.to_bits());
    (0..6).map(|_| rng.f64()).sum::<f64>() - 3.0
}

#[test]
fn a_leak_is_told_in_time_and_in_words() {
    let mut forecast = Forecast::new(Toward::Above);
    // After four hours at 40 to 100 in 90 minutes.
    let leak = |at: f64| 40.0 + (at - 14_400.0).max(0.0) / 90.0 + noise(at) * 0.2;
    let outlooks = feed(&mut forecast, 14_400.0 + 4500.0, 100.0, leak);
    let first = outlooks[0].0 - 14_400.0;
    assert!((2500.0..3300.0).contains(&first), "{first}");
    let (at, last) = outlooks.last().unwrap();
    assert!((last.seconds - (19_800.0 - at)).abs() < 200.0, "{last:?} at {at}");
    assert!(last.soonest <= last.seconds && last.seconds <= last.latest, "{last:?}");
    let said = Outlook {
        value: 71.25,
        limit: 100.0,
        seconds: 2400.0,
        soonest: 1900.0,
        latest: 3600.0,
        per_hour: 43.0,
        seen_seconds: 1440.0,
    };
    assert_eq!(said.to_string(), "100 in 40 min (32 min to 60 min): 71.2 now, +43 per hour for 24 min");
}

#[test]
fn what_falls_to_a_limit_below_is_told_likewise() {
    let mut forecast = Forecast::new(Toward::Below);
    let outlooks = feed(&mut forecast, 4500.0, 0.0, |at| 60.0 - at / 90.0 + noise(at) * 0.2);
    let (at, last) = outlooks.last().unwrap();
    assert!((last.seconds - (5400.0 - at)).abs() < 200.0 && last.per_hour < 0.0, "{last:?} at {at}");
}

#[test]
fn a_slow_leak_is_told_from_the_long_buckets() {
    let mut forecast = Forecast::new(Toward::Above);
    // 100 in five days, with a working day in it.
    let value = |at: f64| at / 4320.0 + 1.5 * (at / 86_400.0 * std::f64::consts::TAU).sin() + noise(at);
    let outlooks = feed(&mut forecast, 4.0 * 86_400.0, 100.0, value);
    let (at, last) = outlooks.last().unwrap();
    assert!(((last.seconds - (432_000.0 - at)) / 86_400.0).abs() < 0.3, "{last:?} at {at}");
}

#[test]
fn teeth_of_a_saw_steps_and_a_warm_cache_are_met_with_silence() {
    let saw = |period: f64, high: f64| move |at: f64| 20.0 + (high - 20.0) * (at / period).fract() + 0.3 * noise(at);
    let day = 86_400.0;
    for period in [40.0, 300.0, 1000.0, 3600.0, 6.0 * 3600.0] {
        let mut forecast = Forecast::new(Toward::Above);
        let outlooks = feed(&mut forecast, 2.0 * day, 100.0, saw(period, 80.0));
        // The first tooth is a rise like any other.
        let later = outlooks.iter().filter(|(at, _)| *at > 1.5 * period + 4.0 * 3600.0).count();
        assert!(later == 0, "{period}: {later} of {}, first {:?}", outlooks.len(), outlooks.first());
    }
    let mut forecast = Forecast::new(Toward::Above);
    let step = |at: f64| if at < 7200.0 { 20.0 } else { 70.0 } + noise(at);
    assert_eq!(feed(&mut forecast, day, 100.0, step), []);
    let mut forecast = Forecast::new(Toward::Above);
    let warm = |at: f64| 90.0 * (1.0 - (-at / 3600.0).exp()) + 0.3 * noise(at);
    let late = feed(&mut forecast, day, 100.0, warm).iter().filter(|(at, _)| *at > 3.0 * 3600.0).count();
    assert_eq!(late, 0);
}

#[test]
fn a_clock_that_was_ahead_once_stops_nothing() {
    for ahead in [2.0 * 3600.0, 1e8] {
        let mut forecast = Forecast::new(Toward::Above);
        let mut at = 1e9;
        forecast.observe(at + ahead, 10.0, 100.0);
        let mut told = None;
        while at < 1e9 + 3600.0 {
            told = forecast.observe(at, 10.0 + (at - 1e9) / 60.0, 100.0);
            at += STEP;
        }
        let told = told.unwrap();
        assert!((told.seconds - 1800.0).abs() < 60.0, "{ahead}: {told:?}");
    }
}

#[test]
fn states_of_another_kind_and_damaged_ones_are_refused() {
    let mut forecast = Forecast::new(Toward::Above);
    feed(&mut forecast, 7200.0, 100.0, |at| at / 90.0);
    let kept = serde_json::to_string(&forecast.state()).unwrap();
    let restore = |text: &str| {
        let state: SeriesState = serde_json::from_str(text).unwrap();
        Forecast::restore(Toward::Above, state).err()
    };
    assert_eq!(restore(&kept), None);
    for (whole, damaged) in
        [("\"count\":4", "\"count\":0"), ("\"above\"", "\"below\""), ("\"span\":24.0", "\"span\":99.0")]
    {
        assert!(kept.contains(whole), "{kept}");
        assert!(matches!(restore(&kept.replacen(whole, damaged, 1)), Some(StateError::Damaged { .. })), "{whole}");
    }
    let newer = kept.replacen("\"version\":1", "\"version\":3", 1);
    assert_eq!(restore(&newer), Some(StateError::UnknownVersion { found: 3, supported: 1 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_with_noise_are_foretold(minutes in 40.0_f64..400.0, base in 0.0_f64..60.0, wobble in 0.0_f64..0.8) {
        let mut forecast = Forecast::new(Toward::Above);
        let full = minutes * 60.0;
        let pace = (100.0 - base) / full;
        let outlooks = feed(&mut forecast, full * 0.95, 100.0, |at| base + at * pace + wobble * noise(at));
        let (at, last) = outlooks.last().unwrap();
        let truth = full - at;
        let off = (last.seconds - truth).abs();
        prop_assert!(off <= 0.25 * truth + 3.0 * wobble / pace + 60.0, "{last:?}, truly {truth}");
    }

    #[test]
    fn flat_lines_with_noise_are_silent(level in 0.0_f64..95.0, wobble in 0.0_f64..0.5, seed in 0_u64..1000) {
        let mut forecast = Forecast::new(Toward::Above);
        let shift = seed as f64 * 1e4;
        let outlooks = feed(&mut forecast, 86_400.0, 100.0, |at| level + wobble * noise(at + shift));
        prop_assert!(outlooks.is_empty(), "{:?}", outlooks.first());
    }

    #[test]
    fn any_input_gives_numbers_and_a_restored_forecast_goes_on_as_the_original(
        rows in proptest::collection::vec(
            (
                prop_oneof![8 => 1.0..4000.0, 1 => any::<f64>()],
                prop_oneof![6 => -100.0..100.0, 1 => any::<f64>()],
                prop_oneof![6 => 0.0..1000.0, 1 => any::<f64>()],
                1_usize..40,
            ),
            1..10,
        )
    ) {
        let mut forecast = Forecast::new(Toward::Above);
        let mut at: f64 = 1e9;
        for (step, value, limit, repeat) in rows {
            for row in 0..repeat {
                at = if f64::abs(step) < 1e9 { at + step } else { step };
                let value = value + row as f64;
                let mut restored = Forecast::restore(Toward::Above, forecast.state()).unwrap();
                let outlook = forecast.observe(at, value, limit);
                prop_assert_eq!(outlook, restored.observe(at, value, limit));
                if let Some(outlook) = outlook {
                    let Outlook { seconds, soonest, latest, per_hour, .. } = outlook;
                    prop_assert!(seconds > 0.0 && soonest <= seconds && seconds <= latest, "{outlook:?}");
                    prop_assert!(per_hour.is_finite() && latest.is_finite(), "{outlook:?}");
                }
            }
        }
    }
}
