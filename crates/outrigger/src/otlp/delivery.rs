//! One request on its way: attempts, what their answers mean, and pauses between them.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;
use tokio::time::timeout;

use super::resolver::Resolver;
use super::settings::Settings;

/// The way to the endpoint. A cheap clone.
#[derive(Clone)]
pub(super) struct Endpoint {
    client: legacy::Client<Connector, Full<Bytes>>,
    uri: Uri,
    headers: Arc<HeaderMap>,
    timeout: Duration,
}

#[cfg(not(feature = "otlp-tls"))]
type Connector = HttpConnector<Resolver>;
#[cfg(feature = "otlp-tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector<Resolver>>;

/// What one attempt came to.
#[derive(Debug, PartialEq)]
pub(super) enum Attempt {
    /// Taken, except for so many points.
    Taken { rejected: u64 },
    /// Refused for good.
    Refused(String),
    /// Not now, and not before so long.
    Later { reason: String, after: Option<Duration> },
}

impl Endpoint {
    /// # Errors
    /// When TLS is asked for and the system has no certificates.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("outrigger/", env!("CARGO_PKG_VERSION"))));
        if settings.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        // The user's last, so that a user agent of their own holds.
        headers.extend(settings.headers.clone());

        let mut http = HttpConnector::new_with_resolver(Resolver::new());
        http.set_nodelay(true);
        http.set_connect_timeout(Some(settings.timeout));
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.interval.saturating_add(settings.interval).min(LONGEST_IDLE))
            .pool_max_idle_per_host(1)
            .build(connector(http, &settings.endpoint)?);
        Ok(Self { client, uri: settings.endpoint.clone(), headers: Arc::new(headers), timeout: settings.timeout })
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// One attempt, within the time limit.
    pub(super) async fn send(&self, body: Bytes) -> Attempt {
        let later = |reason: String| Attempt::Later { reason, after: None };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = HeaderMap::clone(&self.headers);
        let exchange = async {
            let response = match self.client.request(request).await {
                Ok(response) => response,
                Err(error) => return later(describe(&error)),
            };
            let (status, after) = (response.status(), retry_after(response.headers()));
            match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
                Ok(body) => judge(status, after, &body.to_bytes()),
                // Taken is taken, whatever became of the rest of the answer.
                Err(_) if status.is_success() => Attempt::Taken { rejected: 0 },
                Err(error) => later(error.to_string()),
            }
        };
        timeout(self.timeout, exchange).await.unwrap_or_else(|_| later(format!("no answer within {:?}", self.timeout)))
    }
}

#[cfg(not(feature = "otlp-tls"))]
fn connector(http: HttpConnector<Resolver>, _: &Uri) -> Result<Connector, String> {
    Ok(http)
}

/// The system's certificates are read only if they are needed.
#[cfg(feature = "otlp-tls")]
fn connector(mut http: HttpConnector<Resolver>, endpoint: &Uri) -> Result<Connector, String> {
    let mut roots = rustls::RootCertStore::empty();
    if endpoint.scheme_str() == Some("https") {
        let found = rustls_native_certs::load_native_certs();
        if roots.add_parsable_certificates(found.certs).0 == 0 {
            let cause = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(format!(
                "no certificate authorities were found on this system{cause}: install ca-certificates or set SSL_CERT_FILE"
            ));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    http.enforce_http(false);
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

/// What an answer means, as the
/// [protocol](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response) has it.
fn judge(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Attempt {
    match status {
        status if status.is_success() => {
            // Some receivers answer with a body of their own; only a readable one can tell of points left out.
            let answer = ExportMetricsServiceResponse::decode(body).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            Attempt::Taken { rejected: u64::try_from(partial.rejected_data_points).unwrap_or_default() }
        }
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Attempt::Later { reason: format!("answered {status}"), after },
        status => Attempt::Refused(format!("answered {status}")),
    }
}

/// `Retry-After` in seconds; its other form, a date, is left to our own pauses.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

/// An error with its causes. The outermost one says only that the client failed.
fn describe(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Libraries like to repeat a cause in their own words.
        if !text.contains(&words) {
            text = if text.is_empty() { words } else { format!("{text}: {words}") };
        }
        cause = error.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}

/// The most that is read of an answer.
const MAX_ANSWER: usize = 64 << 10;
const LONGEST_IDLE: Duration = Duration::from_secs(90);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
