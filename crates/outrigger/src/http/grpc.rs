//! What a gRPC response says about its outcome: the status stands in the trailers, or in the headers when there is no
//! body.

use std::fmt;

use ::http::HeaderMap;
use ::http::header::CONTENT_TYPE;

/// A status code of gRPC.
///
/// The codes are those of [the protocol](https://grpc.github.io/grpc/core/md_doc_statuscodes.html); which of them a
/// server answers for is said by [OpenTelemetry's conventions for gRPC](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GrpcStatus(pub(super) u8);

impl GrpcStatus {
    const UNKNOWN: u8 = 2;
    const HIGHEST: u8 = 16;

    /// A code out of range is unknown, as clients treat it.
    pub(super) fn of(code: u8) -> Self {
        Self(if code <= Self::HIGHEST { code } else { Self::UNKNOWN })
    }

    /// The status that headers or trailers carry.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok());
        Some(Self::of(code.unwrap_or(Self::UNKNOWN)))
    }

    /// The name of a code for which the server answers; `None` for success and for the client's own errors.
    pub(super) fn server_error(self) -> Option<&'static str> {
        Some(match self.0 {
            2 => "UNKNOWN",
            4 => "DEADLINE_EXCEEDED",
            12 => "UNIMPLEMENTED",
            13 => "INTERNAL",
            14 => "UNAVAILABLE",
            15 => "DATA_LOSS",
            _ => return None,
        })
    }
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a response is one of gRPC: `application/grpc`, or with a message format as in `application/grpc+proto`.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(format) = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
    else {
        return false;
    };
    matches!(format.first(), None | Some(b'+' | b';' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_whatever_it_says() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", value.parse().unwrap());
            GrpcStatus::read(&headers).map(|status| status.0)
        };
        assert_eq!(GrpcStatus::read(&HeaderMap::new()), None);
        for (value, code) in [("0", 0), ("5", 5), ("16", 16), ("17", 2), ("300", 2), ("-1", 2), ("", 2), ("ok", 2)] {
            assert_eq!(read(value), Some(code), "{value:?}");
        }
    }
}
