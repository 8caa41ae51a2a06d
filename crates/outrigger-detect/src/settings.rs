//! What can be tuned. Times are seconds and sizes are requests, never intervals, so that a detector fed every second
//! behaves as one fed every minute, only finer.

/// A route has become silent after so many times the usual wait for a request, and after this many seconds at the latest.
const GAPS: f64 = 10.0;
const LONGEST_IDLE: f64 = 3600.0;

/// How fast a detector learns, forgets and calms down. The same for latency and errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Seconds of observation before anything is judged. Defaults to 40.
    pub warm_up_seconds: f64,
    /// Requests before anything is judged; the warm-up needs both. Defaults to 100.
    pub warm_up_requests: u64,
    /// Half-life of the baseline in seconds; longer, up to a day, where it would hold few requests. A younger baseline forgets with its own age as half-life, so that a cold
    /// start does not stay in it. Defaults to 3600.
    pub half_life_seconds: f64,
    /// Seconds with traffic after a restart that are neither judged nor learnt: caches are cold. Defaults to 30.
    pub restart_grace_seconds: f64,
    /// An anomaly opens only if the excess shows in stretches that are together at least this long, in seconds, and at
    /// least two, so that a single pause opens none; 0 asks for neither. Defaults to 6.
    pub persistence_seconds: f64,
    /// An anomaly closes only after a stretch of at least this many seconds that looks like the baseline. Defaults to 15.
    pub clear_seconds: f64,
    /// An anomaly that lasts this many seconds becomes the new normal; one in which more than a fifth of the requests fail, 24
    /// times as long. Defaults to 3600.
    pub adopt_seconds: f64,
    /// An anomaly closes after this many seconds in a row without a request; a route that gets few is given ten times as long
    /// as usually lies between two, up to an hour. Defaults to 300.
    pub idle_seconds: f64,
}

impl Pace {
    /// Seconds without a request after which an anomaly closes, on a route that usually waits so long for one.
    pub(crate) fn idle_limit(&self, gap: f64) -> f64 {
        self.idle_seconds.max((GAPS * gap).min(LONGEST_IDLE))
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            warm_up_seconds: 40.0,
            warm_up_requests: 100,
            half_life_seconds: 3600.0,
            restart_grace_seconds: 30.0,
            persistence_seconds: 6.0,
            clear_seconds: 15.0,
            adopt_seconds: 3600.0,
            idle_seconds: 300.0,
        }
    }
}

/// What a [`LatencyDetector`](crate::LatencyDetector) holds for an anomaly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencySettings {
    /// How fast it learns, forgets and calms down.
    pub pace: Pace,
    /// The score that opens an anomaly, in standard deviations; a fifth more within half a minute. Defaults to 5.
    pub min_score: f64,
    /// Slow requests in excess of the baseline that a window must hold. Defaults to 6.
    pub min_requests: u64,
    /// Excess share of slow requests that matters however long it lasts. Defaults to 0.012.
    pub min_share: f64,
    /// Excess share times its duration that matters, in seconds: with 1.5, a quarter of the requests for 6 s, or 1.5 % of
    /// them for 100 s. Defaults to 1.5.
    pub min_share_seconds: f64,
    /// Added to `min_share` at the end of the warm-up and fading within ten minutes, since a young baseline has not seen
    /// the service's rarer habits. Likewise `min_shift_ratio` is doubled at first. Defaults to 0.08.
    pub young_share: f64,
    /// The displaced requests must have become slower by at least this many seconds. Defaults to 0.01.
    pub min_shift_seconds: f64,
    /// And by at least this share of what they took before. Defaults to 0.3.
    pub min_shift_ratio: f64,
}

impl Default for LatencySettings {
    fn default() -> Self {
        Self {
            pace: Pace::default(),
            min_score: 5.0,
            min_requests: 6,
            min_share: 0.012,
            min_share_seconds: 1.5,
            young_share: 0.08,
            min_shift_seconds: 0.01,
            min_shift_ratio: 0.3,
        }
    }
}

/// What an [`ErrorDetector`](crate::ErrorDetector) holds for an anomaly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorSettings {
    /// How fast it learns, forgets and calms down. [`Pace::persistence_seconds`] is of no matter here: a service does not
    /// fail by the noise of its machine.
    pub pace: Pace,
    /// The score that opens an anomaly, in standard deviations. Defaults to 5: with five seconds to an interval, a ratio
    /// that is never above the usual one needs 15 days at the least for a false alarm, on average.
    pub min_score: f64,
    /// Failures since the onset. Defaults to 3, so that one or two never alarm.
    pub min_failures: u64,
    /// Share of failures that is normal even if the baseline has none. Defaults to 0.001, the objective of the catalogue.
    pub objective: f64,
    /// Rise of the ratio of failures that matters. Defaults to 0.005.
    pub min_share: f64,
}

impl Default for ErrorSettings {
    fn default() -> Self {
        Self {
            pace: Pace { persistence_seconds: 0.0, ..Pace::default() },
            min_score: 5.0,
            min_failures: 3,
            objective: 0.001,
            min_share: 0.005,
        }
    }
}
