//! Logs on stderr, and traces over OTLP where an endpoint is set. Metrics are Outrigger's: see `main`.

use crate::config::Config;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use std::io::IsTerminal;
use std::time::Duration;
use tracing::{Instrument, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

const DEFAULT_SERVICE_NAME: &str = "shop";
/// Spans that cannot be delivered at the end are given up after this.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Keeps traces flowing; call [`Telemetry::shutdown`] at the end.
pub(crate) struct Telemetry {
    tracer: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sets the process' subscriber up. Spans go to OTLP when a flag or the usual variables name an endpoint.
    pub(crate) fn init(config: &Config) -> Result<Self, Box<dyn std::error::Error>> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx::query=error"));
        let logs = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(filter);
        let tracer = traces_wanted(config).then(|| tracer_provider(config)).transpose()?;
        let traces = tracer.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("shop"))
                // What the conventions name, and nothing of where in our code it was made.
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false)
                // The exporter's own spans must not feed the exporter.
                .with_filter(tracing_subscriber::filter::filter_fn(|meta| meta.target().starts_with("shop")))
        });
        tracing_subscriber::registry().with(logs).with(traces).try_init()?;
        Ok(Self { tracer })
    }

    /// Whether requests should be traced.
    pub(crate) fn traces(&self) -> bool {
        self.tracer.is_some()
    }

    /// Sends what is left, within a bound.
    pub(crate) async fn shutdown(self) {
        if let Some(tracer) = self.tracer {
            // The processor waits for its runtime, so it must not be asked from one of the runtime's own threads.
            let done = tokio::task::spawn_blocking(move || tracer.shutdown_with_timeout(LAST_EXPORT));
            if let Ok(Ok(Err(error))) = tokio::time::timeout(LAST_EXPORT, done).await {
                tracing::warn!(%error, "the last traces were not delivered");
            }
        }
    }
}

/// A span for each request, child of the caller's where W3C trace context says so. `POST /orders` is a span's name: the
/// route's template, never the raw path.
pub(crate) async fn trace_request(request: Request, next: Next) -> Response {
    let method = request.method().as_str();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        otel.name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        url.path = request.uri().path(),
        http.response.status_code = field::Empty,
    );
    // Fails only without an OpenTelemetry layer, and then there is no trace to join.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&Headers(request.headers())));
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", i64::from(response.status().as_u16()));
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

fn traces_wanted(config: &Config) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    config.traces_endpoint.is_some() || set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
}

fn tracer_provider(config: &Config) -> Result<SdkTracerProvider, Box<dyn std::error::Error>> {
    let mut exporter = SpanExporter::builder().with_http();
    if let Some(endpoint) = &config.traces_endpoint {
        exporter = exporter.with_endpoint(endpoint);
    }
    let exporter = exporter.build().map_err(|error| format!("--traces-endpoint: {error}"))?;
    let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| DEFAULT_SERVICE_NAME.to_owned());
    Ok(SdkTracerProvider::builder()
        // The HTTP client needs tokio, which the default processor's own thread does not have.
        .with_span_processor(BatchSpanProcessor::builder(exporter, Tokio).build())
        .with_resource(Resource::builder().with_service_name(name).build())
        .build())
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
