//! What a page is written in.

use outrigger_exposition::Format;

/// The format of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageFormat {
    /// Prometheus text 0.0.4, which everybody reads.
    #[default]
    Text,
    /// OpenMetrics 1.0, the text format that has exemplars.
    OpenMetrics,
    /// Prometheus' protobuf format, which has native histograms too.
    #[cfg(feature = "protobuf")]
    Protobuf,
}

impl PageFormat {
    /// The format to answer a request with this `Accept` header.
    #[must_use]
    pub fn from_accept(accept: &str) -> Self {
        #[cfg(feature = "protobuf")]
        if outrigger_exposition::protobuf::accepts(accept) {
            return Self::Protobuf;
        }
        match Format::from_accept(accept) {
            Format::Text => Self::Text,
            Format::OpenMetrics => Self::OpenMetrics,
        }
    }

    /// The `Content-Type` of a page in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => Format::Text.content_type(),
            Self::OpenMetrics => Format::OpenMetrics.content_type(),
            #[cfg(feature = "protobuf")]
            Self::Protobuf => outrigger_exposition::protobuf::CONTENT_TYPE,
        }
    }
}
