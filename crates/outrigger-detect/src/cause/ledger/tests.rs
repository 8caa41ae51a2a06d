use super::*;
use proptest::{collection::vec, prelude::*};

fn part(kind: PartKind, by_calls: f64, by_duration: f64) -> Part {
    Part { kind, by_calls, by_duration, failed: 0.0, deviation: 10.0, each: (0.001, 0.002) }
}

fn first(added_seconds: f64, parts: &[Part]) -> Option<CauseKind> {
    let symptoms = Symptoms { parts: parts.to_vec(), ..crowded(added_seconds) };
    attribute(&symptoms).first().map(|cause| cause.kind)
}

/// Who waits for a processor waits for other programs.
fn crowded(added_seconds: f64) -> Symptoms {
    Symptoms { added_seconds, traffic: 1.0, crowded_by_others: true, ..Symptoms::default() }
}

#[test]
fn parts_that_nest_are_told_apart() {
    use PartKind::{CacheLoad, Cpu, Database, Downstream, Pool, Runtime};
    let idle = part(Cpu, 0.0, 0.1);
    // Misses run loads, loads run statements, and SQLite's statements use the process' CPU.
    let flushed = [part(CacheLoad, 8.0, 0.5), part(Database, 5.0, 2.0), part(Cpu, 6.0, 0.0)];
    assert_eq!(first(10.0, &flushed), Some(CauseKind::Cache));
    assert_eq!(first(10.0, &[part(Database, 0.5, 8.0), part(Cpu, 7.0, 0.0)]), Some(CauseKind::SlowQuery));
    assert_eq!(first(10.0, &[part(Database, 8.0, 0.5), idle]), Some(CauseKind::NPlusOne));
    // A cache whose loads take longer suffers itself.
    assert_eq!(first(10.0, &[part(CacheLoad, 0.1, 8.0), part(Database, 0.0, 8.0)]), Some(CauseKind::SlowQuery));
    // Connections are waited for because statements are slow, or because they are held for nothing.
    assert_eq!(first(10.0, &[part(Pool, 0.0, 6.0), part(Database, 0.0, 4.0)]), Some(CauseKind::SlowQuery));
    assert_eq!(first(10.0, &[part(Pool, 0.0, 9.0), part(Database, 0.0, 0.3)]), Some(CauseKind::ConnectionPool));
    assert_eq!(first(10.0, &[part(Cpu, 5.0, 0.0), part(Runtime, 0.0, 8.0)]), Some(CauseKind::Cpu));
    assert_eq!(first(10.0, &[part(Cpu, 0.5, 0.0), part(Runtime, 0.0, 8.0)]), Some(CauseKind::Runtime));
    assert_eq!(first(10.0, &[part(Downstream, 0.0, 9.0), idle]), Some(CauseKind::Dependency));
    // All statements alike suffer from what else is computed.
    let alike = [part(Database, 0.0, 2.0), part(Database, 0.1, 2.1), part(Database, 0.0, 1.9), part(Cpu, 5.0, 0.0)];
    assert_eq!(first(10.0, &alike), Some(CauseKind::Cpu));
}

#[test]
fn what_is_left_is_waiting_and_never_sure() {
    let symptoms = Symptoms {
        added_seconds: 10.0,
        parts: vec![part(PartKind::Cpu, 0.2, 0.0), part(PartKind::Database, 0.0, 0.3)],
        ..Symptoms::default()
    };
    let causes = attribute(&symptoms);
    assert_eq!(causes.len(), 1);
    assert!(
        causes[0].kind == CauseKind::Dependency && causes[0].strength <= BY_ELIMINATION && causes[0].part.is_none()
    );
    // Without the CPU's figures, computing and waiting look the same.
    assert_eq!(first(10.0, &[part(PartKind::Database, 0.0, 0.3)]), None);
    // A bit of everything is nothing.
    let bits = [PartKind::Runtime, PartKind::Database, PartKind::Downstream].map(|kind| part(kind, 0.0, 2.5));
    assert_eq!(first(10.0, &[&bits[..], &[part(PartKind::Cpu, 0.0, 0.1)]].concat()), None);
    // What swings like that anyway is not believed.
    let mut noisy = part(PartKind::Database, 0.0, 9.0);
    noisy.deviation = 1.0;
    assert_eq!(first(10.0, &[noisy]), None);
    // Nor ruled out.
    assert_eq!(first(10.0, &[noisy, part(PartKind::Cpu, 0.1, 0.0)]), None);
}

#[test]
fn failures_are_the_codes_own_unless_something_fails_below() {
    let mut pool = part(PartKind::Pool, 0.0, 0.0);
    let symptoms = |pool: Part| Symptoms { failed: 50.0, parts: vec![pool], ..Symptoms::default() };
    assert_eq!(attribute(&symptoms(pool))[0].kind, CauseKind::Errors);
    pool.failed = 40.0;
    assert_eq!(attribute(&symptoms(pool))[0].kind, CauseKind::ConnectionPool);
    let fresh = Symptoms { restarted: true, failed: 50.0, ..Symptoms::default() };
    let kinds: Vec<_> = attribute(&fresh).iter().map(|cause| cause.kind).collect();
    assert_eq!(kinds, [CauseKind::Deploy, CauseKind::Errors]);
}

#[test]
fn a_surge_and_a_restart_are_said_beside_the_rest() {
    let symptoms = Symptoms { added_seconds: 1.0, traffic: 4.0, restarted: true, ..Symptoms::default() };
    let kinds: Vec<_> = attribute(&symptoms).iter().map(|cause| cause.kind).collect();
    assert_eq!(kinds, [CauseKind::Traffic, CauseKind::Deploy]);
}

#[test]
fn traffic_stands_behind_what_is_measured_and_before_what_is_ruled_out() {
    use PartKind::{Cpu, Database};
    let kinds = |added_seconds, failed, parts: &[Part]| {
        let symptoms = Symptoms { added_seconds, failed, traffic: 8.0, parts: parts.to_vec(), ..Symptoms::default() };
        let causes = attribute(&symptoms);
        let traffic = causes.iter().find(|cause| cause.kind == CauseKind::Traffic).unwrap();
        assert!(traffic.strength <= BY_COINCIDENCE, "{causes:?}");
        causes.iter().map(|cause| cause.kind).collect::<Vec<_>>()
    };
    let half = [part(Database, 4.0, 0.0), part(Cpu, 0.1, 0.0)];
    assert_eq!(kinds(10.0, 0.0, &half), [CauseKind::NPlusOne, CauseKind::Traffic]);
    assert_eq!(kinds(10.0, 0.0, &[part(Cpu, 0.1, 0.0)]), [CauseKind::Traffic, CauseKind::Dependency]);
    // Callers try again.
    assert_eq!(kinds(0.0, 50.0, &[]), [CauseKind::Errors, CauseKind::Traffic]);
}

#[test]
fn what_only_moved_from_one_to_another_is_not_added() {
    use PartKind::{Database, Downstream};
    let gone = |by_calls| Part { deviation: -10.0, ..part(Database, by_calls, 0.0) };
    let slow = part(Downstream, 0.0, 6.0);
    assert_eq!(first(10.0, &[part(Database, 5.0, 3.0), gone(-7.5), slow]), Some(CauseKind::Dependency));
    assert_eq!(first(10.0, &[part(Database, 8.0, 4.0), gone(-8.0)]), Some(CauseKind::SlowQuery));
}

#[test]
fn who_waits_until_a_timeout_is_slow_and_who_fails_at_once_is_not() {
    let causes = |added_seconds, failed_calls| {
        let calls = Part { failed: failed_calls, ..part(PartKind::Downstream, 0.0, 0.0) };
        let parts = vec![part(PartKind::Database, 0.0, 0.8 * added_seconds), calls];
        let told = attribute(&Symptoms { added_seconds, failed: 100.0, parts, ..Symptoms::default() });
        told.into_iter().map(|cause| (cause.kind, cause.of_failures)).collect::<Vec<_>>()
    };
    assert_eq!(causes(40.0, 0.0), [(CauseKind::SlowQuery, false)]);
    assert_eq!(causes(40.0, 90.0), [(CauseKind::SlowQuery, false), (CauseKind::Dependency, true)]);
    assert_eq!(causes(1.0, 0.0), [(CauseKind::Errors, true)]);
    assert_eq!(causes(1.0, 90.0), [(CauseKind::Dependency, true)]);
}

#[test]
fn what_takes_longer_while_processors_are_short_is_doubtful_unless_it_stands_apart() {
    use PartKind::{Cpu, Crowd, Database, Pool, Runtime};
    let idle = part(Cpu, 0.1, 0.0);
    let told = |symptoms: Symptoms, parts: &[Part]| {
        let told = attribute(&Symptoms { added_seconds: 10.0, parts: parts.to_vec(), ..symptoms });
        told.first().map(|cause| (cause.kind, cause.may_suffer, cause.strength > WHILE_SHORT))
    };
    let (calm, surge) = (Symptoms::default(), Symptoms { traffic: 3.0, ..Symptoms::default() });
    let (sure, doubtful) = (Some((CauseKind::SlowQuery, false, true)), Some((CauseKind::SlowQuery, true, false)));
    // One statement has most of the time because there are most of it; each of both waits as long.
    let slow = [
        Part { each: (0.001, 0.009), ..part(Database, 0.0, 8.0) },
        Part { each: (0.01, 0.018), ..part(Database, 0.0, 0.8) },
        idle,
    ];
    let with = |more: Part| [&slow[..], &[more]].concat();
    assert_eq!(told(calm.clone(), &slow), sure);
    assert_eq!(told(surge.clone(), &slow), doubtful);
    // Its own threads wait for processors: no neighbour is named for it.
    assert_eq!(told(calm.clone(), &with(part(Crowd, 0.0, 6.0))), doubtful);
    assert_eq!(told(calm.clone(), &with(part(Runtime, 0.0, 1.5))), doubtful);
    let neighbours = Symptoms { crowded_by_others: true, ..Symptoms::default() };
    assert_eq!(told(neighbours, &with(part(Crowd, 0.0, 9.0))), Some((CauseKind::CpuContention, false, false)));
    assert_eq!(told(calm.clone(), &with(part(Runtime, 0.0, 6.0))).map(|told| told.0), Some(CauseKind::Runtime));
    let pool = Some((CauseKind::ConnectionPool, true, false));
    assert_eq!(told(calm, &[part(Pool, 0.0, 9.0), part(Crowd, 0.0, 6.0), idle]), pool);
    // The other statement takes as long as ever.
    let well = Part { each: (0.01, 0.0101), ..part(Database, 0.0, 0.01) };
    assert_eq!(told(surge, &[slow[0], well, idle]), sure);
}

#[test]
fn calls_that_are_made_again_are_told_from_slow_ones() {
    let symptoms = |by_calls, by_duration, retried| Symptoms {
        added_seconds: 10.0,
        retried,
        parts: vec![part(PartKind::Downstream, by_calls, by_duration)],
        ..Symptoms::default()
    };
    let kind = |symptoms: &Symptoms| attribute(symptoms)[0].kind;
    assert_eq!(kind(&symptoms(8.0, 1.0, 50.0)), CauseKind::Retries);
    assert_eq!(kind(&symptoms(1.0, 8.0, 50.0)), CauseKind::Dependency);
    assert_eq!(kind(&symptoms(8.0, 1.0, 0.0)), CauseKind::Dependency);
}

#[test]
fn what_is_waited_for_unmeasured_is_rather_the_dependency_whose_calls_fail() {
    let mut calls = part(PartKind::Downstream, 0.0, 0.0);
    calls.failed = 12.0;
    let parts = vec![part(PartKind::Cpu, 0.1, 0.0), calls];
    let causes = attribute(&Symptoms { added_seconds: 10.0, parts, ..Symptoms::default() });
    assert!(causes[0].kind == CauseKind::Dependency && causes[0].part == Some(1), "{causes:?}");
    assert!(causes[0].strength <= BY_ELIMINATION, "{causes:?}");
}

#[test]
fn the_machine_accounts_only_for_what_nothing_else_does() {
    use PartKind::{Cpu, Crowd, Database, Disk, Memory, Throttle};
    let idle = part(Cpu, 0.1, 0.0);
    assert_eq!(first(10.0, &[part(Throttle, 0.0, 7.0), idle]), Some(CauseKind::CpuThrottling));
    assert_eq!(first(10.0, &[part(Crowd, 0.0, 8.0), idle]), Some(CauseKind::CpuContention));
    assert_eq!(first(10.0, &[part(Memory, 0.0, 8.0), part(Disk, 0.0, 6.0), idle]), Some(CauseKind::MemoryPressure));
    assert_eq!(first(10.0, &[part(Disk, 0.0, 8.0), idle]), Some(CauseKind::DiskPressure));
    // What is measured of the service itself comes first.
    assert_eq!(first(10.0, &[part(Disk, 0.0, 9.0), part(Database, 0.0, 7.0)]), Some(CauseKind::SlowQuery));
    // A process that computes more fills the processors itself.
    assert_eq!(first(10.0, &[part(Crowd, 0.0, 9.0), part(Cpu, 5.0, 0.0)]), Some(CauseKind::Cpu));
    // All statements alike wait for a processor that others have.
    let alike = [part(Database, 0.0, 2.5), part(Database, 0.0, 2.4), part(Database, 0.0, 2.6), idle];
    assert_eq!(first(10.0, &[&alike[..], &[part(Crowd, 0.0, 9.0)]].concat()), Some(CauseKind::CpuContention));
    let causes = attribute(&Symptoms { parts: vec![part(Crowd, 0.0, 50.0), idle], ..crowded(10.0) });
    assert!(causes[0].strength <= BY_MACHINE, "{causes:?}");
}

#[test]
fn what_a_load_consists_of_is_told_once() {
    use PartKind::{CacheLoad, Cpu, Database};
    let parts = vec![part(CacheLoad, 8.0, 0.5), part(Database, 7.5, 0.5), part(Cpu, 7.0, 0.0)];
    let causes = attribute(&Symptoms { added_seconds: 10.0, parts, ..Symptoms::default() });
    assert_eq!(causes.iter().map(|cause| cause.kind).collect::<Vec<_>>(), [CauseKind::Cache], "{causes:?}");
}

#[test]
fn what_other_requests_do_more_often_is_doubtful() {
    use PartKind::{CacheLoad, Cpu, Database};
    let told = |by_mix, parts: &[Part]| {
        let causes = attribute(&Symptoms { added_seconds: 10.0, by_mix, parts: parts.to_vec(), ..Symptoms::default() });
        (causes[0].kind, causes[0].strength)
    };
    let parts = [part(Database, 9.0, 0.0), part(Cpu, 9.0, 0.0), part(CacheLoad, 9.0, 0.0)];
    for (part, kind) in parts.into_iter().zip([CauseKind::NPlusOne, CauseKind::Cpu, CauseKind::Cache]) {
        assert_eq!(told(1.0, &[part]), (kind, 0.9));
        assert_eq!(told(5.0, &[part]), (kind, WHILE_MIXED));
    }
    assert_eq!(told(5.0, &[part(Database, 0.0, 9.0)]), (CauseKind::SlowQuery, 0.9));
}

#[test]
fn added_time_is_made_up_of_its_parts() {
    use PartKind::{Cpu, Database, Disk, Pool, Unaccounted};
    let made_up = |parts: &[Part]| {
        let portions = decompose(&Symptoms { added_seconds: 20.0, parts: parts.to_vec(), ..Symptoms::default() });
        let rounded = |portion: Portion| (portion.kind, (portion.seconds * 100.0).round() / 100.0, portion.part);
        portions.into_iter().map(rounded).collect::<Vec<_>>()
    };
    // Much too little to be named a cause is told as well.
    let some = [part(Cpu, 2.0, 0.0), part(Disk, 0.0, 1.0)];
    assert_eq!(made_up(&some), [(Cpu, 2.0, Some(0)), (Disk, 1.0, Some(1)), (Unaccounted, 17.0, None)]);
    // Who waits for a connection while statements are slow waits all the same.
    let queue = [part(Pool, 0.0, 4.0), part(Database, 0.0, 5.0), part(Database, 0.0, 5.5), part(Database, 0.0, 5.5)];
    assert_eq!(made_up(&queue), [(Database, 16.0, None), (Pool, 4.0, Some(0))]);
    let overlapping = [part(Database, 0.0, 30.0), part(PartKind::Downstream, 0.0, 10.0)];
    assert_eq!(made_up(&overlapping), [(Database, 15.0, Some(0)), (PartKind::Downstream, 5.0, Some(1))]);
    assert!(made_up(&[]).is_empty());
}

const KINDS: [PartKind; 10] = [
    PartKind::Database,
    PartKind::Pool,
    PartKind::CacheLoad,
    PartKind::Downstream,
    PartKind::Cpu,
    PartKind::Runtime,
    PartKind::Throttle,
    PartKind::Crowd,
    PartKind::Memory,
    PartKind::Disk,
];

fn parts(figures: impl Strategy<Value = f64> + 'static) -> impl Strategy<Value = Vec<Part>> {
    let figures = figures.boxed();
    let one = (0..KINDS.len(), figures.clone(), figures.clone(), figures.clone(), figures);
    vec(
        one.prop_map(|(kind, by_calls, by_duration, failed, deviation)| Part {
            kind: KINDS[kind],
            by_calls,
            by_duration,
            failed,
            deviation,
            each: (by_calls, by_duration),
        }),
        0..10,
    )
}

proptest! {
    #[test]
    fn strengths_are_shares_whatever_goes_in(
        parts in parts(any::<f64>()),
        added_seconds in any::<f64>(), failed in any::<f64>(), traffic in any::<f64>(), retried in any::<f64>(),
        restarted: bool, crowded_by_others: bool, by_mix in any::<f64>(),
    ) {
        let count = parts.len();
        let symptoms = Symptoms { added_seconds, by_mix, failed, traffic, retried, restarted, crowded_by_others, parts };
        let causes = attribute(&symptoms);
        for cause in &causes {
            prop_assert!((0.0..=1.0).contains(&cause.strength), "{:?}", cause);
            prop_assert!(cause.part.is_none_or(|part| part < count));
        }
        // A restart and traffic are said beside the rest.
        let of_whole = causes.iter().filter(|cause| !matches!(cause.kind, CauseKind::Deploy | CauseKind::Traffic));
        prop_assert!(of_whole.map(|cause| cause.strength).sum::<f64>() <= 1.0 + 1e-9, "{:?}", causes);
    }

    #[test]
    fn portions_sum_up_to_what_was_added(parts in parts(any::<f64>()), added_seconds in 1e-3..1e9_f64) {
        let count = parts.len();
        let portions = decompose(&Symptoms { added_seconds, parts, ..Symptoms::default() });
        for portion in &portions {
            prop_assert!(portion.seconds > 0.0 && (0.0..=1.0).contains(&portion.share), "{:?}", portion);
            prop_assert!(portion.part.is_none_or(|part| part < count));
        }
        let sum: f64 = portions.iter().map(|portion| portion.seconds).sum();
        prop_assert!(count == 0 || (sum / added_seconds - 1.0).abs() < 1e-6, "{:?}", portions);
    }

    /// The order in which parts are measured tells nothing.
    #[test]
    fn the_order_of_the_parts_makes_no_difference(parts in parts(-5.0..50.0), added_seconds in 1.0..60.0, failed in 0.0..9.0) {
        let told = |parts: Vec<Part>| {
            let symptoms = Symptoms { added_seconds, failed, parts: parts.clone(), ..Symptoms::default() };
            let told = attribute(&symptoms).into_iter().map(|cause| {
                let part = cause.part.and_then(|part| parts.get(part)).map(|part| format!("{part:?}"));
                (format!("{:?}", cause.kind), (cause.strength * 1e6).round(), part)
            });
            told.collect::<Vec<_>>()
        };
        let mut turned = parts.clone();
        turned.reverse();
        prop_assert_eq!(told(parts), told(turned));
    }
}
