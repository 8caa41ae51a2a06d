//! A service that pushes its metrics, from its first number to its last, read by a stranger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ::metrics::{Key, Level, Metadata, Recorder as _};
use outrigger::cache::CacheMetrics;
use outrigger::otlp::OtlpError;
use outrigger::{Metrics, Shutdown};
use outrigger_exposition::{Kind, Value};
use outrigger_recorder::Recorder;
use outrigger_recorder::exemplar::{self, TraceContext};
use outrigger_semconv::{cache, label};
use outrigger_testkit::OtlpReceiver;
use serde_json::Value as Json;
use support::Page;
use tokio::time::Instant;

const CHILD: &str = "OUTRIGGER_TEST_CHILD";
const METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);
const NEVER: Duration = Duration::from_secs(3600);

/// A service that has something to tell.
async fn service() -> (Metrics, CacheMetrics) {
    let metrics = outrigger::standalone().unwrap();
    let names = CacheMetrics::new(&metrics, "names");
    for _ in 0..3 {
        names.hit();
        let loaded: Result<u8, std::io::Error> = names.load(async { Ok(1) }).await;
        loaded.unwrap();
    }
    names.entries(7);
    (metrics, names)
}

/// The hits that a receiver has been told of, point by point.
fn hits(receiver: &OtlpReceiver) -> Vec<Json> {
    let mut points = receiver.points(cache::REQUESTS.otel);
    points.retain(|point| point["attributes"][label::otel(label::CACHE_RESULT)] == "hit");
    points
}

fn values(points: &[Json]) -> Vec<f64> {
    points.iter().map(|point| point["value"].as_f64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_reads_what_the_page_shows() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let (metrics, _names) = service().await;
    let push = metrics.otlp().endpoint(receiver.http_endpoint()).interval(NEVER).start().unwrap();
    let page = Page::of(&metrics);
    assert!(push.flush().await);

    let mut compared = 0;
    for family in page.families() {
        let suffix = if family.kind == Kind::Counter { "_total" } else { "" };
        let metric = outrigger_semconv::find(&format!("{}{suffix}", family.name)).unwrap();
        if metric.name.starts_with("process_") || metric.name == "target_info" {
            continue;
        }
        let points = receiver.points(metric.otel);
        assert_eq!(points.len(), family.points.len(), "{}", metric.name);
        for expected in &family.points {
            let labels = expected.labels.iter().map(|of| (label::otel(&of.name), of.value.as_str()));
            let is_it = |point: &&Json| labels.clone().all(|(name, value)| point["attributes"][name] == value);
            let point = points.iter().find(is_it).unwrap_or_else(|| panic!("{expected:?}: {points:?}"));
            assert_eq!((&point["unit"], &point["description"]), (&metric.unit.ucum().into(), &metric.help.into()));
            assert_eq!(point["scope"]["name"], "outrigger");
            assert!(point["resource"]["service.name"].as_str().is_some_and(|name| name.starts_with("otlp")), "{point}");
            match &expected.value {
                Value::Counter(value) => {
                    assert_eq!((&point["type"], &point["temporality"]), (&"sum".into(), &"cumulative".into()));
                    assert_eq!(point["value"].as_f64(), Some(*value));
                    assert!(point["start_time_unix_nano"].as_u64() < point["time_unix_nano"].as_u64());
                }
                Value::Gauge(value) => assert_eq!(point["value"].as_f64(), Some(*value)),
                Value::Histogram(histogram) => {
                    assert_eq!(point["explicit_bounds"], serde_json::json!(histogram.bounds));
                    assert_eq!(point["bucket_counts"], serde_json::json!(histogram.counts));
                    assert_eq!(
                        (point["count"].as_u64(), point["sum"].as_f64()),
                        (Some(histogram.count()), histogram.sum)
                    );
                }
                other => panic!("{other:?}"),
            }
            compared += 1;
        }
    }
    assert!(compared >= 5, "{compared}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_numbers_are_pushed_once_and_a_restart_is_another_instance() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    for restart in 0..2 {
        let (metrics, names) = service().await;
        let push = metrics.otlp().endpoint(receiver.http_endpoint()).interval(NEVER).delta().start().unwrap();
        assert!(push.is_running() && push.flush().await);
        names.hit();
        let other = metrics.clone();
        let (first, second) = tokio::join!(metrics.shutdown(), other.shutdown());
        assert_eq!((first, second, metrics.shutdown().await), (Shutdown::Pushed, Shutdown::Pushed, Shutdown::Pushed));
        assert!(!push.flush().await, "it has ended");
        let points = hits(&receiver).split_off(restart * 2);
        assert_eq!(values(&points), [3.0, 1.0]);
        assert_eq!(points[1]["start_time_unix_nano"], points[0]["time_unix_nano"]);
    }
    let points = hits(&receiver);
    let instance = |index: usize| points[index]["resource"]["service.instance.id"].as_str().unwrap();
    assert_eq!(instance(0), instance(1));
    assert_ne!(instance(1), instance(2));
    assert_eq!(receiver.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_histograms_are_exponential_ones_and_a_panic_ends_no_push() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let recorder = Recorder::builder().native_histogram("waits_seconds").build().unwrap();
    let panics = Arc::new(AtomicBool::new(false));
    let does_panic = Arc::clone(&panics);
    recorder.collector(move || {
        assert!(!does_panic.load(SeqCst), "as told");
        Vec::new()
    });
    let waits = recorder.register_histogram(&Key::from_static_name("waits_seconds"), &METADATA);
    let metrics = Metrics::from(recorder);
    let push = metrics.otlp().endpoint(receiver.http_endpoint()).interval(NEVER).delta().start().unwrap();

    // The second time so far apart that the resolution must be given up.
    let rounds: [&[f64]; 2] = [&[1.0, 1.001, 1.5, 2.0, 0.0], &[1e-6, 3e-4, 1.0, 77.0, 1e6]];
    for (round, values) in rounds.iter().enumerate() {
        values.iter().for_each(|value| waits.record(*value));
        panics.store(true, SeqCst);
        // Whether a panic costs its push or only what the collector would have told is the recorder's to say.
        let first = push.flush().await;
        panics.store(false, SeqCst);
        assert!(push.flush().await);
        let points = receiver.points("waits_seconds");
        assert_eq!(points.len(), round + 1, "{first}: {points:?}");
        let point = &points[round];
        assert_eq!((&point["type"], &point["temporality"]), (&"exponential_histogram".into(), &"delta".into()));
        assert_eq!(point["unit"], "");
        let scale = i32::try_from(point["scale"].as_i64().unwrap()).unwrap();
        let expected = values.iter().filter(|value| **value > 0.0).fold(BTreeMap::new(), |mut counts, value| {
            let index = (value.log2() * f64::from(scale).exp2()).ceil() as i64 - 1;
            *counts.entry(index).or_default() += 1;
            counts
        });
        let zeros = values.iter().filter(|value| **value == 0.0).count();
        let counts = point["positive"]["bucket_counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap());
        let counts = (point["positive"]["offset"].as_i64().unwrap()..).zip(counts).filter(|(_, count)| *count > 0);
        assert_eq!(counts.collect::<BTreeMap<i64, u64>>(), expected, "scale {scale}");
        assert_eq!((point["zero_count"].as_u64(), point["count"].as_u64()), (Some(zeros as u64), Some(5)));
        assert!((point["sum"].as_f64().unwrap() - values.iter().sum::<f64>()).abs() < 1e-6, "{point}");
    }
    let scales: Vec<i64> =
        receiver.points("waits_seconds").iter().map(|point| point["scale"].as_i64().unwrap()).collect();
    assert!(scales[1] < scales[0], "{scales:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_lead_to_their_traces_and_are_sent_once() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let recorder = Recorder::new();
    let waits = recorder.register_histogram(&Key::from_static_name("waits_seconds"), &METADATA);
    let metrics = Metrics::from(recorder);
    let push = metrics.otlp().endpoint(receiver.http_endpoint()).interval(NEVER).delta().start().unwrap();
    exemplar::scope(TraceContext { trace_id: [0xab; 16], span_id: [7; 8] }, || waits.record(0.3));
    assert!(push.flush().await);
    waits.record(5.0);
    assert!(push.flush().await);

    let [first, second] = receiver.points("waits_seconds").try_into().unwrap();
    let [example] = first["exemplars"].as_array().unwrap().as_slice() else { panic!("{first}") };
    assert_eq!((&example["trace_id"], &example["span_id"]), (&"ab".repeat(16).into(), &"07".repeat(8).into()));
    assert_eq!(example["value"].as_f64(), Some(0.3));
    assert_eq!((second["count"].as_u64(), &second["exemplars"]), (Some(1), &Json::Null), "{second}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_holds_the_end_up_for_no_more_than_a_second() {
    // Connections are made, by the kernel, and never answered.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = outrigger::standalone().unwrap();
    let endpoint = format!("http://{}", dead.local_addr().unwrap());
    metrics.otlp().endpoint(endpoint).timeout(NEVER).start().unwrap();
    let begun = Instant::now();
    assert_eq!(metrics.shutdown().await, Shutdown::GaveUp);
    let elapsed = begun.elapsed();
    assert!((900..=1000).contains(&elapsed.as_millis()), "{elapsed:?}");
    assert_eq!(metrics.shutdown().await, Shutdown::GaveUp);
    assert_eq!(begun.elapsed(), elapsed, "the second time there is nothing to wait for");
}

#[test]
fn what_cannot_be_pushed_is_an_error_that_says_why() {
    let metrics = outrigger::standalone().unwrap();
    assert!(matches!(metrics.otlp().start(), Err(OtlpError::NoRuntime)));
    let error = Metrics::with_recorder(Arc::new(::metrics::NoopRecorder)).otlp().start().unwrap_err();
    assert!(error.to_string().contains("install()"), "{error}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let error = metrics.otlp().endpoint("collector:4317").start().unwrap_err();
    assert!(error.to_string().contains("\"collector:4317\" is no OTLP endpoint"), "{error}");
    let error = metrics.otlp().header("api key", "x").start().unwrap_err();
    assert!(error.to_string().contains("\"api key\""), "{error}");
}

/// What [`child`] says, run with these variables: the environment is a process's own, so this one starts itself again.
#[track_caller]
fn child_with(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(CHILD, "");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_environment_is_heeded() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let endpoint = receiver.http_endpoint();
    let said = child_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "no number"),
        ("OTEL_SERVICE_NAME", "child"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2.3,service.instance.id=pod-7"),
    ]);
    assert!(said.contains("outcome: Pushed"), "{said}");
    let [point] = hits(&receiver).try_into().unwrap();
    assert_eq!((&point["temporality"], point["value"].as_f64()), (&"delta".into(), Some(1.0)));
    let resource = &point["resource"];
    assert_eq!((&resource["service.name"], &resource["service.version"]), (&"child".into(), &"1.2.3".into()));
    assert_eq!(resource["service.instance.id"], "pod-7");
    let [request] = receiver.requests().try_into().unwrap();
    assert_eq!((&request["headers"]["x-tenant"], &request["encoding"]), (&"a b".into(), &"".into()));

    let said = child_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_SDK_DISABLED", "true")]);
    assert!(said.contains("outcome: Unread"), "{said}");
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn https_trusts_whom_the_system_trusts_and_nobody_else() {
    let Some(receiver) = OtlpReceiver::start_https() else { return };
    let (endpoint, certificate) = (receiver.https_endpoint(), receiver.certificate().display().to_string());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let trusted = [variables[0], ("SSL_CERT_FILE", certificate.as_str())];
    let said = child_with(&trusted);
    assert!(said.contains("outcome: Pushed"), "{said}");
    assert_eq!(values(&hits(&receiver)), [1.0]);

    // Another certificate of the same name.
    let Some(stranger) = OtlpReceiver::start_https() else { return };
    let other = stranger.certificate().display().to_string();
    let said = child_with(&[variables[0], ("SSL_CERT_FILE", other.as_str())]);
    assert!(said.contains("outcome: GaveUp"), "{said}");
    assert_eq!(hits(&receiver).len(), 1);
}

/// Does nothing but as the child of the tests above.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let metrics = outrigger::standalone().unwrap();
        let push = metrics.otlp().start().unwrap();
        CacheMetrics::new(&metrics, "names").hit();
        assert_eq!(push.is_running(), std::env::var_os("OTEL_SDK_DISABLED").is_none());
        metrics.shutdown().await
    });
    println!("outcome: {outcome:?}");
}
