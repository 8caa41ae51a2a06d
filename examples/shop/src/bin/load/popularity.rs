//! Which products customers look at: few often, many rarely.

use fastrand::Rng;

/// Where each product stands does not depend on the run's seed: what is popular stays popular.
const RANKING_SEED: u64 = 17;

/// Draws product ids by Zipf's law: the product of rank r is looked at r^-s times as often as the first.
pub(crate) struct Popularity {
    /// The ids, most popular first.
    ranking: Vec<u32>,
    /// The share of all looks that goes to this rank and those before it.
    cumulative: Vec<f64>,
}

impl Popularity {
    pub(crate) fn new(products: u32, exponent: f64) -> Self {
        let mut ranking: Vec<u32> = (1..=products).collect();
        Rng::with_seed(RANKING_SEED).shuffle(&mut ranking);
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (1..=products)
            .map(|rank| {
                sum += f64::from(rank).powf(-exponent);
                sum
            })
            .collect();
        for share in &mut cumulative {
            *share /= sum;
        }
        Self { ranking, cumulative }
    }

    pub(crate) fn draw(&self, random: &mut Rng) -> u32 {
        let point = random.f64();
        let rank = self.cumulative.partition_point(|share| *share <= point);
        self.ranking.get(rank).or(self.ranking.last()).copied().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_drawn_by_its_share_and_all_exist() {
        let popularity = Popularity::new(100, 1.0);
        let mut random = Rng::with_seed(1);
        let draws: Vec<u32> = (0..100_000).map(|_| popularity.draw(&mut random)).collect();
        assert!(draws.iter().all(|id| (1..=100).contains(id)));
        let first = draws.iter().filter(|id| **id == popularity.ranking[0]).count();
        // 1 / (1 + 1/2 + ... + 1/100) = 19.3 %
        assert!((18_500..20_100).contains(&first), "{first}");
    }

    #[test]
    fn one_product_is_enough() {
        assert_eq!(Popularity::new(1, 1.0).draw(&mut Rng::with_seed(1)), 1);
    }
}
