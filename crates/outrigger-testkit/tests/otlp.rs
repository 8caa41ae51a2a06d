//! The OTLP receiver is fed with messages written by hand, byte by byte, and must tell what stands in them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use outrigger_testkit::{OtlpReceiver, Program, http, packages, python, wait_until};
use serde_json::{Value, json};
use std::time::Duration;
use support::processes_that_mention;

const SOON: Duration = Duration::from_secs(30);
const PROTOBUF: &str = "application/x-protobuf";

/// The protobuf wire format, as far as OTLP needs it.
mod wire {
    pub(crate) fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    }

    pub(crate) fn message(field: u64, parts: &[Vec<u8>]) -> Vec<u8> {
        bytes(field, &parts.concat())
    }

    pub(crate) fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
        [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
    }

    pub(crate) fn string(field: u64, text: &str) -> Vec<u8> {
        bytes(field, text.as_bytes())
    }

    pub(crate) fn integer(field: u64, value: u64) -> Vec<u8> {
        [varint(field << 3), varint(value)].concat()
    }

    pub(crate) fn fixed64(field: u64, value: u64) -> Vec<u8> {
        [varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
    }

    pub(crate) fn double(field: u64, value: f64) -> Vec<u8> {
        fixed64(field, value.to_bits())
    }

    pub(crate) fn packed(field: u64, values: impl IntoIterator<Item = u64>) -> Vec<u8> {
        bytes(field, &values.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<_>>())
    }

    pub(crate) fn attribute(field: u64, key: &str, value: &str) -> Vec<u8> {
        message(field, &[string(1, key), message(2, &[string(1, value)])])
    }
}

/// A cumulative histogram and a counter of one service. Field numbers are those of opentelemetry/proto/metrics/v1.
fn metrics(count: u64) -> Vec<u8> {
    use wire::{attribute, double, fixed64, integer, message, packed, string};
    let bounds = [0.1_f64, 0.2].map(f64::to_bits);
    let point = message(
        1,
        &[
            attribute(9, "http_route", "/products/{id}"),
            fixed64(2, 1_000),
            fixed64(3, 2_000),
            fixed64(4, count),
            double(5, 0.75),
            packed(6, [count - 3, 2, 1]),
            packed(7, bounds),
        ],
    );
    let histogram = message(
        2,
        &[
            string(1, "http_server_request_duration_seconds"),
            string(2, "Duration."),
            string(3, "s"),
            message(9, &[point, integer(2, 2)]),
        ],
    );
    let total = message(1, &[attribute(7, "kind", "a"), fixed64(3, 2_000), double(4, 12.5)]);
    let counter = message(2, &[string(1, "things_total"), message(7, &[total, integer(2, 2), integer(3, 1)])]);
    let scope = message(1, &[string(1, "by-hand")]);
    let resource = message(1, &[attribute(1, "service.name", "shop")]);
    message(1, &[resource, message(2, &[scope, histogram, counter])])
}

#[test]
fn histograms_and_counters_over_http_are_told_as_they_were_sent() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let url = format!("{}/v1/metrics", receiver.http_endpoint());
    assert_eq!(http::post(&url, PROTOBUF, metrics(10)).expect("an answer").status, 200);
    assert_eq!(http::post(&url, PROTOBUF, metrics(11)).expect("an answer").status, 200);

    let points = receiver.points("http_server_request_duration_seconds");
    assert_eq!(points.len(), 2);
    let expected = json!({
        "metric": "http_server_request_duration_seconds", "description": "Duration.", "unit": "s", "type": "histogram",
        "temporality": "cumulative", "resource": {"service.name": "shop"}, "scope": {"name": "by-hand", "version": ""},
        "attributes": {"http_route": "/products/{id}"}, "start_time_unix_nano": 1000, "time_unix_nano": 2000, "flags": 0,
        "count": 10, "sum": 0.75, "explicit_bounds": [0.1, 0.2], "bucket_counts": [7, 2, 1],
    });
    assert_eq!(points[0], expected);
    let latest = receiver.latest("http_server_request_duration_seconds");
    assert_eq!((latest.len(), &latest[0]["count"]), (1, &json!(11)), "one series, its newest point");

    let counter = &receiver.points("things_total")[0];
    assert_eq!(
        (&counter["value"], &counter["monotonic"], &counter["type"]),
        (&json!(12.5), &json!(true), &json!("sum"))
    );
    assert_eq!(receiver.metric_names(), ["http_server_request_duration_seconds", "things_total"]);
    assert_eq!(receiver.requests()[1]["items"], 2);
    let file = std::fs::read_to_string(receiver.file()).expect("the file of lines");
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), &lines[0]), (4, &expected));

    receiver.clear();
    assert_eq!(receiver.points("things_total"), Vec::<Value>::new());
}

#[test]
fn what_is_wrong_is_refused_and_recorded() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let url = format!("{}/v1/metrics", receiver.http_endpoint());
    let send = |content_type: &str, body: &[u8]| http::post(&url, content_type, body).expect("an answer");
    assert_eq!(send(PROTOBUF, b"\x0a\xff\xff not protobuf").status, 400);
    assert_eq!(send("application/json", b"{}").status, 415);
    let nowhere = http::post(&format!("{}/v1/logs", receiver.http_endpoint()), PROTOBUF, b"");
    assert_eq!(nowhere.expect("an answer").status, 404);

    receiver.refuse(Some(503), Some(7));
    let refused = send(PROTOBUF, &metrics(10));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("7")));
    receiver.refuse(None, None);
    assert_eq!(send(PROTOBUF, &metrics(10)).status, 200);
    assert_eq!(receiver.points("things_total").len(), 1, "only what was accepted counts");
    let answers: Vec<Value> = receiver.requests().iter().map(|request| request["answer"].clone()).collect();
    assert_eq!(answers, [json!(400), json!(415), json!(503), json!(200)]);
}

#[test]
fn spans_are_told() {
    use wire::{attribute, bytes, fixed64, integer, message, string};
    let Some(receiver) = OtlpReceiver::start() else { return };
    let span = message(
        2,
        &[
            bytes(1, &[0xab; 16]),
            bytes(2, &[0xcd; 8]),
            string(5, "GET /products/{id}"),
            integer(6, 2),
            fixed64(7, 5),
            fixed64(8, 9),
            attribute(9, "http.route", "/products/{id}"),
        ],
    );
    let request = message(1, &[message(2, &[span])]);
    let url = format!("{}/v1/traces", receiver.http_endpoint());
    assert_eq!(http::post(&url, PROTOBUF, request).expect("an answer").status, 200);
    let spans = receiver.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!((&spans[0]["name"], &spans[0]["kind"]), (&json!("GET /products/{id}"), &json!("server")));
    assert_eq!(spans[0]["trace_id"], "ab".repeat(16));
    assert_eq!((&spans[0]["end_time_unix_nano"], &spans[0]["status"]["code"]), (&json!(9), &json!("unset")));
}

#[test]
fn grpc_is_accepted_and_nothing_is_left() {
    const CLIENT: &str = "
import sys, grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as pb, metrics_service_pb2_grpc as rpc
stub = rpc.MetricsServiceStub(grpc.insecure_channel(sys.argv[1]))
stub.Export(pb.ExportMetricsServiceRequest.FromString(sys.stdin.buffer.read()), compression=grpc.Compression.Gzip)
";
    let (Some(receiver), Some(python)) = (OtlpReceiver::start(), python(packages::PYTHON_MODULES)) else { return };
    let address = receiver.grpc_endpoint().replace("http://", "");
    let client = Program::new(python).args(["-c", CLIENT, &address]);
    let sent = client.run_with_input(&metrics(20), SOON);
    assert!(sent.status.success(), "{}", sent.log);
    let point = receiver.wait_point(SOON, "http_server_request_duration_seconds", |point| point["count"] == 20);
    assert_eq!(point["bucket_counts"], json!([17, 2, 1]));
    assert_eq!(receiver.requests()[0]["protocol"], "grpc");

    receiver.refuse(Some(503), None);
    let refused = client.run_with_input(&metrics(20), SOON);
    assert!(!refused.status.success() && refused.log.contains("UNAVAILABLE"), "{}", refused.log);

    let endpoint = receiver.http_endpoint();
    let folder = receiver.file().parent().expect("a folder").to_owned();
    assert!(!processes_that_mention(&folder).is_empty());
    drop(receiver);
    assert!(http::get(&endpoint).is_err() && !folder.exists());
    wait_until(SOON, "no process", || processes_that_mention(&folder).is_empty());
}
