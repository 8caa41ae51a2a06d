//! What the machine and the container do to a service: how long they hold things up, not whom.

use outrigger_detect::{Part, PartKind};

use super::meter::{Key, Measure};
use super::reading::Sums;
use super::usual::Usual;
use crate::collect::strain::Strain;

/// Something that is so for this much more of the time than usual stands for three of its swings.
const LEAST_MORE: f64 = 0.1;
/// Other programs are to blame for a lack of processors if they have taken as much of one more than usual.
const MORE_PROCESSORS: f64 = 0.3;

/// What came on from one reading to the next, in seconds.
pub(super) fn since(before: &Strain, now: &Strain) -> impl Iterator<Item = (Key, f64)> {
    let one = |measure, name: &str, before: Option<f64>, now: Option<f64>| {
        let seconds = now? - before?;
        // Another container counts from nought.
        (seconds.is_finite() && seconds >= 0.0).then(|| (Key { measure, name: name.into() }, seconds))
    };
    let part = Measure::Part;
    [
        one(part(PartKind::Throttle), "the CPU limit", before.throttled, now.throttled),
        one(part(PartKind::Crowd), "other programs", before.cpu, now.cpu),
        one(part(PartKind::Memory), "memory", before.memory, now.memory),
        one(part(PartKind::Disk), "disks", before.disk, now.disk),
        one(Measure::Busy, "", before.busy, now.busy),
    ]
    .into_iter()
    .flatten()
}

/// What one of them may be blamed for: requests that were under way for so many seconds together (`spent`) may have been held
/// up for as much more of them as it lasted.
pub(super) fn part(kind: PartKind, (usual, now): (f64, f64), swing: f64, spent: f64) -> Part {
    let more = (now - usual).clamp(0.0, 1.0);
    let deviation = 3.0 * more / LEAST_MORE.max(3.0 * swing);
    Part { kind, by_calls: 0.0, by_duration: more * spent.max(0.0), failed: 0.0, deviation, each: (0.0, 0.0) }
}

/// Processors that other programs of the machine use, before and during.
pub(super) fn others(keys: &[(usize, &Key)], usual: &Usual, during: &Sums) -> (f64, f64) {
    let of = |measure| {
        let of = keys.iter().filter(move |(_, key)| key.measure == measure);
        let shares = of.map(|(id, _)| usual.share(*id, during));
        shares.fold((0.0, 0.0), |(before, now), share| (before + share.0, now + share.1))
    };
    let (all, own) = (of(Measure::Busy), of(Measure::Part(PartKind::Cpu)));
    ((all.0 - own.0).max(0.0), (all.1 - own.1).max(0.0))
}

/// Whether other programs take more of the processors than usual. Where the service does not tell its own share, it may be
/// the service.
pub(super) fn is_crowded(keys: &[(usize, &Key)], usual: &Usual, during: &Sums) -> bool {
    let tells =
        |(id, key): &(usize, &Key)| key.measure == Measure::Part(PartKind::Cpu) && during.amount(*id).seconds > 0.0;
    let (before, now) = others(keys, usual, during);
    now - before >= MORE_PROCESSORS && keys.iter().any(tells)
}
