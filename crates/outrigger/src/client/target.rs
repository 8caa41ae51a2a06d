//! Whom a request goes to.

use std::borrow::Cow;

use ::http::header::HOST;
use ::http::uri::{Authority, Uri};
use ::http::{HeaderMap, uri::Scheme};
use outrigger_semconv::label;

/// The address and port of a server, as labels say them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Empty if the request does not say: an empty label is an absent one.
    pub(super) address: Cow<'a, str>,
    pub(super) port: Option<u16>,
}

impl<'a> Target<'a> {
    /// Where a request's URI points to, or else its `Host` header.
    pub(super) fn of(uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let default_port = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
            Some(scheme) if *scheme == Scheme::HTTP => Some(80),
            _ => None,
        };
        if let Some(authority) = uri.authority() {
            return Self::new(authority.host(), authority.port_u16().or(default_port));
        }
        let header = headers.get(HOST).and_then(|value| value.to_str().ok());
        let Some(header) = header.filter(|host| host.parse::<Authority>().is_ok()) else {
            return Self { address: Cow::Borrowed(""), port: None };
        };
        // A colon within an IPv6 address is followed by its bracket, and is no port.
        let (host, port) = match header.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (header, None),
        };
        Self::new(host, port.or(default_port))
    }

    pub(super) fn new(host: &'a str, port: Option<u16>) -> Self {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let address = if host.len() > LONGEST_NAME {
            Cow::Borrowed(label::OTHER)
        } else if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        Self { address, port }
    }
}

/// Bytes of the longest name that DNS allows.
const LONGEST_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_from_the_uri_or_else_from_the_host_header() {
        let long = "a".repeat(256);
        let cases = [
            ("http://example.org/path?query", "", "example.org", Some(80)),
            ("https://Example.ORG/", "", "example.org", Some(443)),
            ("https://example.org:8443/", "elsewhere", "example.org", Some(8443)),
            ("http://user:secret@example.org:81/", "", "example.org", Some(81)),
            ("http://127.0.0.1:3000/", "", "127.0.0.1", Some(3000)),
            ("http://[::1]:3000/", "", "::1", Some(3000)),
            ("http://[fe80::1]/", "", "fe80::1", Some(80)),
            ("ws://example.org/", "", "example.org", None),
            ("example.org:22", "", "example.org", Some(22)),
            ("/path", "example.org:81", "example.org", Some(81)),
            ("/path", "example.org", "example.org", None),
            ("/path", "[::1]:81", "::1", Some(81)),
            ("/path", "[::1]", "::1", None),
            ("/path", "", "", None),
            ("/path", "not a host", "", None),
            ("*", "example.org", "example.org", None),
            ("/path", long.as_str(), label::OTHER, None),
        ];
        for (uri, host, address, port) in cases {
            let uri: Uri = uri.parse().unwrap();
            let mut headers = HeaderMap::new();
            if !host.is_empty() {
                headers.insert(HOST, host.parse().unwrap());
            }
            let wanted = Target { address: address.into(), port };
            assert_eq!(Target::of(&uri, &headers), wanted, "{uri} {host}");
        }
    }
}
