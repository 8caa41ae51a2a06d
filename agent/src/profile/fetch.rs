//! One profile over HTTP, within a time and a size.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};

use crate::client::{Client, describe};
use crate::collect::scrape::Address;

/// The most bytes of a profile, compressed.
pub(crate) const MAX_BYTES: usize = 8 << 20;
/// How much longer than the profile itself its answer may take: the first one of a process loads symbols.
const ANSWERING: Duration = Duration::from_secs(20);

/// Why there is no profile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// The target has none to give.
    Absent(StatusCode),
    /// It wants to know who asks.
    Refused(StatusCode),
    /// Another one is under way there, for so long.
    Busy(Option<Duration>),
    /// It failed, as it says.
    Status(StatusCode),
    /// No connection, or it broke.
    Connection(String),
    /// It was not complete in time.
    Timeout,
    /// It is longer than any profile.
    TooLarge,
    /// What came is no profile.
    Invalid(&'static str),
}

impl Failure {
    /// The values of the label `reason`.
    pub(crate) const REASONS: [&'static str; 8] =
        ["absent", "refused", "busy", "failed", "connection", "timeout", "too_large", "invalid"];

    /// The place of its reason among them.
    pub(crate) fn reason(&self) -> usize {
        match self {
            Self::Absent(_) => 0,
            Self::Refused(_) => 1,
            Self::Busy(_) => 2,
            Self::Status(_) => 3,
            Self::Connection(_) => 4,
            Self::Timeout => 5,
            Self::TooLarge => 6,
            Self::Invalid(_) => 7,
        }
    }

    /// The next one would fare no better.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Absent(_) | Self::Refused(_) | Self::TooLarge | Self::Invalid(_))
    }

    fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE | StatusCode::NOT_IMPLEMENTED => {
                Self::Absent(status)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Refused(status),
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                Self::Busy(seconds.map(Duration::from_secs))
            }
            // Another page of the target answers whatever is asked.
            status if status.is_success() || status.is_redirection() => Self::Absent(status),
            status => Self::Status(status),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(status) => write!(f, "the target serves no profiles ({status})"),
            Self::Refused(status) => write!(f, "the target gives profiles only to those it knows ({status})"),
            Self::Busy(_) => f.write_str("the target is taking another profile"),
            Self::Status(status) => write!(f, "the target answered {status}"),
            Self::Connection(cause) => f.write_str(cause),
            Self::Timeout => f.write_str("the profile was not complete in time"),
            Self::TooLarge => write!(f, "the profile has more than {MAX_BYTES} bytes"),
            Self::Invalid(why) => write!(f, "what the target sent is no CPU profile: {why}"),
        }
    }
}

/// Where a target serves profiles, unless the settings say it: beside its page, where the library and Go's `net/http/pprof`
/// have them.
pub(crate) fn usual_url(target: &Address) -> Option<Uri> {
    let scheme = target.uri().scheme_str()?;
    format!("{scheme}://{}:{}/debug/pprof/profile", target.host(), target.port()).parse().ok()
}

/// Takes a profile over so many seconds.
pub(crate) async fn fetch(client: &Client, url: &Uri, over: Duration) -> Result<Bytes, Failure> {
    match tokio::time::timeout(over + ANSWERING, ask(client, url, over)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::Timeout),
    }
}

async fn ask(client: &Client, url: &Uri, over: Duration) -> Result<Bytes, Failure> {
    let broken = |error: &dyn fmt::Display| Failure::Connection(error.to_string());
    let separator = if url.query().is_some() { '&' } else { '?' };
    let request = Request::get(format!("{url}{separator}seconds={}", over.as_secs().max(1)))
        .header(USER_AGENT, concat!("outrigger/", env!("CARGO_PKG_VERSION")))
        .body(Full::<Bytes>::default())
        .map_err(|error| broken(&error))?;
    let response = client.send(request).await.map_err(|error| broken(&error))?;
    if response.status() != StatusCode::OK {
        return Err(Failure::of(response.status(), response.headers()));
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Connection(describe(&error)))?;
        let data = frame.data_ref().map(|data| &**data).unwrap_or_default();
        if bytes.len() + data.len() > MAX_BYTES {
            return Err(Failure::TooLarge);
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.into())
}
