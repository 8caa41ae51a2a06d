//! A stranger reads what we write: the parsers of PyPI's `prometheus_client`, the reference implementation of
//! OpenMetrics, must see the names, labels and values that were put in, exactly.
//!
//! Without Python or the package the test is skipped, unless `OUTRIGGER_REQUIRE_SERVERS=1`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use fastrand::Rng;
use outrigger_exposition::{Encoder, Family, Format, Histogram, Kind, Label, Point, Quantile, Summary, Value};
use outrigger_testkit::python;

#[test]
fn text() {
    agrees(Format::Text);
}

#[test]
fn openmetrics() {
    agrees(Format::OpenMetrics);
}

fn agrees(format: Format) {
    let families = families(format);
    let mut encoder = Encoder::new(format, String::new());
    for family in &families {
        encoder.family(family).unwrap();
    }
    let page = encoder.finish().unwrap();
    let Some(seen) = read_by_prometheus_client(format, &page) else { return };
    let expected = expected(format, &families);
    for (seen, expected) in seen.lines().zip(expected.lines()) {
        assert_eq!(seen, expected, "{format:?}");
    }
    assert_eq!(seen.lines().count(), expected.lines().count());
    assert!(seen.lines().count() > 1000, "the page was too small to mean anything");
}

/// What the script prints; `None` if Python or the package is missing.
fn read_by_prometheus_client(format: Format, page: &str) -> Option<String> {
    let python = python(&["prometheus_client"])?;
    let mut child = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_page.py"))
        .arg(format!("{format:?}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A script that ends early closes the pipe: its exit code says so.
    let sent = child.stdin.take().unwrap().write_all(page.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "prometheus_client refused the page:\n{page}");
    sent.unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

/// One family of each kind with many points, whose labels are as hostile as labels can be.
fn families(format: Format) -> Vec<Family> {
    let mut rng = Rng::with_seed(7);
    [
        ("requests", Kind::Counter),
        ("temperature_celsius", Kind::Gauge),
        ("latency_seconds", Kind::Histogram),
        ("pause_seconds", Kind::Summary),
        ("odd", Kind::Unknown),
        ("build", Kind::Info),
        ("switch", Kind::StateSet),
        ("queue_bytes", Kind::GaugeHistogram),
    ]
    .into_iter()
    .filter(|(_, kind)| format == Format::OpenMetrics || *kind != Kind::GaugeHistogram)
    .map(|(name, kind)| Family {
        name: name.to_owned(),
        help: Some(format!("A {kind}: back\\slash, \\n, \"quotes\",\na line feed, é and 日本.")),
        unit: name.rsplit_once('_').map(|(_, unit)| unit.to_owned()),
        kind,
        points: (0..100).map(|index| point(name, kind, index, &mut rng)).collect(),
    })
    .chain([all_hostile()])
    .collect()
}

/// Every value that we know to hurt, beside what chance brings.
fn all_hostile() -> Family {
    let points = hostile::values().into_iter().enumerate().map(|(index, value)| {
        let labels = vec![Label::new("index", index.to_string()), Label::new("value", value)];
        Point::new(labels, Value::Gauge(index as f64))
    });
    Family { help: Some("Hostile.".to_owned()), points: points.collect(), ..Family::new("hostile", Kind::Gauge) }
}

fn point(name: &str, kind: Kind, index: usize, rng: &mut Rng) -> Point {
    let mut labels = vec![
        Label::new("index", index.to_string()),
        Label::new("hostile", random(rng)),
        Label::new("_other", random(rng)),
    ];
    let value = match kind {
        Kind::Counter => Value::Counter(number(rng).abs()),
        Kind::Gauge => Value::Gauge(number(rng)),
        Kind::Unknown => Value::Unknown(number(rng)),
        Kind::Histogram => Value::Histogram(histogram(rng)),
        Kind::GaugeHistogram => Value::GaugeHistogram(histogram(rng)),
        Kind::Summary => Value::Summary(Summary {
            quantiles: [0.0, 0.5, 0.99, 1.0].map(|quantile| Quantile { quantile, value: number(rng).abs() }).to_vec(),
            sum: Some(number(rng).abs()),
            count: Some(rng.u64(..1 << 50)),
        }),
        Kind::Info => Value::Info,
        Kind::StateSet => {
            labels.push(Label::new(name, "on"));
            Value::State(rng.bool())
        }
    };
    Point::new(labels, value)
}

fn histogram(rng: &mut Rng) -> Histogram {
    let bounds = vec![0.00001, 0.005, 0.25, 1.0, 10.0, 1_048_576.0];
    let counts = (0..=bounds.len()).map(|_| rng.u64(..1 << 40)).collect();
    Histogram { bounds, counts, sum: Some(number(rng).abs()), exemplars: vec![], native: None }
}

fn random(rng: &mut Rng) -> String {
    const PIECES: [&str; 20] = [
        "\\", "\"", "\n", "\\n", "\\\"", "{", "}", ",", "=", "#", " ", "\t", "\r", "é", "日本", "\u{2028}", "\u{0}",
        "# EOF", "a=\"b\"", "x",
    ];
    (0..rng.usize(..8)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect()
}

/// A finite number of any size, or a short one, as most are.
fn number(rng: &mut Rng) -> f64 {
    loop {
        let number = if rng.bool() { f64::from_bits(rng.u64(..)) } else { f64::from(rng.i32(-9999..9999)) / 100.0 };
        if number.is_finite() {
            return number;
        }
    }
}

/// The same lines as the script's, from the families and the rules of the format, without our encoder or parser.
fn expected(format: Format, families: &[Family]) -> String {
    let mut out = String::new();
    for family in families {
        let name = &family.name;
        let (name, kind) = match (format, family.kind) {
            (Format::Text, Kind::Info) => (format!("{name}_info"), "gauge"),
            (Format::Text, Kind::StateSet) => (name.clone(), "gauge"),
            (Format::Text, Kind::Unknown) => (name.clone(), "unknown"),
            (_, kind) => (name.clone(), kind.as_str()),
        };
        writeln!(out, "family {} {kind} {}", hex(&name), hex(family.help.as_deref().unwrap())).unwrap();
        for point in &family.points {
            samples(&mut out, &family.name, point);
        }
    }
    out
}

fn samples(out: &mut String, name: &str, point: &Point) {
    let mut sample = |suffix: &str, own: Option<(&str, String)>, value: f64| {
        let mut labels: Vec<_> =
            point.labels.iter().map(|label| format!("{}={}", hex(&label.name), hex(&label.value))).collect();
        labels.extend(own.map(|(name, value)| format!("{}={}", hex(name), hex(&value))));
        labels.sort();
        writeln!(out, "sample {} {:016x} {}", hex(&format!("{name}{suffix}")), value.to_bits(), labels.join(" "))
            .unwrap();
    };
    match &point.value {
        Value::Counter(value) => sample("_total", None, *value),
        Value::Gauge(value) | Value::Unknown(value) => sample("", None, *value),
        Value::Info => sample("_info", None, 1.0),
        Value::State(holds) => sample("", None, f64::from(u8::from(*holds))),
        Value::Summary(summary) => {
            for Quantile { quantile, value } in &summary.quantiles {
                sample("", Some(("quantile", format!("{quantile:?}"))), *value);
            }
            sample("_sum", None, summary.sum.unwrap());
            sample("_count", None, summary.count.unwrap() as f64);
        }
        Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
            let bounds = ["1e-05", "0.005", "0.25", "1.0", "10.0", "1.048576e+06", "+Inf"];
            let mut cumulative = 0;
            for (bound, count) in bounds.into_iter().zip(&histogram.counts) {
                cumulative += count;
                sample("_bucket", Some(("le", bound.to_owned())), cumulative as f64);
            }
            let gauge = matches!(point.value, Value::GaugeHistogram(_));
            sample(if gauge { "_gsum" } else { "_sum" }, None, histogram.sum.unwrap());
            sample(if gauge { "_gcount" } else { "_count" }, None, cumulative as f64);
        }
    }
}

fn hex(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.bytes().map(|byte| format!("{byte:02x}")).collect() }
}
