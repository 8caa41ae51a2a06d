//! Settings: what they are, where they come from, and what is wrong with them.
//!
//! Every key can stand in four places. Later ones win: the default, the TOML file, the environment
//! (`OUTRIGGER_...`; the standard `OTEL_EXPORTER_OTLP_*` count as environment too, behind ours), the command line.
//! All four go through the one table in [`keys`], so a key is spelled, read, checked and shown in one place. Text becomes
//! `Duration`, `SocketAddr` or `Uri` here; behind this door a wrong value cannot be written down.

pub(crate) mod file;
pub(crate) mod keys;
mod range;
pub(crate) mod value;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing_subscriber::filter::Targets;

use crate::collect::scrape::Address;
use crate::export::otlp::OtlpSettings;
use crate::incident::IncidentSettings;
use crate::tell::{TellSettings, origin};
use keys::KEYS;
use value::{Value, format_bytes, format_duration, within};

/// The agent's settings, ready to use.
///
/// ```
/// use outrigger_agent::Settings;
///
/// let settings = Settings::from_toml("interval = '1s'\ntargets = ['127.0.0.1:9464', 'https://example.com/stats']")?;
/// assert_eq!(settings.interval.as_secs(), 1);
/// assert_eq!(settings.targets[1].label(), "example.com:443/stats");
///
/// let error = Settings::from_toml("intervall = '1s'").unwrap_err();
/// assert!(error.to_string().contains("did you mean `interval`?"));
/// # Ok::<(), outrigger_agent::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is scraped. Default: `127.0.0.1:9464`, where the library serves its page.
    pub targets: Vec<Address>,
    /// Time between two ticks: 1 s to 60 s. Default: 5 s.
    pub interval: Duration,
    /// How long one scrape may take, at most the interval. Default: nine tenths of the interval, so that scrapes of one
    /// target never overlap.
    pub scrape_timeout: Option<Duration>,
    /// The most bytes of one page that are read; what follows is dropped by whole metric families and counted.
    /// Default: 64 MiB.
    pub page_limit: usize,
    /// The most series that are kept of one target; past it the largest metric family goes first. Default: 200,000.
    pub series_limit: usize,
    /// The most routes that are watched on one target. Default: 500.
    pub route_limit: usize,
    /// Where the page, `/metrics` and the API are served. Default: `127.0.0.1:9465`.
    pub listen: SocketAddr,
    /// Whether `listen` may be an address beyond loopback although nothing there asks for a password. Default: no.
    pub listen_unprotected: bool,
    /// Which log lines are written: a level, or `target=level` pairs separated by commas. Default: `info`.
    pub log: Targets,
    /// Where state and incidents are kept across restarts. One agent at a time; made when it is missing, for its user
    /// alone. Default: none, nothing is kept; the program then chooses `$STATE_DIRECTORY`, else `outrigger` in the XDG
    /// state home (`~/.local/state`).
    pub data_dir: Option<PathBuf>,
    /// Time between two writings of the state: 1 s to 1 h. What happens to an incident is written at once. Default: 30 s.
    pub save_interval: Duration,
    /// How incidents are kept.
    pub incidents: IncidentSettings,
    /// Whom incidents are told.
    pub tell: TellSettings,
    /// Where everything is pushed.
    pub otlp: OtlpSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            targets: vec![Address::default()],
            interval: Duration::from_secs(5),
            scrape_timeout: None,
            page_limit: 64 << 20,
            series_limit: 200_000,
            route_limit: 500,
            listen: SocketAddr::from(([127, 0, 0, 1], 9465)),
            listen_unprotected: false,
            log: Targets::new().with_default(tracing::level_filters::LevelFilter::INFO),
            data_dir: None,
            save_interval: Duration::from_secs(30),
            incidents: IncidentSettings::default(),
            tell: TellSettings::default(),
            otlp: OtlpSettings::default(),
        }
    }
}

impl Settings {
    /// Reads settings from the text of a TOML file alone; the environment is not looked at.
    ///
    /// # Errors
    /// Every problem of the text at once, each with its line, its key and the way to put it right.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let file = ConfigFile { path: PathBuf::from("config"), text: text.to_owned() };
        Ok(Loaded::load(&Sources { file: Some(file), ..Sources::default() })?.settings)
    }

    /// How long one scrape may take.
    #[must_use]
    pub fn scrape_timeout(&self) -> Duration {
        self.scrape_timeout.unwrap_or(self.interval - self.interval / 10)
    }

    /// Whether an agent can work with these settings. Text was checked value by value when it was read, but whoever embeds
    /// the agent writes fields, so [`Agent::bind`](crate::Agent::bind) asks this too.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let told = |(key, message)| Problem { origin: Origin::Code, key: Some(key), message };
        let problems: Vec<_> = self.problems().into_iter().map(told).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// Every key that no agent can work with, and how to put it right.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut told = |key, message: String| problems.push((key, message));
        let ranges = [
            ("interval", within(self.interval, &range::INTERVAL, format_duration).err()),
            ("scrape_timeout", within(self.scrape_timeout(), &range::SCRAPE_TIMEOUT, format_duration).err()),
            ("page_limit", within(self.page_limit, &range::PAGE_LIMIT, format_bytes).err()),
            ("series_limit", within(self.series_limit, &range::SERIES_LIMIT, |count| count.to_string()).err()),
            ("route_limit", within(self.route_limit, &range::ROUTE_LIMIT, |count| count.to_string()).err()),
            ("save_interval", within(self.save_interval, &range::SAVE_INTERVAL, format_duration).err()),
            ("incidents.keep", within(self.incidents.keep, &range::INCIDENTS_KEEP, |count| count.to_string()).err()),
            ("incidents.keep_for", within(self.incidents.keep_for, &range::INCIDENTS_KEEP_FOR, format_duration).err()),
            ("tell.resend_interval", within(self.tell.resend_interval, &range::RESEND_INTERVAL, format_duration).err()),
            ("tell.update_interval", within(self.tell.update_interval, &range::UPDATE_INTERVAL, format_duration).err()),
            ("tell.timeout", within(self.tell.timeout, &range::TELL_TIMEOUT, format_duration).err()),
            ("otlp.timeout", within(self.otlp.timeout, &range::OTLP_TIMEOUT, format_duration).err()),
        ];
        for (key, message) in ranges {
            if let Some(message) = message {
                told(key, message);
            }
        }
        if self.scrape_timeout() > self.interval {
            told("scrape_timeout", "is longer than `interval`, so scrapes would pile up; lower it".to_owned());
        }
        if !self.listen.ip().is_loopback() && !self.listen_unprotected {
            let message = format!(
                "{} can be reached from other machines and nothing there asks for a password; listen on 127.0.0.1, or say \
                 `listen_unprotected = true` (--listen-unprotected) if the network around it is trusted",
                self.listen
            );
            told("listen", message);
        }
        if self.tell.alertmanager.len() > range::MAX_ALERTMANAGERS {
            told("tell.alertmanager", format!("more than {} stand here; name fewer", range::MAX_ALERTMANAGERS));
        }
        for (index, uri) in self.tell.alertmanager.iter().enumerate() {
            if self.tell.alertmanager.iter().take(index).any(|earlier| earlier == uri) {
                told("tell.alertmanager", format!("{} stands twice; remove one", origin(uri)));
            }
        }
        if self.tell.webhook_secret.is_some() && self.tell.webhook.is_none() {
            told("tell.webhook_secret", "there is no `tell.webhook` to sign for; name one".to_owned());
        }
        if self.targets.is_empty() {
            told("targets", "the list is empty; name at least one target".to_owned());
        }
        for (index, target) in self.targets.iter().enumerate() {
            if self.targets.iter().take(index).any(|earlier| earlier.label() == target.label()) {
                told("targets", format!("{} stands twice; remove one", target.label()));
            }
        }
        problems
    }
}

/// Where settings come from, weakest first: file, environment, flags.
#[derive(Default)]
pub(crate) struct Sources<'a> {
    pub(crate) file: Option<ConfigFile>,
    pub(crate) env: Option<&'a Env<'a>>,
    pub(crate) flags: Vec<(&'static str, Value)>,
}

/// Looks an environment variable up.
pub(crate) type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A TOML file that has been read, but not yet understood.
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl ConfigFile {
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(error) => Err(ConfigError {
                problems: vec![Problem {
                    origin: Origin::Whole(path.to_owned()),
                    key: None,
                    message: format!("cannot be read: {error}"),
                }],
            }),
        }
    }
}

/// Settings together with the place that each value came from, in the order of [`KEYS`].
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    pub(crate) origins: Vec<Origin>,
}

impl Loaded {
    pub(crate) fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let mut loaded = Self { settings: Settings::default(), origins: vec![Origin::Default; KEYS.len()] };
        let mut problems = Vec::new();

        if let Some(file) = &sources.file {
            for entry in file::entries(file, &mut problems) {
                loaded.set(entry.key, entry.value, entry.origin, &mut problems);
            }
        }
        if let Some(env) = sources.env {
            for (key, name, value) in keys::from_env(env) {
                loaded.set(key, value, Origin::Env(name), &mut problems);
            }
        }
        for (name, value) in &sources.flags {
            if let Some(key) = KEYS.iter().position(|key| key.name == *name) {
                loaded.set(key, value.clone(), Origin::Flag(keys::flag(name)), &mut problems);
            }
        }
        if problems.is_empty() {
            let found = loaded.settings.problems();
            problems.extend(found.into_iter().map(|(key, message)| loaded.problem(key, message)));
        }
        if problems.is_empty() { Ok(loaded) } else { Err(ConfigError { problems }) }
    }

    fn set(&mut self, key: usize, value: Value, origin: Origin, problems: &mut Vec<Problem>) {
        let Some((entry, slot)) = KEYS.get(key).zip(self.origins.get_mut(key)) else { return };
        match (entry.set)(&mut self.settings, value) {
            Ok(()) => *slot = origin,
            Err(message) => problems.push(Problem { origin, key: Some(entry.name), message }),
        }
    }

    fn problem(&self, key: &'static str, message: String) -> Problem {
        let position = KEYS.iter().position(|entry| entry.name == key);
        let origin = position.and_then(|at| self.origins.get(at)).cloned().unwrap_or(Origin::Default);
        Problem { origin, key: Some(key), message }
    }
}

impl fmt::Display for Loaded {
    /// Every key with its value and where that came from, as `outrigger check` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, origin) in KEYS.iter().zip(&self.origins) {
            let setting = format!("{} = {}", key.name, (key.show)(&self.settings));
            writeln!(f, "{setting:<48} # {origin}; {}", key.help)?;
        }
        Ok(())
    }
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// A file, counted from line 1.
    File { path: PathBuf, line: usize },
    /// A file as a whole.
    Whole(PathBuf),
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(String),
    /// The code of a program that embeds the agent.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Code => f.write_str("settings"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Whole(path) => write!(f, "{}", path.display()),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Everything that is wrong with the settings, one line for each problem.
#[derive(Debug)]
pub struct ConfigError {
    pub(crate) problems: Vec<Problem>,
}

/// One thing that is wrong: where, which key, what, and how to put it right.
#[derive(Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) origin: Origin,
    pub(crate) key: Option<&'static str>,
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (&self.origin, self.key) {
            (Origin::File { .. } | Origin::Default | Origin::Code, Some(key)) => write!(f, "{key}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings and origins that a file, some variables and some flags give together.
    fn load(toml: &str, env: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Loaded, ConfigError> {
        let lookup =
            |name: &str| env.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        Loaded::load(&Sources {
            file: Some(ConfigFile { path: "o.toml".into(), text: toml.to_owned() }),
            env: Some(&lookup),
            flags: flags.iter().map(|(key, value)| (*key, Value::Text((*value).to_owned()))).collect(),
        })
    }

    fn error(toml: &str) -> String {
        load(toml, &[], &[]).unwrap_err().to_string()
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file() {
        let file = "interval = '2s'";
        let env = [("OUTRIGGER_INTERVAL", "3s")];
        assert_eq!(load("", &[], &[]).unwrap().settings.interval, Duration::from_secs(5));
        assert_eq!(load(file, &[], &[]).unwrap().settings.interval, Duration::from_secs(2));
        assert_eq!(load(file, &env, &[]).unwrap().settings.interval, Duration::from_secs(3));
        assert_eq!(load(file, &env, &[("interval", "4s")]).unwrap().settings.interval, Duration::from_secs(4));
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_key() {
        assert_eq!(error("\n# why\nintervall = '1s'"), "o.toml:3: unknown key `intervall`; did you mean `interval`?");
        assert_eq!(
            error("[otlp]\nendpont = 'x'"),
            "o.toml:2: unknown key `otlp.endpont`; did you mean `otlp.endpoint`?"
        );
        assert!(error("zzzzz = 1").starts_with("o.toml:1: unknown key `zzzzz`; the keys are: targets, interval,"));
    }

    #[test]
    fn bad_values_name_the_line_the_key_and_the_fix() {
        let cases = [
            ("interval = 5", "o.toml:1: interval: `5` has no unit; write a duration such as \"5s\""),
            ("interval = '90s'", "o.toml:1: interval: 1m 30s is out of range; choose 1s to 1m"),
            ("\nlisten = '9465'", "o.toml:2: listen: `9465` is no address; write one such as 127.0.0.1:9465"),
            ("listen = '0.0.0.0:9465'", "o.toml:1: listen: 0.0.0.0:9465 can be reached from other machines"),
            ("targets = []", "o.toml:1: targets: the list is empty; name at least one target"),
            ("targets = ['a:1', 'http://a:1/metrics']", "o.toml:1: targets: a:1 stands twice; remove one"),
            ("targets = ['localhost']", "o.toml:1: targets: `localhost` names no port; write host:port"),
            ("scrape_timeout = '6s'", "o.toml:1: scrape_timeout: is longer than `interval`"),
            ("page_limit = '5 parsecs'", "o.toml:1: page_limit: `5 parsecs` is no size; write one such as 64MiB"),
            ("log = 'loud'", "o.toml:1: log: `loud` is no log filter; write error, warn, info, debug or trace"),
            ("interval = ['1s']", "o.toml:1: interval: a list stands here; write one value"),
            ("otlp = 3", "o.toml:1: `otlp` is a table; write [otlp] and its keys below it"),
            ("[otlp]\nendpoint = 'collector'", "o.toml:2: otlp.endpoint: `collector` is no http:// or https:// URL"),
            ("interval = ", "o.toml:1: "),
        ];
        for (toml, expected) in cases {
            assert!(error(toml).starts_with(expected), "{toml:?} gave {:?}, not {expected:?}", error(toml));
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let text = error("interval = '0s'\nlisten = 'x'\nlisden = 'y'");
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn a_variable_that_is_wrong_is_named() {
        let error = load("", &[("OUTRIGGER_OTLP_TIMEOUT", "soon")], &[]).unwrap_err().to_string();
        assert!(error.starts_with("OUTRIGGER_OTLP_TIMEOUT: `soon`"), "{error}");
        let error = load("", &[], &[("listen", "x")]).unwrap_err().to_string();
        assert!(error.starts_with("--listen: `x`"), "{error}");
    }

    #[test]
    fn the_standard_otlp_variables_are_honoured_behind_ours() {
        let endpoint = |env: &[(&str, &str)]| {
            load("", env, &[]).unwrap().settings.otlp.endpoint.map(|uri| uri.to_string()).unwrap_or_default()
        };
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        let metrics = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:4318/custom");
        let ours = ("OUTRIGGER_OTLP_ENDPOINT", "http://o:4318/v1/metrics");
        assert_eq!(endpoint(&[]), "");
        assert_eq!(endpoint(&[general]), "http://c:4318/v1/metrics");
        assert_eq!(endpoint(&[general, metrics]), "http://m:4318/custom");
        assert_eq!(endpoint(&[general, metrics, ours]), "http://o:4318/v1/metrics");

        let loaded =
            load("", &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c,d=e")], &[]);
        let otlp = loaded.unwrap().settings.otlp;
        assert_eq!(otlp.timeout, Duration::from_millis(1500));
        let headers: Vec<_> =
            otlp.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(headers, [("a", "b c"), ("d", "e")]);
    }

    #[test]
    fn no_error_repeats_a_header() {
        let variables = ["OUTRIGGER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"];
        for text in ["a=b,s3cret", "authorization: Bearer s3cret=", "a=s3cret%0A", "a=s3cret\n"] {
            for variable in variables {
                match load("", &[(variable, text)], &[]) {
                    Ok(loaded) => assert!(!loaded.to_string().contains("s3cret"), "{loaded}"),
                    Err(error) => {
                        let error = error.to_string();
                        assert!(error.starts_with(&format!("{variable}: ")) && !error.contains("s3cret"), "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn settings_that_code_wrote_are_checked_like_those_of_a_file() {
        type Change = fn(&mut Settings);
        let told = |change: Change| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().map_err(|error| error.to_string()).err().unwrap_or_default()
        };
        assert_eq!(told(|_| {}), "");
        assert_eq!(told(|settings| settings.listen.set_ip([127, 0, 0, 9].into())), "");
        let listen = told(|settings| settings.listen.set_ip([0, 0, 0, 0].into()));
        assert!(listen.starts_with("settings: listen: 0.0.0.0:9465 can be reached from other machines"), "{listen}");
        let interval = told(|settings| settings.interval = Duration::ZERO);
        assert!(interval.starts_with("settings: interval: 0s is out of range; choose 1s to 1m"), "{interval}");
        let cases: [(&str, Change); 11] = [
            ("save_interval", |settings| settings.save_interval = Duration::ZERO),
            ("incidents.keep", |settings| settings.incidents.keep = 0),
            ("incidents.keep_for", |settings| settings.incidents.keep_for = Duration::MAX),
            ("interval", |settings| settings.interval = Duration::MAX),
            ("scrape_timeout", |settings| settings.scrape_timeout = Some(Duration::ZERO)),
            ("scrape_timeout", |settings| settings.scrape_timeout = Some(Duration::from_secs(6))),
            ("otlp.timeout", |settings| settings.otlp.timeout = Duration::ZERO),
            ("page_limit", |settings| settings.page_limit = 0),
            ("series_limit", |settings| settings.series_limit = usize::MAX),
            ("route_limit", |settings| settings.route_limit = 0),
            ("targets", |settings| settings.targets.clear()),
        ];
        for (key, change) in cases {
            let told = told(change);
            assert!(told.starts_with(&format!("settings: {key}: ")), "{key} gave {told:?}");
        }
    }

    #[test]
    fn check_shows_every_key_with_its_origin_and_hides_secrets() {
        let text = load("interval = '2s'\n[otlp.headers]\nauthorization = 'Bearer x'", &[], &[]).unwrap().to_string();
        assert!(text.contains("interval = \"2s\"") && text.contains("# o.toml:1;"), "{text}");
        assert!(text.contains("listen = \"127.0.0.1:9465\"") && text.contains("# default;"), "{text}");
        assert!(text.contains("authorization") && !text.contains("Bearer"), "{text}");
        assert_eq!(text.lines().count(), KEYS.len());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = load(&text, &[("OUTRIGGER_TARGETS", &text), ("OUTRIGGER_OTLP_HEADERS", &text)], &[("page_limit", &text)]);
        }

        #[test]
        fn no_value_of_any_key_panics(key in 0..KEYS.len(), value in "\\PC{0,12}|[0-9]{1,30}[a-zA-Z]{0,3}|\\[.{0,9}\\]") {
            let _ = load(&format!("{} = {value}", KEYS[key].name), &[(&KEYS[key].env(), &value)], &[]);
        }
    }
}
