//! Where the time, or the failures, of an incident come from, by what the service itself measures.

use serde::{Deserialize, Serialize};

mod slow;

use slow::slowness;

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
    /// Requests under way while something waited for a processor.
    Crowd,
    /// Requests under way while something waited for memory: reclaimed, swapped, read in again.
    Memory,
    /// Requests under way while something waited for a disk.
    Disk,
    /// What nothing that is measured accounts for: told by [`decompose`], never measured.
    Unaccounted,
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
    /// Seconds that one call takes, usually and now; 0 if there are none.
    pub each: (f64, f64),
}

impl Part {
    /// The part without what is no number, and within what can be summed up.
    fn sound(&self) -> Self {
        let sound = |value: f64| if value.is_finite() { value.clamp(-1e12, 1e12) } else { 0.0 };
        Self {
            by_calls: sound(self.by_calls),
            by_duration: sound(self.by_duration),
            failed: sound(self.failed),
            each: (sound(self.each.0).max(0.0), sound(self.each.1).max(0.0)),
            ..*self
        }
    }
}

/// What an incident looks like from inside the service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Symptoms {
    /// Seconds that the affected requests took in excess of the usual. 0 if they are not slower.
    pub added_seconds: f64,
    /// Seconds that they took in excess only because more of them were of routes that always take long. Not part of
    /// `added_seconds`. 0 if unknown.
    pub by_mix: f64,
    /// Requests that failed in excess of the usual. 0 if they do not fail.
    pub failed: f64,
    /// Requests per second during the incident, in units of the usual; 1 if they are few enough more to be chance. Not a
    /// number if unknown.
    pub traffic: f64,
    /// Calls that were made again beyond the usual. 0 if none, or if that is not counted.
    pub retried: f64,
    /// The service was started anew shortly before the onset.
    pub restarted: bool,
    /// Other programs have more of the processors than usual: it is they that a [`PartKind::Crowd`] waits for. Otherwise it
    /// waits for the service's own threads.
    pub crowded_by_others: bool,
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
    /// It may as well suffer itself: it takes longer while processors are short, while there is a surge of requests, or while
    /// the runtime is late.
    pub may_suffer: bool,
}

/// What one kind of part took of the added time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Portion {
    /// What it is.
    pub kind: PartKind,
    /// How much it took.
    pub seconds: f64,
    /// The same as a share of the added time, 0 to 1.
    pub share: f64,
    /// The part that has most of it, as an index into [`Symptoms::parts`]; nothing if several share it.
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
/// The most that is said for something about the machine but a limit of the container's own: whom it held up is not known.
const BY_MACHINE: f64 = 0.55;
/// The most that is said for what takes longer while processors are short: that would take longer anyway.
const WHILE_SHORT: f64 = 0.55;
/// The most that is said for what each request does more often while the requests are others than usual.
const WHILE_MIXED: f64 = 0.5;
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
        if added >= GIVEN_UP * symptoms.failed && causes.iter().any(|cause| is_measured(cause, &symptoms.parts)) {
            // They fail because they are slow. What fails below is said beside that.
            let left = 1.0 - causes.iter().map(|cause| cause.strength).sum::<f64>();
            let beside =
                |cause: &Attribution| cause.part.is_some() && causes.iter().all(|slow| slow.kind != cause.kind);
            let beside: Vec<_> = failures.into_iter().filter(beside).collect();
            causes.extend(
                beside.into_iter().map(|cause| Attribution { strength: cause.strength * left.max(0.0), ..cause }),
            );
        } else {
            causes = failures;
        }
    }
    let coincidence =
        |kind, strength| Attribution { kind, strength, part: None, of_failures: false, may_suffer: false };
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

/// How the added time is made up: what each kind of part accounts for, the most first, and what none does as
/// [`PartKind::Unaccounted`] behind it. Together they are the added time. Empty if there is none, or if nothing is measured.
#[must_use]
pub fn decompose(symptoms: &Symptoms) -> Vec<Portion> {
    slow::portions(symptoms)
}

/// Whether a cause was measured to take time of the service's own.
fn is_measured(cause: &Attribution, parts: &[Part]) -> bool {
    let part = cause.part.and_then(|part| parts.get(part));
    part.is_some_and(|part| part.deviation >= MIN_DEVIATION && !part.kind.is_of_machine())
}

fn failures(symptoms: &Symptoms) -> Vec<Attribution> {
    let sound = symptoms.parts.iter().map(Part::sound).collect::<Vec<_>>();
    let of = |kind: PartKind, cause: CauseKind| {
        let parts = || sound.iter().enumerate().filter(|(_, part)| part.kind == kind && part.failed > 0.0);
        let teller = parts().max_by(|(_, one), (_, other)| one.failed.total_cmp(&other.failed)).map(|(index, _)| index);
        // One call may be counted by its client and again by what retries it: the largest of them, not their sum.
        let amount = parts().map(|(_, part)| part.failed).fold(0.0, f64::max);
        Claim { cause, of: kind, amount, queue: 0.0, weight: 1.0, most: 1.0, part: teller, may_suffer: false }
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
            of_failures: true,
            may_suffer: false,
        });
    }
    causes.iter_mut().for_each(|cause| cause.of_failures = true);
    causes
}

/// A cause that claims so much of the added time, or of the failures.
struct Claim {
    cause: CauseKind,
    of: PartKind,
    amount: f64,
    /// What of it is waiting for a connection meanwhile.
    queue: f64,
    /// What is said for it if it claims all.
    weight: f64,
    /// The most that is said for it.
    most: f64,
    /// The part that tells.
    part: Option<usize>,
    may_suffer: bool,
}

/// The claims that are worth naming, as shares of the whole. Parts that overlap may add up to more than it: then as shares of
/// what they add up to.
fn named(claims: &[Claim], whole: f64) -> Vec<Attribution> {
    let whole = whole.max(claims.iter().map(|claim| claim.amount).sum());
    let strength = |claim: &Claim| claim.amount / whole * claim.weight;
    let worth = claims.iter().filter(|claim| strength(claim) >= MIN_SHARE);
    worth
        .map(|claim| Attribution {
            kind: claim.cause,
            strength: strength(claim).clamp(0.0, claim.most),
            part: claim.part,
            of_failures: false,
            may_suffer: claim.may_suffer,
        })
        .collect()
}

#[cfg(test)]
mod tests;
