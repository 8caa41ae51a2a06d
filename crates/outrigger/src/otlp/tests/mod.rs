//! What goes out, read back.

mod form;
mod pushes;
mod sums;

use std::collections::BTreeMap;
use std::io::Read as _;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use outrigger_exposition::{Family, Kind, Label, Point, Value};
use prost::Message as _;

use super::message::Request;

/// A family with one point for each label value.
fn family(name: &str, kind: Kind, points: impl IntoIterator<Item = (&'static str, Value)>) -> Family {
    let points = points.into_iter().map(|(label, value)| Point::new(vec![Label::new("of", label)], value)).collect();
    Family { points, ..Family::new(name, kind) }
}

fn decoded(request: &Request, gzip: bool) -> ExportMetricsServiceRequest {
    let mut bytes = request.body.to_vec();
    if gzip {
        bytes.clear();
        flate2::read::GzDecoder::new(&*request.body).read_to_end(&mut bytes).unwrap();
    }
    ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap()
}

fn metrics(request: ExportMetricsServiceRequest) -> impl Iterator<Item = Metric> {
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics)
}

fn text(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |pair: &KeyValue| match pair.value.clone().unwrap().value.unwrap() {
        any_value::Value::StringValue(text) => text,
        any_value::Value::IntValue(number) => format!("int {number}"),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}
