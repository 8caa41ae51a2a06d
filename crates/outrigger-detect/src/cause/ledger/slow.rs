//! What takes the time that requests lost.

use super::{
    Attribution, BY_ELIMINATION_AFTER_RESTART, BY_MACHINE, CauseKind, Claim, MIN_DEVIATION, MIN_SHARE, Part, PartKind,
    Portion, Symptoms, WHILE_MIXED, WHILE_SHORT, named,
};

/// From this share of the added time on, a runtime that is late makes statements and pools look slower than they are.
const LATE: f64 = 0.1;
/// A statement that became longer by so many times as much as the others did so by itself.
const APART: f64 = 2.0;

/// What may take the time, the likeliest first.
pub(super) fn slowness(symptoms: &Symptoms) -> Vec<Attribution> {
    let parts = &symptoms.parts.iter().map(Part::sound).collect::<Vec<_>>();
    let claims = claims(symptoms, parts);
    let added = symptoms.added_seconds;
    let mut causes = named(&claims, added);
    if causes.is_empty() && rules_out(parts) {
        let accounted: f64 = claims.iter().map(|claim| claim.amount * claim.weight).sum();
        // What swings too much to be believed may still be it.
        let doubtful = |kind: PartKind| {
            let of = parts.iter().filter(|part| part.kind == kind && !kind.is_of_machine());
            of.map(|part| (part.by_calls + part.by_duration).max(0.0)).sum::<f64>()
        };
        let accounted = parts.iter().map(|part| doubtful(part.kind)).fold(accounted, f64::max);
        let waiting = (1.0 - accounted / added).clamp(0.0, 1.0);
        // Many things that each account for a bit leave it unknown.
        if waiting >= 0.5 {
            // What a surge exhausts is waited for as well.
            let most = if symptoms.surges() { BY_ELIMINATION_AFTER_RESTART } else { symptoms.by_elimination() };
            let strength = most * waiting;
            // A dependency whose calls fail, or are made again, is the likeliest one to be waited for.
            let failing = |(_, part): &(usize, &Part)| part.kind == PartKind::Downstream && part.failed > 0.0;
            let failing = parts.iter().enumerate().filter(failing);
            let part =
                failing.max_by(|(_, one), (_, other)| one.failed.total_cmp(&other.failed)).map(|(index, _)| index);
            let kind = CauseKind::Dependency;
            causes.push(Attribution { kind, strength, part, of_failures: false, may_suffer: false });
        }
    }
    causes
}

/// How the added time is made up.
pub(super) fn portions(symptoms: &Symptoms) -> Vec<Portion> {
    let added = symptoms.added_seconds;
    if !added.is_finite() || added <= 0.0 || symptoms.parts.is_empty() {
        return Vec::new();
    }
    let parts = &symptoms.parts.iter().map(Part::sound).collect::<Vec<_>>();
    let claims = claims(symptoms, parts);
    let claimed: f64 = claims.iter().map(|claim| claim.amount).sum();
    let mut left = added;
    let mut portion = |kind, amount: f64| {
        let seconds = (amount / claimed.max(added) * added).min(left);
        left -= seconds;
        Portion { kind, seconds, share: seconds / added, part: dominant(parts, kind) }
    };
    let mut portions = Vec::new();
    for Claim { of, amount, queue, .. } in &claims {
        portions.extend([portion(*of, amount - queue), portion(PartKind::Pool, *queue)]);
    }
    portions.retain(|portion| portion.seconds > 0.0);
    portions.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    // No more than rounding is no part.
    if left > 1e-9 * added {
        portions.push(Portion { kind: PartKind::Unaccounted, seconds: left, share: left / added, part: None });
    }
    portions
}

/// The part that has at least half of what its kind added.
fn dominant(parts: &[Part], kind: PartKind) -> Option<usize> {
    let size = |part: &Part| (part.by_calls + part.by_duration).max(0.0);
    let believed = || parts.iter().enumerate().filter(|(_, part)| part.kind == kind && part.deviation >= MIN_DEVIATION);
    let whole: f64 = believed().map(|(_, part)| size(part)).sum();
    let most = believed().max_by(|(_, one), (_, other)| size(one).total_cmp(&size(other)));
    most.filter(|(_, part)| size(part) >= 0.5 * whole).map(|(index, _)| index)
}

/// What claims the added time, each part what no other one claims.
fn claims(symptoms: &Symptoms, parts: &[Part]) -> Vec<Claim> {
    let believed = |kind: PartKind| {
        parts.iter().enumerate().filter(move |(_, part)| part.kind == kind && part.deviation >= MIN_DEVIATION)
    };
    let sum = |kind: PartKind, size: fn(&Part) -> f64| {
        // What one of a kind has more and another one less has only moved, as under a new name.
        let net: f64 = parts.iter().filter(|part| part.kind == kind).map(size).sum();
        believed(kind).map(|(_, part)| size(part).max(0.0)).sum::<f64>().min(net.max(0.0))
    };
    let calls = |kind| sum(kind, |part| part.by_calls);
    let duration = |kind| sum(kind, |part| part.by_duration);
    let whole = |kind| sum(kind, |part| part.by_calls + part.by_duration);
    let teller = |kind| {
        let size = |part: &Part| part.by_calls + part.by_duration;
        believed(kind).max_by(|(_, one), (_, other)| size(one).total_cmp(&size(other))).map(|(index, _)| index)
    };

    let added = symptoms.added_seconds;
    let misses = calls(PartKind::CacheLoad);
    // What loads of the cache took is taken off what they consist of. These three do not overlap.
    let mut inner = misses;
    let mut take = |amount: f64| {
        let taken = amount.min(inner);
        inner -= taken;
        amount - taken
    };
    let database = take(whole(PartKind::Database));
    let pool = take(whole(PartKind::Pool));
    let downstream = take(whole(PartKind::Downstream));
    let computed = (whole(PartKind::Cpu) - misses).max(0.0);
    // Who has the processors: others do, unless the process itself has more of them.
    let by_others = symptoms.crowded_by_others && computed < MIN_SHARE * added;
    let crowd = whole(PartKind::Crowd);
    let held_up = whole(PartKind::Throttle) + if by_others { crowd } else { 0.0 };
    let late = whole(PartKind::Runtime);
    let of_database = if calls(PartKind::Database) > duration(PartKind::Database) {
        CauseKind::NPlusOne
    } else {
        CauseKind::SlowQuery
    };
    // Where there is too little CPU and all statements are slower alike, they lack it. Where it is one of them that is slower,
    // the computing may be its own, in a database within the process.
    let of_one = believed(PartKind::Database).map(|(_, part)| part.by_calls + part.by_duration).fold(0.0, f64::max);
    let apart = stands_apart(parts, teller(PartKind::Database));
    let is_alike = of_database == CauseKind::SlowQuery && apart == Some(false);
    let starved =
        computed.max(held_up).max(late) >= MIN_SHARE * added && (is_alike || of_one < 0.5 * whole(PartKind::Database));
    // Else it is not known what it would take with processors enough.
    let is_short = crowd.max(held_up) >= MIN_SHARE * added || late >= LATE * added || symptoms.surges();
    let (database, pool, cpu) = if starved {
        (0.0, 0.0, computed)
    } else {
        (database, pool, (whole(PartKind::Cpu) - misses.max(whole(PartKind::Database))).max(0.0))
    };

    // While statements take longer, connections are held longer and others wait for them.
    let (queue, pool) = if database > 0.5 * pool { (pool, 0.0) } else { (0.0, pool) };
    // Calls that are made again are more calls for each request.
    let of_calls = if symptoms.retried > 0.0 && calls(PartKind::Downstream) > duration(PartKind::Downstream) {
        CauseKind::Retries
    } else {
        CauseKind::Dependency
    };
    // Where the CPU is what there is too little of, all that is ready waits for it.
    let lacks_cpu = cpu.max(held_up) >= MIN_SHARE * added;
    let runtime = if lacks_cpu { 0.0 } else { late };
    let claim = |cause, amount, of| Claim {
        cause,
        of,
        amount,
        queue: 0.0,
        weight: 1.0,
        most: 1.0,
        part: teller(of),
        may_suffer: false,
    };
    let suffering =
        |claim, may_suffer| if may_suffer { Claim { most: WHILE_SHORT, may_suffer, ..claim } } else { claim };
    // Where requests are others than usual, they do other things more often.
    let is_mixed = symptoms.by_mix > MIN_SHARE * added;
    let mixed =
        |claim, rests_on_calls| if is_mixed && rests_on_calls { Claim { most: WHILE_MIXED, ..claim } } else { claim };
    let rests_on_calls = of_database == CauseKind::NPlusOne;
    let statements = Claim { queue, ..claim(of_database, database + queue, PartKind::Database) };
    let statements = suffering(statements, is_short && !rests_on_calls && apart != Some(true));
    let mut claims = vec![
        mixed(claim(CauseKind::Cache, misses, PartKind::CacheLoad), true),
        mixed(statements, rests_on_calls),
        suffering(claim(CauseKind::ConnectionPool, pool, PartKind::Pool), is_short),
        mixed(
            claim(of_calls, downstream, PartKind::Downstream),
            calls(PartKind::Downstream) > duration(PartKind::Downstream),
        ),
        mixed(claim(CauseKind::Cpu, cpu, PartKind::Cpu), true),
        claim(CauseKind::Runtime, runtime, PartKind::Runtime),
    ];
    // Of what is left, the machine may have its part: first the one that lasted longest.
    let measured: f64 = claims.iter().map(|claim| claim.amount).sum();
    let mut left = (added - measured).max(0.0);
    let mut of_machine = [
        (CauseKind::CpuThrottling, PartKind::Throttle, 1.0),
        (CauseKind::CpuContention, PartKind::Crowd, BY_MACHINE),
        (CauseKind::MemoryPressure, PartKind::Memory, BY_MACHINE),
        (CauseKind::DiskPressure, PartKind::Disk, BY_MACHINE),
    ]
    .map(|(cause, kind, weight)| {
        let is_own = kind == PartKind::Crowd && !by_others;
        Claim { weight, ..claim(cause, if is_own { 0.0 } else { whole(kind) }, kind) }
    });
    of_machine.sort_by(|one, other| other.amount.total_cmp(&one.amount));
    for claim in of_machine {
        let amount = claim.amount.min(left);
        left -= amount;
        claims.push(Claim { amount, ..claim });
    }
    claims
}

/// Whether the statement that tells became longer by itself: where processors are short, all do, the short ones by the larger
/// factor and the long ones by more seconds. `None` where there is no other one to compare it with.
fn stands_apart(parts: &[Part], teller: Option<usize>) -> Option<bool> {
    let one = parts.get(teller?)?;
    let factor = |part: &Part| part.each.1 / part.each.0.max(1e-12);
    let longer = |part: &Part| (part.each.1 - part.each.0).max(0.0);
    let is_other = |(index, part): &(usize, &Part)| {
        Some(*index) != teller && part.kind == PartKind::Database && part.each.0 > 0.0 && part.each.1 > 0.0
    };
    let median = |size: fn(&Part) -> f64| {
        let mut sizes: Vec<_> = parts.iter().enumerate().filter(is_other).map(|(_, part)| size(part)).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.get(sizes.len() / 2).copied()
    };
    Some(factor(one) >= APART * median(factor)? && longer(one) >= APART * median(longer)?)
}

/// Whether enough is measured for what is left to mean something: where the CPU time is not known, a service that computes
/// looks like one that waits.
fn rules_out(parts: &[Part]) -> bool {
    parts.iter().any(|part| part.kind == PartKind::Cpu)
}
