//! Which component of a call graph makes another one slow, or fail.

use std::cmp::Ordering;

mod ledger;
#[cfg(test)]
mod tests;

pub use ledger::{Attribution, CauseKind, Part, PartKind, Portion, Symptoms, attribute, decompose};

/// One interval of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observation {
    /// Requests that the component answered. Not a number, or negative: none.
    pub requests: f64,
    /// What one of them cost on average: seconds for latency, the share that failed (0 to 1) for errors. Not a number: not
    /// known.
    pub cost: f64,
}

/// A service, database or other dependency, and whom it calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Component {
    /// Indices of the components that this one calls. Itself, and indices of nobody, are passed over.
    pub callees: Vec<usize>,
    /// Intervals of normal operation, in any order.
    pub before: Vec<Observation>,
    /// Intervals of the incident, the same ones in the same order for all components.
    pub during: Vec<Observation>,
}

/// A component and what it has to do with the incident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspect {
    /// Index of the component.
    pub component: usize,
    /// What its requests cost together in excess of the usual, per interval of the incident: seconds, or failed requests.
    pub added: f64,
    /// The part of `added` that is not explained by what its callees added: never negative.
    pub own: f64,
    /// `added`, in units of the swings that the component shows in normal operation.
    pub deviation: f64,
    /// Whether the component that complains calls it, directly or through others, or is it.
    pub reachable: bool,
}

// Three thresholds. On the 26 cases of PetShop's that they were looked at with (Hardt et al. 2023, arXiv 2311.04806), 0.3 to
// 0.7, 0.1 to 0.4 and 0 to 3 give the same answers.

/// An interval belongs to the incident when the target deviates at least by this share of its worst deviation.
const DURING: f64 = 0.5;
/// An interval of the incident's window in which the target deviates by no more than this shows how the others are without
/// it.
const CALM: f64 = 0.25;
/// What a component adds counts from this many of its own swings.
const MIN_DEVIATION: f64 = 2.0;

/// Ranks the components by how likely they are the cause of what `target` complains of, the most suspicious first.
/// Components of which nothing is known are left out.
///
/// Time and failures add up along calls: while a callee is slow its callers wait, so what the callers add in sum is no more
/// than what it adds. What a component adds beyond its callees is its own, and the component with the most of it is the
/// cause. Averages times requests are compared, not deviations in units of noise: a database of little noise that became
/// slower by one millisecond is significant, and explains nothing of a second. A component that is as slow in the intervals
/// in which the target is well is not the cause either.
///
/// An incident whose callees answer slowly after their caller has given up (asynchronous work) adds nothing to the caller,
/// and is ranked by what it adds itself.
///
/// ```
/// use outrigger_detect::{Component, Observation, rank_components};
///
/// let figures = |cost| vec![Observation { requests: 100.0, cost }; 20];
/// let shop = Component { callees: vec![1, 2], before: figures(0.05), during: figures(0.25) };
/// let stock = Component { callees: vec![2], before: figures(0.01), during: figures(0.011) };
/// let database = Component { callees: vec![], before: figures(0.005), during: figures(0.2) };
/// assert_eq!(rank_components(&[shop, stock, database], 0)[0].component, 2);
/// ```
#[must_use]
pub fn rank_components(components: &[Component], target: usize) -> Vec<Suspect> {
    let rows = components.iter().map(|component| component.during.len()).max().unwrap_or(0);
    let phases = components.get(target).and_then(phases).unwrap_or_else(|| vec![Phase::During; rows]);
    let losses: Vec<_> = components.iter().map(|component| loss(component, &phases)).collect();
    let reachable = reachable(components, target);
    let added = |index: usize| losses.get(index).copied().flatten().map_or(0.0, |loss| loss.added.max(0.0));
    let mut suspects: Vec<_> = components
        .iter()
        .enumerate()
        .filter_map(|(index, component)| {
            let Loss { added: mine, deviation } = losses.get(index).copied().flatten()?;
            let theirs: f64 =
                component.callees.iter().filter(|callee| **callee != index).map(|callee| added(*callee)).sum();
            let own = if deviation >= MIN_DEVIATION { (mine - theirs).max(0.0) } else { 0.0 };
            let reachable = reachable.get(index).copied().unwrap_or(false);
            Some(Suspect { component: index, added: mine, own, deviation, reachable })
        })
        .collect();
    suspects.sort_by(|one, other| {
        let first = other.reachable.cmp(&one.reachable).then(descending(one.own, other.own));
        first.then(descending(one.deviation, other.deviation)).then(one.component.cmp(&other.component))
    });
    suspects
}

fn descending(one: f64, other: f64) -> Ordering {
    other.total_cmp(&one)
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Calm,
    Between,
    During,
}

/// How the target fares in each interval; nothing if it does not deviate in any.
fn phases(target: &Component) -> Option<Vec<Phase>> {
    let usual = Usual::of(&target.before)?;
    let deviations: Vec<_> =
        target.during.iter().map(|row| if row.cost.is_finite() { row.cost - usual.middle } else { 0.0 }).collect();
    let worst = deviations.iter().copied().fold(0.0, f64::max);
    let phase = |deviation: f64| match deviation / worst {
        share if share >= DURING => Phase::During,
        share if share < CALM => Phase::Calm,
        _ => Phase::Between,
    };
    (worst > 0.0 && worst.is_finite()).then(|| deviations.into_iter().map(phase).collect())
}

#[derive(Clone, Copy)]
struct Loss {
    added: f64,
    deviation: f64,
}

/// What a component adds per interval of the incident; nothing if too little is known of it.
fn loss(component: &Component, phases: &[Phase]) -> Option<Loss> {
    let usual = Usual::of(&component.before)?;
    let rows = || component.during.iter().zip(phases);
    let mut calm: Vec<_> =
        rows().filter(|(row, phase)| **phase == Phase::Calm && row.cost.is_finite()).map(|(row, _)| row.cost).collect();
    calm.sort_by(f64::total_cmp);
    let reference = quantile(&calm, 0.5).map_or(usual.middle, |calm| calm.max(usual.middle));
    let (mut intervals, mut requests, mut added) = (0.0, 0.0, 0.0);
    let mut known = false;
    for (row, _) in rows().filter(|(_, phase)| **phase == Phase::During) {
        intervals += 1.0;
        if row.cost.is_finite() && row.requests.is_finite() && row.requests >= 0.0 {
            known = true;
            requests += row.requests;
            added += row.requests * (row.cost - reference);
        }
    }
    if !known {
        return None;
    }
    // A component without any noise deviates by whatever it adds; the floor only keeps the figure finite.
    let swing = (requests * usual.swing).max(1e-9);
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    Some(Loss { added: finite(added / intervals), deviation: finite(added / swing) })
}

/// What a cost usually is, and how much it swings.
struct Usual {
    middle: f64,
    swing: f64,
}

impl Usual {
    fn of(rows: &[Observation]) -> Option<Self> {
        let mut costs: Vec<_> = rows.iter().map(|row| row.cost).filter(|cost| cost.is_finite()).collect();
        costs.sort_by(f64::total_cmp);
        let middle = quantile(&costs, 0.5)?;
        let (low, high) = (quantile(&costs, 0.01)?, quantile(&costs, 0.99)?);
        let mut distances: Vec<_> = costs.iter().map(|cost| (cost - middle).abs()).collect();
        distances.sort_by(f64::total_cmp);
        // 1.4826 median distances, and a quarter of what all but the extremes span, are each about one standard deviation
        // of a normal distribution (the latter is a bit more); the larger one counts, for costs have long tails.
        let swing = (1.4826 * quantile(&distances, 0.5)?).max(0.25 * (high - low));
        Some(Self { middle, swing })
    }
}

/// Of ascending values, interpolated between the two nearest.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let place = q * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(low + (high - low) * place.fract())
}

/// Which components the target calls, directly or through others, itself included.
fn reachable(components: &[Component], target: usize) -> Vec<bool> {
    let mut seen = vec![false; components.len()];
    let mut open = vec![target];
    while let Some(index) = open.pop() {
        let (Some(component), Some(seen)) = (components.get(index), seen.get_mut(index)) else { continue };
        if !std::mem::replace(seen, true) {
            open.extend(&component.callees);
        }
    }
    seen
}
