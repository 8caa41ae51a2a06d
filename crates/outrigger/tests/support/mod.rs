//! A metrics page as a test wants to ask it.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use outrigger::Metrics;
use outrigger_exposition::{Family, Format, Histogram, Kind, Value, families};
use outrigger_semconv::Metric;

/// A page, read by our own parser.
pub(crate) struct Page {
    text: String,
    families: Vec<Family>,
}

impl Page {
    /// Renders and reads a page, and holds it against what is true of every page: it can be read without a complaint,
    /// and every metric stands in the catalogue, with its kind, its help and no label that the catalogue lacks.
    #[track_caller]
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let page = Self::read(metrics.render().expect("these metrics have a page"));
        for family in &page.families {
            page.check_against_catalogue(family);
        }
        page
    }

    #[track_caller]
    pub(crate) fn read(text: String) -> Self {
        let read = families(text.as_bytes(), Format::Text);
        assert!(read.bad_lines.is_empty() && read.problems.is_empty(), "{:?} {:?}", read.bad_lines, read.problems);
        Self { text, families: read.families }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn families(&self) -> &[Family] {
        &self.families
    }

    pub(crate) fn family(&self, metric: &Metric) -> Option<&Family> {
        self.families.iter().find(|family| metric_name(family) == metric.name)
    }

    /// Every label set of a metric.
    pub(crate) fn series(&self, metric: &Metric) -> Vec<BTreeMap<&str, &str>> {
        let points = self.family(metric).map(|family| family.points.as_slice()).unwrap_or_default();
        points.iter().map(|point| label_map(&point.labels)).collect()
    }

    /// The value with exactly these labels.
    pub(crate) fn value(&self, metric: &Metric, labels: &[(&str, &str)]) -> Option<&Value> {
        // A label without a value is none: what Prometheus makes of it, and some recorders do not write it.
        let wanted: BTreeMap<&str, &str> = labels.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
        let point = self.family(metric)?.points.iter().find(|point| label_map(&point.labels) == wanted)?;
        Some(&point.value)
    }

    /// The counter or gauge with exactly these labels.
    pub(crate) fn number(&self, metric: &Metric, labels: &[(&str, &str)]) -> Option<f64> {
        match self.value(metric, labels)? {
            Value::Counter(number) | Value::Gauge(number) => Some(*number),
            other => panic!("{} is {other:?}", metric.name),
        }
    }

    /// The histogram with exactly these labels.
    pub(crate) fn histogram(&self, metric: &Metric, labels: &[(&str, &str)]) -> Option<&Histogram> {
        match self.value(metric, labels)? {
            Value::Histogram(histogram) => Some(histogram),
            other => panic!("{} is {other:?}", metric.name),
        }
    }

    /// Observations in the histogram with exactly these labels; 0 if there is none.
    pub(crate) fn count(&self, metric: &Metric, labels: &[(&str, &str)]) -> u64 {
        self.histogram(metric, labels).map_or(0, Histogram::count)
    }

    /// Observations in all histograms of a metric.
    pub(crate) fn total(&self, metric: &Metric) -> u64 {
        let points = self.family(metric).map(|family| family.points.as_slice()).unwrap_or_default();
        let count = |value: &Value| if let Value::Histogram(histogram) = value { histogram.count() } else { 0 };
        points.iter().map(|point| count(&point.value)).sum()
    }

    /// The sum of all points of a gauge or counter.
    pub(crate) fn sum(&self, metric: &Metric) -> f64 {
        let points = self.family(metric).map(|family| family.points.as_slice()).unwrap_or_default();
        let number = |value: &Value| if let Value::Counter(n) | Value::Gauge(n) = value { *n } else { 0.0 };
        points.iter().map(|point| number(&point.value)).sum()
    }

    #[track_caller]
    fn check_against_catalogue(&self, family: &Family) {
        let name = metric_name(family);
        let metric = outrigger_semconv::find(&name).unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        let kind = match metric.kind {
            outrigger_semconv::Kind::Counter => Kind::Counter,
            outrigger_semconv::Kind::Gauge => Kind::Gauge,
            outrigger_semconv::Kind::Histogram(_) => Kind::Histogram,
        };
        assert_eq!(family.kind, kind, "{name}");
        assert_eq!(family.help.as_deref(), Some(metric.help), "{name}");
        for point in &family.points {
            for label in &point.labels {
                assert!(metric.labels.contains(&label.name.as_str()), "{name}: label {}", label.name);
            }
            if let Value::Histogram(histogram) = &point.value {
                assert_eq!(Some(histogram.bounds.as_slice()), metric.bounds(), "{name}");
                assert!(histogram.sum.is_some_and(|sum| sum >= 0.0), "{name}");
            }
        }
    }
}

/// Waits until a page is as wanted.
pub(crate) async fn wait_for_page(metrics: &Metrics, what: &str, wanted: impl Fn(&Page) -> bool) -> Page {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let page = Page::of(metrics);
        if wanted(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}:\n{}", page.text());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn metric_name(family: &Family) -> String {
    let suffix = if family.kind == Kind::Counter { "_total" } else { "" };
    format!("{}{suffix}", family.name)
}

fn label_map(labels: &[outrigger_exposition::Label]) -> BTreeMap<&str, &str> {
    let labels = labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
    labels.filter(|(_, value)| !value.is_empty()).collect()
}
