//! What the values of a key may be, wherever they come from.

use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
pub(crate) const SCRAPE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
pub(crate) const PAGE_LIMIT: RangeInclusive<usize> = 1 << 10..=1 << 30;
pub(crate) const SERIES_LIMIT: RangeInclusive<usize> = 100..=10_000_000;
pub(crate) const ROUTE_LIMIT: RangeInclusive<usize> = 1..=100_000;
pub(crate) const OTLP_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(120);
pub(crate) const RESEND_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
pub(crate) const UPDATE_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
pub(crate) const TELL_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(120);
pub(crate) const GROUP_WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(180);
pub(crate) const FLAP_AFTER: RangeInclusive<usize> = 1..=1000;
pub(crate) const MIN_SCORE: RangeInclusive<usize> = 0..=1000;
pub(crate) const RATE_LIMIT: RangeInclusive<usize> = 1..=1000;
/// Rules, silences and quiet hours: more of them than anybody can oversee.
pub(crate) const MAX_RULES: usize = 1000;
/// More of them than anybody runs.
pub(crate) const MAX_ALERTMANAGERS: usize = 16;
pub(crate) const SAVE_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
pub(crate) const INCIDENTS_KEEP: RangeInclusive<usize> = 1..=10_000;
pub(crate) const INCIDENTS_KEEP_FOR: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(10 * 365 * 86_400);
pub(crate) const PROFILE_SECONDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
pub(crate) const PROFILE_EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
pub(crate) const PROFILE_KEEP: RangeInclusive<usize> = 0..=10_000;
pub(crate) const PROFILE_MAX_BYTES: RangeInclusive<usize> = 1 << 20..=1 << 40;
pub(crate) const DEPENDENCY_LIMIT: RangeInclusive<usize> = 1..=1000;
pub(crate) const HORIZON: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);
pub(crate) const SLO_SHARE: RangeInclusive<f64> = 0.5..=0.999_999;
pub(crate) const SLO_LATENCY: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
