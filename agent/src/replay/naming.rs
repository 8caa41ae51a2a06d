//! Other names for the same things: pages of services that do not speak OpenTelemetry's names.
//!
//! The agent knows requests as `http_server_request_duration_seconds` with the labels `http_request_method`, `http_route`
//! and `http_response_status_code`. Here a histogram of another name, with other labels, is given these names on its way in.

use std::borrow::Cow;
use std::fmt::Write as _;

use outrigger_exposition::{Format, Kind, LineError, Sample, Visitor, parse};
use outrigger_semconv::{http, label};

use crate::collect::scrape::Page;

/// What a service calls its requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Naming {
    /// The histogram, without `_bucket`.
    pub(crate) metric: Option<String>,
    pub(crate) route: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) status: Option<String>,
}

/// What labels are usually called, the likeliest first.
const ROUTES: [&str; 9] =
    [label::HTTP_ROUTE, "route", "uri", "handler", "path", "endpoint", "http_target", "operation", "url"];
const METHODS: [&str; 4] = [label::HTTP_REQUEST_METHOD, "method", "http_method", "verb"];
const STATUSES: [&str; 6] =
    [label::HTTP_RESPONSE_STATUS_CODE, "status", "code", "status_code", "http_status_code", "http_status"];
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

impl Naming {
    /// Whether anything is called otherwise.
    pub(crate) fn is_needed(&self) -> bool {
        self.metric.is_some() || self.route.is_some() || self.method.is_some() || self.status.is_some()
    }

    /// The metric that counts requests, in the service's name.
    pub(crate) fn metric(&self) -> &str {
        self.metric.as_deref().unwrap_or(http::SERVER_REQUEST_DURATION.name)
    }

    /// The seconds in one unit of the metric.
    fn unit(&self) -> f64 {
        let metric = self.metric();
        if metric.ends_with("_milliseconds") || metric.ends_with("_ms") { 1e-3 } else { 1.0 }
    }

    /// Writes a sample's name and labels as a page has them, under the names that the agent knows. Answers what its value is
    /// to be multiplied by.
    pub(crate) fn start_line(&self, page: &mut String, name: &str, labels: &[(&str, Cow<'_, str>)]) -> f64 {
        let suffix =
            name.strip_prefix(self.metric()).and_then(|rest| SUFFIXES.into_iter().find(|suffix| *suffix == rest));
        let suffix = suffix.filter(|_| self.is_needed());
        // Writing to a String cannot fail, here and below.
        match suffix {
            Some(suffix) => {
                let _ = write!(page, "{}{suffix}", http::SERVER_REQUEST_DURATION.name);
            }
            None => page.push_str(name),
        }
        let renamed = |of: &Option<String>, usual: &[&str]| match of {
            Some(given) => labels.iter().position(|(name, _)| name == given),
            None => usual.iter().find_map(|usual| labels.iter().position(|(name, _)| name == usual)),
        };
        let mut names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
        if suffix.is_some() {
            for (at, ours) in [
                (renamed(&self.route, &ROUTES), label::HTTP_ROUTE),
                (renamed(&self.method, &METHODS), label::HTTP_REQUEST_METHOD),
                (renamed(&self.status, &STATUSES), label::HTTP_RESPONSE_STATUS_CODE),
            ] {
                // A label that has our name and another meaning would stand there twice.
                names.iter_mut().enumerate().filter(|(other, name)| Some(*other) != at && **name == ours).for_each(
                    |(_, name)| {
                        *name = "other";
                    },
                );
                if let Some(name) = at.and_then(|at| names.get_mut(at)) {
                    *name = ours;
                }
            }
        }
        for (number, (name, (_, value))) in names.iter().zip(labels).enumerate() {
            page.push(if number == 0 { '{' } else { ',' });
            let _ = write!(page, "{name}=\"");
            match (*name, suffix) {
                ("le", Some(_)) if self.unit() != 1.0 => match value.parse::<f64>() {
                    Ok(bound) if bound.is_finite() => {
                        let _ = write!(page, "{}", bound * self.unit());
                    }
                    _ => page.push_str(value),
                },
                // Some tell the class only.
                (label::HTTP_RESPONSE_STATUS_CODE, Some(_)) if value.len() == 3 && value.ends_with("xx") => {
                    page.push_str(value.get(..1).unwrap_or_default());
                    page.push_str("00");
                }
                _ => value.chars().for_each(|character| match character {
                    '\\' => page.push_str("\\\\"),
                    '"' => page.push_str("\\\""),
                    '\n' => page.push_str("\\n"),
                    other => page.push(other),
                }),
            }
            page.push('"');
        }
        if !labels.is_empty() {
            page.push('}');
        }
        if suffix == Some("_sum") { self.unit() } else { 1.0 }
    }

    /// The page under the names that the agent knows.
    pub(crate) fn translate(&self, page: &Page) -> Page {
        let mut translator = Translator { naming: self, text: String::with_capacity(page.bytes.len()) };
        parse(&page.bytes, page.format, &mut translator);
        Page { bytes: translator.text.into_bytes(), format: Format::Text, cut_samples: page.cut_samples }
    }
}

/// Writes the value behind a line's labels, and ends the line.
pub(super) fn write_value(page: &mut String, value: f64) {
    let _ = match value {
        f64::INFINITY => writeln!(page, " +Inf"),
        f64::NEG_INFINITY => writeln!(page, " -Inf"),
        value => writeln!(page, " {value}"),
    };
}

struct Translator<'a> {
    naming: &'a Naming,
    text: String,
}

impl Visitor for Translator<'_> {
    fn kind(&mut self, name: &str, kind: Kind) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
            _ => return,
        };
        let is_ours = name == self.naming.metric() && kind == "histogram";
        let name = if is_ours { http::SERVER_REQUEST_DURATION.name } else { name };
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let labels: Vec<_> = sample.labels.iter().map(|(name, value)| (name, value.unescape())).collect();
        let factor = self.naming.start_line(&mut self.text, sample.name, &labels);
        write_value(&mut self.text, sample.value * factor);
    }

    fn bad_line(&mut self, _: &LineError<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(naming: &Naming, text: &str) -> String {
        let page = Page { bytes: text.as_bytes().to_vec(), format: Format::Text, cut_samples: 3 };
        let page = naming.translate(&page);
        assert_eq!((page.format, page.cut_samples), (Format::Text, 3));
        String::from_utf8(page.bytes).unwrap()
    }

    #[test]
    fn usual_names_are_known_and_others_can_be_given() {
        let naming = Naming { metric: Some("http_request_duration_milliseconds".to_owned()), ..Naming::default() };
        let text = "# TYPE http_request_duration_milliseconds histogram\n\
                    http_request_duration_milliseconds_bucket{handler=\"/a\\\"b\",code=\"5xx\",method=\"GET\",le=\"250\"} 3\n\
                    http_request_duration_milliseconds_bucket{handler=\"/a\",code=\"200\",method=\"GET\",le=\"+Inf\"} 4\n\
                    http_request_duration_milliseconds_sum{handler=\"/a\"} 1500\nup{code=\"x\"} 1\n";
        let expected = "# TYPE http_server_request_duration_seconds histogram\n\
            http_server_request_duration_seconds_bucket{http_route=\"/a\\\"b\",http_response_status_code=\"500\",http_request_method=\"GET\",le=\"0.25\"} 3\n\
            http_server_request_duration_seconds_bucket{http_route=\"/a\",http_response_status_code=\"200\",http_request_method=\"GET\",le=\"+Inf\"} 4\n\
            http_server_request_duration_seconds_sum{http_route=\"/a\"} 1.5\nup{code=\"x\"} 1\n";
        assert_eq!(translated(&naming, text), expected);

        let naming = Naming { metric: Some("t".to_owned()), route: Some("page".to_owned()), ..Naming::default() };
        let text = "# TYPE t histogram\nt_count{page=\"/x\",route=\"y\",http_route=\"z\"} 1\n";
        let expected = "# TYPE http_server_request_duration_seconds histogram\n\
                        http_server_request_duration_seconds_count{http_route=\"/x\",route=\"y\",other=\"z\"} 1\n";
        assert_eq!(translated(&naming, text), expected);
    }

    #[test]
    fn a_page_in_our_names_stays_as_it_is() {
        let text = "# TYPE a counter\na_total{x=\"\\\\\\n\"} 1.5\nb NaN\nc -Inf\nd +Inf\n";
        assert_eq!(translated(&Naming::default(), text), text);
    }
}
