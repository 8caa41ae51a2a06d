//! The protobuf format: native histograms, and all that the text formats have.

use crate::labels::{self, assert_exact};
use crate::{Scraped, scrape};
use fastrand::Rng;
use outrigger_exposition::{Extra, Format, Header, Kind, NativeBuckets, NativeHistogram, Quantile, ValueRef, protobuf};
use outrigger_testkit::{Prometheus, PrometheusConfig};

const SCHEMA: i32 = 3;
/// The points of a family that takes several messages.
const MANY: usize = 5000;
const BOUNDS: [f64; 4] = [0.0, 0.1, 1.0, 1e6];

/// Observations over nine decades, some of them zero, some below it.
fn observations() -> Vec<f64> {
    let mut rng = Rng::with_seed(5);
    (0..20_000)
        .map(|_| match rng.u8(..20) {
            0 => 0.0,
            1..3 => -(10_f64.powf(rng.f64() * 4.0 - 2.0)),
            _ => 10_f64.powf(rng.f64() * 9.0 - 6.0),
        })
        .collect()
}

fn native(observations: &[f64], schema: i32) -> NativeHistogram {
    let buckets = |sign: f64| {
        let own = observations.iter().map(|value| value * sign).filter(|value| *value > 0.0);
        let indices: Vec<i32> = own.map(|value| (value.log2() * 2_f64.powi(schema)).ceil() as i32).collect();
        let offset = indices.iter().copied().min().unwrap_or(0);
        let last = indices.iter().copied().max().unwrap_or(0);
        let counts = (offset..=last).map(|bucket| indices.iter().filter(|index| **index == bucket).count() as u64);
        NativeBuckets { offset, counts: counts.collect() }
    };
    NativeHistogram {
        schema,
        zero_threshold: 0.0,
        zero_count: observations.iter().filter(|value| **value == 0.0).count() as u64,
        positive: buckets(1.0),
        negative: buckets(-1.0),
    }
}

fn classic(observations: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; BOUNDS.len() + 1];
    for value in observations {
        counts[BOUNDS.partition_point(|bound| bound < value)] += 1;
    }
    counts
}

fn page() -> Vec<u8> {
    let observations = observations();
    let (native, classic) = (native(&observations, SCHEMA), classic(&observations));
    // With a threshold of zero Prometheus 2.42 would take it for a classic histogram until something is observed.
    let empty = NativeHistogram { schema: SCHEMA, zero_threshold: 1e-38, ..NativeHistogram::default() };
    let sum = Some(observations.iter().sum());
    let mut encoder = protobuf::Encoder::new(Vec::new());
    let header = |name, kind| Header { name, kind, help: Some("Help."), unit: None };
    let mut write = |name, kind, labels: &[(&str, &str)], value| {
        let extra = Extra { created: Some(1.7e9), ..Extra::default() };
        encoder.resume(header(name, kind)).unwrap().point(labels.iter().copied(), value, extra).unwrap();
    };
    let (bounds, counts) = (&BOUNDS[..], &classic[..]);
    let histogram = |native| ValueRef::Histogram { bounds, counts, sum, exemplars: &[], native };
    let nothing =
        ValueRef::Histogram { bounds: &[], counts: &[0], sum: Some(0.0), exemplars: &[], native: Some(&empty) };
    write("both", Kind::Histogram, &[("kind", "full")], histogram(Some(&native)));
    write("both", Kind::Histogram, &[("kind", "empty")], nothing);
    write("classic", Kind::Histogram, &[("a", "b")], histogram(None));
    write("queue", Kind::GaugeHistogram, &[], histogram(None));
    write("jobs", Kind::Counter, &[], ValueRef::Number(7.0));
    write("odd", Kind::Unknown, &[], ValueRef::Number(-0.5));
    write("build", Kind::Info, &[("version", "1")], ValueRef::Number(1.0));
    let quantiles = [Quantile { quantile: 0.5, value: 0.25 }];
    write("pause", Kind::Summary, &[], ValueRef::Summary { quantiles: &quantiles, sum: Some(2.5), count: Some(4) });

    let mut many = encoder.begin(header("many", Kind::Counter)).unwrap();
    for index in 0..MANY {
        let index_text = index.to_string();
        many.point([("index", index_text.as_str())], ValueRef::Number(index as f64), Extra::default()).unwrap();
    }
    drop(many);
    let mut hostile = encoder.begin(header("hostile", Kind::Gauge)).unwrap();
    labels::points(|labels, value| {
        hostile.point(labels.iter().copied(), ValueRef::Number(value), Extra::default()).unwrap();
    });
    drop(hostile);
    encoder.finish().unwrap()
}

fn scraped() -> Option<Scraped> {
    scrape(PrometheusConfig::new().feature("native-histograms"), |accept| {
        assert!(protobuf::accepts(accept), "{accept}");
        (protobuf::CONTENT_TYPE, page())
    })
}

#[test]
fn prometheus_reads_what_was_recorded() {
    let Some(scraped) = scraped() else { return };
    let prometheus = &scraped.prometheus;
    let mut sorted = observations();
    sorted.sort_by(f64::total_cmp);
    let value = |query: &str| prometheus.value(query).unwrap_or_else(|| panic!("{query}: nothing"));

    // Native: the quantile lies in the bucket of the observation that has its rank.
    let base = 2_f64.powf(2_f64.powi(-SCHEMA));
    for quantile in [0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0] {
        let rank = (quantile * sorted.len() as f64).ceil() as usize - 1;
        let exact = sorted[rank];
        let seen = value(&format!("histogram_quantile({quantile}, both{{kind=\"full\"}})"));
        let error = ((seen - exact) / exact).abs();
        assert!(error <= base - 1.0 || seen == exact, "{quantile}: {seen}, {exact} in truth");
    }
    assert_eq!(value("histogram_count(both{kind=\"full\"})"), sorted.len() as f64);
    assert_eq!(value("histogram_sum(both{kind=\"full\"})"), observations().iter().sum::<f64>());
    assert_eq!(value("histogram_count(both{kind=\"empty\"})"), 0.0);

    assert_classic(prometheus, "classic", "a=\"b\",", &sorted);
    assert_classic(prometheus, "queue", "", &sorted);
    for (query, expected) in [
        ("jobs_total", 7.0),
        ("odd", -0.5),
        ("build_info{version=\"1\"}", 1.0),
        ("pause{quantile=\"0.5\"}", 0.25),
        ("pause_sum", 2.5),
        ("pause_count", 4.0),
        // More than one message.
        ("count(many_total)", MANY as f64),
        ("sum(many_total)", (MANY * (MANY - 1) / 2) as f64),
    ] {
        assert_eq!(value(query), expected, "{query}");
    }
    assert_exact(&scraped);
    assert_eq!(prometheus.complaints(), Vec::<String>::new());
}

/// The buckets, the sum and the count are what the observations say, and `le` is spelled as in text.
fn assert_classic(prometheus: &Prometheus, name: &str, label: &str, sorted: &[f64]) {
    for (le, bound) in ["0.0", "0.1", "1.0", "1e+06", "+Inf"].iter().zip(BOUNDS.iter().chain(&[f64::INFINITY])) {
        let expected = sorted.iter().filter(|value| *value <= bound).count() as f64;
        let query = format!("{name}_bucket{{{label}le=\"{le}\"}}");
        assert_eq!(prometheus.value(&query), Some(expected), "{query}");
    }
    assert_eq!(prometheus.value(&format!("{name}_count")), Some(sorted.len() as f64));
    assert_eq!(prometheus.value(&format!("{name}_sum")), Some(observations().iter().sum()));
}

/// Without the feature Prometheus asks for text, and gets the classic buckets of the same histogram.
#[test]
fn without_the_feature_text_is_asked_for() {
    let page = |accept: &str| {
        assert!(!protobuf::accepts(accept), "{accept}");
        let observations = observations();
        let (native, counts) = (native(&observations, SCHEMA), classic(&observations));
        let (bounds, sum) = (&BOUNDS[..], Some(observations.iter().sum()));
        let value = ValueRef::Histogram { bounds, counts: &counts, sum, exemplars: &[], native: Some(&native) };
        let mut encoder = outrigger_exposition::Encoder::new(Format::from_accept(accept), String::new());
        let header = Header { name: "both", kind: Kind::Histogram, help: None, unit: None };
        encoder.begin(header).unwrap().point([], value, Extra::default()).unwrap();
        (Format::from_accept(accept).content_type(), encoder.finish().unwrap().into_bytes())
    };
    let Some(Scraped { prometheus, .. }) = scrape(PrometheusConfig::new(), page) else { return };
    let mut sorted = observations();
    sorted.sort_by(f64::total_cmp);
    assert_classic(&prometheus, "both", "", &sorted);
}
