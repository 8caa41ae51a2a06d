//! Which bucket an observation falls into.

/// The inclusive upper bounds of a histogram's buckets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounds {
    finite: Box<[f64]>,
    /// The same in fours, filled up with infinities: the search is a sum of comparisons without a branch, which the
    /// compiler makes of vector instructions.
    fours: Box<[[f64; 4]]>,
}

impl Bounds {
    /// From finite, ascending bounds.
    pub(crate) fn new(finite: &[f64]) -> Self {
        let fours = finite.chunks(4).map(|chunk| {
            let mut four = [f64::INFINITY; 4];
            four.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            four
        });
        Self { finite: finite.into(), fours: fours.collect() }
    }

    pub(crate) fn finite(&self) -> &[f64] {
        &self.finite
    }

    /// The bucket of a finite value: the number of bounds below it.
    #[inline(always)]
    pub(crate) fn bucket(&self, value: f64) -> usize {
        if self.fours.len() > LINEAR {
            return self.finite.partition_point(|bound| *bound < value);
        }
        let mut below = [0_i64; 4];
        for four in &self.fours {
            for (count, bound) in below.iter_mut().zip(four) {
                *count += i64::from(value > *bound);
            }
        }
        below.iter().sum::<i64>() as usize
    }
}

/// Above so many fours, halving is faster than comparing all.
const LINEAR: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_inclusive() {
        let bounds = Bounds::new(&[-1.0, 0.0, 0.5, 1.0, 10.0]);
        for (value, bucket) in [
            (f64::MIN, 0),
            (-1.0, 0),
            (-0.5, 1),
            (0.0, 1),
            (-0.0, 1),
            (f64::MIN_POSITIVE, 2),
            (0.5, 2),
            (0.500_000_000_000_000_1, 3),
            (1.0, 3),
            (10.0, 4),
            (10.1, 5),
            (f64::MAX, 5),
        ] {
            assert_eq!(bounds.bucket(value), bucket, "{value}");
        }
        assert_eq!(Bounds::new(&[]).bucket(1.0), 0);
    }

    proptest! {
        #[test]
        fn as_the_definition_says(
            mut bounds in prop::collection::vec(-1e3..1e3_f64, 0..120),
            values in prop::collection::vec(-2e3..2e3_f64, 1..50),
        ) {
            bounds.sort_by(f64::total_cmp);
            bounds.dedup();
            let all = Bounds::new(&bounds);
            for value in values.into_iter().chain(bounds.clone()) {
                let expected = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
                prop_assert_eq!(all.bucket(value), expected);
            }
        }
    }
}
