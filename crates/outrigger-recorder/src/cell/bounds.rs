//! Which bucket an observation falls into.

/// The inclusive upper bounds of a histogram's buckets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounds {
    finite: Box<[f64]>,
    /// The same in blocks, the last filled up with one infinity at least; none if there are so many bounds that halving
    /// is faster.
    blocks: Box<[[f64; BLOCK]]>,
}

/// Bounds being what they are, most observations fall into the first block: the branch that chooses it is foreseen, and
/// within it there is none. Fewer instructions than comparing all bounds side by side, and faster.
const BLOCK: usize = 8;

/// The most bounds that are kept in blocks.
const FEW: usize = 64;

impl Bounds {
    /// From finite, ascending bounds.
    pub(crate) fn new(finite: &[f64]) -> Self {
        let mut blocks = vec![[f64::INFINITY; BLOCK]; finite.len() / BLOCK + 1];
        blocks.as_flattened_mut().iter_mut().zip(finite).for_each(|(to, from)| *to = *from);
        if finite.len() > FEW {
            blocks.clear();
        }
        Self { finite: finite.into(), blocks: blocks.into() }
    }

    pub(crate) fn finite(&self) -> &[f64] {
        &self.finite
    }

    /// The bucket of a finite value: the number of bounds below it.
    #[inline(always)]
    pub(crate) fn bucket(&self, value: f64) -> usize {
        for (index, block) in self.blocks.iter().enumerate() {
            if value <= block[BLOCK - 1] {
                // Halving a block of eight, without a branch: the bounds below are 0 to 7, so three comparisons tell.
                let mut below = 4 * usize::from(value > block[3]);
                below += 2 * usize::from(value > block[below + 1]);
                below += usize::from(value > block[below]);
                return index * BLOCK + below;
            }
        }
        self.finite.partition_point(|bound| *bound < value)
    }
}

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
