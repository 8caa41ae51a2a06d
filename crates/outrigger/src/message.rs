//! What the layers of servers and of clients both ask of an HTTP message.

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, Method, Response, StatusCode};
use outrigger_semconv::label;

/// A well-known method, or any other. An index into [`METHODS`], so that tables can be arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KnownMethod(u8);

pub(crate) const METHODS: [&str; 10] =
    [label::OTHER_METHOD, "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE"];

impl KnownMethod {
    pub(crate) const OTHER: Self = Self(0);
    const HEAD: Self = Self(5);
    const CONNECT: Self = Self(8);

    #[inline]
    pub(crate) fn of(method: &Method) -> Self {
        Self(match *method {
            Method::GET => 1,
            Method::POST => 2,
            Method::PUT => 3,
            Method::DELETE => 4,
            Method::HEAD => 5,
            Method::PATCH => 6,
            Method::OPTIONS => 7,
            Method::CONNECT => 8,
            Method::TRACE => 9,
            _ => 0,
        })
    }

    pub(crate) fn index(self) -> usize {
        self.0.into()
    }

    pub(crate) fn as_str(self) -> &'static str {
        METHODS.get(self.index()).copied().unwrap_or(label::OTHER_METHOD)
    }
}

/// Whether nobody reads this response's body: there is nothing to wait for.
#[inline]
pub(crate) fn is_bodiless(status: StatusCode, method: KnownMethod) -> bool {
    method == KnownMethod::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS)
}

/// Whether the length of the body says nothing about the service: events, or a tunnel.
pub(crate) fn is_endless<R>(response: &Response<R>, method: KnownMethod) -> bool {
    method == KnownMethod::CONNECT && response.status().is_success() || is_event_stream(response.headers())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// How many bytes the body has by its headers. Whoever reads it stops there, and may never see the body say that it has
/// ended.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_indices_are_those_methods() {
        for name in METHODS.iter().skip(1) {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            assert_eq!(KnownMethod::of(&method).as_str(), *name);
        }
        assert_eq!(KnownMethod::HEAD, KnownMethod::of(&Method::HEAD));
        assert_eq!(KnownMethod::CONNECT, KnownMethod::of(&Method::CONNECT));
        assert_eq!(KnownMethod::OTHER, KnownMethod::of(&Method::from_bytes(b"BREW").unwrap()));
        assert_eq!(KnownMethod::OTHER, KnownMethod::of(&Method::from_bytes(b"A-VERY-LONG-METHOD-INDEED").unwrap()));
    }
}
