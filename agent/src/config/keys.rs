//! The table of keys: each one's name, meaning, reader and writer.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::value::{Value, format_bytes, format_duration};
use super::{Env, Settings, range};
use crate::collect::scrape::Address;
use crate::incident::Severity;
use crate::tell::{Secret, origin, secret_from};

/// One key.
pub(crate) struct Key {
    /// As it stands in the file, with its table: `otlp.endpoint`.
    pub(crate) name: &'static str,
    /// What it means, in half a line.
    pub(crate) help: &'static str,
    /// Puts a value into the settings, or says what is wrong with it and how to put it right.
    pub(crate) set: fn(&mut Settings, Value) -> Result<(), String>,
    /// The value as TOML, secrets hidden.
    pub(crate) show: fn(&Settings) -> String,
}

impl Key {
    /// The key as an environment variable: `OUTRIGGER_OTLP_ENDPOINT`.
    pub(crate) fn env(&self) -> String {
        format!("OUTRIGGER_{}", self.name.to_ascii_uppercase().replace('.', "_"))
    }
}

/// Every key, in the order in which `outrigger check` shows them.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "targets",
        help: "what is scraped: host:port, host:port/path or a URL",
        set: |settings, value| {
            settings.targets = value.list()?.iter().map(|text| text.parse::<Address>()).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| {
            let labels: Vec<_> = settings.targets.iter().map(|target| quote(&target.to_string())).collect();
            format!("[{}]", labels.join(", "))
        },
    },
    Key {
        name: "interval",
        help: "time between two ticks, 1s to 60s",
        set: |settings, value| {
            settings.interval = value.duration(range::INTERVAL)?;
            Ok(())
        },
        show: |settings| duration(settings.interval),
    },
    Key {
        name: "scrape_timeout",
        help: "how long one scrape may take, at most the interval",
        set: |settings, value| {
            settings.scrape_timeout = Some(value.duration(range::SCRAPE_TIMEOUT)?);
            Ok(())
        },
        show: |settings| duration(settings.scrape_timeout()),
    },
    Key {
        name: "page_limit",
        help: "the most bytes that are read of one page",
        set: |settings, value| {
            settings.page_limit = value.bytes(range::PAGE_LIMIT)?;
            Ok(())
        },
        show: |settings| quote(&format_bytes(settings.page_limit)),
    },
    Key {
        name: "series_limit",
        help: "the most series that are kept of one target",
        set: |settings, value| {
            settings.series_limit = value.count(range::SERIES_LIMIT)?;
            Ok(())
        },
        show: |settings| settings.series_limit.to_string(),
    },
    Key {
        name: "route_limit",
        help: "the most routes that are watched on one target",
        set: |settings, value| {
            settings.route_limit = value.count(range::ROUTE_LIMIT)?;
            Ok(())
        },
        show: |settings| settings.route_limit.to_string(),
    },
    Key {
        name: "listen",
        help: "where the page, /metrics and the API are served",
        set: |settings, value| {
            let text = value.text()?;
            settings.listen =
                text.parse().map_err(|_| format!("`{text}` is no address; write one such as 127.0.0.1:9465"))?;
            Ok(())
        },
        show: |settings| quote(&settings.listen.to_string()),
    },
    Key {
        name: "listen_unprotected",
        help: "whether to listen beyond loopback although no password is asked for",
        set: |settings, value| {
            settings.listen_unprotected = value.flag()?;
            Ok(())
        },
        show: |settings| settings.listen_unprotected.to_string(),
    },
    Key {
        name: "log",
        help: "log lines to write: error, warn, info, debug, trace, or target=level pairs",
        set: |settings, value| {
            let text = match value {
                // `a=debug,b=info` in a variable is one filter, not a list.
                Value::List(parts) => parts.join(","),
                other => other.text()?,
            };
            settings.log = log_filter(&text)?;
            Ok(())
        },
        show: |settings| quote(&settings.log.to_string()),
    },
    Key {
        name: "data_dir",
        help: "where state and incidents are kept; empty = $STATE_DIRECTORY, or outrigger in the XDG state home",
        set: |settings, value| {
            let text = value.text()?;
            settings.data_dir = (!text.is_empty()).then(|| text.into());
            Ok(())
        },
        show: |settings| quote(&settings.data_dir.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default()),
    },
    Key {
        name: "save_interval",
        help: "time between two writings of the state, 1s to 1h; changes of incidents are written at once",
        set: |settings, value| {
            settings.save_interval = value.duration(range::SAVE_INTERVAL)?;
            Ok(())
        },
        show: |settings| duration(settings.save_interval),
    },
    Key {
        name: "incidents.keep",
        help: "the most incidents that are kept; the oldest resolved one goes first",
        set: |settings, value| {
            settings.incidents.keep = value.count(range::INCIDENTS_KEEP)?;
            Ok(())
        },
        show: |settings| settings.incidents.keep.to_string(),
    },
    Key {
        name: "incidents.keep_for",
        help: "how long a resolved incident is kept",
        set: |settings, value| {
            settings.incidents.keep_for = value.duration(range::INCIDENTS_KEEP_FOR)?;
            Ok(())
        },
        show: |settings| duration(settings.incidents.keep_for),
    },
    Key {
        name: "tell.alertmanager",
        help: "the Alertmanagers that are told of incidents; empty = none",
        set: |settings, value| {
            let urls = value.list()?;
            settings.tell.alertmanager = urls.iter().map(|text| alertmanager(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| {
            let urls: Vec<_> = settings.tell.alertmanager.iter().map(|uri| quote(&uri.to_string())).collect();
            format!("[{}]", urls.join(", "))
        },
    },
    Key {
        name: "tell.webhook",
        help: "where each change of an incident is posted as JSON; empty = nowhere",
        set: |settings, value| {
            settings.tell.webhook = secret_url(&value.text()?)?;
            Ok(())
        },
        show: |settings| quote(&settings.tell.webhook.as_ref().map(origin).unwrap_or_default()),
    },
    Key {
        name: "tell.webhook_secret",
        help: "what the webhook's bodies are signed with; empty = not at all",
        set: |settings, value| {
            settings.tell.webhook_secret = Secret::new(value.text()?);
            Ok(())
        },
        show: |settings| quote(settings.tell.webhook_secret.as_ref().map_or("", |_| "***")),
    },
    Key {
        name: "tell.webhook_secret_file",
        help: "the file with that secret, instead of the secret itself",
        set: |settings, value| {
            let text = value.text()?;
            if !text.is_empty() {
                settings.tell.webhook_secret = Some(secret_from(text.as_ref())?);
            }
            Ok(())
        },
        show: |_| quote(""),
    },
    Key {
        name: "tell.slack",
        help: "the address of a Slack-compatible incoming webhook; empty = none",
        set: |settings, value| {
            settings.tell.slack = secret_url(&value.text()?)?;
            Ok(())
        },
        show: |settings| quote(&settings.tell.slack.as_ref().map(origin).unwrap_or_default()),
    },
    Key {
        name: "tell.min_severity",
        help: "how grave an incident has to be to be told: warning or critical",
        set: |settings, value| {
            let text = value.text()?;
            let found = Severity::ALL.into_iter().find(|severity| severity.as_str() == text);
            settings.tell.min_severity = found.ok_or_else(|| format!("`{text}` is neither warning nor critical"))?;
            Ok(())
        },
        show: |settings| quote(settings.tell.min_severity.as_str()),
    },
    Key {
        name: "tell.page_url",
        help: "where people find the agent's page, for links; empty = http:// and `listen`",
        set: |settings, value| {
            let text = value.text()?;
            settings.tell.page_url = if text.is_empty() { None } else { Some(url(&text)?) };
            Ok(())
        },
        show: |settings| quote(&settings.tell.page_url.as_ref().map(Uri::to_string).unwrap_or_default()),
    },
    Key {
        name: "tell.resend_interval",
        help: "time between two sendings of an alert that fires, 1s to 1h",
        set: |settings, value| {
            settings.tell.resend_interval = value.duration(range::RESEND_INTERVAL)?;
            Ok(())
        },
        show: |settings| duration(settings.tell.resend_interval),
    },
    Key {
        name: "tell.update_interval",
        help: "the least time between two updates of an open incident at the webhook",
        set: |settings, value| {
            settings.tell.update_interval = value.duration(range::UPDATE_INTERVAL)?;
            Ok(())
        },
        show: |settings| duration(settings.tell.update_interval),
    },
    Key {
        name: "tell.timeout",
        help: "how long one request that tells of incidents may take",
        set: |settings, value| {
            settings.tell.timeout = value.duration(range::TELL_TIMEOUT)?;
            Ok(())
        },
        show: |settings| duration(settings.tell.timeout),
    },
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

/// What the environment says: the key's place in [`KEYS`], the variable, its value. Ours stand behind the standard ones,
/// so that they win. An empty variable counts as unset, as the OpenTelemetry specification asks.
pub(crate) fn from_env(env: &Env<'_>) -> Vec<(usize, String, Value)> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    let mut found = Vec::new();
    let mut add = |key: &str, variable: &str, value: Value| {
        if let Some(at) = KEYS.iter().position(|entry| entry.name == key) {
            found.push((at, variable.to_owned(), value));
        }
    };
    for (variable, is_base) in [("OTEL_EXPORTER_OTLP_ENDPOINT", true), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", false)] {
        // The general variable names the base of all signals, the other one the full address of this one.
        if let Some(value) = env(variable) {
            let path = if is_base { METRICS_PATH } else { "" };
            add("otlp.endpoint", variable, Value::Text(format!("{}{path}", value.trim_end_matches('/'))));
        }
    }
    for variable in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"] {
        if let Some(value) = env(variable) {
            add("otlp.headers", variable, Value::Encoded(value));
        }
    }
    for variable in ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT"] {
        if let Some(value) = env(variable) {
            // Standard timeouts are whole milliseconds.
            add("otlp.timeout", variable, Value::Text(format!("{}ms", value.trim())));
        }
    }
    for key in KEYS {
        let variable = key.env();
        if let Some(value) = env(&variable) {
            add(key.name, &variable, Value::Text(value));
        }
    }
    found
}

/// What in the environment is allowed but probably not meant: a variable that nearly is one of ours, or a protocol that the
/// agent does not speak.
pub(crate) fn doubts(settings: &Settings, vars: &[(String, String)]) -> Vec<String> {
    let known: Vec<String> = KEYS.iter().map(Key::env).collect();
    let mut doubts = Vec::new();
    for (name, value) in vars {
        if let "OTEL_EXPORTER_OTLP_PROTOCOL" | "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL" = name.as_str()
            && settings.otlp.endpoint.is_some()
            && value != "http/protobuf"
        {
            doubts.push(format!(
                "{name}={value} is not spoken here; pushes go out as http/protobuf, usually to port 4318"
            ));
        }
        // The library beside us has variables of its own, so a stranger is no mistake, but a near miss is.
        if name.starts_with("OUTRIGGER_") && !known.contains(name) {
            let near = known.iter().find(|ours| strsim::damerau_levenshtein(ours, name) <= 2);
            doubts.extend(near.map(|ours| format!("{name} is not read; did you mean {ours}?")));
        }
    }
    doubts
}

/// The flag of a key: `--otlp-endpoint`. The list of targets is one flag for each.
pub(crate) fn flag(name: &str) -> String {
    format!(
        "--{}",
        name.trim_end_matches("targets").replace(['.', '_'], "-") + if name == "targets" { "target" } else { "" }
    )
}

/// The message for a key that does not exist.
pub(crate) fn unknown(path: &str) -> String {
    let nearest = KEYS
        .iter()
        .map(|key| (strsim::jaro_winkler(key.name, path), key.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity > 0.8);
    match nearest {
        Some((_, name)) => format!("unknown key `{path}`; did you mean `{name}`?"),
        None => {
            let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
            format!("unknown key `{path}`; the keys are: {}", names.join(", "))
        }
    }
}

/// Where OTLP receivers take metrics, unless told otherwise.
const METRICS_PATH: &str = "/v1/metrics";

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

/// Where Alertmanagers take alerts, below their own address.
const ALERTS_PATH: &str = "/api/v2/alerts";

/// The address that alerts go to, from that of the Alertmanager; it may stand below a path.
fn alertmanager(text: &str) -> Result<Uri, String> {
    let wrong = || "this is no http:// or https:// URL; write one such as http://127.0.0.1:9093".to_owned();
    let base = url(text).map_err(|_| wrong())?;
    if base.query().is_some() {
        return Err(wrong());
    }
    let base = base.to_string();
    let base = base.trim_end_matches('/');
    let whole = if base.ends_with(ALERTS_PATH) { base.to_owned() } else { format!("{base}{ALERTS_PATH}") };
    whole.parse().map_err(|_| wrong())
}

/// An address that may hold a secret, so a wrong one is not repeated.
fn secret_url(text: &str) -> Result<Option<Uri>, String> {
    if text.is_empty() { Ok(None) } else { url(text).map(Some) }
}

fn url(text: &str) -> Result<Uri, String> {
    let wrong = || "this is no http:// or https:// URL; write one such as https://example.com/hook".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    // A name and password in front of the host would be sent to nobody.
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !is_http || has_user || uri.host().is_none_or(str::is_empty) { Err(wrong()) } else { Ok(uri) }
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

/// A filter for log lines. A word that is no level would be read as the name of a module, and nothing would be logged.
fn log_filter(text: &str) -> Result<tracing_subscriber::filter::Targets, String> {
    let wrong = || {
        format!(
            "`{text}` is no log filter; write error, warn, info, debug or trace, or pairs such as outrigger_agent=debug"
        )
    };
    let known = |part: &str| part.contains('=') || part.parse::<tracing::level_filters::LevelFilter>().is_ok();
    if text.is_empty() || !text.split(',').all(|part| known(part.trim())) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn duration(duration: Duration) -> String {
    quote(&format_duration(duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_variables_follow_the_key() {
        assert_eq!(flag("targets"), "--target");
        assert_eq!(flag("otlp.endpoint"), "--otlp-endpoint");
        assert_eq!(flag("scrape_timeout"), "--scrape-timeout");
        let names: Vec<_> = KEYS.iter().map(Key::env).collect();
        assert!(names.contains(&"OUTRIGGER_OTLP_ENDPOINT".to_owned()), "{names:?}");
    }

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

    #[test]
    fn alertmanagers_are_named_by_their_own_address() {
        for (written, read) in [
            ("http://a:9093", "http://a:9093/api/v2/alerts"),
            ("https://a/alertmanager/", "https://a/alertmanager/api/v2/alerts"),
            ("http://a:9093/api/v2/alerts", "http://a:9093/api/v2/alerts"),
        ] {
            assert_eq!(alertmanager(written).unwrap().to_string(), read);
        }
        for wrong in ["a:9093", "http://", "http://a?b=c", "ftp://a", "http://me:secret@a"] {
            let error = alertmanager(wrong).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let secret = "s3cr3t";
        let toml = format!(
            "[tell]\nwebhook = 'https://a:1/{secret}?k={secret}'\nwebhook_secret = '{secret}'\nslack = 'https://b/{secret}'"
        );
        let settings = Settings::from_toml(&toml).unwrap();
        let shown: String = KEYS.iter().map(|key| (key.show)(&settings)).collect();
        assert!(shown.contains("https://a:1/***") && !shown.contains(secret), "{shown}");
        let debug = format!("{settings:?}");
        assert!(debug.contains("***") && !debug.contains(secret), "{debug}");
        for key in ["webhook", "slack", "webhook_secret_file"] {
            let wrong = format!("[tell]\n{key} = '/{secret}'");
            let error = Settings::from_toml(&wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("config:2: tell.{key}: ")), "{error}");
            assert!(key == "webhook_secret_file" || !error.contains(secret), "{error}");
        }
        let unsigned = Settings::from_toml(&format!("tell.webhook_secret = '{secret}'")).unwrap_err().to_string();
        assert!(unsigned.contains("there is no `tell.webhook`"), "{unsigned}");
    }

    #[test]
    fn every_default_is_shown_as_a_value_that_reads_back() {
        let defaults = Settings::default();
        for key in KEYS {
            let toml = format!("{} = {}", key.name, (key.show)(&defaults));
            let again = Settings::from_toml(&toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
            assert_eq!((key.show)(&again), (key.show)(&defaults));
        }
    }

    #[test]
    fn near_misses_in_the_environment_are_doubted_and_strangers_are_not() {
        let of =
            |settings: &Settings, name: &str, value: &str| doubts(settings, &[(name.to_owned(), value.to_owned())]);
        let mut settings = Settings::default();
        assert_eq!(
            of(&settings, "OUTRIGGER_TARGET", "x"),
            ["OUTRIGGER_TARGET is not read; did you mean OUTRIGGER_TARGETS?"]
        );
        for name in ["OUTRIGGER_TARGETS", "OUTRIGGER_ADMIN_LISTEN", "OUTRIGGER_CONFIG", "PATH"] {
            assert!(of(&settings, name, "x").is_empty(), "{name}");
        }
        assert!(of(&settings, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").is_empty(), "nothing is pushed");
        settings.otlp.endpoint = Some(Uri::from_static("http://c:4317/v1/metrics"));
        assert_eq!(of(&settings, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").len(), 1);
    }
}
