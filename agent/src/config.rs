//! Settings: what they are, where they come from, and what is wrong with them.
//!
//! Every key can stand in four places. Later ones win: the default, the TOML file, the environment
//! (`OUTRIGGER_...`; the standard `OTEL_EXPORTER_OTLP_*` count as environment too, behind ours), the command line.
//! All four go through the one table in [`keys`], so a key is spelled, read, checked and shown in one place. Text becomes
//! `Duration`, `SocketAddr` or `Uri` here; behind this door a wrong value cannot be written down.

pub(crate) mod file;
pub(crate) mod keys;
mod problem;
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
use crate::profile::ProfileSettings;
use crate::tell::{Secret, TellSettings};
use crate::watch::{SloSettings, WatchSettings};
use keys::KEYS;
pub use problem::ConfigError;
pub(crate) use problem::{Origin, Problem};
use value::Value;

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
    /// Whether `listen` may be an address beyond loopback although there is no `api_token`. Default: no.
    pub listen_unprotected: bool,
    /// What whoever asks for anything but the probes has to say, as `Authorization: Bearer` or as the password of HTTP's basic
    /// authentication with any name. Default: nothing.
    pub api_token: Option<Secret>,
    /// Whether `/metrics` is served to whoever asks although there is a token. Default: no.
    pub metrics_unprotected: bool,
    /// Names that the agent may be asked by, beside addresses, `localhost` and the name in `tell.page_url`. Default: none.
    pub allowed_hosts: Vec<String>,
    /// Which log lines are written: a level, or `target=level` pairs separated by commas. Default: `info`.
    pub log: Targets,
    /// Where state and incidents are kept across restarts. One agent at a time; made when it is missing, for its user
    /// alone. Default: none, nothing is kept; the program then chooses `$STATE_DIRECTORY`, else `outrigger` in the XDG
    /// state home (`~/.local/state`).
    pub data_dir: Option<PathBuf>,
    /// Time between two writings of the state: 1 s to 1 h. What happens to an incident is written at once. Default: 30 s.
    pub save_interval: Duration,
    /// What is watched beside the routes.
    pub watch: WatchSettings,
    /// What the service promises of its requests.
    pub slo: SloSettings,
    /// How incidents are kept.
    pub incidents: IncidentSettings,
    /// How CPU profiles are taken and kept.
    pub profile: ProfileSettings,
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
            api_token: None,
            metrics_unprotected: false,
            allowed_hosts: Vec::new(),
            log: Targets::new().with_default(tracing::level_filters::LevelFilter::INFO),
            data_dir: None,
            save_interval: Duration::from_secs(30),
            watch: WatchSettings::default(),
            slo: SloSettings::default(),
            incidents: IncidentSettings::default(),
            profile: ProfileSettings::default(),
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
        let problems: Vec<_> = keys::check(self).into_iter().map(told).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
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
            let found = keys::check(&loaded.settings);
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

#[cfg(test)]
mod tests;
