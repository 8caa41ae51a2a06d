//! Where everything is pushed.

use http::{HeaderName, HeaderValue, Uri};

use super::{Key, Problems, duration, quote};
use crate::config::value::{format_duration, within};
use crate::config::{Settings, range};

/// The keys.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "otlp.endpoint",
        help: "where everything is pushed over OTLP (HTTP/protobuf); empty = nowhere",
        set: |settings, value| {
            let text = value.text()?;
            settings.otlp.endpoint = if text.is_empty() { None } else { Some(endpoint(&text)?) };
            Ok(())
        },
        show: |settings| quote(&settings.otlp.endpoint.as_ref().map(Uri::to_string).unwrap_or_default()),
    },
    Key {
        name: "otlp.headers",
        help: "headers of each push, for example authorization",
        set: |settings, value| {
            settings.otlp.headers = value.pairs()?.iter().enumerate().map(header).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| {
            let names: Vec<_> = settings.otlp.headers.iter().map(|(name, _)| format!("{name} = \"***\"")).collect();
            if names.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", names.join(", ")) }
        },
    },
    Key {
        name: "otlp.timeout",
        help: "how long one push may take",
        set: |settings, value| {
            settings.otlp.timeout = value.duration(range::OTLP_TIMEOUT)?;
            Ok(())
        },
        show: |settings| duration(settings.otlp.timeout),
    },
];

/// What no agent can work with.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    problems.note("otlp.timeout", within(settings.otlp.timeout, &range::OTLP_TIMEOUT, format_duration));
}

/// Where OTLP receivers take metrics, unless told otherwise.
pub(super) const METRICS_PATH: &str = "/v1/metrics";

/// The address that pushes go to; one without a path gets the standard one.
fn endpoint(text: &str) -> Result<Uri, String> {
    let wrong = || format!("`{text}` is no http:// or https:// URL; write one such as http://127.0.0.1:4318");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_http || uri.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if uri.path() == "/" && uri.query().is_none() {
        return format!("{}{METRICS_PATH}", text.trim_end_matches('/')).parse().map_err(|_| wrong());
    }
    Ok(uri)
}

/// A header of a push. What should be a name may hold a secret if the pair was written wrongly, so it is not repeated.
fn header((index, (name, value)): (usize, &(String, String))) -> Result<(HeaderName, HeaderValue), String> {
    let header = HeaderName::try_from(name.as_str())
        .map_err(|_| format!("pair {} does not begin with the name of a header; write name=value", index + 1))?;
    let mut value = HeaderValue::try_from(value.as_str())
        .map_err(|_| format!("the value of `{name}` has characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok((header, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_get_their_path_once() {
        for (written, read) in [
            ("http://a:4318", "http://a:4318/v1/metrics"),
            ("http://a:4318/", "http://a:4318/v1/metrics"),
            ("https://a/otlp", "https://a/otlp"),
            ("http://a:4318/v1/metrics", "http://a:4318/v1/metrics"),
        ] {
            assert_eq!(endpoint(written).unwrap().to_string(), read);
        }
        assert!(endpoint("grpc://a:4317").is_err());
    }
}
