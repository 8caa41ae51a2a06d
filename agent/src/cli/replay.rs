//! `outrigger replay`: what the agent would have flagged in pages of the past.

mod pages;

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use http::Uri;

use crate::config::{ConfigFile, Loaded, Settings, Sources};
use crate::picture::incident::length;
use crate::replay::files::Files;
use crate::replay::gallery::Gallery;
use crate::replay::naming::Naming;
use crate::replay::player::{Episode, Player};
use crate::replay::prometheus::{Query, Source};
use crate::replay::recording::Taken;
use crate::replay::report::{self, Found, Summary};
use crate::replay::truth;
use pages::{Pages, Save};

use super::plain::{plain, plain_json};

pub(super) const ABOUT: &str = "\
Tell what would have been flagged in the past, with a picture of each incident.

Pages of the past go through the agent's own path, as they would have gone on the day: recorded pages (see `outrigger
record`), or what a Prometheus server kept. What is found is printed in a line each, followed by a summary.";

pub(super) const EXAMPLES: &str = "\
Examples:
  outrigger replay shop.pages.gz --out pictures
  outrigger replay --prometheus http://127.0.0.1:9090 --start -6h --match 'job=\"shop\"' --out pictures
  outrigger replay --prometheus http://127.0.0.1:9090 --start 2026-11-20T00:00:00Z --end 2026-11-21T00:00:00Z \\
      --metric http_request_duration_seconds --route-label handler --save day.pages.gz
  outrigger replay shop.pages.gz --config outrigger.toml      with the limits and objectives that are meant to be used
  outrigger replay faults.pages --truth truth.jsonl --json";

#[derive(Args)]
pub(super) struct Replay {
    /// Recorded pages: files, or folders of them
    #[arg(value_name = "FILE", required_unless_present = "prometheus", conflicts_with = "prometheus")]
    files: Vec<PathBuf>,
    /// Ask this Prometheus server for what it kept
    #[arg(long, value_name = "URL")]
    prometheus: Option<Uri>,
    /// From when on: a date such as 2026-11-21T12:00:00Z, UNIX seconds, or so long ago, such as -6h
    #[arg(long, value_name = "TIME", default_value = "-6h", allow_hyphen_values = true, requires = "prometheus")]
    start: String,
    /// Until when
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true, requires = "prometheus")]
    end: String,
    /// Ask for values on such a grid instead of the samples as they were scraped
    #[arg(long, value_name = "DURATION", requires = "prometheus")]
    step: Option<humantime::Duration>,
    /// Which targets: matchers of labels, as PromQL has them between braces [default: all]
    #[arg(long = "match", value_name = "MATCHERS", requires = "prometheus")]
    matcher: Option<String>,
    /// A file with the bearer token that the server asks for
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    token_file: Option<PathBuf>,
    /// Keep the pages that were put together in this file; compressed if its name ends in .gz
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    save: Option<PathBuf>,
    /// What the service calls the histogram of its requests' durations [default: http_server_request_duration_seconds]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// The label that has the route [default: the first of http_route, route, uri, handler, path, endpoint, ...]
    #[arg(long, value_name = "LABEL")]
    route_label: Option<String>,
    /// The label that has the method [default: the first of http_request_method, method, ...]
    #[arg(long, value_name = "LABEL")]
    method_label: Option<String>,
    /// The label that has the status [default: the first of http_response_status_code, status, code, ...]
    #[arg(long, value_name = "LABEL")]
    status_label: Option<String>,
    /// Judge with the settings in this file, as an agent would that has it [default: the defaults]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Put pictures into this folder: index.html, and a page for each incident
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Hold what is found against the faults in this file (JSON lines, as the shop's --truth-file writes them)
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Replay) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error),
    }
}

fn run(args: &Replay) -> Result<(), String> {
    let naming = args.naming()?;
    let settings = args.config.as_deref().map(read_settings).transpose()?.unwrap_or_default();
    let faults = args.truth.as_deref().map(read_truth).transpose()?;
    let mut gallery = args
        .out
        .as_deref()
        .map(|folder| Gallery::open(folder).map_err(|error| cannot_write(folder, &error)))
        .transpose()?;
    let mut pages = args.pages(&naming)?;
    // What Prometheus gives has its names already.
    let translated = args.prometheus.is_none() && naming.is_needed();

    let mut screen = Screen::new();
    let mut player = Player::new(&settings);
    let mut found = Vec::new();
    let mut keep = |episode: Episode| {
        let page = match &mut gallery {
            Some(gallery) => gallery.add(&episode).map_err(|error| format!("a picture cannot be written: {error}"))?,
            None => None,
        };
        // It may have been over before, and have flared up again.
        found.retain(|other: &Found| other.told.id != episode.told.id);
        found.push(Found::new(episode, page));
        Ok::<(), String>(())
    };
    let began = Instant::now();
    let broke_off = loop {
        let mut taken = match pages.next() {
            Ok(Some(taken)) => taken,
            Ok(None) => break None,
            // What was found until then is told all the same.
            Err(error) => break Some(error),
        };
        screen.progress(&taken, pages.done());
        if let (true, Ok(page)) = (translated, &taken.page) {
            taken.page = Ok(naming.translate(page));
        }
        player.play(taken).into_iter().try_for_each(&mut keep)?;
    };
    let (open, played) = player.finish();
    open.into_iter().try_for_each(&mut keep)?;
    found.sort_by(|a, b| (a.told.started_at.0, &a.told.id).cmp(&(b.told.started_at.0, &b.told.id)));
    screen.clear();
    let saved = pages.finish(broke_off.is_none());

    let mut summary = Summary::of(&found, &played);
    summary.broke_off.clone_from(&broke_off);
    let score = faults.map(|faults| {
        let from = played.targets.values().map(|target| target.from).fold(f64::INFINITY, f64::min);
        let to = played.targets.values().map(|target| target.to).fold(f64::NEG_INFINITY, f64::max);
        truth::score(&faults, &found, from, to)
    });
    if args.json {
        print(&plain_json(&report::json(&found, &summary, score.as_ref())));
    } else {
        // One line each, whatever stands in a label.
        found.iter().for_each(|found| print(&format!("{}\n", plain(&found.to_string()).replace('\n', " "))));
        if let Some(score) = &score {
            print(&format!("\n{}\n", plain(&score.to_string())));
        }
        print(&format!("\n{}\n", plain(&summary.to_string())));
    }
    if let Some(gallery) = gallery {
        let index = gallery
            .finish(&found, &played, &summary)
            .map_err(|error| format!("the pictures' list cannot be written: {error}"))?;
        say(&format!("pictures: {}", index.display()));
    }
    let took = began.elapsed().as_secs_f64();
    say(&format!(
        "{} pages in {took:.1} s, {:.0} pages per second",
        played.pages,
        played.pages as f64 / took.max(1e-3)
    ));
    if let Some(error) = broke_off {
        return Err(error);
    }
    saved?;
    if played.pages == 0 {
        return Err("there was no page to replay".to_owned());
    }
    Ok(())
}

impl Replay {
    fn naming(&self) -> Result<Naming, String> {
        let of = |flag: &str, name: &Option<String>| match name {
            Some(name)
                if name.is_empty()
                    || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte)) =>
            {
                Err(format!("{flag}: `{name}` is no name; write letters, digits and underscores"))
            }
            name => Ok(name.clone()),
        };
        // Who names a histogram often names one of its series.
        let stem = |name: String| {
            ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name).to_owned()
        };
        Ok(Naming {
            metric: of("--metric", &self.metric)?.map(stem),
            route: of("--route-label", &self.route_label)?,
            method: of("--method-label", &self.method_label)?,
            status: of("--status-label", &self.status_label)?,
        })
    }

    fn pages(&self, naming: &Naming) -> Result<Pages, String> {
        let Some(server) = &self.prometheus else { return Files::open(&self.files).map(Pages::Files) };
        let now = SystemTime::now();
        let (start, end) = (moment("--start", &self.start, now)?, moment("--end", &self.end, now)?);
        if start >= end {
            return Err("--start lies behind --end".to_owned());
        }
        if server.host().is_none() || !matches!(server.scheme_str(), Some("http" | "https")) {
            return Err(format!("--prometheus: `{server}` is no server; write such as http://127.0.0.1:9090"));
        }
        let token = self.token_file.as_deref().map(|path| {
            fs::read_to_string(path)
                .map(|token| token.trim().to_owned())
                .map_err(|error| format!("{}: cannot be read: {error}", path.display()))
        });
        let query = Query {
            server: server.clone(),
            token: token.transpose()?,
            start,
            end,
            step: self.step.map(Into::into),
            matcher: self.matcher.clone().unwrap_or_default(),
            naming: naming.clone(),
            say: |why| {
                Screen::new().clear();
                say(why);
            },
        };
        let runtime = super::runtime().map_err(|error| error.to_string())?;
        let source = runtime.block_on(Source::open(query)).map_err(|error| error.to_string())?;
        let save = self.save.as_deref().map(Save::open).transpose()?;
        Ok(Pages::Prometheus { source: Box::new(source), runtime, save })
    }
}

/// What is printed as it goes.
struct Screen {
    /// Progress is for people who wait.
    shows_progress: bool,
    shown: Instant,
    pages: u64,
}

impl Screen {
    fn new() -> Self {
        Self { shows_progress: io::stderr().is_terminal(), shown: Instant::now(), pages: 0 }
    }

    fn progress(&mut self, taken: &Taken, done: Option<f64>) {
        self.pages += 1;
        if self.shows_progress && self.shown.elapsed() >= Duration::from_millis(200) {
            self.shown = Instant::now();
            let at = humantime::format_rfc3339_seconds(crate::time::writable(taken.at));
            let done = done.map(|done| format!(", {:.0} %", done * 100.0)).unwrap_or_default();
            let _ = write!(io::stderr(), "\r\x1b[K{at}: {} pages{done}", self.pages);
        }
    }

    fn clear(&self) {
        if self.shows_progress {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn print(text: &str) {
    // A closed pipe is the reader's choice.
    let _ = io::stdout().write_all(text.as_bytes());
}

pub(super) fn say(text: &str) {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(io::stderr(), "{}", plain(text));
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("{}: cannot be written: {error}", path.display())
}

fn read_settings(path: &Path) -> Result<Settings, String> {
    let sources = ConfigFile::read(path).map(|file| Sources { file: Some(file), ..Sources::default() });
    Ok(sources.and_then(|sources| Loaded::load(&sources)).map_err(|error| error.to_string())?.settings)
}

fn read_truth(path: &Path) -> Result<Vec<truth::Fault>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    truth::read(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Whether a file is written with gzip.
pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// A moment as people write it.
fn moment(flag: &str, text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let wrong = || {
        format!(
            "{flag}: `{text}` is no time; write a date such as 2026-11-21T12:00:00Z, UNIX seconds, now, or so long ago, such as -6h"
        )
    };
    if text == "now" {
        return Ok(now);
    }
    if let Some(ago) = text.strip_prefix('-') {
        let ago = humantime::parse_duration(ago).map_err(|_| wrong())?;
        return now.checked_sub(ago).filter(|time| *time >= SystemTime::UNIX_EPOCH).ok_or_else(wrong);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let since = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        return SystemTime::UNIX_EPOCH.checked_add(since).filter(|_| seconds < 1e11).ok_or_else(wrong);
    }
    humantime::parse_rfc3339_weak(text).map_err(|_| wrong())
}

/// A length of time for messages.
pub(super) fn lasted(time: Duration) -> String {
    length(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_answer_leaves_no_file_behind() {
        use clap::FromArgMatches as _;
        let folder = outrigger_testkit::Folder::new("replay");
        let path = folder.path().join("day.pages.gz");
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let words = ["replay", "--prometheus", &format!("http://{closed}"), "--save", path.to_str().unwrap()];
        let matches = Replay::augment_args(clap::Command::new("replay")).try_get_matches_from(words).unwrap();
        let replay = Replay::from_arg_matches(&matches).unwrap();
        let error = replay.pages(&replay.naming().unwrap()).err().unwrap();
        assert!(error.contains(&closed.to_string()), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400);
        let read = |text| moment("--start", text, now);
        assert_eq!(read("now"), Ok(now));
        assert_eq!(read("-1h 30m"), Ok(now - Duration::from_secs(5400)));
        assert_eq!(read("1795262400"), Ok(now));
        assert_eq!(read("2026-11-21T12:00:00Z"), read("2026-11-21 12:00:00"));
        for bad in ["", "-", "-6x", "tomorrow", "1e300", "-99999y"] {
            assert!(read(bad).unwrap_err().contains("such as -6h"), "{bad}");
        }
    }
}
