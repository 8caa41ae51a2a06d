//! Which fault, where, how strong and when: drawn from a seed, so that a run can be repeated.

use crate::sh::Result;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The routes of the shop that carry enough traffic in the demo to be judged within a minute.
const BUSY_ROUTES: &[&str] = &["/products", "/products/{id}", "/search", "/cart/items", "/orders"];

/// What can be drawn for one kind of fault.
struct Kind {
    name: &'static str,
    routes: &'static [&'static str],
    /// Percent of the route's requests.
    share: RangeInclusive<u32>,
    strength_ms: RangeInclusive<u32>,
}

const KINDS: &[Kind] = &[
    Kind { name: "slow-dependency", routes: BUSY_ROUTES, share: 30..=90, strength_ms: 150..=600 },
    Kind { name: "errors", routes: BUSY_ROUTES, share: 25..=60, strength_ms: 1..=1 },
    Kind { name: "pool-starvation", routes: &["/products", "/search"], share: 60..=95, strength_ms: 300..=700 },
    // Only the product page reads through the cache.
    Kind { name: "cache-flush", routes: &["/products/{id}"], share: 80..=100, strength_ms: 1..=1 },
    // Not the busiest route: the machine's other core is for everybody else.
    Kind { name: "cpu-burn", routes: &["/search", "/orders"], share: 40..=80, strength_ms: 80..=160 },
];

/// One fault, ready to be switched on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) route: &'static str,
    pub(crate) share: f64,
    pub(crate) strength_ms: u32,
    /// How long after the warm-up it begins.
    pub(crate) after: Duration,
}

impl Fault {
    /// Draws a fault; `wanted` fixes its kind, or asks for `none`.
    pub(crate) fn draw(seed: u64, wanted: Option<&str>) -> Result<Option<Self>> {
        let mut random = fastrand::Rng::with_seed(seed);
        // Always drawn, so that naming the kind that a seed would draw changes nothing else.
        let drawn = &KINDS[random.usize(..KINDS.len())];
        let kind = match wanted {
            None => drawn,
            Some("none") => return Ok(None),
            Some(name) => KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| unknown(name))?,
        };
        Ok(Some(Self {
            name: kind.name,
            route: kind.routes[random.usize(..kind.routes.len())],
            share: f64::from(random.u32(kind.share.clone())) / 100.0,
            strength_ms: random.u32(kind.strength_ms.clone()),
            after: Duration::from_secs(random.u64(5..=20)),
        }))
    }

    /// A weak and a strong fault of each kind, in an order of the seed's: each with share and strength from the lowest, or
    /// the highest, quarter of what can be drawn.
    pub(crate) fn ten(seed: u64) -> Vec<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut faults = Vec::new();
        for kind in KINDS {
            for is_strong in [false, true] {
                let mut draw = |range: &RangeInclusive<u32>| {
                    let (low, high) = (*range.start(), *range.end());
                    let quarter = (high - low) / 4;
                    if is_strong { random.u32(high - quarter..=high) } else { random.u32(low..=low + quarter) }
                };
                let (share, strength_ms) = (f64::from(draw(&kind.share)) / 100.0, draw(&kind.strength_ms));
                let route = kind.routes[random.usize(..kind.routes.len())];
                let after = Duration::from_secs(random.u64(15..=25));
                faults.push(Self { name: kind.name, route, share, strength_ms, after });
            }
        }
        random.shuffle(&mut faults);
        faults
    }

    /// The cause that the agent should name for it.
    pub(crate) fn cause(&self) -> &'static str {
        match self.name {
            "slow-dependency" => "dependency",
            "errors" => "errors",
            "pool-starvation" => "connection_pool",
            "cache-flush" => "cache",
            _ => "cpu",
        }
    }

    /// In words, for the screen.
    pub(crate) fn describe(&self) -> String {
        let share = (self.share * 100.0).round();
        let Self { route, strength_ms, .. } = self;
        match self.name {
            "slow-dependency" => format!("slow dependency: {share} % of {route} wait {strength_ms} ms longer"),
            "errors" => format!("errors: {share} % of {route} fail with status 500"),
            "pool-starvation" => {
                format!("pool starvation: {share} % of {route} hold a database connection for {strength_ms} ms")
            }
            "cache-flush" => format!("cache flush: {share} % of {route} find the cache emptied"),
            _ => format!("CPU burn: {share} % of {route} compute for {strength_ms} ms"),
        }
    }
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    format!("there is no fault {name:?}; --fault takes {} or none", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_fault_twice_and_seeds_differ() {
        let draw = |seed| Fault::draw(seed, None).unwrap().unwrap();
        assert_eq!(draw(7), draw(7));
        let kinds: std::collections::HashSet<&str> = (0..100).map(|seed| draw(seed).name).collect();
        assert_eq!(kinds.len(), KINDS.len(), "a hundred seeds draw every kind");
    }

    #[test]
    fn ten_faults_are_two_of_each_kind_within_its_range() {
        let ten = Fault::ten(5);
        assert_eq!(ten, Fault::ten(5));
        for kind in KINDS {
            let mut shares: Vec<u32> = Vec::new();
            for fault in ten.iter().filter(|fault| fault.name == kind.name) {
                let share = (fault.share * 100.0).round() as u32;
                assert!(kind.share.contains(&share) && kind.strength_ms.contains(&fault.strength_ms), "{fault:?}");
                shares.push(share);
            }
            assert!(shares.len() == 2 && shares[0] != shares[1], "{}: {shares:?}", kind.name);
        }
    }

    #[test]
    fn a_kind_can_be_asked_for() {
        for kind in KINDS {
            let fault = Fault::draw(3, Some(kind.name)).unwrap().unwrap();
            assert_eq!(fault.name, kind.name);
            assert!(kind.routes.contains(&fault.route) && fault.share > 0.0 && fault.share <= 1.0);
        }
        assert_eq!(Fault::draw(3, Some("none")).unwrap(), None);
        let error = Fault::draw(3, Some("slow")).unwrap_err().to_string();
        assert!(error.contains("slow-dependency") && error.contains("none"), "{error}");
    }
}
