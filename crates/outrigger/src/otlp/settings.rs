//! Where to push and how: what the program says, else the environment, else the defaults.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};

use crate::resource::percent_decoded;

/// What the program said.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) endpoint: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) gzip: Option<bool>,
    pub(super) delta: Option<bool>,
}

/// Everything decided.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) endpoint: Uri,
    pub(super) headers: HeaderMap,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    pub(super) delta: bool,
    pub(super) disabled: bool,
}

/// A setting of the program that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    Endpoint { endpoint: String, reason: String },
    Header { name: String },
}

impl Settings {
    /// What the program got wrong is an error. What is wrong in the environment is handed to `complain`, with the
    /// variable's name and what to write, and the default holds.
    pub(super) fn new(
        given: Given,
        variable: impl Fn(&str) -> Option<String>,
        complain: impl FnMut(String),
    ) -> Result<Self, Unusable> {
        let mut environment = Environment { variable, complain };
        environment.check_protocol();
        let headers = environment.headers();
        Ok(Self {
            endpoint: match given.endpoint {
                Some(endpoint) => {
                    let unusable = |reason| Unusable::Endpoint { endpoint: endpoint.clone(), reason };
                    let uri = parse(&endpoint).map_err(unusable)?;
                    if has_path(&uri) { uri } else { with_metrics_path(uri).map_err(unusable)? }
                }
                None => environment.endpoint(),
            },
            headers: given.headers.into_iter().try_fold(headers, |mut headers, (name, value)| {
                let parsed = header(&name, &value).ok_or(Unusable::Header { name })?;
                headers.insert(parsed.0, parsed.1);
                Ok(headers)
            })?,
            interval: given
                .interval
                .or_else(|| environment.duration(&["OTEL_METRIC_EXPORT_INTERVAL"]))
                .unwrap_or(INTERVAL)
                .clamp(SHORTEST_INTERVAL, LONGEST),
            timeout: given
                .timeout
                .or_else(|| environment.duration(&signal_first("TIMEOUT")))
                .unwrap_or(TIMEOUT)
                .clamp(SHORTEST_TIMEOUT, LONGEST),
            gzip: given.gzip.or_else(|| environment.compression()).unwrap_or(true),
            delta: given.delta.or_else(|| environment.temporality()).unwrap_or(false),
            disabled: environment.disabled(),
        })
    }
}

/// The variable of the signal, which goes first, and the one for all signals.
fn signal_first(what: &str) -> [String; 2] {
    [format!("OTEL_EXPORTER_OTLP_METRICS_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")]
}

struct Environment<V, C> {
    variable: V,
    complain: C,
}

impl<V: Fn(&str) -> Option<String>, C: FnMut(String)> Environment<V, C> {
    /// The first of these variables that is set. An empty one is none, as the specification has it.
    fn first<N: AsRef<str>>(&self, names: &[N]) -> Option<(String, String)> {
        names.iter().find_map(|name| {
            let value = (self.variable)(name.as_ref())?.trim().to_owned();
            (!value.is_empty()).then(|| (name.as_ref().to_owned(), value))
        })
    }

    fn endpoint(&mut self) -> Uri {
        for (name, is_whole) in [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", true), ("OTEL_EXPORTER_OTLP_ENDPOINT", false)]
        {
            let Some((name, value)) = self.first(&[name]) else { continue };
            let uri = parse(&value).and_then(|uri| if is_whole { Ok(uri) } else { with_metrics_path(uri) });
            match uri {
                Ok(uri) => return uri,
                Err(reason) => (self.complain)(format!(
                    "{name}={value:?} is not used ({reason}): write a URL such as http://localhost:4318"
                )),
            }
        }
        Uri::from_static(ENDPOINT)
    }

    fn headers(&mut self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some((name, value)) = self.first(&signal_first("HEADERS")) else { return headers };
        for pair in value.split(',').filter(|pair| !pair.trim().is_empty()) {
            let parsed =
                pair.split_once('=').and_then(|(key, value)| header(key.trim(), &percent_decoded(value.trim())));
            match parsed {
                Some((key, value)) => {
                    headers.insert(key, value);
                }
                // A header may be a secret: the message tells only its name.
                None => (self.complain)(format!(
                    "{name}: the header {:?} is left out: write name=value,name=value, with values percent-encoded",
                    pair.split('=').next().unwrap_or_default().trim()
                )),
            }
        }
        headers
    }

    /// A duration in milliseconds; zero is none.
    fn duration<N: AsRef<str>>(&mut self, names: &[N]) -> Option<Duration> {
        let (name, value) = self.first(names)?;
        match value.parse() {
            Ok(ms) if ms > 0 => Some(Duration::from_millis(ms)),
            _ => {
                (self.complain)(format!("{name}={value:?} is not used: write a number of milliseconds, such as 10000"));
                None
            }
        }
    }

    fn compression(&mut self) -> Option<bool> {
        let (name, value) = self.first(&signal_first("COMPRESSION"))?;
        match value.as_str() {
            "gzip" => Some(true),
            "none" => Some(false),
            _ => {
                (self.complain)(format!("{name}={value:?} is not used: write gzip or none"));
                None
            }
        }
    }

    fn temporality(&mut self) -> Option<bool> {
        let (name, value) = self.first(&["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"])?;
        match value.to_ascii_lowercase().as_str() {
            "cumulative" => Some(false),
            "delta" | "lowmemory" => Some(true),
            _ => {
                (self.complain)(format!("{name}={value:?} is not used: write cumulative, delta or lowmemory"));
                None
            }
        }
    }

    fn disabled(&mut self) -> bool {
        let Some((name, value)) = self.first(&["OTEL_SDK_DISABLED"]) else { return false };
        let is_true = value.eq_ignore_ascii_case("true");
        if !is_true && !value.eq_ignore_ascii_case("false") {
            (self.complain)(format!("{name}={value:?} means false: write true or false"));
        }
        is_true
    }

    fn check_protocol(&mut self) {
        if let Some((name, value)) = self.first(&signal_first("PROTOCOL"))
            && value != "http/protobuf"
        {
            (self.complain)(format!(
                "{name}={value:?} is not used, since http/protobuf is all there is: send to a receiver's HTTP port, \
                 4318 as a rule"
            ));
        }
    }
}

fn parse(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    if uri.host().is_none_or(str::is_empty) {
        return Err("no host".to_owned());
    }
    match uri.scheme_str() {
        Some("http") => Ok(uri),
        Some("https") if cfg!(feature = "otlp-tls") => Ok(uri),
        Some("https") => Err("https needs outrigger's feature `otlp-tls`".to_owned()),
        _ => Err("neither http nor https".to_owned()),
    }
}

fn has_path(uri: &Uri) -> bool {
    uri.path_and_query().is_some_and(|path| path.as_str() != "/")
}

/// Behind the path of an endpoint for all signals comes that of ours.
fn with_metrics_path(uri: Uri) -> Result<Uri, String> {
    let path = format!("{}/v1/metrics", uri.path().trim_end_matches('/'));
    let mut parts = uri.into_parts();
    parts.path_and_query =
        Some(PathAndQuery::try_from(path).map_err(|error: http::uri::InvalidUri| error.to_string())?);
    Uri::from_parts(parts).map_err(|error| error.to_string())
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    // As a rule it is a token.
    value.set_sensitive(true);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
}

const ENDPOINT: &str = "http://localhost:4318/v1/metrics";
const INTERVAL: Duration = Duration::from_secs(60);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
/// Longer ones make no sense, and could not be added to a clock.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Settings from `NAME=value` lines, and the complaints.
    fn read(given: Given, lines: &[&str]) -> (Result<Settings, Unusable>, Vec<String>) {
        let variables: HashMap<&str, &str> = lines.iter().map(|line| line.split_once('=').unwrap()).collect();
        let mut complaints = Vec::new();
        let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let settings = Settings::new(given, variable, |complaint| complaints.push(complaint));
        (settings, complaints)
    }

    #[track_caller]
    fn good(lines: &[&str]) -> Settings {
        let (settings, complaints) = read(Given::default(), lines);
        assert_eq!(complaints, [""; 0]);
        settings.unwrap()
    }

    #[test]
    fn nothing_said_is_a_collector_on_this_machine() {
        let settings = good(&["OTEL_EXPORTER_OTLP_ENDPOINT="]);
        assert_eq!(settings.endpoint, "http://localhost:4318/v1/metrics");
        assert_eq!((settings.interval, settings.timeout), (Duration::from_secs(60), Duration::from_secs(10)));
        assert!(settings.gzip && !settings.delta && !settings.disabled && settings.headers.is_empty());
    }

    #[test]
    fn paths_follow_the_specification() {
        for (lines, endpoint) in [
            (&["OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318"][..], "http://c:4318/v1/metrics"),
            (&["OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/"], "http://c:4318/v1/metrics"),
            (&["OTEL_EXPORTER_OTLP_ENDPOINT=http://c/otlp/"], "http://c/otlp/v1/metrics"),
            (&["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://c/x"], "http://c/x"),
            (&["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://c"], "http://c/"),
            (&["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://m/x", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c"], "http://m/x"),
        ] {
            assert_eq!(good(lines).endpoint, endpoint, "{lines:?}");
        }
        for (given, endpoint) in [
            ("http://c:4318", "http://c:4318/v1/metrics"),
            ("http://c:4318/", "http://c:4318/v1/metrics"),
            ("http://c/api/v1/otlp?x=1", "http://c/api/v1/otlp?x=1"),
        ] {
            let given = Given { endpoint: Some(given.to_owned()), ..Given::default() };
            let (settings, _) = read(given, &["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://other/"]);
            assert_eq!(settings.unwrap().endpoint, endpoint, "the program goes first");
        }
    }

    #[test]
    fn the_environment_sets_everything_else() {
        let settings = good(&[
            "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20a%3Db , x-tenant=1",
            "OTEL_EXPORTER_OTLP_TIMEOUT=20000",
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=1500",
            "OTEL_EXPORTER_OTLP_COMPRESSION=none",
            "OTEL_METRIC_EXPORT_INTERVAL=5000",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=Delta",
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "OTEL_SDK_DISABLED=TRUE",
        ]);
        assert_eq!(
            (&settings.headers["authorization"], &settings.headers["x-tenant"]),
            (&"Bearer a=b".parse().unwrap(), &"1".parse().unwrap())
        );
        assert_eq!((settings.timeout, settings.interval), (Duration::from_millis(1500), Duration::from_secs(5)));
        assert!(!settings.gzip && settings.delta && settings.disabled);
        assert!(good(&["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=lowmemory"]).delta);
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_name_and_the_fix() {
        let lines = [
            "OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=ftp://c/x",
            "OTEL_EXPORTER_OTLP_HEADERS=secret token,x-tenant=1",
            "OTEL_EXPORTER_OTLP_TIMEOUT=10s",
            "OTEL_EXPORTER_OTLP_COMPRESSION=zstd",
            "OTEL_METRIC_EXPORT_INTERVAL=0",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=both",
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
            "OTEL_SDK_DISABLED=1",
        ];
        let (settings, complaints) = read(Given::default(), &lines);
        let settings = settings.unwrap();
        assert_eq!(settings.endpoint, ENDPOINT);
        assert_eq!((settings.interval, settings.timeout, settings.headers.len()), (INTERVAL, TIMEOUT, 1));
        assert!(settings.gzip && !settings.delta && !settings.disabled);
        for line in lines {
            let name = line.split('=').next().unwrap();
            let complaint = complaints.iter().find(|complaint| complaint.starts_with(name));
            let complaint = complaint.unwrap_or_else(|| panic!("{name}: {complaints:?}"));
            assert!(complaint.contains("write ") || complaint.contains("send to "), "{complaint}");
        }
        assert_eq!(complaints.len(), lines.len());
    }

    #[test]
    fn what_the_program_gets_wrong_is_an_error() {
        let given = Given { endpoint: Some("localhost".to_owned()), ..Given::default() };
        assert!(matches!(read(given, &[]).0, Err(Unusable::Endpoint { endpoint, .. }) if endpoint == "localhost"));
        let given = Given { headers: vec![("a b".to_owned(), "c".to_owned())], ..Given::default() };
        assert_eq!(read(given, &[]).0.unwrap_err(), Unusable::Header { name: "a b".to_owned() });
        let given = Given { interval: Some(Duration::ZERO), timeout: Some(Duration::MAX), ..Given::default() };
        let settings = read(given, &[]).0.unwrap();
        assert_eq!((settings.interval, settings.timeout), (SHORTEST_INTERVAL, LONGEST));
        let given = Given { endpoint: Some("https://c".to_owned()), ..Given::default() };
        assert_eq!(read(given, &[]).0.is_ok(), cfg!(feature = "otlp-tls"));
    }
}
