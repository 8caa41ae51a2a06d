//! What holds for any input: no panic, finite numbers, phases that follow their rules, and states that lose nothing.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use outrigger_detect::{
    ErrorDetector, ErrorInterval, ErrorSettings, Interval, LatencyDetector, LatencySettings, Phase, Shift, State,
    StateError, Verdict, quantile,
};
use proptest::prelude::*;

const BOUNDS: [f64; 4] = [0.01, 0.1, 0.2, 1.0];

#[derive(Clone, Debug)]
struct Fed {
    delta: Vec<u64>,
    sum: f64,
    seconds: f64,
    reset: bool,
    repeat: usize,
    at: f64,
}

/// Intervals of plausible and of absurd content, repeated so that warm-ups end and anomalies open.
fn fed() -> impl Strategy<Value = Fed> {
    let count = prop_oneof![6 => 0_u64..30, 2 => Just(0), 1 => 0_u64..100_000, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let seconds = prop_oneof![8 => 0.5..10.0, 1 => Just(0.0), 1 => any::<f64>()];
    let sum = prop_oneof![4 => 0.0..20.0, 1 => any::<f64>()];
    let reset = prop_oneof![20 => Just(false), 1 => Just(true)];
    let at = prop_oneof![8 => 0.0..200_000.0, 1 => Just(f64::NAN), 1 => any::<f64>()];
    (proptest::collection::vec(count, 5), sum, seconds, reset, 1_usize..60, at)
        .prop_map(|(delta, sum, seconds, reset, repeat, at)| Fed { delta, sum, seconds, reset, repeat, at })
}

fn observe(detector: &mut LatencyDetector, fed: &Fed) -> Verdict {
    let Fed { delta, sum, seconds, reset, at, .. } = fed;
    detector.observe(&Interval { at: *at, bounds: &BOUNDS, delta, sum: *sum, seconds: *seconds, reset: *reset })
}

fn check(verdict: &Verdict) {
    assert!(verdict.score.is_finite() && verdict.score >= 0.0, "{verdict:?}");
    assert_eq!(verdict.shift.is_some(), verdict.phase == Phase::Anomalous, "{verdict:?}");
    assert!(verdict.phase != Phase::WarmingUp || verdict.score == 0.0, "{verdict:?}");
    let Some(shift) = verdict.shift else { return };
    assert!(shift.onset_seconds_ago() >= 0.0 && shift.onset_seconds_ago().is_finite(), "{verdict:?}");
    assert!(shift.affected() <= shift.requests(), "{verdict:?}");
    assert!(!shift.to_string().contains("NaN"), "{shift}");
    if let Shift::Latency(shift) = shift {
        assert!(BOUNDS.contains(&shift.bound), "{shift:?}");
        assert!((0.0..=1.0).contains(&shift.share_before) && (0.0..=1.0).contains(&shift.share_during), "{shift:?}");
        assert!(shift.added_seconds.is_finite() && shift.added_seconds >= 0.0, "{shift:?}");
        for quantiles in [shift.before, shift.during] {
            assert!(quantiles.p50 <= quantiles.p95 && quantiles.p95 <= quantiles.p99, "{shift:?}");
        }
    }
}

fn reload(state: &State) -> State {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

proptest! {
    // Cases that failed are printed in full; nothing is written beside the sources.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_latencies(all in proptest::collection::vec(fed(), 1..12)) {
        let mut detector = LatencyDetector::new(LatencySettings::default());
        let mut before = Phase::WarmingUp;
        for fed in all {
            for _ in 0..fed.repeat {
                let verdict = observe(&mut detector, &fed);
                check(&verdict);
                // An anomaly opens only from calm.
                prop_assert!(verdict.phase != Phase::Anomalous || before != Phase::WarmingUp);
                before = verdict.phase;
            }
        }
        prop_assert!(LatencyDetector::restore(LatencySettings::default(), detector.state()).is_ok());
    }

    #[test]
    fn any_errors(all in proptest::collection::vec((any::<u64>(), 0_u64..50, 0_u64..200, 0.1..70.0, 1_usize..60, any::<bool>()), 1..12)) {
        let mut detector = ErrorDetector::new(ErrorSettings::default());
        for (huge, failed, total, seconds, repeat, is_huge) in all {
            for _ in 0..repeat {
                let total = if is_huge { huge } else { total };
                check(&detector.observe(ErrorInterval { failed, total, seconds, reset: false }));
            }
        }
        let state = reload(&detector.state());
        prop_assert_eq!(&state, &detector.state());
        prop_assert!(ErrorDetector::restore(ErrorSettings::default(), state).is_ok());
    }

    /// A detector that is kept and restored at any moment gives the verdicts of one that ran through.
    #[test]
    fn a_restored_detector_goes_on_as_if_nothing_had_happened(all in proptest::collection::vec(fed(), 2..12), cut in 0_usize..300) {
        let mut whole = LatencyDetector::new(LatencySettings::default());
        let mut resumed = whole.clone();
        let steps = all.iter().flat_map(|fed| std::iter::repeat_n(fed, fed.repeat));
        for (index, fed) in steps.enumerate() {
            if index == cut {
                let state = reload(&resumed.state());
                prop_assert_eq!(&state, &resumed.state());
                resumed = LatencyDetector::restore(LatencySettings::default(), state).unwrap();
            }
            prop_assert_eq!(observe(&mut whole, fed), observe(&mut resumed, fed));
        }
        prop_assert_eq!(whole.state(), resumed.state());
    }

    /// Ten times the requests of the same shape: what was calm stays calm, and a fault of every third request is found.
    #[test]
    fn the_shape_decides_not_the_traffic(
        shape in proptest::collection::vec(0_u64..40, 5),
        times in prop_oneof![Just(1_u64), Just(10), Just(1000)],
        seconds in prop_oneof![Just(1.0), Just(10.0), Just(60.0)],
    ) {
        let requests: u64 = shape.iter().sum();
        prop_assume!(requests >= 10 && shape[4] * 3 < requests);
        let mut slow = shape.clone();
        slow[4] += requests / 2;
        let mut detector = LatencyDetector::new(LatencySettings::default());
        let mut alarms = |delta: &[u64], intervals: usize, times: u64| {
            let delta: Vec<u64> = delta.iter().map(|count| count * times).collect();
            let sum = delta.iter().sum::<u64>() as f64 * 0.05;
            let fed = Fed { delta, sum, seconds, reset: false, repeat: 1, at: f64::NAN };
            (0..intervals).any(|_| observe(&mut detector, &fed).phase == Phase::Anomalous)
        };
        prop_assert!(!alarms(&shape, 150, 1), "a steady shape alarms");
        prop_assert!(!alarms(&shape, 150, times), "traffic alone alarms");
        prop_assert!(alarms(&slow, 40, times), "the fault is not found");
    }

    /// Buckets that come, go or move under the same requests are no anomaly; nor are restarts and missed scrapes.
    #[test]
    fn a_change_of_the_counters_is_no_anomaly(
        layouts in proptest::collection::vec((proptest::collection::btree_set(1_u32..2000, 1..15), 1_u64..6, any::<bool>()), 2..6),
        seed in any::<u64>(),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut detector = LatencyDetector::new(LatencySettings::default());
        for (bounds, missed, reset) in &layouts {
            let bounds: Vec<f64> = bounds.iter().map(|bound| f64::from(*bound) / 1000.0).collect();
            for interval in 0..120 {
                let times = if interval % 17 == 0 { *missed } else { 1 };
                let mut delta = vec![0; bounds.len() + 1];
                let mut sum = 0.0;
                for _ in 0..20 * times {
                    let latency = 0.05 + 0.1 * rng.f64() * rng.f64();
                    delta[bounds.partition_point(|bound| *bound < latency)] += 1;
                    sum += latency;
                }
                let verdict = detector.observe(&Interval {
                    at: f64::from(interval),
                    bounds: &bounds,
                    delta: &delta,
                    sum,
                    seconds: times as f64,
                    reset: *reset && interval == 60,
                });
                prop_assert!(verdict.phase != Phase::Anomalous, "{:?}", verdict.shift.map(|shift| shift.to_string()));
            }
        }
    }

    /// The quantile is where the distribution function, linear within each bucket, reaches `q`: found by bisection.
    #[test]
    fn quantiles_invert_the_distribution_function(
        widths in proptest::collection::vec(0.001_f64..2.0, 1..12),
        counts in proptest::collection::vec(prop_oneof![Just(0_u64), 1_u64..1000], 12),
        q in 0.0_f64..=1.0,
    ) {
        let bounds: Vec<f64> = widths.iter().scan(0.0, |sum, width| { *sum += width; Some(*sum) }).collect();
        let counts = &counts[..bounds.len()];
        let total: u64 = counts.iter().sum();
        let with_infinity: Vec<u64> = counts.iter().copied().chain([0]).collect();
        let found = quantile(&bounds, &with_infinity, q);
        if total == 0 {
            prop_assert_eq!(found, None);
            return Ok(());
        }
        let share_up_to = |value: f64| {
            let mut lower = 0.0;
            let mut sum = 0.0;
            for (upper, count) in bounds.iter().zip(counts) {
                sum += *count as f64 * ((value - lower) / (upper - lower)).clamp(0.0, 1.0);
                lower = *upper;
            }
            sum / total as f64
        };
        let found = found.unwrap();
        let (mut low, mut high) = (0.0, *bounds.last().unwrap());
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if share_up_to(middle) < q { low = middle } else { high = middle }
        }
        // On a flat piece of the function, and at its very start, any point is right for bisection.
        prop_assert!((share_up_to(found) - q).abs() < 1e-9, "{} for {}", found, q);
        prop_assert!(q == 0.0 || (found - high).abs() < 1e-6 || (share_up_to(found) - share_up_to(high)).abs() < 1e-9);
    }

    #[test]
    fn a_damaged_state_is_refused_or_harmless(at in 0_usize..100_000, digit in 0_u8..10, fed in fed()) {
        let mut detector = LatencyDetector::new(LatencySettings::default());
        for _ in 0..80 {
            let delta = vec![5, 4, 1, 0, 0];
            observe(&mut detector, &Fed { delta, sum: 0.5, seconds: 1.0, reset: false, repeat: 1, at: 0.0 });
        }
        let mut text = serde_json::to_string(&detector.state()).unwrap().into_bytes();
        let digits: Vec<usize> = (0..text.len()).filter(|at| text[*at].is_ascii_digit()).collect();
        text[digits[at % digits.len()]] = b'0' + digit;
        let Ok(state) = serde_json::from_slice::<State>(&text) else { return Ok(()) };
        if let Ok(mut detector) = LatencyDetector::restore(LatencySettings::default(), state) {
            for _ in 0..fed.repeat {
                let verdict = observe(&mut detector, &fed);
                prop_assert!(verdict.score.is_finite());
            }
        }
    }
}

#[test]
fn quantiles_at_the_edges() {
    let bounds = [0.1, 0.2, 0.4];
    for (what, counts, q, expected) in [
        ("rank in +Inf gives the highest finite bound", [0, 0, 1, 9], 0.99, Some(0.4)),
        ("all in +Inf", [0, 0, 0, 9], 0.5, Some(0.4)),
        ("the first bucket begins at zero", [10, 0, 0, 0], 0.5, Some(0.05)),
        ("the rank at the end of a bucket", [5, 0, 5, 0], 0.5, Some(0.1)),
        ("q of 1 ends the last bucket with requests", [5, 5, 0, 0], 1.0, Some(0.2)),
        ("q of 0 begins the first bucket with requests", [0, 5, 5, 0], 0.0, Some(0.1)),
        ("no requests", [0, 0, 0, 0], 0.5, None),
        ("q below 0", [1, 1, 1, 1], -0.1, None),
        ("q above 1", [1, 1, 1, 1], 1.1, None),
        ("q is no number", [1, 1, 1, 1], f64::NAN, None),
        ("huge counts", [u64::MAX, u64::MAX, 0, 0], 0.5, Some(0.1)),
    ] {
        assert_eq!(quantile(&bounds, &counts, q), expected, "{what}");
    }
    assert_eq!(quantile(&[], &[5], 0.5), None, "no finite bound");
    assert_eq!(quantile(&bounds, &[1, 1, 1], 0.5), None, "a count is missing");
    assert_eq!(quantile(&[-1.0, 1.0], &[5, 5, 0], 0.2), Some(-1.0), "a first bound that is not positive is the answer");
}

#[test]
fn states_of_strangers_are_refused_by_name() {
    let latency = LatencyDetector::new(LatencySettings::default()).state();
    assert_eq!(latency.version(), 3);
    let wrong = ErrorDetector::restore(ErrorSettings::default(), latency).unwrap_err();
    assert_eq!(wrong, StateError::WrongSignal { found: "latency", expected: "error" });

    // Whatever a later release writes behind the version.
    let later: State = serde_json::from_str(r#"{"version":7,"watch":[1,2],"more":{"a":null}}"#).unwrap();
    let unknown = LatencyDetector::restore(LatencySettings::default(), later).unwrap_err();
    assert_eq!(unknown, StateError::UnknownVersion { found: 7, supported: 3 });
    assert!(unknown.to_string().contains("version 7") && unknown.to_string().contains("version 3"), "{unknown}");

    let empty: State = serde_json::from_str(r#"{"version":3}"#).unwrap();
    assert!(matches!(LatencyDetector::restore(LatencySettings::default(), empty), Err(StateError::Damaged { .. })));
    assert!(serde_json::from_str::<State>(r#"{"watch":null}"#).is_err());
}

#[test]
fn a_state_of_before_pauses_were_counted_goes_on() {
    let bounds = [0.05, 0.1, 0.25, 0.5];
    let feed = |detector: &mut LatencyDetector, slow: u64| {
        let delta = [180, 15, 5, slow, 0];
        let interval = Interval { at: f64::NAN, bounds: &bounds, delta: &delta, sum: 9.0, seconds: 10.0, reset: false };
        detector.observe(&interval).phase
    };
    let mut detector = LatencyDetector::new(LatencySettings::default());
    (0..360).for_each(|_| assert_ne!(feed(&mut detector, 0), Phase::Anomalous));
    let mut kept = serde_json::to_value(detector.state()).unwrap();
    let tracker = kept["watch"]["latency"]["tracker"].as_object_mut().unwrap();
    assert!(tracker.remove("pauses").is_some());
    let state = serde_json::from_value(kept).unwrap();
    let mut restored = LatencyDetector::restore(LatencySettings::default(), state).unwrap();
    // As the original, pauses included.
    for tick in 0..40 {
        let slow = if tick % 4 == 0 { 20 } else { 0 };
        assert_eq!(feed(&mut restored, slow), feed(&mut detector, slow), "{tick}");
    }
    assert_eq!(feed(&mut restored, 0), Phase::Anomalous);
}
