//! OTLP over HTTP/protobuf: everything that was scraped, and the agent's own and derived series.
//!
//! [`message`] turns series into requests, [`Delivery`] sends them in order from a bounded queue. Metrics of the
//! catalogue go out under their OpenTelemetry names, attributes and units; others keep the names of their page.

mod delivery;
pub(crate) mod message;

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

pub(crate) use delivery::{Counts, Delivery};

/// Where and how everything is pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpSettings {
    /// The full address, `http://127.0.0.1:4318/v1/metrics` for example. Default: none, nothing is pushed.
    pub endpoint: Option<Uri>,
    /// Headers of each push. Default: none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long one push may take. Default: 10 s, as the OpenTelemetry specification has it.
    pub timeout: Duration,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self { endpoint: None, headers: Vec::new(), timeout: Duration::from_secs(10) }
    }
}
