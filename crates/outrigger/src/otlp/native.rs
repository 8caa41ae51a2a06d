//! Arithmetic of native histograms, whose resolution and zero bucket may change from one total to the next.

use outrigger_exposition::{NativeBuckets, NativeHistogram};

/// What was added to an earlier total; `None` when it fell, and so began anew.
///
/// To keep the number of buckets bounded, resolution is given up and the zero bucket widened, never the other way round:
/// the earlier total is brought to the form of the later one.
pub(super) fn added(total: &NativeHistogram, earlier: &NativeHistogram) -> Option<NativeHistogram> {
    let coarser = u32::try_from(earlier.schema.checked_sub(total.schema)?).ok().filter(|steps| *steps < i32::BITS)?;
    if total.zero_threshold < earlier.zero_threshold {
        return None;
    }
    let (positive, near_above) = less(&total.positive, &earlier.positive, coarser, total)?;
    let (negative, near_below) = less(&total.negative, &earlier.negative, coarser, total)?;
    let zero = earlier.zero_count.checked_add(near_above)?.checked_add(near_below)?;
    Some(NativeHistogram { zero_count: total.zero_count.checked_sub(zero)?, positive, negative, ..total.clone() })
}

/// `total` less `earlier`, and what of `earlier` is in the zero bucket by now.
fn less(
    total: &NativeBuckets,
    earlier: &NativeBuckets,
    coarser: u32,
    form: &NativeHistogram,
) -> Option<(NativeBuckets, u64)> {
    let mut counts = total.counts.clone();
    let mut in_zero: u64 = 0;
    for (index, &count) in (i64::from(earlier.offset)..).zip(&earlier.counts).filter(|(_, count)| **count > 0) {
        // Bucket i ends at 2^(i / 2^schema): a pair of buckets becomes the one that ends where it ends.
        let index = -(-index >> coarser);
        if upper_bound(form.schema, index) <= form.zero_threshold {
            in_zero = in_zero.checked_add(count)?;
            continue;
        }
        let bucket = counts.get_mut(usize::try_from(index - i64::from(total.offset)).ok()?)?;
        *bucket = bucket.checked_sub(count)?;
    }
    Some((trimmed(total.offset, counts), in_zero))
}

fn upper_bound(schema: i32, index: i64) -> f64 {
    (index as f64 * f64::from(-schema).exp2()).exp2()
}

/// Without the empty buckets at either end.
fn trimmed(offset: i32, mut counts: Vec<u64>) -> NativeBuckets {
    let Some(first) = counts.iter().position(|count| *count > 0) else { return NativeBuckets::default() };
    counts.drain(..first);
    while counts.last() == Some(&0) {
        counts.pop();
    }
    NativeBuckets { offset: i32::try_from(first).map_or(offset, |first| offset.saturating_add(first)), counts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket(schema: i32, value: f64) -> i64 {
        (value.log2() * f64::from(schema).exp2()).ceil() as i64
    }

    /// A native histogram of these observations.
    fn native(schema: i32, zero_threshold: f64, values: &[f64]) -> NativeHistogram {
        let side = |sign: f64| {
            let indexes: Vec<i64> = values
                .iter()
                .map(|value| value * sign)
                .filter(|value| *value > zero_threshold)
                .map(|value| bucket(schema, value))
                .collect();
            let (Some(low), Some(high)) = (indexes.iter().min(), indexes.iter().max()) else {
                return NativeBuckets::default();
            };
            let count = |index| indexes.iter().filter(|of| **of == index).count() as u64;
            NativeBuckets { offset: *low as i32, counts: (*low..=*high).map(count).collect() }
        };
        NativeHistogram {
            schema,
            zero_threshold,
            zero_count: values.iter().filter(|value| value.abs() <= zero_threshold).count() as u64,
            positive: side(1.0),
            negative: side(-1.0),
        }
    }

    #[test]
    fn a_histogram_that_fell_or_became_finer_began_anew() {
        let total = native(3, 0.0, &[1.0, 2.0]);
        assert_eq!(added(&total, &native(3, 0.0, &[1.0, 1.0])), None);
        assert_eq!(added(&total, &native(3, 0.0, &[4.0])), None);
        assert_eq!(added(&total, &native(2, 0.0, &[1.0])), None);
        assert_eq!(added(&total, &native(3, 0.5, &[1.0])), None);
        assert_eq!(added(&total, &total).unwrap().count(), 0);
    }

    proptest! {
        /// Whatever form the later total has, what was added is what it would be of the later observations alone.
        #[test]
        fn what_was_added_is_what_came_later(
            earlier in proptest::collection::vec(prop_oneof![-100.0..100.0, -0.01..0.01], 0..40),
            later in proptest::collection::vec(prop_oneof![-100.0..100.0, -0.01..0.01], 0..40),
            schema in -4..=8_i32,
            coarser in 0..=4_i32,
            zero_at in -12..-2_i32,
            wider in 0..3_i32,
        ) {
            let all: Vec<f64> = earlier.iter().chain(&later).copied().collect();
            // A zero bucket is widened to where a bucket ends; with these schemas that is at powers of 2^16 too.
            let coarse = (schema - coarser).max(-4);
            let step = f64::from((-coarse).max(0)).exp2();
            let threshold = |at: i32| (f64::from(at) * step).exp2();
            let narrow = native(schema, threshold(zero_at), &earlier);
            let total = native(coarse, threshold(zero_at + wider), &all);
            let expected = native(coarse, threshold(zero_at + wider), &later);
            prop_assert_eq!(added(&total, &narrow), Some(expected));
        }
    }
}
