//! From families to OTLP requests.
//!
//! Metrics of the catalogue go out under their OpenTelemetry names, attributes and units; others keep the names of the
//! page. Buckets are **not** cumulative here and `+Inf` is not among the bounds. `target_info` is left out: it is the
//! resource.

use std::io::Write as _;
use std::mem::{discriminant, take};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    self as otlp, AggregationTemporality, ExponentialHistogramDataPoint, Gauge, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use outrigger_exposition::{Exemplar, Family, Histogram, Kind, Label, NativeBuckets, NativeHistogram, Point, Value};
use outrigger_semconv::{self as semconv, label, library, process};
use prost::Message as _;

use super::delta::{Deltas, Taken, nanos};

/// A request, ready to be sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) points: u64,
}

/// What a snapshot became.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) requests: Vec<Request>,
    /// Points of a kind that OTLP has no word for.
    pub(super) unsupported: u64,
    /// Points of series past the bound on what deltas remember.
    pub(super) over_limit: u64,
}

/// Since when sums count.
#[derive(Debug)]
pub(super) enum Temporality {
    /// Since this time, in nanoseconds since the epoch.
    Cumulative { start: u64 },
    /// Since they were last delivered.
    Delta(Deltas),
}

/// How requests are made.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// Attributes of the resource.
    pub(super) resource: Vec<(String, String)>,
    pub(super) gzip: bool,
    /// The most points of one request.
    pub(super) max_points: usize,
}

/// Turns a snapshot that was taken at `now`, in nanoseconds since the epoch, into requests.
pub(super) fn message(families: Vec<Family>, form: &Form, temporality: &mut Temporality, now: u64) -> Message {
    // Every number of this process began at zero with it.
    if let Some(process) = process_start(&families) {
        match temporality {
            Temporality::Cumulative { start } => *start = process.min(*start),
            Temporality::Delta(deltas) => deltas.begin(process),
        }
    }
    let mut requests = Requests { form, temporality, now, metrics: Vec::new(), points: 0, message: Message::default() };
    for family in families {
        requests.family(family);
    }
    requests.close();
    requests.message
}

fn process_start(families: &[Family]) -> Option<u64> {
    let family = families.iter().find(|family| family.name == process::START_TIME.name)?;
    match family.points.first()?.value {
        Value::Gauge(seconds) if seconds > 0.0 => Some(nanos(seconds)),
        _ => None,
    }
}

/// Requests in the making.
struct Requests<'a> {
    form: &'a Form,
    temporality: &'a mut Temporality,
    now: u64,
    /// The request that is being filled.
    metrics: Vec<Metric>,
    points: usize,
    message: Message,
}

impl Requests<'_> {
    fn family(&mut self, family: Family) {
        let Family { name, help, unit, kind, points } = family;
        let name = match kind {
            Kind::Counter => format!("{name}_total"),
            Kind::Info => format!("{name}_info"),
            _ => name,
        };
        if name == library::TARGET_INFO.name {
            return;
        }
        let catalogued = semconv::find(&name).filter(|metric| is_kind(metric.kind, kind));
        let head = Head {
            name: catalogued.map_or(name.as_str(), |metric| metric.otel),
            description: help.as_deref().unwrap_or_default(),
            unit: catalogued.map_or_else(|| ucum(unit.as_deref().unwrap_or_default()), |metric| metric.unit.ucum()),
            is_catalogued: catalogued.is_some(),
        };
        for mut point in points {
            let Some(times) = self.times(&name, &mut point) else { continue };
            let Some(empty) = self.empty(&point.value) else {
                self.message.unsupported += 1;
                continue;
            };
            if let Some(data) = self.place(&head, empty) {
                push(data, point, times, head.is_catalogued);
                self.points += 1;
            }
            if self.points >= self.form.max_points {
                self.close();
            }
        }
    }

    /// Where the next point of a metric goes: into the last one if that is of its name and kind, else into a new one.
    fn place(&mut self, head: &Head<'_>, empty: metric::Data) -> Option<&mut metric::Data> {
        let is_same = |metric: &Metric| {
            metric.name == head.name
                && metric.data.as_ref().is_some_and(|data| discriminant(data) == discriminant(&empty))
        };
        if !self.metrics.last().is_some_and(is_same) {
            self.metrics.push(Metric {
                name: head.name.to_owned(),
                description: head.description.to_owned(),
                unit: head.unit.to_owned(),
                data: Some(empty),
                ..Metric::default()
            });
        }
        self.metrics.last_mut()?.data.as_mut()
    }

    /// Data without points, of the kind that a value asks for.
    fn empty(&self, value: &Value) -> Option<metric::Data> {
        let aggregation_temporality = match self.temporality {
            Temporality::Cumulative { .. } => AggregationTemporality::Cumulative,
            Temporality::Delta(_) => AggregationTemporality::Delta,
        }
        .into();
        Some(match value {
            Value::Counter(_) => {
                metric::Data::Sum(Sum { data_points: Vec::new(), aggregation_temporality, is_monotonic: true })
            }
            Value::Gauge(_) | Value::Unknown(_) | Value::Info | Value::State(_) => {
                metric::Data::Gauge(Gauge::default())
            }
            Value::Histogram(Histogram { native: Some(_), .. }) => {
                metric::Data::ExponentialHistogram(otlp::ExponentialHistogram {
                    data_points: Vec::new(),
                    aggregation_temporality,
                })
            }
            Value::Histogram(_) => {
                metric::Data::Histogram(otlp::Histogram { data_points: Vec::new(), aggregation_temporality })
            }
            Value::Summary(_) => metric::Data::Summary(Summary::default()),
            Value::GaugeHistogram(_) => return None,
        })
    }

    /// When a point counts from and was read; `None` when there is nothing to send of it.
    fn times(&mut self, family: &str, point: &mut Point) -> Option<Times> {
        let time =
            point.timestamp_ms.and_then(|ms| u64::try_from(ms).ok()).map_or(self.now, |ms| ms.saturating_mul(MS));
        let request = self.message.requests.len();
        let start = match (&mut *self.temporality, &point.value) {
            (Temporality::Delta(deltas), Value::Counter(_) | Value::Histogram(_)) => {
                match deltas.take(family, point, request, time) {
                    Taken::Since(start) => start,
                    Taken::Unchanged => return None,
                    Taken::Full => {
                        self.message.over_limit += 1;
                        return None;
                    }
                }
            }
            (Temporality::Cumulative { start }, Value::Counter(_) | Value::Histogram(_) | Value::Summary(_)) => {
                point.created.map_or(*start, nanos).min(time)
            }
            // A gauge counts nothing, so it has no start; that of a summary may be unknown.
            _ => 0,
        };
        Some(Times { start, time })
    }

    /// Ends the request that is being filled.
    fn close(&mut self) {
        if self.points == 0 {
            return;
        }
        let attributes = self.form.resource.iter().map(|(name, value)| text_attribute(name, value)).collect();
        let scope = InstrumentationScope {
            name: "outrigger".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics =
            ScopeMetrics { scope: Some(scope), metrics: take(&mut self.metrics), ..ScopeMetrics::default() };
        let resource_metrics = ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
        let body = if self.form.gzip { gzip(&request.encode_to_vec()) } else { request.encode_to_vec() };
        self.message.requests.push(Request { body: body.into(), points: self.points as u64 });
        self.points = 0;
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Writing to a vector cannot fail.
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn is_kind(catalogued: semconv::Kind, kind: Kind) -> bool {
    match catalogued {
        semconv::Kind::Counter => kind == Kind::Counter,
        semconv::Kind::Gauge => kind == Kind::Gauge,
        semconv::Kind::Histogram(_) => kind == Kind::Histogram,
    }
}

/// What the points of a metric share.
struct Head<'a> {
    name: &'a str,
    description: &'a str,
    unit: &'a str,
    is_catalogued: bool,
}

/// When a point began to count and when it was read, in nanoseconds since the epoch.
#[derive(Clone, Copy)]
struct Times {
    start: u64,
    time: u64,
}

/// Adds a point to data of its kind.
fn push(data: &mut metric::Data, point: Point, times: Times, is_catalogued: bool) {
    let attributes = point.labels.iter().map(|label| attribute(is_catalogued, label)).collect();
    match (data, point.value) {
        (metric::Data::Sum(sum), Value::Counter(value)) => {
            let exemplars = point.exemplar.iter().map(|example| otlp_exemplar(example, times.time)).collect();
            sum.data_points.push(NumberDataPoint { exemplars, ..number(attributes, value, times) });
        }
        (metric::Data::Gauge(gauge), value) => {
            let value = match value {
                Value::Gauge(value) | Value::Unknown(value) => value,
                Value::State(is_set) => f64::from(u8::from(is_set)),
                _ => 1.0,
            };
            gauge.data_points.push(number(attributes, value, times));
        }
        (metric::Data::ExponentialHistogram(histogram), Value::Histogram(mut value)) => {
            let native = value.native.take().unwrap_or_default();
            histogram.data_points.push(exponential(attributes, value, native, times));
        }
        (metric::Data::Histogram(histogram), Value::Histogram(value)) => {
            histogram.data_points.push(explicit(attributes, value, times));
        }
        (metric::Data::Summary(summary), Value::Summary(value)) => {
            let quantiles = value.quantiles.iter();
            summary.data_points.push(SummaryDataPoint {
                attributes,
                start_time_unix_nano: times.start,
                time_unix_nano: times.time,
                count: value.count.unwrap_or_default(),
                sum: value.sum.unwrap_or_default(),
                quantile_values: quantiles
                    .map(|of| ValueAtQuantile { quantile: of.quantile, value: of.value })
                    .collect(),
                ..SummaryDataPoint::default()
            });
        }
        // The data was made for the value.
        _ => {}
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

fn explicit(attributes: Vec<KeyValue>, histogram: Histogram, times: Times) -> HistogramDataPoint {
    let exemplars = histogram.exemplars.iter().map(|example| otlp_exemplar(&example.exemplar, times.time)).collect();
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.time,
        count: histogram.count(),
        sum: histogram.sum,
        bucket_counts: histogram.counts,
        explicit_bounds: histogram.bounds,
        exemplars,
        ..HistogramDataPoint::default()
    }
}

fn exponential(
    attributes: Vec<KeyValue>,
    histogram: Histogram,
    native: NativeHistogram,
    times: Times,
) -> ExponentialHistogramDataPoint {
    let exemplars = histogram.exemplars.iter().map(|example| otlp_exemplar(&example.exemplar, times.time)).collect();
    let is_monotonic = native.negative.counts.iter().all(|count| *count == 0);
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.time,
        count: native.count(),
        // OTLP wants no sum that may fall.
        sum: histogram.sum.filter(|_| is_monotonic),
        scale: native.schema,
        zero_count: native.zero_count,
        zero_threshold: native.zero_threshold,
        positive: Some(buckets(native.positive)),
        negative: Some(buckets(native.negative)),
        exemplars,
        ..ExponentialHistogramDataPoint::default()
    }
}

/// Bucket `i` is (base^(i-1), base^i] in Prometheus and (base^i, base^(i+1)] in OTLP.
fn buckets(native: NativeBuckets) -> Buckets {
    Buckets { offset: native.offset.saturating_sub(1), bucket_counts: native.counts }
}

/// An exemplar. What names its trace has a place of its own; `time` is for one that does not say when it was observed.
fn otlp_exemplar(example: &Exemplar, time: u64) -> otlp::Exemplar {
    let mut made = otlp::Exemplar {
        time_unix_nano: example
            .timestamp_ms
            .and_then(|ms| u64::try_from(ms).ok())
            .map_or(time, |ms| ms.saturating_mul(MS)),
        value: Some(exemplar::Value::AsDouble(example.value)),
        ..otlp::Exemplar::default()
    };
    for label in &example.labels {
        match (label.name.as_str(), bytes_of_hex(&label.value)) {
            ("trace_id", Some(id)) if label.value.len() == 32 => made.trace_id = id,
            ("span_id", Some(id)) if label.value.len() == 16 => made.span_id = id,
            _ => made.filtered_attributes.push(text_attribute(&label.name, &label.value)),
        }
    }
    made
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    Some(digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// An attribute. Labels of catalogued metrics get their dotted names, and the few whose convention asks for a number,
/// become one.
fn attribute(is_catalogued: bool, label: &Label) -> KeyValue {
    let key = if is_catalogued { label::otel(&label.name) } else { &label.name };
    let is_number = matches!(key, "http.response.status_code" | "server.port");
    match label.value.parse().ok().filter(|_| is_number) {
        Some(number) => key_value(key, any_value::Value::IntValue(number)),
        None => text_attribute(key, &label.value),
    }
}

fn text_attribute(key: &str, value: &str) -> KeyValue {
    key_value(key, any_value::Value::StringValue(value.to_owned()))
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A unit that a page spells out, in the notation of OTLP. An unknown one stays as it is.
fn ucum(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "milliseconds" => "ms",
        "microseconds" => "us",
        "nanoseconds" => "ns",
        "bytes" => "By",
        "ratio" => "1",
        "percent" => "%",
        "kibibytes" => "KiBy",
        "mebibytes" => "MiBy",
        "gibibytes" => "GiBy",
        "tebibytes" => "TiBy",
        "bits_per_second" => "bit/s",
        "kilobits_per_second" => "kbit/s",
        "megabits_per_second" => "Mbit/s",
        "gigabits_per_second" => "Gbit/s",
        "terabits_per_second" => "Tbit/s",
        "count_per_second" => "1/s",
        other => other,
    }
}

/// A time in nanoseconds since the epoch.
pub(super) fn nanos_of(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;
