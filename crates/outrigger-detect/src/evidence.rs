//! The arithmetic of evidence: how surprising a share is, and for which of two shares a count speaks.

/// Signed-root likelihood ratio of two shares, squared: twice the log-likelihood ratio between "`x` of `n` and `x0` of
/// `n0` have the same share" and "each has its own" (the G-test on a 2×2 table). Its root is a standard deviation that
/// stays honest for small counts, where a normal approximation overstates.
pub(crate) fn surprise(x: f64, n: f64, x0: f64, n0: f64) -> f64 {
    let pooled = (x + x0) / (n + n0);
    let own = term(x, n, pooled) + term(x0, n0, pooled);
    (2.0 * own).max(0.0)
}

/// `n` times the Kullback-Leibler divergence of the share `x / n` from `p`, in nats. By Chernoff's bound the chance of
/// `x` or more of `n` at a share `p` is at most e to the minus of it, for any counts.
pub(crate) fn term(x: f64, n: f64, p: f64) -> f64 {
    let cell = |observed: f64, expected: f64| {
        if observed > 0.0 && expected > 0.0 { observed * (observed / expected).ln() } else { 0.0 }
    };
    cell(x, n * p) + cell(n - x, n * (1.0 - p))
}

/// Log-likelihood ratio per request above and below a bound: what each says for share `p1` against share `p0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odds {
    above: f64,
    below: f64,
}

impl Odds {
    /// Both shares are kept off 0 and 1, so that no single request decides alone.
    pub(crate) fn new(p0: f64, p1: f64) -> Self {
        let (p0, p1) = (p0.clamp(0.001, 0.999), p1.clamp(0.001, 0.999));
        Self { above: (p1 / p0).ln(), below: ((1.0 - p1) / (1.0 - p0)).ln() }
    }

    /// What `x` of `n` requests above the bound say for `p1`, in nats; negative speaks for `p0`.
    pub(crate) fn weigh(self, x: f64, n: f64) -> f64 {
        x * self.above + (n - x) * self.below
    }
}
