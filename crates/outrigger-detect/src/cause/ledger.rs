//! Where the time, or the failures, of an incident come from, by what the service itself measures.

use serde::{Deserialize, Serialize};

/// What one measured part of the work can be blamed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
}

/// What one part added during the incident, beyond what as many requests needed before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Seconds added because there were more calls for each request: the additional calls, as long as calls take now.
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
    /// Requests per second during the incident, in units of the usual. Not a number if unknown.
    pub traffic: f64,
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
/// As many times the usual traffic is a surge.
const SURGE: f64 = 1.5;

impl Symptoms {
    fn by_elimination(&self) -> f64 {
        if self.restarted { BY_ELIMINATION_AFTER_RESTART } else { BY_ELIMINATION }
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
    if symptoms.failed > 0.0 && symptoms.added_seconds.max(0.0) <= symptoms.failed {
        causes = failures(symptoms);
    }
    if symptoms.restarted {
        causes.push(Attribution { kind: CauseKind::Deploy, strength: BY_COINCIDENCE, part: None });
    }
    // More requests slow a service down by exhausting something, which is then named as well.
    if symptoms.traffic.is_finite() && symptoms.traffic >= SURGE {
        let strength = (1.0 - 1.0 / symptoms.traffic).clamp(0.0, 1.0);
        causes.push(Attribution { kind: CauseKind::Traffic, strength, part: None });
    }
    causes.sort_by(|one, other| other.strength.total_cmp(&one.strength));
    causes
}

/// A claim on the added time: what it is, how much, and the part that tells.
type Claim = (CauseKind, f64, Option<usize>);

fn slowness(symptoms: &Symptoms) -> Vec<Attribution> {
    let parts = &symptoms.parts.iter().map(Part::sound).collect::<Vec<_>>();
    let believed = |kind: PartKind| {
        parts.iter().enumerate().filter(move |(_, part)| part.kind == kind && part.deviation >= MIN_DEVIATION)
    };
    let calls = |kind| believed(kind).map(|(_, part)| part.by_calls.max(0.0)).sum::<f64>();
    let duration = |kind| believed(kind).map(|(_, part)| part.by_duration.max(0.0)).sum::<f64>();
    let whole = |kind| believed(kind).map(|(_, part)| (part.by_calls + part.by_duration).max(0.0)).sum::<f64>();
    let teller = |kind| {
        let size = |part: &Part| part.by_calls + part.by_duration;
        believed(kind).max_by(|(_, one), (_, other)| size(one).total_cmp(&size(other))).map(|(index, _)| index)
    };

    let misses = calls(PartKind::CacheLoad);
    let mut inner = misses;
    let mut take = |amount: f64| {
        let taken = amount.min(inner);
        inner -= taken;
        amount - taken
    };
    let database = take(whole(PartKind::Database));
    let pool = take(whole(PartKind::Pool));
    let downstream = take(whole(PartKind::Downstream));
    let computed = take(whole(PartKind::Cpu));
    let runtime = whole(PartKind::Runtime);
    // Where the process computes more and all statements are slower alike, they lack the CPU. Where it is one of them that
    // is slower, the computing may be its own, in a database within the process.
    let of_one = believed(PartKind::Database).map(|(_, part)| part.by_calls + part.by_duration).fold(0.0, f64::max);
    let starved = computed >= MIN_SHARE * symptoms.added_seconds && of_one < 0.5 * whole(PartKind::Database);
    let (database, pool, cpu) =
        if starved { (0.0, 0.0, computed) } else { (database, pool, (computed - database).max(0.0)) };

    let more = calls(PartKind::Database);
    let (kind, of_database) = if more > duration(PartKind::Database) {
        (CauseKind::NPlusOne, database)
    } else {
        (CauseKind::SlowQuery, database)
    };
    // While statements take longer, connections are held longer and others wait for them.
    let (of_database, pool) = if of_database > 0.5 * pool { (of_database + pool, 0.0) } else { (of_database, pool) };
    let claims: [Claim; 6] = [
        (CauseKind::Cache, misses, teller(PartKind::CacheLoad)),
        (kind, of_database, teller(PartKind::Database)),
        (CauseKind::ConnectionPool, pool, teller(PartKind::Pool)),
        (CauseKind::Dependency, downstream, teller(PartKind::Downstream)),
        (CauseKind::Cpu, cpu, teller(PartKind::Cpu)),
        // Where the CPU is what there is too little of, all that is ready waits for it.
        (
            CauseKind::Runtime,
            if cpu >= MIN_SHARE * symptoms.added_seconds { 0.0 } else { runtime },
            teller(PartKind::Runtime),
        ),
    ];
    let mut causes = named(&claims, symptoms.added_seconds);
    if causes.is_empty() && rules_out(parts) {
        let accounted: f64 = claims.iter().map(|(_, seconds, _)| seconds).sum();
        // What swings too much to be believed may still be it.
        let doubtful = |kind| {
            let of = parts.iter().filter(|part| part.kind == kind);
            of.map(|part| (part.by_calls + part.by_duration).max(0.0)).sum::<f64>()
        };
        let accounted = parts.iter().map(|part| doubtful(part.kind)).fold(accounted, f64::max);
        let waiting = (1.0 - accounted / symptoms.added_seconds).clamp(0.0, 1.0);
        // Many things that each account for a bit leave it unknown.
        if waiting >= 0.5 {
            let strength = symptoms.by_elimination() * waiting;
            causes.push(Attribution { kind: CauseKind::Dependency, strength, part: None });
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
        causes.push(Attribution { kind: CauseKind::Errors, strength: symptoms.by_elimination(), part: None });
    }
    causes
}

/// The claims that are worth naming, as shares of the whole.
fn named(claims: &[Claim], whole: f64) -> Vec<Attribution> {
    let shares = claims.iter().map(|(kind, claim, part)| (*kind, claim / whole, *part));
    shares
        .filter(|(_, share, _)| *share >= MIN_SHARE)
        .map(|(kind, share, part)| Attribution { kind, strength: share.clamp(0.0, 1.0), part })
        .collect()
}

/// Whether enough is measured for what is left to mean something: where the CPU time is not known, a service that computes
/// looks like one that waits.
fn rules_out(parts: &[Part]) -> bool {
    parts.iter().any(|part| part.kind == PartKind::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn part(kind: PartKind, by_calls: f64, by_duration: f64) -> Part {
        Part { kind, by_calls, by_duration, failed: 0.0, deviation: 10.0 }
    }

    fn first(added_seconds: f64, parts: &[Part]) -> Option<CauseKind> {
        let symptoms = Symptoms { added_seconds, parts: parts.to_vec(), traffic: 1.0, ..Symptoms::default() };
        attribute(&symptoms).first().map(|cause| cause.kind)
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

    proptest! {
        #[test]
        fn strengths_are_shares_whatever_goes_in(
            figures in vec((0_usize..6, any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>()), 0..8),
            added_seconds in any::<f64>(), failed in any::<f64>(), traffic in any::<f64>(), restarted: bool,
        ) {
            use PartKind::{CacheLoad, Cpu, Database, Downstream, Pool, Runtime};
            let kinds = [Database, Pool, CacheLoad, Downstream, Cpu, Runtime];
            let parts: Vec<_> = figures
                .iter()
                .map(|(kind, by_calls, by_duration, failed, deviation)| Part {
                    kind: kinds[*kind], by_calls: *by_calls, by_duration: *by_duration, failed: *failed, deviation: *deviation,
                })
                .collect();
            let count = parts.len();
            for cause in attribute(&Symptoms { added_seconds, failed, traffic, restarted, parts }) {
                prop_assert!((0.0..=1.0).contains(&cause.strength), "{:?}", cause);
                prop_assert!(cause.part.is_none_or(|part| part < count));
            }
        }
    }
}
