//! Exemplars, from a span of `tracing` to Prometheus' exemplar API.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use outrigger::cache::CacheMetrics;
use outrigger_exposition::{Exemplar, Format, Value, families};
use outrigger_semconv::{cache, http};
use outrigger_testkit::{Prometheus, PrometheusConfig, wait_for};
use tower::ServiceExt;
use tracing::{Instrument, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::{SOON, Served, scraped_without_complaint};

const OPENMETRICS: (&str, &str) = ("accept", "application/openmetrics-text");

#[test]
fn the_exemplar_of_an_observation_is_the_span_that_it_was_made_in() {
    let served = Served::new(outrigger::standalone().unwrap());
    let _subscriber = subscribe(Sampler::AlwaysOn);
    let ids = load_within_a_span(&served);

    let page = served.ask("GET", &[OPENMETRICS]).text();
    assert_eq!(exemplars(&page, cache::LOAD_DURATION.name), std::slice::from_ref(&ids), "{page}");
    assert!(!served.ask("GET", &[]).text().contains(&ids.0), "the text format has no exemplars");

    let config = PrometheusConfig::new().scrape("service", served.address).feature("exemplar-storage");
    let Some(prometheus) = Prometheus::start(config) else { return };
    let found = wait_for(SOON, "the exemplar", || {
        prometheus.exemplars("cache_load_duration_seconds_bucket", Duration::from_secs(600)).into_iter().next()
    });
    let labels = &found["exemplars"][0]["labels"];
    assert_eq!((labels["trace_id"].as_str(), labels["span_id"].as_str()), (Some(&*ids.0), Some(&*ids.1)), "{found}");
    scraped_without_complaint(&prometheus);
}

#[test]
fn the_exemplar_of_a_request_is_the_span_round_its_headers() {
    let served = Served::new(outrigger::standalone().unwrap());
    let _subscriber = subscribe(Sampler::AlwaysOn);
    let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(served.metrics.http_layer());
    let span = tracing::info_span!("request");
    served.runtime.block_on(async {
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        let response = app.oneshot(request).instrument(span.clone()).await.unwrap();
        // The request ends with its body, when the span is no longer current.
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "hello");
    });
    let page = served.ask("GET", &[OPENMETRICS]).text();
    assert_eq!(exemplars(&page, http::SERVER_REQUEST_DURATION.name), [ids(&span)], "{page}");
}

#[test]
fn a_request_that_is_given_up_leaves_its_trace_on_the_page_and_in_the_log() {
    let served = Served::new(outrigger::standalone().unwrap());
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let _subscriber = tracing::subscriber::set_default(
        tracing_subscriber::registry().with(opentelemetry_layer(Sampler::AlwaysOn)).with(lines),
    );
    let layer = served.metrics.http_layer().slow_requests(Duration::ZERO);
    let app: Router = Router::new().route("/", get(|| async { std::future::pending::<()>().await })).layer(layer);
    let span = tracing::info_span!("request");
    let request = Request::builder().uri("/").body(Body::empty()).unwrap();
    assert!(app.oneshot(request).instrument(span.clone()).now_or_never().is_none());

    let ids = ids(&span);
    let page = served.ask("GET", &[OPENMETRICS]).text();
    assert_eq!(exemplars(&page, http::SERVER_REQUEST_DURATION.name), std::slice::from_ref(&ids), "{page}");
    let text = log.text();
    assert!(text.contains("slow request") && text.contains("cancelled") && text.contains(&ids.0), "{text}");
}

#[test]
fn a_span_that_is_not_sampled_and_no_span_leave_no_exemplar() {
    let served = Served::new(outrigger::standalone().unwrap());
    let _subscriber = subscribe(Sampler::AlwaysOff);
    load_within_a_span(&served);
    served.runtime.block_on(load(&served));
    let page = served.ask("GET", &[OPENMETRICS]).text();
    assert!(page.contains("cache_load_duration_seconds_count{cache_name=\"names\"} 2"), "{page}");
    assert_eq!(exemplars(&page, cache::LOAD_DURATION.name), []);
}

/// Sets the subscriber of this thread up as services do.
fn subscribe(sampler: Sampler) -> tracing::subscriber::DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(opentelemetry_layer(sampler)))
}

fn opentelemetry_layer<S>(sampler: Sampler) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let tracer = SdkTracerProvider::builder().with_sampler(sampler).build().tracer("test");
    tracing_opentelemetry::layer().with_tracer(tracer)
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One observation; the trace and span id of the span that it was made in.
fn load_within_a_span(served: &Served) -> (String, String) {
    let span = tracing::info_span!("request");
    served.runtime.block_on(load(served).instrument(span.clone()));
    ids(&span)
}

fn ids(span: &tracing::Span) -> (String, String) {
    let context = span.context();
    let span = context.span().span_context().clone();
    (span.trace_id().to_string(), span.span_id().to_string())
}

async fn load(served: &Served) {
    let loaded: Result<u8, io::Error> = CacheMetrics::new(&served.metrics, "names").load(async { Ok(1) }).await;
    loaded.unwrap();
}

/// Trace and span ids of a histogram's exemplars.
fn exemplars(page: &str, name: &str) -> Vec<(String, String)> {
    let read = families(page.as_bytes(), Format::OpenMetrics);
    assert!(read.bad_lines.is_empty() && read.problems.is_empty(), "{:?} {:?}", read.bad_lines, read.problems);
    let label = |exemplar: &Exemplar, name: &str| {
        exemplar.labels.iter().find(|label| label.name == name).map(|label| label.value.clone()).unwrap_or_default()
    };
    let points = read.families.iter().filter(|family| family.name == name).flat_map(|family| &family.points);
    points
        .flat_map(|point| match &point.value {
            Value::Histogram(histogram) => histogram.exemplars.as_slice(),
            _ => &[],
        })
        .map(|exemplar| (label(&exemplar.exemplar, "trace_id"), label(&exemplar.exemplar, "span_id")))
        .collect()
}
