//! Native histograms as the format has them: spans of neighbouring buckets, and the difference of each bucket's count
//! to that of the bucket before.

use crate::model::{NativeBuckets, NativeHistogram};
use crate::protobuf::message::{Histogram, Span};

/// The most empty buckets that are written as such: a new span takes more bytes than two of them.
const MAX_GAP: i64 = 2;

/// Whether the format can say it: a known schema, a threshold that is a width, indices within 32 bits.
pub(super) fn is_valid(native: &NativeHistogram) -> bool {
    let in_range = |buckets: &NativeBuckets| {
        i32::try_from(buckets.counts.len()).is_ok_and(|count| buckets.offset.checked_add(count).is_some())
    };
    NativeHistogram::SCHEMAS.contains(&native.schema)
        && native.zero_threshold.is_finite()
        && native.zero_threshold >= 0.0
        && in_range(&native.positive)
        && in_range(&native.negative)
}

/// Puts the native part of a histogram into its message, or takes it out.
pub(super) fn set(message: &mut Histogram, native: Option<&NativeHistogram>) {
    for spans in [&mut message.negative_span, &mut message.positive_span] {
        spans.clear();
    }
    for deltas in [&mut message.negative_delta, &mut message.positive_delta] {
        deltas.clear();
    }
    (message.schema, message.zero_threshold, message.zero_count) = (0, 0.0, 0);
    let Some(native) = native else { return };
    (message.schema, message.zero_threshold, message.zero_count) =
        (native.schema, native.zero_threshold, native.zero_count);
    set_buckets(&mut message.negative_span, &mut message.negative_delta, &native.negative);
    set_buckets(&mut message.positive_span, &mut message.positive_delta, &native.positive);
    if message.positive_span.is_empty() && native.zero_threshold == 0.0 {
        // A span of nothing tells a native histogram without observations from a classic one.
        message.positive_span.push(Span { offset: 0, length: 0 });
    }
}

fn set_buckets(spans: &mut Vec<Span>, deltas: &mut Vec<i64>, buckets: &NativeBuckets) {
    let mut before = 0_u64;
    let mut push = |count: u64| {
        deltas.push(count.wrapping_sub(before).cast_signed());
        before = count;
    };
    // The index behind the bucket that was written last.
    let mut next = 0_i64;
    for (index, &count) in (i64::from(buckets.offset)..).zip(&buckets.counts) {
        if count == 0 {
            continue;
        }
        let gap = index - next;
        match spans.last_mut() {
            Some(span) if gap <= MAX_GAP => {
                (0..gap).for_each(|_| push(0));
                span.length = span.length.saturating_add(u32::try_from(gap + 1).unwrap_or(0));
            }
            _ => spans.push(Span { offset: i32::try_from(gap).unwrap_or(i32::MAX), length: 1 }),
        }
        push(count);
        next = index + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};

    /// Reads spans and deltas as the format's specification says: pairs of index and count.
    fn read(spans: &[Span], deltas: &[i64]) -> Vec<(i64, u64)> {
        let (mut index, mut count, mut deltas) = (0_i64, 0_i64, deltas.iter());
        let mut read = Vec::new();
        for span in spans {
            index += i64::from(span.offset);
            for _ in 0..span.length {
                count = count.wrapping_add(*deltas.next().unwrap());
                read.push((index, count.cast_unsigned()));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        read
    }

    fn buckets() -> impl Strategy<Value = NativeBuckets> {
        let count = || prop_oneof![3 => proptest::strategy::Just(0), 2 => 0..5_u64, 1 => any::<u64>()];
        let offset = || prop_oneof![-2000..2000, any::<i32>()];
        (offset(), vec(count(), 0..40)).prop_map(|(offset, counts)| NativeBuckets { offset, counts })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn spans_and_deltas_say_the_buckets(
            positive in buckets(),
            negative in buckets(),
            schema in -4..=8,
            threshold in 0..2_i32,
        ) {
            let zero_threshold = f64::from(threshold);
            let native = NativeHistogram { schema, zero_threshold, zero_count: 3, positive, negative };
            let fits = |buckets: &NativeBuckets| {
                i64::from(buckets.offset) + i64::try_from(buckets.counts.len()).unwrap() <= i64::from(i32::MAX)
            };
            assert_eq!(is_valid(&native), fits(&native.positive) && fits(&native.negative));
            if !is_valid(&native) {
                return Ok(());
            }
            let mut message = Histogram::default();
            // What stood there before must not matter.
            let other = NativeBuckets { offset: 3, counts: vec![1, 2] };
            set(&mut message, Some(&NativeHistogram { positive: other, ..native.clone() }));
            set(&mut message, Some(&native));
            assert_eq!((message.schema, message.zero_count), (schema, 3));
            for (spans, deltas, buckets) in [
                (&message.positive_span, &message.positive_delta, &native.positive),
                (&message.negative_span, &message.negative_delta, &native.negative),
            ] {
                let read = read(spans, deltas);
                let counts = buckets.counts.iter().copied();
                let full = (i64::from(buckets.offset)..).zip(counts).filter(|(_, count)| *count > 0);
                let read_full = read.iter().copied().filter(|(_, count)| *count > 0);
                assert_eq!(read_full.collect::<Vec<_>>(), full.collect::<Vec<_>>());
                // Little is written of what is empty, and never at an end of a span.
                assert!(spans.iter().skip(1).all(|span| i64::from(span.offset) > MAX_GAP));
                assert!(!read.windows(3).any(|three| three.iter().all(|(_, count)| *count == 0)));
            }
            assert!(!message.positive_span.is_empty() || message.zero_threshold > 0.0);
            set(&mut message, None);
            assert_eq!(message, Histogram::default());
        }
    }

    #[test]
    fn what_the_format_cannot_say() {
        let native = NativeHistogram::default();
        assert!(is_valid(&native));
        for schema in [-5, 9] {
            assert!(!is_valid(&NativeHistogram { schema, ..native.clone() }));
        }
        for zero_threshold in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(!is_valid(&NativeHistogram { zero_threshold, ..native.clone() }));
        }
    }
}
