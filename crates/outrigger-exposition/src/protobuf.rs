//! The protobuf format of Prometheus, the only one that carries native histograms: each family as length-delimited
//! messages `io.prometheus.client.MetricFamily`.
//!
//! Prometheus asks for it when its feature `native-histograms` is on.
//!
//! ```
//! use outrigger_exposition::{Extra, Format, Header, Kind, NativeBuckets, NativeHistogram, ValueRef, protobuf};
//!
//! let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
//!     text/plain;version=0.0.4;q=0.5";
//! assert!(protobuf::accepts(accept));
//!
//! // Three observations in (0.5, 1], one in (2, 4].
//! let positive = NativeBuckets { offset: 0, counts: vec![3, 0, 1] };
//! let native = NativeHistogram { schema: 0, positive, ..NativeHistogram::default() };
//! let value =
//!     ValueRef::Histogram { bounds: &[1.0], counts: &[3, 1], sum: Some(5.4), exemplars: &[], native: Some(&native) };
//!
//! let mut encoder = protobuf::Encoder::new(Vec::new());
//! let header = Header { name: "wait_seconds", kind: Kind::Histogram, help: Some("Waiting."), unit: Some("seconds") };
//! encoder.begin(header)?.point([("pool", "main")], value, Extra::default())?;
//! let page: Vec<u8> = encoder.finish()?;
//! assert!(page.windows(12).any(|part| part == b"wait_seconds"));
//! # Ok::<(), outrigger_exposition::EncodeError>(())
//! ```

mod decode;
mod encode;
mod message;
mod native;
#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Decoded, MAX_METRIC, decode};
pub use encode::{Encoder, Points};

use crate::format::{is_media_type, parameter, text_weight, weight};

/// The `Content-Type` of a page in this format.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Whether to answer a request with this `Accept` header in this format: when it is named, in its delimited form, with
/// a weight above zero and not below that of the text formats, for which wildcards count too. If not,
/// [`Format::from_accept`](crate::Format::from_accept) says which of those to take.
#[must_use]
pub fn accepts(accept: &str) -> bool {
    let ours = accept.split(',').filter(|range| is_content_type(range)).map(weight).fold(0.0, f64::max);
    ours > 0.0 && ours >= text_weight(accept)
}

/// Whether a `Content-Type` header announces this format, in its delimited form.
#[must_use]
pub fn is_content_type(content_type: &str) -> bool {
    let is = |name, wanted| parameter(content_type, name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
    is_media_type(content_type, "application/vnd.google.protobuf")
        && is("proto", "io.prometheus.client.MetricFamily")
        && is("encoding", "delimited")
}
