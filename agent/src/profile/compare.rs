//! Two profiles side by side, by stack: one from before, or several that are taken together, and one from during.

use std::collections::{BTreeMap, HashMap};

use super::pprof::Pprof;

/// The most stacks that are held against each other; the lightest go first.
const MAX_STACKS: usize = 20_000;

/// CPU time before and during, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pair {
    pub(crate) before: f64,
    pub(crate) during: f64,
}

impl Pair {
    pub(crate) fn add(&mut self, other: Self) {
        self.before += other.before;
        self.during += other.during;
    }
}

/// Stacks with the CPU time that each took before and during.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) names: Vec<String>,
    /// From the root to the leaf, by the places of their names.
    pub(crate) stacks: BTreeMap<Vec<u32>, Pair>,
    /// How long the profiles were taken over.
    pub(crate) seconds: Pair,
    /// CPU time that a sample stands for, in nanoseconds.
    pub(crate) period: Pair,
    /// CPU time of all stacks, also of those that are too many to be held.
    used: Pair,
    numbers: HashMap<String, u32>,
}

/// What a sample stands for where a profile does not say: a hundred each second, which is what most profilers take.
const USUAL_PERIOD: f64 = 1e7;

impl Comparison {
    /// Holds a profile against earlier ones; there may be none.
    pub(crate) fn new(before: &[Pprof], during: &Pprof) -> Self {
        let mut comparison = Self::default();
        for profile in before {
            comparison.add(profile, |nanos| Pair { before: nanos, during: 0.0 });
        }
        comparison.add(during, |nanos| Pair { before: 0.0, during: nanos });
        comparison.shrink();
        comparison
    }

    /// There is something to compare with.
    pub(crate) fn has_before(&self) -> bool {
        self.seconds.before > 0.0
    }

    /// Processors in use, before and during.
    pub(crate) fn processors(&self) -> (Option<f64>, f64) {
        self.rates(self.used)
    }

    /// CPU time as processors in use: seconds of it in each second.
    pub(crate) fn rates(&self, pair: Pair) -> (Option<f64>, f64) {
        let rate = |nanos: f64, seconds: f64| nanos / 1e9 / seconds;
        let before = self.has_before().then(|| rate(pair.before, self.seconds.before));
        (before, rate(pair.during, self.seconds.during))
    }

    fn add(&mut self, profile: &Pprof, side: impl Fn(f64) -> Pair) {
        self.seconds.add(side(profile.seconds));
        let period = if profile.period > 0 { profile.period as f64 } else { USUAL_PERIOD };
        let period = side(period);
        self.period =
            Pair { before: self.period.before.max(period.before), during: self.period.during.max(period.during) };
        let numbers: Vec<u32> = profile.names.iter().map(|name| self.number(name)).collect();
        for (stack, nanos) in &profile.stacks {
            let stack = stack.iter().filter_map(|at| numbers.get(*at as usize)).copied().collect();
            let time = side(*nanos as f64);
            self.used.add(time);
            self.stacks.entry(stack).or_default().add(time);
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn shrink(&mut self) {
        if self.stacks.len() <= MAX_STACKS {
            return;
        }
        let weight = |pair: &Pair| pair.before.max(pair.during);
        let mut stacks: Vec<_> = std::mem::take(&mut self.stacks).into_iter().collect();
        // Stable: of those that weigh alike, such as a sample each, the first by name stay.
        stacks.sort_by(|a, b| weight(&b.1).total_cmp(&weight(&a.1)));
        stacks.truncate(MAX_STACKS);
        self.stacks = stacks.into_iter().collect();
    }
}
