//! What a point detector holds for unusual.

/// What a [`PointDetector`](crate::PointDetector) alerts on, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointSettings {
    /// The score that alerts. Defaults to 6.3: a size that the memory does not hold in one look (log 500 = 6.2), with any
    /// support from a second. Each point more or less makes alerts about three times rarer or more frequent.
    pub threshold: f64,
    /// Seconds after an alert in which only what is much worse alerts again. Defaults to half a day, a shift's length.
    pub hold_seconds: f64,
    /// How much higher a score must be to alert within `hold_seconds`. Defaults to 1.5: about five times rarer.
    pub margin: f64,
    /// Observations before anything is judged. Defaults to 100.
    pub warm_up: u64,
    /// Observations for which a peak is remembered. Defaults to 6000, four days of a value a minute.
    pub memory: u64,
}

impl Default for PointSettings {
    fn default() -> Self {
        Self { threshold: 6.3, hold_seconds: 43_200.0, margin: 1.5, warm_up: 100, memory: 6000 }
    }
}
