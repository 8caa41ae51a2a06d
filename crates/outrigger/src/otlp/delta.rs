//! From totals to what was added to them since they were last delivered.
//!
//! One entry for each series holds the last total that the endpoint has taken, and when it was read. A push that fails
//! leaves the entry as it is, so the next one carries both intervals: nothing is lost, and nothing need be put together.

use std::collections::HashMap;

use outrigger_exposition::{Histogram, Label, Point, Value};

use super::native;

/// What was delivered of each series.
#[derive(Debug)]
pub(super) struct Deltas {
    series: HashMap<String, HashMap<Vec<Label>, Series>>,
    len: usize,
    limit: usize,
    /// When everything was delivered last: what is new since then counts from there. In nanoseconds since the epoch.
    since: u64,
    round: u64,
}

#[derive(Debug)]
struct Series {
    delivered: Option<Total>,
    /// What becomes `delivered` once the request with this number is taken.
    pending: Option<(usize, Total)>,
    created: Option<f64>,
    /// The last round that saw it.
    round: u64,
}

#[derive(Debug)]
struct Total {
    value: Value,
    at: u64,
}

/// What became of a point.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Its value is now what was added since then.
    Since(u64),
    /// Nothing was counted; there is nothing to send.
    Unchanged,
    /// There is no room to remember another series.
    Full,
}

impl Deltas {
    /// Counts from `start` on, and remembers no more than `limit` series.
    pub(super) fn new(start: u64, limit: usize) -> Self {
        Self { series: HashMap::new(), len: 0, limit, since: start, round: 0 }
    }

    /// Counts from `start` on, if that is earlier and nothing was delivered yet.
    pub(super) fn begin(&mut self, start: u64) {
        if self.round == 0 {
            self.since = self.since.min(start);
        }
    }

    /// Replaces a point's total, read at `now`, by what is to be sent of it with the request of this number.
    pub(super) fn take(&mut self, family: &str, point: &mut Point, request: usize, now: u64) -> Taken {
        let everything = self.since;
        let Some(series) = self.entry(family, point) else { return Taken::Full };
        if series.created != point.created {
            // It began anew, from zero.
            series.created = point.created;
            series.delivered = None;
        }
        let total = Total { value: without_exemplars(&point.value), at: now };
        let created = point.created.map(nanos).unwrap_or_default();
        let (since, added) = match &series.delivered {
            Some(delivered) => {
                // Without a difference it fell, which is a new beginning too: all of it was added.
                let added = added(&point.value, &delivered.value).unwrap_or_else(|| point.value.clone());
                (delivered.at.max(created).min(now), added)
            }
            None => (everything.max(created).min(now), point.value.clone()),
        };
        if is_without_count(&added) {
            // A snapshot may have a count before its sum, or after it: a sum without a count goes with the next count.
            if is_without_sum(&added) {
                series.delivered = Some(total);
            }
            return Taken::Unchanged;
        }
        series.pending = Some((request, total));
        point.value = added;
        only_exemplars_since(since, &mut point.value);
        Taken::Since(since)
    }

    /// Ends a round in which everything read at `now` was taken: `was_delivered` tells of each request.
    pub(super) fn settle(&mut self, now: u64, was_delivered: impl Fn(usize) -> bool) {
        let is_full = self.len >= self.limit;
        let mut is_complete = true;
        for family in self.series.values_mut() {
            if is_full {
                // A series that was idle may come back with all that it had counted, so it is only forgotten to make room.
                family.retain(|_, series| series.round == self.round);
            }
            for series in family.values_mut() {
                let Some((request, total)) = series.pending.take() else { continue };
                if was_delivered(request) {
                    series.delivered = Some(total);
                } else {
                    is_complete = false;
                }
            }
        }
        self.series.retain(|_, family| !family.is_empty());
        self.len = self.series.values().map(HashMap::len).sum();
        self.round += 1;
        if is_complete {
            self.since = now;
        }
    }

    fn entry(&mut self, family: &str, point: &Point) -> Option<&mut Series> {
        let known = self.series.get(family).is_some_and(|family| family.contains_key(point.labels.as_slice()));
        if !known {
            if self.len >= self.limit {
                return None;
            }
            self.len += 1;
            let series = Series { delivered: None, pending: None, created: point.created, round: self.round };
            self.series.entry(family.to_owned()).or_default().insert(point.labels.clone(), series);
        }
        let series = self.series.get_mut(family)?.get_mut(point.labels.as_slice())?;
        series.round = self.round;
        Some(series)
    }
}

/// What was added to an earlier total; `None` when it fell, and so began anew.
fn added(total: &Value, earlier: &Value) -> Option<Value> {
    match (total, earlier) {
        (Value::Counter(total), Value::Counter(earlier)) => (total >= earlier).then(|| Value::Counter(total - earlier)),
        (Value::Histogram(total), Value::Histogram(earlier)) => {
            added_to_histogram(total, earlier).map(Value::Histogram)
        }
        _ => None,
    }
}

fn added_to_histogram(total: &Histogram, earlier: &Histogram) -> Option<Histogram> {
    if total.bounds != earlier.bounds || total.counts.len() != earlier.counts.len() {
        return None;
    }
    let counts: Option<Vec<u64>> =
        total.counts.iter().zip(&earlier.counts).map(|(total, earlier)| total.checked_sub(*earlier)).collect();
    let native = match (&total.native, &earlier.native) {
        (Some(total), Some(earlier)) => Some(native::added(total, earlier)?),
        (None, None) => None,
        _ => return None,
    };
    Some(Histogram {
        counts: counts?,
        native,
        sum: total.sum.zip(earlier.sum).map(|(total, earlier)| total - earlier),
        ..total.clone()
    })
}

fn is_without_count(added: &Value) -> bool {
    match added {
        Value::Counter(value) => *value == 0.0,
        Value::Histogram(histogram) => {
            histogram.count() == 0 && histogram.native.as_ref().is_none_or(|native| native.count() == 0)
        }
        _ => false,
    }
}

fn is_without_sum(added: &Value) -> bool {
    !matches!(added, Value::Histogram(Histogram { sum: Some(sum), .. }) if *sum != 0.0)
}

fn without_exemplars(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Histogram(histogram) = &mut value {
        histogram.exemplars = Vec::new();
    }
    value
}

/// An exemplar is sent once: with the interval in which it was observed.
fn only_exemplars_since(since: u64, value: &mut Value) {
    let Value::Histogram(Histogram { counts, exemplars, .. }) = value else { return };
    exemplars.retain(|example| {
        let ms = example.exemplar.timestamp_ms.and_then(|ms| u64::try_from(ms).ok());
        // Its time was cut to the millisecond, within which the interval may have begun.
        let is_new = ms.is_none_or(|ms| ms.saturating_add(1).saturating_mul(1_000_000) > since);
        is_new && counts.get(example.bucket).is_some_and(|&count| count > 0)
    });
}

/// A time in seconds since the epoch, in nanoseconds.
pub(super) fn nanos(seconds: f64) -> u64 {
    // Saturates, and is zero for a negative number.
    (seconds * 1e9) as u64
}
