//! Asking a Prometheus server, and what it says when it does not answer.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;

use crate::client::{Client, describe};

/// A server that is asked.
pub(super) struct Server {
    pub(super) uri: String,
    /// The token to send, if one is wanted.
    pub(super) token: Option<String>,
    pub(super) client: Client,
}

/// Why an answer is of no use.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Less should be asked for at once.
    TooMuch(String),
    /// Less should be asked for at once, or the same later.
    Busy(String),
    /// There is no server for now.
    Away(String),
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMuch(why) | Self::Busy(why) | Self::Away(why) | Self::Other(why) => f.write_str(why),
        }
    }
}

/// The most bytes of an answer that are read, and samples that it may have.
const MAX_ANSWER: usize = 64 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

impl Server {
    /// The answer to a query of this kind.
    pub(super) async fn ask(&self, what: &str, form: &[(&str, &str)]) -> Result<Vec<u8>, Refusal> {
        let uri = format!("{}/api/v1/{what}", self.uri.trim_end_matches('/'));
        let form: Vec<_> = form.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let form = form.join("&");
        // Queries may be long and are posted; labels have to be asked for.
        let (mut request, body) = if what.starts_with("label/") {
            (Request::get(format!("{uri}?{form}")), String::new())
        } else {
            (Request::post(uri).header(CONTENT_TYPE, "application/x-www-form-urlencoded"), form)
        };
        request = request.header(USER_AGENT, concat!("outrigger/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| Refusal::Other(error.to_string()))?;
        let exchange = async {
            let response = self.client.send(request).await.map_err(|error| Refusal::Away(error.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    Refusal::TooMuch(format!("the answer is larger than {} MiB", MAX_ANSWER >> 20))
                } else {
                    Refusal::Away(describe(&*error))
                }
            })?;
            Ok((status, body.to_bytes()))
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await;
        let (status, body) = answered.unwrap_or_else(|_| {
            Err(Refusal::TooMuch(format!("no answer within {}", humantime::format_duration(PATIENCE))))
        })?;
        if status.is_success() { Ok(body.to_vec()) } else { Err(refusal(status, &body)) }
    }
}

/// What a refused request is told with.
fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let told = serde_json::from_slice::<Refused>(body).ok().map(|refused| refused.error);
    let why = match &told {
        Some(error) => format!("answered {status}: {error}"),
        None => format!("answered {status}; is this the address of a Prometheus server?"),
    };
    let words = ["too many samples", "exceeded maximum resolution", "timed out", "limit"];
    let is_limit = told.is_some_and(|error| words.iter().any(|word| error.contains(word)));
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::TOO_MANY_REQUESTS => Refusal::Away(why),
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooMuch(why),
        _ if is_limit => Refusal::TooMuch(why),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Refusal::Busy(why),
        _ => Refusal::Other(why),
    }
}

/// The values of a label.
pub(super) fn names(body: &[u8]) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Names {
        data: Vec<String>,
    }
    serde_json::from_slice::<Names>(body).map(|names| names.data).map_err(|error| unreadable(&error))
}

pub(super) fn unreadable(error: &serde_json::Error) -> String {
    format!("the answer is none of a Prometheus server: {error}")
}

/// A value of a form. Source: RFC 3986, unreserved characters stand for themselves.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_for_a_form() {
        assert_eq!(encoded("a{b=\"é\"}"), "a%7Bb%3D%22%C3%A9%22%7D");
    }

    #[test]
    fn some_refusals_ask_for_less_and_some_for_patience() {
        let of = |status: u16, body: &str| refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        let limit = r#"{"status":"error","error":"query processing would load too many samples into memory"}"#;
        assert!(matches!(of(422, limit), Refusal::TooMuch(why) if why.ends_with("into memory")));
        assert!(matches!(of(503, limit), Refusal::TooMuch(_)), "later would be no better");
        for status in [503, 504] {
            assert!(matches!(of(status, ""), Refusal::Busy(_)), "{status}");
        }
        for status in [429, 502] {
            assert!(matches!(of(status, limit), Refusal::Away(_)), "{status}");
        }
        assert!(matches!(of(401, ""), Refusal::Other(_)));
    }
}
