//! The two text formats and how HTTP names them.

/// A text format of a page of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// [Prometheus text format 0.0.4](https://prometheus.io/docs/instrumenting/exposition_formats/).
    #[default]
    Text,
    /// [OpenMetrics 1.0](https://prometheus.io/docs/specs/om/open_metrics_spec/).
    OpenMetrics,
}

impl Format {
    /// What a scraper that reads both formats sends as its `Accept` header.
    pub const ACCEPT: &'static str =
        "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    /// The `Content-Type` of a page in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that a `Content-Type` header announces. Whatever is not OpenMetrics is read as [`Format::Text`],
    /// since many exporters announce a bare `text/plain` or nothing at all.
    #[must_use]
    pub fn from_content_type(content_type: &str) -> Self {
        if is_openmetrics(content_type) { Self::OpenMetrics } else { Self::Text }
    }

    /// The format to answer a request with this `Accept` header: OpenMetrics when it is named with a weight above zero
    /// and not below that of `text/plain`, otherwise [`Format::Text`], which everybody reads. Where `text/plain` is not
    /// named, `text/*` tells its weight, else `*/*`.
    #[must_use]
    pub fn from_accept(accept: &str) -> Self {
        let openmetrics = openmetrics_weight(accept);
        if openmetrics > 0.0 && openmetrics >= plain_weight(accept) { Self::OpenMetrics } else { Self::Text }
    }
}

const OPENMETRICS: &str = "application/openmetrics-text";
const TEXT: &str = "text/plain";

fn is_openmetrics(header: &str) -> bool {
    is_media_type(header, OPENMETRICS)
}

pub(crate) fn is_media_type(header: &str, wanted: &str) -> bool {
    header.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(wanted))
}

/// The highest weight that an `Accept` header gives to a media range; `None` when it does not name it.
fn highest(accept: &str, media_range: &str) -> Option<f64> {
    accept.split(',').filter(|range| is_media_type(range, media_range)).map(weight).reduce(f64::max)
}

/// A wildcard is no sign that OpenMetrics can be read: most who send one have never heard of it.
fn openmetrics_weight(accept: &str) -> f64 {
    highest(accept, OPENMETRICS).unwrap_or(0.0)
}

/// The most specific range that names it tells, however low its weight.
fn plain_weight(accept: &str) -> f64 {
    [TEXT, "text/*", "*/*"].into_iter().find_map(|range| highest(accept, range)).unwrap_or(0.0)
}

/// The highest weight that an `Accept` header gives to either text format.
#[cfg(feature = "protobuf")]
pub(crate) fn text_weight(accept: &str) -> f64 {
    openmetrics_weight(accept).max(plain_weight(accept))
}

/// The `q` parameter of one range of an `Accept` header; 1 when there is none, 0 when it cannot be read.
pub(crate) fn weight(range: &str) -> f64 {
    parameter(range, "q").map_or(1.0, |value| value.parse().unwrap_or(0.0))
}

/// A parameter of a media type.
pub(crate) fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let parameters = header.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    parameters
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::Format::{OpenMetrics, Text};
    use super::*;

    #[test]
    fn content_types() {
        for (header, format) in [
            ("text/plain; version=0.0.4; charset=utf-8", Text),
            ("text/plain", Text),
            ("", Text),
            ("text/html", Text),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", OpenMetrics),
            (" Application/OpenMetrics-Text ", OpenMetrics),
        ] {
            assert_eq!(Format::from_content_type(header), format, "{header}");
        }
        for format in [Text, OpenMetrics] {
            assert_eq!(Format::from_content_type(format.content_type()), format);
        }
    }

    #[test]
    fn accept() {
        for (header, format) in [
            ("", Text),
            ("*/*", Text),
            ("text/plain", Text),
            (Format::ACCEPT, OpenMetrics),
            ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", OpenMetrics),
            ("application/openmetrics-text;q=0.2,text/plain;q=0.5", Text),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text;q=nonsense", Text),
            // As Prometheus 2 and 3 ask.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            // A wildcard stands for the text format, and a range that is more specific goes before it.
            ("text/*;q=1, application/openmetrics-text;q=0.1", Text),
            ("*/*, application/openmetrics-text;q=0.9", Text),
            ("Text/*, application/openmetrics-text", OpenMetrics),
            ("text/*;q=0.2, */*, application/openmetrics-text;q=0.3", OpenMetrics),
            ("text/plain;q=0.1, text/*, application/openmetrics-text;q=0.3", OpenMetrics),
            ("text/plain;q=0, */*, application/openmetrics-text;q=0.1", OpenMetrics),
            ("text/plain;q=0.1, text/plain;version=0.0.4;q=0.4, application/openmetrics-text;q=0.3", Text),
            ("application/*", Text),
        ] {
            assert_eq!(Format::from_accept(header), format, "{header}");
        }
    }
}
