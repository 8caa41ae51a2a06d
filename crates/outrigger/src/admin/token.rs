//! The token that a client must know.

use std::env;
use std::ffi::OsStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use outrigger_semconv::library;
use subtle::ConstantTimeEq;

use crate::Metrics;
use crate::metrics::register_counter;

/// What a client must show.
#[derive(Clone)]
pub(super) enum Token {
    /// Nothing.
    None,
    /// This.
    Secret(Arc<str>),
    /// Nobody can show it: a token was wanted, and what was given is none.
    Unusable,
}

impl Token {
    /// The caller's choice, else the environment's, else none. Logs an error when it is unusable.
    pub(super) fn chosen(given: Option<&str>) -> Self {
        let (token, origin) = match given {
            Some(given) => (Self::parse(given), "Admin::bearer_token"),
            None => (Self::from_variable(env::var_os(VARIABLE).as_deref()), VARIABLE),
        };
        token.unwrap_or_else(|why| {
            tracing::error!(
                "the admin listener refuses everything but its probes: the token of {origin} {why}. \
                 Write it in visible ASCII characters without spaces, or take {VARIABLE} away to have no token"
            );
            Self::Unusable
        })
    }

    /// Set to nothing is not the same as not set: a secret was to be put there, and is missing.
    fn from_variable(value: Option<&OsStr>) -> Result<Self, &'static str> {
        match value {
            None => Ok(Self::None),
            Some(value) => value.to_str().map_or(Err("is not UTF-8"), Self::parse),
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        // Secrets that were mounted from a file end in a line feed as a rule, and no header can.
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has characters that no header can carry");
        }
        Ok(Self::Secret(text.into()))
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether a request shows the secret; never when there is none.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        match (self, credentials(headers)) {
            (Self::Secret(secret), Some(shown)) => secret.as_bytes().ct_eq(shown).into(),
            _ => false,
        }
    }
}

/// What a request says after `Bearer`.
fn credentials(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, credentials) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME.as_bytes());
    is_bearer.then_some(credentials.trim_ascii())
}

/// Lets a request through that shows the token.
pub(super) async fn require(
    State((token, metrics)): State<(Token, Metrics)>,
    request: Request,
    next: Next,
) -> Response {
    if token.is_none() || token.is_shown(request.headers()) {
        return next.run(request).await;
    }
    count_refused(&metrics, 1);
    let challenge = match credentials(request.headers()) {
        Some(_) => r#"Bearer error="invalid_token""#,
        None => "Bearer",
    };
    let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))];
    let why = if matches!(token, Token::Unusable) { UNUSABLE } else { REFUSED };
    (StatusCode::UNAUTHORIZED, challenge, why).into_response()
}

pub(super) fn count_refused(metrics: &Metrics, requests: u64) {
    metrics
        .resolve(|recorder| register_counter(recorder, &library::ADMIN_UNAUTHORIZED, Vec::new()))
        .handle
        .increment(requests);
}

pub(super) const VARIABLE: &str = "OUTRIGGER_ADMIN_TOKEN";
/// With the space behind it.
const SCHEME: &str = "Bearer ";
const REFUSED: &str = "send the admin listener's token: Authorization: Bearer ...\n";
const UNUSABLE: &str = "the admin listener's token is unusable: see the service's log\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(token: &str, header: &str) -> bool {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(header).unwrap())]);
        Token::parse(token).unwrap().is_shown(&headers)
    }

    #[test]
    fn only_the_token_itself_is_let_through() {
        for header in ["Bearer s3cret", "bearer s3cret", "BEARER   s3cret "] {
            assert!(shows("s3cret", header), "{header}");
            assert!(shows(" s3cret\n", header), "{header}");
        }
        for header in
            ["", "s3cret", "Bearer", "Bearer ", "Bearers3cret", "Bearer s3cre", "Bearer s3crets", "Bearer S3CRET"]
        {
            assert!(!shows("s3cret", header), "{header}");
        }
        for header in ["Basic s3cret", "Bearer s3cret, Bearer s3cret", "Bearer \u{fffd}"] {
            assert!(!shows("s3cret", header), "{header}");
        }
        assert!(!Token::None.is_shown(&HeaderMap::new()) && !Token::Unusable.is_shown(&HeaderMap::new()));
    }

    #[test]
    fn what_no_header_can_carry_is_no_token() {
        for bad in ["", " ", "\n", "two words", "tab\tbed", "n\u{e4}h", "nul\0"] {
            assert!(Token::parse(bad).is_err(), "{bad:?}");
        }
        assert!(matches!(Token::chosen(Some("")), Token::Unusable));
        assert!(Token::from_variable(Some(OsStr::new(""))).is_err());
        assert!(Token::from_variable(Some(OsStr::new("s3cret\n"))).is_ok_and(|token| !token.is_none()));
        assert!(Token::from_variable(None).is_ok_and(|token| token.is_none()));
    }
}
