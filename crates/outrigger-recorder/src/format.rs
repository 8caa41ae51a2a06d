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
}

impl PageFormat {
    /// The format to answer a request with this `Accept` header.
    #[must_use]
    pub fn from_accept(accept: &str) -> Self {
        match Format::from_accept(accept) {
            Format::Text => Self::Text,
            Format::OpenMetrics => Self::OpenMetrics,
        }
    }

    /// The `Content-Type` of a page in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        self.text().content_type()
    }

    pub(crate) const fn text(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::OpenMetrics => Format::OpenMetrics,
        }
    }
}
