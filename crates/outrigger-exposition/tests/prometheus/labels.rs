//! Label values come back exactly, whatever they are.

use crate::{Scraped, hostile, scrape};
use outrigger_exposition::{Encoder, Extra, Format, Header, Kind, ValueRef};
use outrigger_testkit::PrometheusConfig;
use std::sync::atomic::Ordering;

/// One series for each hostile value.
pub(crate) fn points(mut point: impl FnMut(&[(&str, &str)], f64)) {
    // An empty value is no label to Prometheus.
    for (index, value) in hostile::values().iter().filter(|value| !value.is_empty()).enumerate() {
        point(&[("hostile", value), ("other", "x")], index as f64);
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
