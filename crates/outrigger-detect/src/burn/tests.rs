use proptest::prelude::*;

use super::{BurnRate, BurnSettings, Urgency};
use crate::{SeriesState, StateError};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

/// Feeds a hundred requests a minute, of which some are bad, and answers when which pace was told.
fn feed(rate: &mut BurnRate, from: f64, to: f64, bad: impl Fn(f64) -> u64) -> Vec<(f64, f64)> {
    let mut told = Vec::new();
    let mut at = from;
    while at < to {
        if let Some(burn) = rate.observe(at, bad(at), 100) {
            told.push((at, burn.limit));
        }
        at += MINUTE;
    }
    told
}

#[test]
fn within_the_budget_nothing_is_told() {
    let mut rate = BurnRate::new(BurnSettings::default());
    // One in 1100.
    assert_eq!(feed(&mut rate, 0.0, 10.0 * DAY, |at| u64::from(((at / MINUTE) as u64).is_multiple_of(11))), []);
}

#[test]
fn an_outage_is_critical_within_minutes_and_over_soon_after_its_end() {
    let mut rate = BurnRate::new(BurnSettings::default());
    assert_eq!(feed(&mut rate, 0.0, DAY, |_| 0), []);
    // Half of the requests fail for ten minutes.
    let outage = |at: f64| if at < DAY + 10.0 * MINUTE { 50 } else { 0 };
    let told = feed(&mut rate, DAY, DAY + 12.0 * HOUR, outage);
    assert_eq!(told.first(), Some(&(DAY + MINUTE, 14.4)));
    let critical = told.iter().filter(|(_, pace)| *pace == 14.4).map(|(at, _)| *at - DAY).fold(0.0, f64::max);
    assert!((13.0 * MINUTE..=15.0 * MINUTE).contains(&critical), "{critical}");
    assert!(told.iter().all(|(at, pace)| *pace < 6.0 || *at < DAY + HOUR), "{told:?}");
}

#[test]
fn slow_burns_are_told_by_the_longer_windows() {
    // Twice, four times and ten times the budget.
    for (every, limit, urgency) in [(5, 1.0, Urgency::Warning), (2, 3.0, Urgency::Warning), (1, 6.0, Urgency::Critical)]
    {
        let mut rate = BurnRate::new(BurnSettings::default());
        feed(&mut rate, 0.0, 4.0 * DAY, |_| 0);
        let bad = move |at: f64| u64::from(((at / MINUTE) as u64).is_multiple_of(every));
        let told = feed(&mut rate, 4.0 * DAY, 8.0 * DAY, bad);
        assert_eq!(told.last().map(|(_, pace)| *pace), Some(limit));
        let burn = rate.observe(8.0 * DAY, 1, 100).unwrap();
        assert_eq!(burn.urgency, urgency);
        assert!((burn.pace / (10.0 / every as f64) - 1.0).abs() < 0.05, "{burn:?}");
    }
}

#[test]
fn a_few_failures_of_a_quiet_service_tell_nothing() {
    let mut rate = BurnRate::new(BurnSettings::default());
    for minute in 0..60 {
        assert_eq!(rate.observe(f64::from(minute) * MINUTE, u64::from(minute % 15 == 0), 1), None);
    }
    let burn = rate.observe(HOUR - 1.0, 1, 1).unwrap();
    assert_eq!((burn.bad, burn.limit), (5, 14.4));
}

#[test]
fn a_burn_speaks() {
    let mut rate = BurnRate::new(BurnSettings::default());
    let burn = (0..60).filter_map(|minute| rate.observe(f64::from(minute) * MINUTE, 2, 100)).last().unwrap();
    assert_eq!(
        burn.to_string(),
        "the error budget is spent 20 times too fast over 60 min (20 times over 5 min): 120 of 6000 requests were bad, \
         2.8 % of 30 days' budget; it lasts 1.5 days"
    );
}

#[test]
fn what_was_seen_every_other_minute_was_seen() {
    // Two requests in a hundred are bad: twenty times the budget.
    for (minutes, pace) in [(1, 20.0), (2, 20.0), (5, 20.0), (10, 2.0)] {
        let mut rate = BurnRate::new(BurnSettings::default());
        for interval in 0..120 / minutes {
            rate.observe(f64::from(interval * minutes) * MINUTE, 2, 100);
        }
        let [_, (_, hour), _, _] = rate.paces();
        // The hour ends with the piece of time that the last observation lies in.
        assert!((hour - pace).abs() <= 0.1 * pace, "every {minutes} min: {hour}");
    }
}

#[test]
fn a_restored_one_goes_on_and_damaged_states_are_refused() {
    let mut rate = BurnRate::new(BurnSettings::default());
    feed(&mut rate, 0.0, 2.0 * HOUR, |_| 1);
    let kept = serde_json::to_string(&rate.state()).unwrap();
    let read = |text: &str| serde_json::from_str::<SeriesState>(text).unwrap();
    let restore = |text: &str| BurnRate::restore(BurnSettings::default(), read(text));
    assert_eq!(restore(&kept).unwrap().observe(7300.0, 3, 5), rate.observe(7300.0, 3, 5));
    let newer = kept.replacen("\"version\":1", "\"version\":9", 1);
    assert_eq!(restore(&newer).err(), Some(StateError::UnknownVersion { found: 9, supported: 1 }));
    let damaged = kept.replacen("\"bad\":1", "\"bad\":700", 1);
    assert!(matches!(restore(&damaged).err(), Some(StateError::Damaged { .. })));
}

#[test]
fn a_clock_that_was_ahead_once_stops_nothing() {
    for ahead in [2.0 * HOUR, 400.0 * DAY] {
        let mut rate = BurnRate::new(BurnSettings::default());
        assert_eq!(feed(&mut rate, 0.0, DAY, |_| 0), []);
        rate.observe(DAY + ahead, 0, 100);
        let outage = |at: f64| if at < DAY + 10.0 * MINUTE { 50 } else { 0 };
        let told = feed(&mut rate, DAY, DAY + 12.0 * HOUR, outage);
        let critical = told.iter().filter(|(_, pace)| *pace == 14.4).map(|(at, _)| *at - DAY).fold(0.0, f64::max);
        assert!((13.0 * MINUTE..=15.0 * MINUTE).contains(&critical), "{ahead}: {critical}");
        assert!(told.iter().all(|(at, pace)| *pace < 6.0 || *at < DAY + HOUR), "{ahead}: {told:?}");
    }
    // One that comes a little late counts as of now.
    let mut rate = BurnRate::new(BurnSettings::default());
    feed(&mut rate, DAY, DAY + HOUR, |_| 0);
    assert!(rate.observe(DAY + HOUR - 10.0 * MINUTE, 100, 100).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_gives_numbers_and_the_pace_of_a_window_is_that_of_its_counts(
        rows in proptest::collection::vec((any::<f64>(), 0.0..1e6, any::<u64>(), any::<u64>(), 0.0..1.0), 1..200),
        budget in prop_oneof![4 => 1e-4..0.1, 1 => any::<f64>()],
    ) {
        let mut rate = BurnRate::new(BurnSettings { budget, min_bad: 1 });
        for (wild, at, bad, total, tame) in rows {
            let at = if tame < 0.9 { at } else { wild };
            if let Some(burn) = rate.observe(at, bad >> 40, total >> 40) {
                prop_assert!(burn.pace.is_finite() && burn.pace >= burn.limit && burn.pace_now >= burn.limit);
                prop_assert!(burn.bad <= burn.total && burn.bad > 0);
                prop_assert!(burn.pace * budget.max(1e-9) <= burn.bad as f64 / burn.total as f64 * (1.0 + 1e-9), "{burn:?}");
                prop_assert!(!burn.to_string().contains('?'), "{burn}");
            }
        }
    }
}

#[test]
fn paces_tell_each_window_and_what_was_not_seen_is_good() {
    let mut burn = BurnRate::new(BurnSettings::default());
    assert_eq!(burn.paces(), [(300.0, 0.0), (3600.0, 0.0), (21_600.0, 0.0), (259_200.0, 0.0)]);
    for minute in 0..120 {
        // The last ten minutes are bad for one request in a hundred.
        burn.observe(f64::from(minute) * 60.0, u64::from(minute >= 110), 100);
    }
    let [five, hour, six, three_days] = burn.paces().map(|(_, pace)| pace);
    assert!((five - 10.0).abs() < 1e-9, "{five}");
    assert!((hour - 10.0 / 6.0).abs() < 1e-9, "{hour}");
    assert!(six > 0.0 && six < hour && three_days > 0.0 && three_days < six, "{six} {three_days}");
}

#[test]
fn the_first_seconds_stand_for_themselves_only() {
    // All fail, ten a second, from the first interval on: 14.4 times the budget of an hour is spent after 52 seconds.
    let mut rate = BurnRate::new(BurnSettings::default());
    let told = (1..60).map(|second| rate.observe(DAY + f64::from(second), 10, 10)).position(|burn| burn.is_some());
    assert!(told.is_some_and(|second| (20..=52).contains(&second)), "{told:?}");
    // A second of failures in an hour that nobody saw is no hour of them.
    let mut rate = BurnRate::new(BurnSettings::default());
    assert_eq!(feed(&mut rate, 0.0, HOUR, |_| 0), []);
    assert_eq!(rate.observe(3.0 * HOUR, 60, 600), None);
}
