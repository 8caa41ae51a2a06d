//! Pages in protobuf, for targets whose histograms have native buckets only: text has no words for those.
//!
//! Such a page is turned into text, with the native buckets as classic ones of a fixed grid ([`NativeFold`]), so that the
//! rest of the agent meets nothing new.

use std::collections::HashMap;
use std::fmt::Write;

use outrigger_detect::{NativeFold, native_bucket};
use outrigger_exposition::protobuf::{DecodeError, decode};
use outrigger_exposition::{Encoder, Extra, Format, Header, NativeHistogram, Point, Value, ValueRef};
use serde::{Deserialize, Serialize};

/// The most histograms whose counts are remembered; of others, what a coarse bucket counts is spread evenly.
const MAX_FOLDS: usize = 1000;
/// The longest name of one, with its labels, in bytes; longer ones are not remembered either.
const MAX_KEY: usize = 4096;

/// What is remembered of the pages of one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct NativePages {
    folds: HashMap<String, Remembered>,
    page: u64,
}

#[derive(Clone, Debug, Default)]
struct Remembered {
    fold: NativeFold,
    /// The last page that had it.
    page: u64,
}

/// What is kept across a restart of the agent: histograms of which the next page tells too little.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptNativePages {
    folds: Vec<(String, NativeFold)>,
}

impl NativePages {
    /// The page in the text format. What does not fit into `limit` bytes goes in whole families, from the end.
    pub(crate) fn text(&mut self, page: &[u8], limit: usize) -> (Text, Result<(), DecodeError>) {
        self.page += 1;
        let mut text = Writer::new(limit);
        let decoded = decode(page, |header, point| match &point.value {
            Value::Histogram(histogram) if histogram.bounds.is_empty() => match &histogram.native {
                Some(native) => {
                    let bounds = NativeFold::bounds();
                    let counts = self.fold(header.name, point, native);
                    let sum = histogram.sum;
                    let (counts, exemplars, native) = (&counts[..], &[][..], None);
                    text.point(header, point, ValueRef::Histogram { bounds: &bounds, counts, sum, exemplars, native });
                }
                None => text.point(header, point, ValueRef::from(&point.value)),
            },
            value => text.point(header, point, ValueRef::from(value)),
        });
        let page = self.page;
        if self.folds.len() >= MAX_FOLDS {
            self.folds.retain(|_, known| known.page == page);
        }
        let bad_points = decoded.map_or(0, |decoded| decoded.bad_points);
        (text.finish(bad_points), decoded.map(drop))
    }

    fn fold(&mut self, family: &str, point: &Point, native: &NativeHistogram) -> Vec<u64> {
        let mut key = family.to_owned();
        for label in &point.labels {
            // Debug quotes both, so that no value can look like another label.
            let _ = write!(key, "|{:?}={:?}", label.name, label.value);
        }
        if key.len() > MAX_KEY || self.folds.len() >= MAX_FOLDS && !self.folds.contains_key(&key) {
            return NativeFold::default().update(buckets(native)).to_vec();
        }
        let known = self.folds.entry(key).or_default();
        known.page = self.page;
        known.fold.update(buckets(native)).to_vec()
    }

    pub(crate) fn keep(&self) -> KeptNativePages {
        let spread = self.folds.iter().filter(|(_, known)| known.fold.is_spread());
        let mut folds: Vec<_> = spread.map(|(key, known)| (key.clone(), known.fold.clone())).collect();
        folds.sort_by(|(a, _), (b, _)| a.cmp(b));
        KeptNativePages { folds }
    }

    pub(crate) fn restore(kept: KeptNativePages) -> Self {
        let folds = kept.folds.into_iter().filter(|(key, _)| key.len() <= MAX_KEY).take(MAX_FOLDS);
        Self { folds: folds.map(|(key, fold)| (key, Remembered { fold, page: 0 })).collect(), page: 0 }
    }
}

/// Lower bound, upper bound and count of each bucket.
fn buckets(native: &NativeHistogram) -> impl Iterator<Item = (f64, f64, u64)> {
    let schema = native.schema;
    let negative = native.negative.counts.iter().map(|count| (f64::NEG_INFINITY, 0.0, *count));
    let zero = std::iter::once((0.0, native.zero_threshold, native.zero_count));
    let positive = (i64::from(native.positive.offset)..).zip(&native.positive.counts).map(move |(index, count)| {
        let (lower, upper) = native_bucket(schema, i32::try_from(index).unwrap_or(i32::MAX));
        (lower, upper, *count)
    });
    negative.chain(zero).chain(positive)
}

/// A page that was turned into text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    /// Samples that did not fit.
    pub(crate) cut_samples: u64,
}

struct Writer {
    encoder: Encoder<String>,
    limit: usize,
    /// The family at hand, and where it begins.
    family: String,
    start: usize,
    is_full: bool,
    cut_samples: u64,
}

impl Writer {
    fn new(limit: usize) -> Self {
        let encoder = Encoder::new(Format::Text, String::new());
        Self { encoder, limit, family: String::new(), start: 0, is_full: false, cut_samples: 0 }
    }

    fn point(&mut self, header: Header<'_>, point: &Point, value: ValueRef<'_>) {
        let samples = match value {
            ValueRef::Histogram { bounds, .. } => bounds.len() as u64 + 3,
            ValueRef::Summary { quantiles, .. } => quantiles.len() as u64 + 2,
            ValueRef::Number(_) => 1,
        };
        if self.is_full {
            self.cut_samples += samples;
            return;
        }
        let is_new = self.family != header.name;
        if is_new {
            header.name.clone_into(&mut self.family);
            self.start = self.encoder.get_ref().len();
        }
        let labels = point.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
        let extra = Extra { timestamp_ms: point.timestamp_ms, ..Extra::default() };
        let points = if is_new { self.encoder.begin(header) } else { self.encoder.resume(header) };
        if points.and_then(|mut points| points.point(labels, value, extra).map(drop)).is_err() {
            // What a page can say, text can say too; but for a name that is none.
            self.cut_samples += samples;
        }
        let page = self.encoder.get_mut();
        if page.len() > self.limit {
            let family = page.split_off(self.start);
            self.cut_samples += family.lines().filter(|line| !line.starts_with('#')).count() as u64;
            self.is_full = true;
        }
    }

    /// Metrics that could not be read stand at the end, as lines that cannot be read.
    fn finish(self, bad_points: u64) -> Text {
        let mut text = self.encoder.finish().unwrap_or_default();
        (0..bad_points.min(MAX_BAD)).for_each(|_| text.push_str(BAD_LINE));
        Text { bytes: text.into_bytes(), cut_samples: self.cut_samples }
    }
}

const BAD_LINE: &str = "!metric in protobuf that contradicts itself, or is too long\n";
/// The most of them that are told.
const MAX_BAD: u64 = 1000;

#[cfg(test)]
mod tests {
    use outrigger_exposition::{Family, Histogram, Kind, Label, NativeBuckets, families, protobuf};

    use super::*;

    fn histogram(schema: i32, counts: &[u64]) -> Value {
        let positive = NativeBuckets { offset: 0, counts: counts.to_vec() };
        let native = NativeHistogram { schema, zero_threshold: 1e-128, positive, ..NativeHistogram::default() };
        let count = native.count();
        Value::Histogram(Histogram {
            counts: vec![count],
            sum: Some(9.0),
            native: Some(native),
            ..Histogram::default()
        })
    }

    fn page(schema: i32, counts: &[u64]) -> Vec<u8> {
        let mut jobs = Family::new("jobs", Kind::Counter);
        jobs.points.push(Point::new(vec![], Value::Counter(3.0)));
        let mut wait = Family { help: Some("Waiting.".to_owned()), ..Family::new("wait_seconds", Kind::Histogram) };
        wait.points.push(Point::new(vec![Label::new("pool", "a\"b")], histogram(schema, counts)));
        let classic = Histogram { bounds: vec![1.0], counts: vec![2, 1], sum: Some(4.0), ..Histogram::default() };
        wait.points.push(Point::new(vec![Label::new("pool", "c")], Value::Histogram(classic)));
        let mut encoder = protobuf::Encoder::new(Vec::new());
        encoder.family(&jobs).unwrap();
        encoder.family(&wait).unwrap();
        encoder.finish().unwrap()
    }

    fn read(pages: &mut NativePages, page: &[u8], limit: usize) -> (Vec<Family>, u64) {
        let (text, decoded) = pages.text(page, limit);
        decoded.unwrap();
        assert!(text.bytes.len() <= limit);
        let read = families(&text.bytes, Format::Text);
        assert_eq!((read.parsed.bad_lines, read.problem_count), (0, 0), "{}", String::from_utf8_lossy(&text.bytes));
        (read.families, text.cut_samples)
    }

    #[test]
    fn native_buckets_become_classic_ones_and_the_rest_stays_as_it_is() {
        let (families, cut) = read(&mut NativePages::default(), &page(0, &[1, 0, 4]), 100_000);
        assert_eq!((families.len(), cut), (2, 0));
        assert_eq!(families[0].points[0].value, Value::Counter(3.0));
        let [native, classic] = &families[1].points[..] else { panic!("two points") };
        assert_eq!(native.labels, [Label::new("pool", "a\"b")]);
        let Value::Histogram(native) = &native.value else { panic!("a histogram") };
        assert_eq!((native.bounds.as_slice(), native.count(), native.sum), (&NativeFold::bounds()[..], 5, Some(9.0)));
        // Four observations between 2 and 4 seconds.
        let between = |low: f64, high: f64| -> u64 {
            let inside = native.bounds.iter().zip(&native.counts).filter(|(bound, _)| **bound > low && **bound <= high);
            inside.map(|(_, count)| count).sum()
        };
        assert_eq!((between(2.0, 4.0), between(0.5, 1.0)), (4, 1));
        let Value::Histogram(classic) = &classic.value else { panic!("a histogram") };
        assert_eq!((classic.bounds.as_slice(), classic.counts.as_slice()), (&[1.0][..], &[2, 1][..]));
    }

    #[test]
    fn a_page_that_is_too_long_loses_families_and_counts_their_samples() {
        let page = page(3, &[1, 2]);
        let (families, cut) = read(&mut NativePages::default(), &page, 200);
        assert_eq!(families.len(), 1);
        // 65 bounds, infinity, sum and count; one bound, infinity, sum and count.
        assert_eq!(cut, 68 + 4);
    }

    #[test]
    fn what_another_agent_kept_goes_on() {
        let mut pages = NativePages::default();
        read(&mut pages, &page(3, &[5, 0, 0, 0, 0, 0, 1]), 100_000);
        read(&mut pages, &page(0, &[9, 1]), 100_000);
        let kept = serde_json::to_string(&pages.keep()).unwrap();
        let mut restored = NativePages::restore(serde_json::from_str(&kept).unwrap());
        let next = page(0, &[12, 1]);
        assert_eq!(pages.text(&next, 100_000), restored.text(&next, 100_000));
        // Of one that is known to its last bucket nothing has to be kept.
        read(&mut pages, &page(3, &[1]), 100_000);
        assert_eq!(pages.keep(), KeptNativePages::default());
    }

    #[test]
    fn histograms_with_long_labels_are_read_and_not_remembered() {
        let Value::Histogram(Histogram { native: Some(native), .. }) = histogram(0, &[1, 2]) else { panic!("native") };
        let mut pages = NativePages::default();
        for (length, known) in [(MAX_KEY, 0), (MAX_KEY / 2, 1)] {
            let point = Point::new(vec![Label::new("a", "x".repeat(length))], Value::Counter(0.0));
            assert_eq!(pages.fold("wait", &point, &native).iter().sum::<u64>(), 3);
            assert_eq!(pages.folds.len(), known);
        }
    }

    #[test]
    fn buckets_at_the_end_of_all_numbers_stay_there() {
        let positive = NativeBuckets { offset: i32::MAX, counts: vec![1, 2] };
        let native = NativeHistogram { positive, ..NativeHistogram::default() };
        let last: Vec<_> = buckets(&native).skip(1).collect();
        assert_eq!(last.iter().map(|(.., count)| *count).collect::<Vec<_>>(), [1, 2]);
        assert!(last.iter().all(|(lower, upper, _)| *lower > 1.0 && upper >= lower), "{last:?}");
    }

    #[test]
    fn bad_metrics_are_bad_lines_and_other_bytes_an_error() {
        let mut family = Family::new("x", Kind::Gauge);
        family.points.push(Point::new(vec![Label::new("a", "1"), Label::new("a", "2")], Value::Gauge(1.0)));
        let mut encoder = protobuf::Encoder::new(Vec::new());
        encoder.family(&family).unwrap();
        let (text, decoded) = NativePages::default().text(&encoder.finish().unwrap(), 100_000);
        assert_eq!(decoded, Ok(()));
        assert_eq!(families(&text.bytes, Format::Text).parsed.bad_lines, 1);
        assert!(NativePages::default().text(b"# TYPE a gauge\na 1\n", 100_000).1.is_err());
    }
}
