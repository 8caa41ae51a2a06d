//! The agent's one HTTP client: scrapes, pushes and probes go through it.
//!
//! HTTP/1.1 over hyper-util, TLS by rustls with ring. It follows no redirects and reads no proxy variables: a sidecar
//! talks to what it was told to talk to.

pub(crate) mod pause;
mod resolver;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use resolver::Resolver;

/// A cheap handle on the shared connections.
#[derive(Clone)]
pub(crate) struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
}

impl Client {
    /// A client that can reach `uris`. The system's certificates are read only if one of them asks for TLS.
    pub(crate) fn new<'a>(uris: impl IntoIterator<Item = &'a Uri>) -> Result<Self, ClientError> {
        let mut http = HttpConnector::new_with_resolver(Resolver::new());
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));

        let needs_tls = uris.into_iter().any(|uri| uri.scheme_str() == Some("https"));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(needs_tls)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { inner })
    }

    /// Sends a request and awaits the head of the answer. The caller sets the time limit and reads the body.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        self.inner.request(request).await.map_err(|error| {
            // The outermost error says only that the client failed; its cause says why.
            ClientError(std::error::Error::source(&error).map_or_else(|| error.to_string(), describe))
        })
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the longest tick, so that a scrape finds its connection again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

fn tls(needed: bool) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    if needed {
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let cause = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(ClientError(format!(
                "no certificate authorities were found on this system{cause}; install ca-certificates or set SSL_CERT_FILE"
            )));
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What kept a request from being answered, with its causes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientError(String);

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientError {}

/// An error with its causes. Libraries like to repeat a cause in their own words; what was said is not said again.
pub(crate) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
