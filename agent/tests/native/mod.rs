//! Services whose histograms have native buckets only, which text has no words for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use outrigger_exposition::{
    Encoder, Family, Format, Histogram, Kind, Label, NativeBuckets, NativeHistogram, Point, Value, protobuf,
};
use outrigger_testkit::Folder;
use outrigger_testkit::http::{Request, Response, Server};

use crate::support::{Agent, DEADLINE, data_dir, outrigger};

/// Requests that were served before anybody looked.
const BEFORE: u64 = 1_000_000;

/// As the Go client serves it: buckets in protobuf, in text nothing but sum and count.
struct Service {
    target: String,
    requests: Arc<AtomicU64>,
    accepts: Arc<Mutex<Vec<String>>>,
    _server: Server,
}

impl Service {
    fn start() -> Self {
        let (requests, accepts) = (Arc::new(AtomicU64::new(BEFORE)), Arc::new(Mutex::new(Vec::new())));
        let (served, asked) = (Arc::clone(&requests), Arc::clone(&accepts));
        let server = Server::start(move |request: &Request| {
            let accept = request.header("accept").unwrap_or_default();
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(accept.to_owned());
            page(accept, served.load(Ordering::Relaxed))
        });
        Self { target: server.address().to_string(), requests, accepts, _server: server }
    }

    fn accepts(&self) -> Vec<String> {
        self.accepts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn page(accept: &str, requests: u64) -> Response {
    // All between 0.25 and 0.27 seconds: one bucket of schema 3.
    let positive = NativeBuckets { offset: -15, counts: vec![requests] };
    let native = NativeHistogram { schema: 3, zero_threshold: 1e-128, positive, ..NativeHistogram::default() };
    let histogram = Histogram {
        counts: vec![requests],
        sum: Some(requests as f64 * 0.26),
        native: Some(native),
        ..Histogram::default()
    };
    let labels = [("http_request_method", "GET"), ("http_route", "/native"), ("http_response_status_code", "200")];
    let labels = labels.map(|(name, value)| Label::new(name, value)).to_vec();
    let mut duration = Family::new("http_server_request_duration_seconds", Kind::Histogram);
    duration.points.push(Point::new(labels, Value::Histogram(histogram)));
    let mut start = Family::new("process_start_time_seconds", Kind::Gauge);
    start.points.push(Point::new(vec![], Value::Gauge(1000.0)));
    let families = [duration, start];
    if protobuf::accepts(accept) {
        let mut encoder = protobuf::Encoder::new(Vec::new());
        families.iter().for_each(|family| encoder.family(family).unwrap());
        let headers = vec![("content-type".to_owned(), protobuf::CONTENT_TYPE.to_owned())];
        return Response { status: 200, headers, body: encoder.finish().unwrap() };
    }
    let mut encoder = Encoder::new(Format::Text, String::new());
    families.iter().for_each(|family| encoder.family(family).unwrap());
    Response::text_with_type(200, Format::Text.content_type(), encoder.finish().unwrap())
}

#[test]
fn native_buckets_are_asked_for_where_text_has_none_and_are_judged() {
    let service = Service::start();
    let data = data_dir();
    let agent = Agent::start_in(&data, &[&service.target], &[]);
    agent.wait("quantiles of the native buckets", |agent| {
        service.requests.fetch_add(20, Ordering::Relaxed);
        agent.value("outrigger_route_latency_seconds", &[("percentile", "p95")]) > 0.0
    });
    for percentile in ["p50", "p95"] {
        let value = agent.value("outrigger_route_latency_seconds", &[("percentile", percentile)]);
        assert!(value > 0.25 && value <= 0.3, "{percentile} = {value}");
    }
    // What was there before the first page in protobuf is no burst of requests.
    let rate = agent.value("outrigger_route_request_rate", &[]);
    assert!(rate < 100_000.0, "{rate} requests per second");
    assert!(!protobuf::accepts(&service.accepts()[0]), "text is asked for first: {:?}", service.accepts());
    assert!(agent.process.log().contains("asking for native ones"), "{}", agent.process.log());

    // Another agent that takes over asks for them at once.
    assert!(agent.process.stop(DEADLINE).is_some(), "the agent ends");
    let before = service.accepts().len();
    let agent = Agent::start_in(&data, &[&service.target], &[]);
    agent.wait("a page", |agent| agent.value("outrigger_target_up", &[]) == 1.0);
    let after = service.accepts();
    assert!(after.len() > before && after[before..].iter().all(|accept| protobuf::accepts(accept)), "{after:?}");
    assert_eq!(agent.get("/api/v1/incidents").json()["incidents"].as_array().unwrap().len(), 0);
}

#[test]
fn native_buckets_are_recorded_where_text_has_none() {
    let service = Service::start();
    let folder = Folder::new("record");
    let out = folder.path().join("native.pages").to_string_lossy().into_owned();
    let record = ["record", "--target", &service.target, "--interval", "1s", "--for", "900ms", "--out", &out];
    for _ in 0..2 {
        let finished = outrigger().args(record).run(DEADLINE);
        assert!(finished.log.contains(": 1 pages and 0 failed scrapes in "), "{}", finished.log);
        service.requests.fetch_add(20, Ordering::Relaxed);
    }
    let accepts: Vec<_> = service.accepts().iter().map(|accept| protobuf::accepts(accept)).collect();
    assert_eq!(accepts, [false, true, false, true], "text is asked for first");
    let pages = std::fs::read_to_string(&out).unwrap();
    let upto = |count: u64| format!("http_route=\"/native\",http_response_status_code=\"200\",le=\"+Inf\"}} {count}\n");
    assert!(pages.contains(&upto(BEFORE)) && pages.contains(&upto(BEFORE + 20)), "{pages}");
    let finished = outrigger().args(["replay", &out, "--json"]).run(DEADLINE);
    let summary = &serde_json::from_str::<serde_json::Value>(&finished.stdout).unwrap()["summary"];
    assert_eq!((&summary["requests"], &summary["pages_without_buckets"]), (&20.into(), &0.into()), "{summary}");
}
