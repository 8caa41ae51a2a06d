//! Where the time, or the failures, of an incident come from, by what the service itself measures.

use serde::{Deserialize, Serialize};

/// What one measured part of the work can be blamed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// Statements of a database.
    Database,
    /// Waiting for a connection of a pool, and holding one without using it.
    Pool,
    /// Loads of a cache, which run on a miss.
    CacheLoad,
    /// Calls to other services.
    Downstream,
    /// CPU time of the process.
    Cpu,
    /// How late the runtime runs what is ready, for each request.
    Runtime,
    /// Requests under way while the container was held at its CPU limit.
    Throttle,
    /// Requests under way while other programs had the machine's processors.
    Crowd,
    /// Requests under way while something waited for memory: reclaimed, swapped, read in again.
    Memory,
    /// Requests under way while something waited for a disk.
    Disk,
}

impl PartKind {
    /// Whether it is something about the machine, which is measured by how long it lasted. Requests that were under way
    /// meanwhile may have waited for it or not, so it accounts for no more than what nothing else does.
    #[must_use]
    pub fn is_of_machine(self) -> bool {
        matches!(self, Self::Throttle | Self::Crowd | Self::Memory | Self::Disk)
    }
}

/// What one part added during the incident, beyond what as many requests needed before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Seconds added because there were more calls for each request: the additional calls, as long as calls take now. Of
    /// fewer calls the negative of what those that are missing used to take.
    pub by_calls: f64,
    /// Seconds added because each call took longer: as many calls as usual, each longer than usual.
    pub by_duration: f64,
    /// Failures added.
    pub failed: f64,
    /// The added seconds in units of what they swing by without an incident.
    pub deviation: f64,
}

impl Part {
    /// The part without what is no number, and within what can be summed up.
    fn sound(&self) -> Self {
        let sound = |value: f64| if value.is_finite() { value.clamp(-1e12, 1e12) } else { 0.0 };
        Self {
            by_calls: sound(self.by_calls),
            by_duration: sound(self.by_duration),
            failed: sound(self.failed),
            ..*self
        }
    }
}

/// What an incident looks like from inside the service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Symptoms {
    /// Seconds that the affected requests took in excess of the usual. 0 if they are not slower.
    pub added_seconds: f64,
    /// Requests that failed in excess of the usual. 0 if they do not fail.
    pub failed: f64,
    /// Requests per second during the incident, in units of the usual; 1 if they are few enough more to be chance. Not a
    /// number if unknown.
    pub traffic: f64,
    /// Calls that were made again beyond the usual. 0 if none, or if that is not counted.
    pub retried: f64,
    /// The service was started anew shortly before the onset.
    pub restarted: bool,
    /// The parts that are measured.
    pub parts: Vec<Part>,
}

/// What may be the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// Statements of the database take longer.
    SlowQuery,
    /// A statement takes longer, and the database reads what an index would have spared it. Never told by [`attribute`],
    /// which knows no plans: whoever does says so instead of [`CauseKind::SlowQuery`].
    MissingIndex,
    /// Each request asks the database more often.
    #[serde(rename = "n_plus_one")]
    NPlusOne,
    /// The pool of connections has none to give.
    ConnectionPool,
    /// The cache misses more than it did.
    Cache,
    /// Something outside is slow or fails: measured calls, or waiting that nothing measured explains.
    Dependency,
    /// The process computes more.
    Cpu,
    /// The runtime is held up: something blocks its threads.
    Runtime,
    /// Calls are made again and again.
    Retries,
    /// The container is held at its CPU limit.
    CpuThrottling,
    /// Other programs have the machine's processors.
    CpuContention,
    /// Memory is scarce: what is needed is reclaimed, swapped and read in again.
    MemoryPressure,
    /// The disk does not keep up.
    DiskPressure,
    /// More requests than usual.
    Traffic,
    /// A restart, such as a deploy.
    Deploy,
    /// The service's own code fails, and nothing that it calls.
    Errors,
}

/// A cause, and how much speaks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribution {
    /// What is the matter.
    pub kind: CauseKind,
    /// How much speaks for it, 0 to 1: the share of the added time, or of the failures, that it accounts for; less where it
    /// is found by ruling others out.
    pub strength: f64,
    /// The part that tells, as an index into [`Symptoms::parts`]; nothing if it was found by ruling others out.
    pub part: Option<usize>,
    /// It accounts for failures, not for added time.
    pub of_failures: bool,
}

/// A part is believed from this many of its usual swings.
const MIN_DEVIATION: f64 = 3.0;
/// The least share of the trouble that makes a cause worth naming.
const MIN_SHARE: f64 = 0.3;
/// How much is said for what is left when all that is measured is ruled out. Never sure: what is not measured is not known.
const BY_ELIMINATION: f64 = 0.5;
/// The same where the service was started anew shortly before: the new start is as good an explanation of what is left.
const BY_ELIMINATION_AFTER_RESTART: f64 = 0.25;
/// What speaks for a restart shortly before the onset. It is often the cause, and often the remedy of what went before.
const BY_COINCIDENCE: f64 = 0.45;
/// The most that is said for something about the machine but a limit of the container's own: whom it held up is not known.
const BY_MACHINE: f64 = 0.55;
/// As many times the usual traffic is a surge.
const SURGE: f64 = 1.5;
/// Requests that lost so many seconds each before they failed were slow until somebody gave up.
const GIVEN_UP: f64 = 0.05;

impl Symptoms {
    fn by_elimination(&self) -> f64 {
        if self.restarted { BY_ELIMINATION_AFTER_RESTART } else { BY_ELIMINATION }
    }

    fn surges(&self) -> bool {
        self.traffic.is_finite() && self.traffic >= SURGE
    }
}

/// Ranks what may be the matter, the likeliest first. Empty means unknown: nothing accounts for three tenths of it.
///
/// Parts nest: a cache that misses runs loads, loads run statements, statements of a database within the process use its
/// CPU. So what outer parts account for is taken off the inner ones: misses off the database, a statement off the CPU. A
/// wait for connections is the database's doing while statements take longer, and the pool's own while connections are
/// held without any. What no part accounts for is waiting; if anything measured accounts for a good share, waiting is taken
/// for the queue behind it.
#[must_use]
pub fn attribute(symptoms: &Symptoms) -> Vec<Attribution> {
    let mut causes = if symptoms.added_seconds > 0.0 { slowness(symptoms) } else { Vec::new() };
    let added = symptoms.added_seconds.max(0.0);
    if symptoms.failed > 0.0 && added <= symptoms.failed {
        let failures = failures(symptoms);
        if added >= GIVEN_UP * symptoms.failed && causes.iter().any(is_of_the_service) {
            // They fail because they are slow. What fails below is said beside that.
            let left = 1.0 - causes.iter().map(|cause| cause.strength).sum::<f64>();
            let beside = |cause: &Attribution| cause.part.is_some() && causes.iter().all(|slow| slow.kind != cause.kind);
            let beside: Vec<_> = failures.into_iter().filter(beside).collect();
            causes.extend(beside.into_iter().map(|cause| Attribution { strength: cause.strength * left.max(0.0), ..cause }));
        } else {
            causes = failures;
        }
    }
    let coincidence = |kind, strength| Attribution { kind, strength, part: None, of_failures: false };
    if symptoms.restarted {
        causes.push(coincidence(CauseKind::Deploy, BY_COINCIDENCE));
    }
    causes.sort_by(|one, other| other.strength.total_cmp(&one.strength));
    if symptoms.surges() {
        // More requests slow a service down by exhausting something, which is then named as well. And who gets no answer asks
        // again, so they stand behind whatever is measured.
        let strength = (1.0 - 1.0 / symptoms.traffic).clamp(0.0, BY_COINCIDENCE);
        let stands_before = |cause: &Attribution| cause.part.is_some() || cause.strength > strength;
        let place = causes.iter().rposition(stands_before).map_or(0, |last| last + 1);
        causes.insert(place, coincidence(CauseKind::Traffic, strength));
    }
    causes
}

/// Whether the service's own figures tell a cause.
fn is_of_the_service(cause: &Attribution) -> bool {
    let is_pressure =
        matches!(cause.kind, CauseKind::CpuContention | CauseKind::MemoryPressure | CauseKind::DiskPressure);
    cause.part.is_some() && !is_pressure
}

/// A claim on the added time: what it is, how much, and the part that tells.
type Claim = (CauseKind, f64, Option<usize>);

fn slowness(symptoms: &Symptoms) -> Vec<Attribution> {
    let parts = &symptoms.parts.iter().map(Part::sound).collect::<Vec<_>>();
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
    let held_up = whole(PartKind::Throttle) + if computed < MIN_SHARE * added { whole(PartKind::Crowd) } else { 0.0 };
    // Where there is too little CPU and all statements are slower alike, they lack it. Where it is one of them that is slower,
    // the computing may be its own, in a database within the process.
    let of_one = believed(PartKind::Database).map(|(_, part)| part.by_calls + part.by_duration).fold(0.0, f64::max);
    let starved = computed.max(held_up) >= MIN_SHARE * added && of_one < 0.5 * whole(PartKind::Database);
    let (database, pool, cpu) = if starved {
        (0.0, 0.0, computed)
    } else {
        (database, pool, (whole(PartKind::Cpu) - misses.max(whole(PartKind::Database))).max(0.0))
    };

    let of_database = if calls(PartKind::Database) > duration(PartKind::Database) {
        CauseKind::NPlusOne
    } else {
        CauseKind::SlowQuery
    };
    // While statements take longer, connections are held longer and others wait for them.
    let (database, pool) = if database > 0.5 * pool { (database + pool, 0.0) } else { (database, pool) };
    // Calls that are made again are more calls for each request.
    let of_calls = if symptoms.retried > 0.0 && calls(PartKind::Downstream) > duration(PartKind::Downstream) {
        CauseKind::Retries
    } else {
        CauseKind::Dependency
    };
    // Where the CPU is what there is too little of, all that is ready waits for it.
    let lacks_cpu = cpu.max(held_up) >= MIN_SHARE * added;
    let runtime = if lacks_cpu { 0.0 } else { whole(PartKind::Runtime) };
    let mut claims = vec![
        (CauseKind::Cache, misses, teller(PartKind::CacheLoad)),
        (of_database, database, teller(PartKind::Database)),
        (CauseKind::ConnectionPool, pool, teller(PartKind::Pool)),
        (of_calls, downstream, teller(PartKind::Downstream)),
        (CauseKind::Cpu, cpu, teller(PartKind::Cpu)),
        (CauseKind::Runtime, runtime, teller(PartKind::Runtime)),
    ];
    // Of what is left, the machine may have its part: first the one that lasted longest.
    let measured: f64 = claims.iter().map(|(_, seconds, _)| seconds).sum();
    let mut left = (added - measured).max(0.0);
    let mut of_machine = [
        (CauseKind::CpuThrottling, PartKind::Throttle, 1.0),
        (CauseKind::CpuContention, PartKind::Crowd, BY_MACHINE),
        (CauseKind::MemoryPressure, PartKind::Memory, BY_MACHINE),
        (CauseKind::DiskPressure, PartKind::Disk, BY_MACHINE),
    ]
    .map(|(cause, kind, most)| {
        let is_own = kind == PartKind::Crowd && computed >= MIN_SHARE * added;
        (cause, if is_own { 0.0 } else { whole(kind) }, teller(kind), most)
    });
    of_machine.sort_by(|(_, one, ..), (_, other, ..)| other.total_cmp(one));
    for (cause, seconds, teller, most) in of_machine {
        let claim = seconds.min(left);
        left -= claim;
        claims.push((cause, claim * most, teller));
    }
    let mut causes = named(&claims, added);
    if causes.is_empty() && rules_out(parts) {
        let accounted: f64 = claims.iter().map(|(_, seconds, _)| seconds).sum();
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
            causes.push(Attribution { kind: CauseKind::Dependency, strength, part, of_failures: false });
        }
    }
    causes
}

fn failures(symptoms: &Symptoms) -> Vec<Attribution> {
    let sound = symptoms.parts.iter().map(Part::sound).collect::<Vec<_>>();
    let of = |kind: PartKind, cause: CauseKind| -> Claim {
        let parts = || sound.iter().enumerate().filter(|(_, part)| part.kind == kind && part.failed > 0.0);
        let teller = parts().max_by(|(_, one), (_, other)| one.failed.total_cmp(&other.failed)).map(|(index, _)| index);
        // One call may be counted by its client and again by what retries it: the largest of them, not their sum.
        (cause, parts().map(|(_, part)| part.failed).fold(0.0, f64::max), teller)
    };
    let mut causes = named(
        &[
            of(PartKind::Pool, CauseKind::ConnectionPool),
            of(PartKind::Downstream, CauseKind::Dependency),
            // Statements that fail are a database that fails, not one that is slow.
            of(PartKind::Database, CauseKind::Dependency),
        ],
        symptoms.failed,
    );
    if causes.is_empty() {
        // Calls that are not measured are part of the code here: their failures surface in it.
        causes.push(Attribution {
            kind: CauseKind::Errors,
            strength: symptoms.by_elimination(),
            part: None,
            of_failures: false,
        });
    }
    causes.iter_mut().for_each(|cause| cause.of_failures = true);
    causes
}

/// The claims that are worth naming, as shares of the whole. Parts that overlap may add up to more than it: then as shares of
/// what they add up to.
fn named(claims: &[Claim], whole: f64) -> Vec<Attribution> {
    let whole = whole.max(claims.iter().map(|(_, claim, _)| claim).sum());
    let shares = claims.iter().map(|(kind, claim, part)| (*kind, claim / whole, *part));
    shares
        .filter(|(_, share, _)| *share >= MIN_SHARE)
        .map(|(kind, share, part)| Attribution { kind, strength: share.clamp(0.0, 1.0), part, of_failures: false })
        .collect()
}

/// Whether enough is measured for what is left to mean something: where the CPU time is not known, a service that computes
/// looks like one that waits.
fn rules_out(parts: &[Part]) -> bool {
    parts.iter().any(|part| part.kind == PartKind::Cpu)
}

#[cfg(test)]
mod tests;
