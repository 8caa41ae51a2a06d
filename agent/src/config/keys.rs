//! The table of keys: each one's name, meaning, reader and writer. The keys of one table of the file stand together.

mod otlp;
mod profile;
mod scrape;
mod serve;
mod store;
mod tell;
mod watch;

use std::sync::LazyLock;
use std::time::Duration;

use super::value::{Value, format_duration};
use super::{Env, Settings};
use otlp::METRICS_PATH;

/// One key.
#[derive(Clone)]
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
pub(crate) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    [scrape::KEYS, serve::KEYS, store::KEYS, watch::KEYS, profile::KEYS, tell::KEYS, otlp::KEYS].concat()
});

/// What no agent can work with, key by key. Text was checked value by value when it was read; what several keys say
/// together, and what code wrote, was not.
pub(crate) fn check(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut problems = Problems(Vec::new());
    for check in [scrape::check, serve::check, store::check, watch::check, profile::check, tell::check, otlp::check] {
        check(settings, &mut problems);
    }
    problems.0
}

/// Keys that no agent can work with, each with the way to put it right.
struct Problems(Vec<(&'static str, String)>);

impl Problems {
    fn add(&mut self, key: &'static str, message: String) {
        self.0.push((key, message));
    }

    /// Adds what is wrong, if anything.
    fn note<T>(&mut self, key: &'static str, checked: Result<T, String>) {
        if let Err(message) = checked {
            self.add(key, message);
        }
    }
}

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
    for key in KEYS.iter() {
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
        for key in KEYS.iter() {
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
        settings.otlp.endpoint = Some(http::Uri::from_static("http://c:4317/v1/metrics"));
        assert_eq!(of(&settings, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").len(), 1);
    }
}
