//! From series to OTLP messages.
//!
//! Pages are cumulative, and so is what is sent: sums and histograms carry the time since which they count, which is the
//! start of the target's process, or the last page before they fell back, or the time they were first seen. Buckets are
//! **not** cumulative here, and `+Inf` is not among the bounds. `target_info` becomes resource attributes, as the
//! [compatibility specification](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/) asks.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, Summary, SummaryDataPoint, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use outrigger_exposition::{Family, Point, Value};
use outrigger_semconv as semconv;
use outrigger_semconv::{label, library, process};

use crate::collect::scrape::Address;
use crate::series::{self, Data, SeriesTable};

/// A request, and how many data points it holds.
pub(crate) struct Message {
    pub(crate) request: ExportMetricsServiceRequest,
    pub(crate) points: u64,
}

/// Everything on a target's last page, which was scraped at `at`.
pub(crate) fn of_target(series: &SeriesTable, address: &Address, at: SystemTime) -> Message {
    let process_start = series.process_start().and_then(since_epoch_seconds);
    let mut metrics = Metrics::default();
    let mut resource = target_resource(address);
    for (family, point) in series.points() {
        let name = family.name();
        if name == library::TARGET_INFO.name {
            for (label, value) in &point.labels {
                resource.insert(label::otel(label).to_owned(), value.to_string());
            }
            continue;
        }
        let labels = point.labels.iter().map(|(name, value)| (&**name, &**value));
        let time = point.timestamp_ms.and_then(since_epoch).unwrap_or(at);
        let times = Times { start: nanos(start(point, process_start).min(time)), time: nanos(time) };
        let known = Known { name: &name, help: &family.help, unit: &family.unit };
        match &point.data {
            Data::Counter(value) => metrics.sum(known, labels, *value, times),
            Data::Gauge(value) => metrics.gauge(known, labels, *value, times),
            Data::Histogram(histogram) => {
                let (bounds, counts) = (histogram.bounds().collect(), histogram.counts().collect());
                metrics.histogram(known, labels, bounds, counts, Some(histogram.sum), times);
            }
            Data::Summary { quantiles, sum, count } => {
                metrics.summary(known, labels, quantiles.iter().copied(), *sum, *count as u64, times);
            }
        }
    }
    metrics.finish(resource)
}

/// The agent's own and derived series. `start` is the agent's; what it read of another process counts since that one's.
pub(crate) fn of_agent(families: &[Family], instance: &str, start: SystemTime, at: SystemTime) -> Message {
    let starts = process_starts(families);
    let mut metrics = Metrics::default();
    for family in families {
        let name = match family.kind {
            outrigger_exposition::Kind::Counter => format!("{}_total", family.name),
            _ => family.name.clone(),
        };
        let known = Known {
            name: &name,
            help: family.help.as_deref().unwrap_or_default(),
            unit: family.unit.as_deref().unwrap_or_default(),
        };
        let is_of_process = PROCESS_COUNTERS.contains(&name.as_str());
        for point in &family.points {
            let process = target(point).filter(|_| is_of_process).and_then(|target| starts.get(target));
            let times = Times { start: nanos(process.copied().unwrap_or(start).min(at)), time: nanos(at) };
            let labels = point.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
            match &point.value {
                Value::Counter(value) => metrics.sum(known, labels, *value, times),
                Value::Histogram(histogram) => {
                    let (bounds, counts) = (histogram.bounds.clone(), histogram.counts.clone());
                    metrics.histogram(known, labels, bounds, counts, histogram.sum, times);
                }
                Value::Gauge(value) | Value::Unknown(value) => metrics.gauge(known, labels, *value, times),
                // The agent has none of the other kinds.
                _ => {}
            }
        }
    }
    let mut resource = BTreeMap::new();
    resource.insert("service.name".to_owned(), "outrigger".to_owned());
    resource.insert("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    resource.insert(INSTANCE.to_owned(), instance.to_owned());
    metrics.finish(resource)
}

/// What the system counts of a process since its start.
const PROCESS_COUNTERS: [&str; 2] = [process::CPU_TIME.name, process::CPU_SECONDS.name];

/// The start of each process that the agent reads, by its target.
fn process_starts(families: &[Family]) -> BTreeMap<&str, SystemTime> {
    let starts = families.iter().filter(|family| family.name == process::START_TIME.name);
    let points = starts.flat_map(|family| &family.points);
    points
        .filter_map(|point| match point.value {
            Value::Gauge(seconds) => Some((target(point)?, since_epoch_seconds(seconds)?)),
            _ => None,
        })
        .collect()
}

fn target(point: &Point) -> Option<&str> {
    point.labels.iter().find(|of| of.name == label::TARGET).map(|of| of.value.as_str())
}

const INSTANCE: &str = "service.instance.id";

/// What is known of a target before its page speaks.
fn target_resource(address: &Address) -> BTreeMap<String, String> {
    let pairs = [
        ("service.name", "unknown_service".to_owned()),
        (INSTANCE, address.label().to_owned()),
        ("server.address", address.host().to_owned()),
        ("server.port", address.port().to_string()),
        ("url.scheme", address.uri().scheme_str().unwrap_or("http").to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Since when a point counts.
fn start(point: &series::Point, process_start: Option<SystemTime>) -> SystemTime {
    match (point.reset_at, process_start) {
        (Some(reset), Some(process)) => reset.max(process),
        (Some(reset), None) => reset,
        (None, Some(process)) => process,
        (None, None) => point.first_seen,
    }
}

/// When a point began to count and when it was read, in nanoseconds since the epoch.
#[derive(Clone, Copy)]
struct Times {
    start: u64,
    time: u64,
}

/// What a page says of a family.
#[derive(Clone, Copy)]
struct Known<'a> {
    name: &'a str,
    help: &'a str,
    unit: &'a str,
}

/// The metrics of one request, by their names on the page.
#[derive(Default)]
struct Metrics {
    by_name: BTreeMap<String, Entry>,
    points: u64,
}

struct Entry {
    metric: Metric,
    is_catalogued: bool,
}

impl Metrics {
    fn gauge<'a>(
        &mut self,
        known: Known<'_>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        value: f64,
        times: Times,
    ) {
        let empty = || metric::Data::Gauge(Gauge::default());
        let (attributes, data) = self.place(known, labels, empty, |kind| kind == semconv::Kind::Gauge);
        if let metric::Data::Gauge(gauge) = data {
            // A gauge counts nothing, so it has no start.
            gauge.data_points.push(number(attributes, value, Times { start: 0, ..times }));
        }
    }

    fn sum<'a>(
        &mut self,
        known: Known<'_>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        value: f64,
        times: Times,
    ) {
        let empty = || {
            metric::Data::Sum(Sum {
                data_points: Vec::new(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            })
        };
        let (attributes, data) = self.place(known, labels, empty, |kind| kind == semconv::Kind::Counter);
        if let metric::Data::Sum(sum) = data {
            sum.data_points.push(number(attributes, value, times));
        }
    }

    fn histogram<'a>(
        &mut self,
        known: Known<'_>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        explicit_bounds: Vec<f64>,
        bucket_counts: Vec<u64>,
        sum: Option<f64>,
        times: Times,
    ) {
        let empty = || {
            metric::Data::Histogram(Histogram {
                data_points: Vec::new(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            })
        };
        let is_histogram = |kind| matches!(kind, semconv::Kind::Histogram(_));
        let (attributes, data) = self.place(known, labels, empty, is_histogram);
        if let metric::Data::Histogram(histogram) = data {
            histogram.data_points.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: times.start,
                time_unix_nano: times.time,
                count: bucket_counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count)),
                sum,
                bucket_counts,
                explicit_bounds,
                ..HistogramDataPoint::default()
            });
        }
    }

    fn summary<'a>(
        &mut self,
        known: Known<'_>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        quantiles: impl Iterator<Item = (f64, f64)>,
        sum: f64,
        count: u64,
        times: Times,
    ) {
        let empty = || metric::Data::Summary(Summary::default());
        // The catalogue has no summaries: if the name is in it, it is another metric.
        let (attributes, data) = self.place(known, labels, empty, |_| false);
        if let metric::Data::Summary(summary) = data {
            summary.data_points.push(SummaryDataPoint {
                attributes,
                start_time_unix_nano: times.start,
                time_unix_nano: times.time,
                count,
                sum,
                quantile_values: quantiles.map(|(quantile, value)| ValueAtQuantile { quantile, value }).collect(),
                ..SummaryDataPoint::default()
            });
        }
    }

    /// The data of a family, and the attributes for a new point in it.
    fn place<'a>(
        &mut self,
        known: Known<'_>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        empty: impl FnOnce() -> metric::Data,
        is_kind: impl FnOnce(semconv::Kind) -> bool,
    ) -> (Vec<KeyValue>, &mut metric::Data) {
        self.points += 1;
        let entry = self.by_name.entry(known.name.to_owned()).or_insert_with(|| {
            let catalogued = semconv::find(known.name).filter(|metric| is_kind(metric.kind));
            let metric = Metric {
                name: catalogued.map_or(known.name, |metric| metric.otel).to_owned(),
                description: known.help.to_owned(),
                unit: catalogued.map_or_else(|| ucum(known.unit), |metric| metric.unit.ucum()).to_owned(),
                ..Metric::default()
            };
            Entry { metric, is_catalogued: catalogued.is_some() }
        });
        let attributes = labels.map(|(name, value)| attribute(entry.is_catalogued, name, value)).collect();
        (attributes, entry.metric.data.get_or_insert_with(empty))
    }

    fn finish(self, resource: BTreeMap<String, String>) -> Message {
        let attributes = resource.iter().map(|(name, value)| attribute(true, name, value)).collect();
        let scope = InstrumentationScope {
            name: "outrigger".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let metrics = self.by_name.into_values().map(|entry| entry.metric).collect();
        let resource_metrics = ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        };
        Message {
            request: ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] },
            points: self.points,
        }
    }
}

fn number(attributes: Vec<KeyValue>, value: f64, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.time,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

/// An attribute. Labels of catalogued metrics get their dotted names, and the few whose convention asks for a number,
/// become one.
fn attribute(is_catalogued: bool, name: &str, value: &str) -> KeyValue {
    let key = if is_catalogued { label::otel(name) } else { name };
    let number =
        matches!(key, "http.response.status_code" | "server.port").then(|| value.parse::<i64>().ok()).flatten();
    let value = match number {
        Some(number) => any_value::Value::IntValue(number),
        None => any_value::Value::StringValue(value.to_owned()),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A unit that a page spells out, in the notation of OTLP. An unknown one stays as it is.
fn ucum(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "bytes" => "By",
        "ratio" => "1",
        "meters" => "m",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "celsius" => "Cel",
        "grams" => "g",
        other => other,
    }
}

/// A time stamp of a page; `None` before the epoch or beyond what the clock knows.
fn since_epoch(ms: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(ms).ok()?))
}

fn since_epoch_seconds(seconds: f64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::scrape::Page;
    use outrigger_exposition::{Format, Kind, Label};
    use prost::Message as _;
    use std::time::Instant;

    const PAGE: &str = r#"
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1700000000
# TYPE target_info gauge
target_info{service_name="shop",service_version="1.2.3"} 1
# HELP http_server_request_duration_seconds Duration of HTTP server requests, to the end of the response body.
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{http_route="/a",http_response_status_code="200",le="0.1"} 3
http_server_request_duration_seconds_bucket{http_route="/a",http_response_status_code="200",le="0.2"} 5
http_server_request_duration_seconds_bucket{http_route="/a",http_response_status_code="200",le="+Inf"} 6
http_server_request_duration_seconds_sum{http_route="/a",http_response_status_code="200"} 1.5
http_server_request_duration_seconds_count{http_route="/a",http_response_status_code="200"} 6
# TYPE jobs_total counter
jobs_total{http_route="/x"} 7
# TYPE latency summary
latency{quantile="0.5"} 0.1
latency_sum 3
latency_count 30
"#;

    fn at() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_100)
    }

    fn table(pages: &[&str]) -> SeriesTable {
        let mut series = SeriesTable::new(1000);
        for (number, page) in pages.iter().enumerate() {
            let page = Page { bytes: page.as_bytes().to_vec(), format: Format::Text, cut_samples: 0 };
            let number_back = (pages.len() - 1 - number) as u32;
            let started = Instant::now() + Duration::from_secs(10) * number as u32;
            series.read(&page, at() - Duration::from_secs(10) * number_back, started);
        }
        series
    }

    /// The message as a receiver reads it from its bytes.
    fn decoded(pages: &[&str]) -> (BTreeMap<String, String>, BTreeMap<String, Metric>) {
        let message = of_target(&table(pages), &Address::default(), at());
        let bytes = message.request.encode_to_vec();
        let mut request = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
        let resource_metrics = request.resource_metrics.remove(0);
        let resource = text(&resource_metrics.resource.unwrap().attributes);
        let metrics = resource_metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        (resource, metrics.map(|metric| (metric.name.clone(), metric)).collect())
    }

    fn text(attributes: &[KeyValue]) -> BTreeMap<String, String> {
        let value = |pair: &KeyValue| match pair.value.clone().unwrap().value.unwrap() {
            any_value::Value::StringValue(text) => text,
            any_value::Value::IntValue(number) => format!("int {number}"),
            other => panic!("{other:?}"),
        };
        attributes.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
    }

    #[test]
    fn histograms_go_out_under_their_conventional_name_with_plain_buckets() {
        let (resource, metrics) = decoded(&[PAGE]);
        assert_eq!(resource["service.name"], "shop");
        assert_eq!(resource["service.version"], "1.2.3");
        assert_eq!(resource["service.instance.id"], "127.0.0.1:9464");
        assert_eq!(resource["server.port"], "int 9464");

        let metric = &metrics["http.server.request.duration"];
        assert_eq!(
            (metric.unit.as_str(), metric.description.as_str()),
            ("s", semconv::http::SERVER_REQUEST_DURATION.help)
        );
        let Some(metric::Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
        let point = &histogram.data_points[0];
        assert_eq!(point.explicit_bounds, [0.1, 0.2]);
        assert_eq!(point.bucket_counts, [3, 2, 1]);
        assert_eq!((point.count, point.sum), (6, Some(1.5)));
        assert_eq!(point.start_time_unix_nano, 1_700_000_000_000_000_000);
        assert_eq!(point.time_unix_nano, 1_700_000_100_000_000_000);
        let attributes = text(&point.attributes);
        assert_eq!(
            (attributes["http.route"].as_str(), attributes["http.response.status_code"].as_str()),
            ("/a", "int 200")
        );
    }

    #[test]
    fn strange_metrics_keep_their_names_and_labels() {
        let (_, metrics) = decoded(&[PAGE]);
        let Some(metric::Data::Sum(sum)) = &metrics["jobs_total"].data else { panic!() };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsDouble(7.0)));
        assert_eq!(text(&sum.data_points[0].attributes)["http_route"], "/x");
        let Some(metric::Data::Summary(summary)) = &metrics["latency"].data else { panic!() };
        assert_eq!((summary.data_points[0].count, summary.data_points[0].quantile_values.len()), (30, 1));
        assert!(!metrics.contains_key("target_info"), "it is the resource");
    }

    #[test]
    fn a_counter_that_fell_begins_anew_at_the_page_before() {
        let page = |value: &str| format!("# TYPE jobs_total counter\njobs_total {value}\n");
        let start = |pages: &[&str]| {
            let (_, metrics) = decoded(pages);
            let Some(metric::Data::Sum(sum)) = &metrics["jobs_total"].data else { panic!() };
            sum.data_points[0].start_time_unix_nano / 1_000_000_000
        };
        assert_eq!(start(&[&page("5")]), 1_700_000_100, "nothing older is known");
        assert_eq!(start(&[&page("5"), &page("6")]), 1_700_000_090, "the first page");
        assert_eq!(start(&[&page("5"), &page("6"), &page("1")]), 1_700_000_090, "the page before the fall");
    }

    #[test]
    fn the_start_stays_when_the_clock_is_set() {
        let page = |start: u64, jobs: u64| {
            format!("process_start_time_seconds {start}\n# TYPE jobs_total counter\njobs_total {jobs}\n")
        };
        let (_, metrics) = decoded(&[&page(1_700_000_000, 1), &page(1_699_996_400, 2)]);
        let Some(metric::Data::Sum(sum)) = &metrics["jobs_total"].data else { panic!() };
        assert_eq!(sum.data_points[0].start_time_unix_nano, 1_700_000_000_000_000_000);
    }

    #[test]
    fn counters_of_a_process_start_with_it_and_others_with_the_agent() {
        let labels = || vec![Label::new(label::TARGET, "shop:80")];
        let family =
            |name: &str, kind, value| Family { points: vec![Point::new(labels(), value)], ..Family::new(name, kind) };
        let families = [
            family("process_cpu_seconds", Kind::Counter, Value::Counter(5.0)),
            family("outrigger_incidents", Kind::Counter, Value::Counter(1.0)),
            family("process_start_time_seconds", Kind::Gauge, Value::Gauge(1_600_000_000.5)),
        ];
        let message = of_agent(&families, "127.0.0.1:9465", at() - Duration::from_secs(60), at());
        let metrics = &message.request.resource_metrics[0].scope_metrics[0].metrics;
        let start = |name: &str| {
            let metric = metrics.iter().find(|metric| metric.name.starts_with(name)).unwrap();
            let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
            sum.data_points[0].start_time_unix_nano
        };
        assert_eq!(start("process.cpu"), 1_600_000_000_500_000_000);
        assert_eq!(start("outrigger"), 1_700_000_040_000_000_000);
    }

    #[test]
    fn the_number_of_points_is_told() {
        assert_eq!(of_target(&table(&[PAGE]), &Address::default(), at()).points, 4);
    }
}
