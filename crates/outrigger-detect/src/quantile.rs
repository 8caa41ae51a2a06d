//! Quantiles of a bucketed distribution.

/// The `q`-quantile of a histogram, in the unit of its bounds.
///
/// `bounds` are the finite upper bounds, ascending; `counts` are per bucket, not cumulative, one more than the bounds
/// (the last is `+Inf`). The method is that of Prometheus' [`histogram_quantile`]: find the bucket that holds rank
/// `q × total` and interpolate linearly inside it; the first bucket begins at 0 if its bound is positive (else its
/// bound is the answer); a rank in the `+Inf` bucket answers with the highest finite bound.
///
/// `None` without requests, without finite bounds, with the wrong number of counts, or with `q` outside 0 to 1 (where
/// Prometheus answers with NaN or an infinity).
///
/// ```
/// use outrigger_detect::quantile;
///
/// // Ten requests up to 100 ms, ten between 100 and 200 ms.
/// assert_eq!(quantile(&[0.1, 0.2], &[10, 10, 0], 0.75), Some(0.15000000000000002));
/// assert_eq!(quantile(&[0.1, 0.2], &[0, 0, 0], 0.75), None);
/// ```
///
/// [`histogram_quantile`]: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
#[must_use]
pub fn quantile(bounds: &[f64], counts: &[u64], q: f64) -> Option<f64> {
    if counts.len() != bounds.len() + 1 {
        return None;
    }
    let total = counts.iter().map(|count| *count as f64).sum();
    interpolate(bounds, counts.iter().map(|count| *count as f64), total, q)
}

/// As [`quantile`], for counts that need not be whole.
pub(crate) fn interpolate(bounds: &[f64], counts: impl Iterator<Item = f64>, total: f64, q: f64) -> Option<f64> {
    let highest = *bounds.last()?;
    if !(0.0..=1.0).contains(&q) || total.is_nan() || total <= 0.0 {
        return None;
    }
    let rank = q * total;
    let mut below = 0.0;
    let mut lower = 0.0;
    for (index, (upper, count)) in bounds.iter().copied().zip(counts).enumerate() {
        // An empty bucket never holds the rank; Prometheus divides by zero there when `q` is 0.
        if count > 0.0 && below + count >= rank {
            if index == 0 && upper <= 0.0 {
                return Some(upper);
            }
            return Some(lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0));
        }
        below += count;
        lower = upper;
    }
    Some(highest)
}
