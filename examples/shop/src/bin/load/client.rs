//! HTTP to the shop: kept-alive connections, a deadline for each request, and a trace context that makes it findable.

use bytes::Bytes;
use fastrand::Rng;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_IDLE: usize = 256;
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
pub(crate) struct Client {
    http: HyperClient<HttpConnector, Full<Bytes>>,
    base: String,
    timeout: Duration,
}

/// What is asked of the shop.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) body: Option<serde_json::Value>,
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Nobody listens.
    Connect,
    /// The deadline has passed.
    Timeout,
    /// The connection broke, or what came was not HTTP.
    Broken,
}

impl Client {
    pub(crate) fn new(base: &str, timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let http = HyperClient::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Self { http, base: base.to_owned(), timeout }
    }

    pub(crate) async fn send(&self, call: Call<'_>, random: &mut Rng) -> Result<Answer, NoAnswer> {
        let request = self.request(call, random).map_err(|_| NoAnswer::Broken)?;
        let exchange = async {
            let response = self
                .http
                .request(request)
                .await
                .map_err(|error| if error.is_connect() { NoAnswer::Connect } else { NoAnswer::Broken })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|_| NoAnswer::Broken)?;
            Ok(Answer { status: head.status, body: body.to_bytes() })
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or(Err(NoAnswer::Timeout))
    }

    fn request(&self, call: Call<'_>, random: &mut Rng) -> http::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.base, call.path))
            .header("traceparent", traceparent(random));
        if let Some(token) = call.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        match call.body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(Full::from(body.to_string())),
            None => request.body(Full::default()),
        }
    }
}

/// W3C trace context: version, trace, parent span, sampled.
fn traceparent(random: &mut Rng) -> String {
    // An id of zeros is invalid.
    format!("00-{:032x}-{:016x}-01", random.u128(1..), random.u64(1..))
}
