//! Label values come back exactly, whatever they are.

use crate::{Scraped, scrape};
use outrigger_exposition::{Encoder, Extra, Format, Header, Kind, ValueRef};
use outrigger_testkit::PrometheusConfig;
use std::sync::atomic::Ordering;

/// What a label value may hold to hurt a parser. `serde_json` gives each back as Prometheus knows it.
const HOSTILE: &[&str] = &[
    "plain",
    "\\",
    "\\\\",
    "ends with a backslash\\",
    "\\n",
    "\\\\n",
    "\n",
    "\n\n",
    "\"",
    "\\\"",
    "\"\\",
    "\r",
    "\r\n",
    "\t",
    " ",
    " leading and trailing ",
    "}",
    "{",
    ",",
    "=",
    "},x=\"1\"} 3",
    "a=\"b\",c=\"d\"",
    "# EOF",
    "\n# EOF\n",
    "\n# TYPE x counter\nx 1\n",
    " # {trace_id=\"1\"} 1 2",
    "é日本🦀\u{2028}\u{feff}",
    "a\u{301}",
    "\u{7f}\u{1}\u{1b}[0m",
    "a\0b",
    "\u{10ffff}",
    "'`$(x)%",
    "<&>",
];

pub(crate) fn points(mut point: impl FnMut(&[(&str, &str)], f64)) {
    for (index, value) in HOSTILE.iter().enumerate() {
        point(&[("hostile", value), ("other", "x")], index as f64);
    }
    let mut rng = fastrand::Rng::with_seed(7);
    let pieces = ["\\", "\"", "\n", "\r", "n", ",", "=", "{", "}", " ", "#", "é", "日", "a", "\t", "\\n"];
    for index in 0..300 {
        let random = |rng: &mut fastrand::Rng| -> String {
            (0..rng.usize(1..9)).map(|_| pieces[rng.usize(..pieces.len())]).collect()
        };
        let (one, other) = (random(&mut rng), random(&mut rng));
        point(&[("hostile", &one), ("other", &other), ("index", &index.to_string())], f64::from(index) + 0.5);
    }
}

fn page(format: Format) -> Vec<u8> {
    let mut encoder = Encoder::new(format, String::new());
    let header = Header { name: "hostile", kind: Kind::Gauge, help: Some("\\ \n \" é"), unit: None };
    let mut gauge = encoder.begin(header).unwrap();
    points(|labels, value| {
        gauge.point(labels.iter().copied(), ValueRef::Number(value), Extra::default()).unwrap();
    });
    encoder.finish().unwrap().into_bytes()
}

#[test]
fn text() {
    if let Some(scraped) = scrape(PrometheusConfig::new(), |_| (Format::Text.content_type(), page(Format::Text))) {
        assert_exact(&scraped);
    }
}

#[test]
fn openmetrics() {
    let openmetrics = |accept: &str| {
        assert_eq!(Format::from_accept(accept), Format::OpenMetrics, "{accept}");
        (Format::OpenMetrics.content_type(), page(Format::OpenMetrics))
    };
    if let Some(scraped) = scrape(PrometheusConfig::new(), openmetrics) {
        assert_exact(&scraped);
    }
}

/// All series are there, with the labels and values that [`points`] gave, and no others.
pub(crate) fn assert_exact(Scraped { prometheus, scrapes, .. }: &Scraped) {
    let answer = prometheus.query("hostile");
    let mut seen: Vec<String> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            let value: f64 = series["value"][1].as_str().unwrap().parse().unwrap();
            let labels = series["metric"].as_object().unwrap().iter();
            let own = labels.filter(|(name, _)| !["__name__", "job", "instance"].contains(&name.as_str()));
            format!(
                "{:?} {value}",
                own.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect::<Vec<_>>()
            )
        })
        .collect();
    let mut expected = Vec::new();
    points(|labels, value| {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        expected.push(format!("{labels:?} {value}"));
    });
    seen.sort();
    expected.sort();
    for (seen, expected) in seen.iter().zip(&expected) {
        assert_eq!(seen, expected);
    }
    assert_eq!(seen.len(), expected.len());
    assert!(scrapes.load(Ordering::Relaxed) > 0);
}

/// What Prometheus cannot keep, or keeps otherwise, whatever the format: an empty label is no label there.
#[test]
fn an_empty_value_is_no_label() {
    let page = |_: &str| {
        let mut encoder = Encoder::new(Format::Text, String::new());
        let header = Header { name: "empty", kind: Kind::Gauge, help: None, unit: None };
        encoder.begin(header).unwrap().point([("a", ""), ("b", "x")], ValueRef::Number(1.0), Extra::default()).unwrap();
        (Format::Text.content_type(), encoder.finish().unwrap().into_bytes())
    };
    let Some(Scraped { prometheus, .. }) = scrape(PrometheusConfig::new(), page) else { return };
    let series = prometheus.query("empty{a=\"\", b=\"x\"}");
    assert!(series[0]["metric"].get("a").is_none() && series[0]["metric"]["b"] == "x", "{series}");
}
