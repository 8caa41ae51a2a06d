//! What can be set.

use clap::Parser;
use http::Uri;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

const EXAMPLES: &str = "Examples:
  load                                                 ten journeys a second at the shop on port 8080
  load --rate 20 --warm-up 10s --sustained 1m --peak 0s
  load --sustained 1h --day 1h --peak 0s               a day in an hour
  load --weights browse=1,search=9,checkout=1,abandon=0 --seed 7 --report report.json

Weights, each against the others of its line (defaults in brackets):
  browse [7], search [3]                     what a page of products is found by
  checkout [6], abandon [4]                  what becomes of a journey after its product views
  returning [87], login [10], signup [3]     who it is that buys";

/// Sends customers to the example shop and reports what they saw. Ctrl-C ends it with the report.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The shop
    #[arg(long, env = "LOAD_TARGET", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) target: Target,

    /// Journeys that begin each second; one is about thirteen requests
    #[arg(long, env = "LOAD_RATE", value_name = "N", default_value_t = 10.0, value_parser = rate)]
    pub(crate) rate: f64,

    /// First phase: caches fill, users sign up
    #[arg(long, env = "LOAD_WARM_UP", value_name = "DURATION", default_value = "30s", value_parser = phase)]
    pub(crate) warm_up: Duration,

    /// Second phase, at the rate
    #[arg(long, env = "LOAD_SUSTAINED", value_name = "DURATION", default_value = "5m", value_parser = phase)]
    pub(crate) sustained: Duration,

    /// Third phase, at the rate times the factor
    #[arg(long, env = "LOAD_PEAK", value_name = "DURATION", default_value = "1m", value_parser = phase)]
    pub(crate) peak: Duration,

    /// How much more comes in the third phase
    #[arg(long, env = "LOAD_PEAK_FACTOR", value_name = "N", default_value_t = 2.0, value_parser = rate)]
    pub(crate) peak_factor: f64,

    /// In the second phase, rate and customers change as in a day that takes so long: up and down, with eight short crowds
    /// of three times as many [default: all stays as it is]
    #[arg(long, env = "LOAD_DAY", value_name = "DURATION", value_parser = day)]
    pub(crate) day: Option<Duration>,

    /// What customers do, as NAME=WEIGHT,...; see below
    #[arg(long, env = "LOAD_WEIGHTS", value_name = "LIST", default_value = "")]
    pub(crate) weights: Weights,

    /// How long customers think between two steps, on average
    #[arg(long, env = "LOAD_THINK", value_name = "DURATION", default_value = "300ms", value_parser = up_to_an_hour)]
    pub(crate) think: Duration,

    /// Users to sign up in the warm-up
    #[arg(long, env = "LOAD_USERS", value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) users: u32,

    /// Products of the shop, with ids from 1
    #[arg(long, env = "LOAD_PRODUCTS", value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) products: u32,

    /// How much more popular the popular products are: the exponent of Zipf's law, 0 for all alike
    #[arg(long, env = "LOAD_ZIPF", value_name = "N", default_value_t = 1.0, value_parser = zipf)]
    pub(crate) zipf: f64,

    /// A request that takes longer has failed
    #[arg(long, env = "LOAD_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = up_to_an_hour)]
    pub(crate) timeout: Duration,

    /// Journeys under way at a time; one that arrives beyond is dropped, and counted
    #[arg(long, env = "LOAD_MAX_JOURNEYS", value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) max_journeys: u32,

    /// Draws arrivals and customers; the same seed sends the same customers [default: random, and printed]
    #[arg(long, env = "LOAD_SEED", value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Write the report here as JSON, too
    #[arg(long, env = "LOAD_REPORT", value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// No progress on stderr
    #[arg(long, short, env = "LOAD_QUIET")]
    pub(crate) quiet: bool,
}

/// The shop's address, checked.
#[derive(Clone, Debug)]
pub(crate) struct Target(String);

impl Target {
    /// `http://host:port`, without a path.
    pub(crate) fn base(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}; give http://host:port"))?;
        match (uri.scheme_str(), uri.authority(), uri.path()) {
            (Some("http"), Some(authority), "" | "/") if uri.query().is_none() => {
                Ok(Self(format!("http://{authority}")))
            }
            _ => Err("give http://host:port and nothing after it".to_owned()),
        }
    }
}

/// How often customers do what, each number against the others of its group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weights {
    pub(crate) browse: f64,
    pub(crate) search: f64,
    pub(crate) checkout: f64,
    pub(crate) abandon: f64,
    pub(crate) returning: f64,
    pub(crate) login: f64,
    pub(crate) signup: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { browse: 7.0, search: 3.0, checkout: 6.0, abandon: 4.0, returning: 87.0, login: 10.0, signup: 3.0 }
    }
}

impl FromStr for Weights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, number) = part.split_once('=').ok_or_else(|| format!("{part:?}: give NAME=WEIGHT"))?;
            let weight = match name {
                "browse" => &mut weights.browse,
                "search" => &mut weights.search,
                "checkout" => &mut weights.checkout,
                "abandon" => &mut weights.abandon,
                "returning" => &mut weights.returning,
                "login" => &mut weights.login,
                "signup" => &mut weights.signup,
                _ => return Err(format!("{name}: there is no such weight; see --help for the names")),
            };
            *weight = number
                .parse()
                .ok()
                .filter(|weight: &f64| weight.is_finite() && *weight >= 0.0)
                .ok_or_else(|| format!("{name}={number}: give a number from 0 up"))?;
        }
        let Self { browse, search, checkout, abandon, returning, login, signup } = weights;
        for (group, sum) in [
            ("browse and search", browse + search),
            ("checkout and abandon", checkout + abandon),
            ("returning, login and signup", returning + login + signup),
        ] {
            if sum <= 0.0 {
                return Err(format!("{group}: at least one must be above 0"));
            }
        }
        Ok(weights)
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAYS: u32 = 365;

fn phase(text: &str) -> Result<Duration, String> {
    up_to(HOUR * 24 * DAYS, text)
}

fn day(text: &str) -> Result<Duration, String> {
    match phase(text)? {
        short if short < Duration::from_secs(1) => Err("give at least 1s".to_owned()),
        day => Ok(day),
    }
}

fn up_to_an_hour(text: &str) -> Result<Duration, String> {
    up_to(HOUR, text)
}

/// The bound keeps every moment of a run within what clocks can say.
fn up_to(longest: Duration, text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= longest => Ok(duration),
        Ok(_) => Err(format!("give at most {}", humantime::format_duration(longest))),
        Err(error) => Err(error.to_string()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| (0.01..=10_000.0).contains(rate))
        .ok_or_else(|| "give a number between 0.01 and 10000".to_owned())
}

fn zipf(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|exponent| (0.0..=3.0).contains(exponent))
        .ok_or_else(|| "give a number between 0 and 3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_replace_defaults() {
        let weights: Weights = "browse=1, search=0,abandon=2.5".parse().unwrap();
        assert_eq!((weights.browse, weights.search, weights.abandon), (1.0, 0.0, 2.5));
        assert_eq!(weights.checkout, Weights::default().checkout);
        assert_eq!("".parse(), Ok(Weights::default()));
    }

    #[test]
    fn weights_that_make_no_sense_are_named() {
        for (text, named) in [
            ("buy=1", "buy"),
            ("browse", "browse"),
            ("browse=-1", "browse=-1"),
            ("browse=NaN", "browse=NaN"),
            ("checkout=0,abandon=0", "checkout and abandon"),
        ] {
            let error = text.parse::<Weights>().unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_bounded() {
        assert_eq!(phase("24h"), Ok(HOUR * 24));
        assert!(phase("500000000000y").is_err() && phase("366d").is_err() && phase("soon").is_err());
        assert!(up_to_an_hour("61m").is_err());
    }

    #[test]
    fn targets() {
        assert_eq!("http://127.0.0.1:8080/".parse::<Target>().unwrap().base(), "http://127.0.0.1:8080");
        for bad in ["", "127.0.0.1:8080", "https://shop", "http://shop/path", "http://shop/?a=b"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
