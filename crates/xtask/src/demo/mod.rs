//! `cargo demo`: shop, load and agent as three processes on loopback; a fault on one route; the incident that follows.

mod api;
mod calm;
mod children;
mod plan;
mod score;
mod screen;
mod ten;

use crate::sh::{self, Result};
use api::{Agent, Incident, Shop};
use children::Children;
use plan::Fault;
use screen::Screen;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) const EXAMPLES: &str = "Examples:
  cargo demo                            draw a fault from a random seed, show the incident, stay up until Ctrl-C
  cargo demo --seed 7 --for 3m          the same fault each time; end after three minutes
  cargo demo --once                     end when the story is told
  cargo demo --fault cpu-burn           choose the fault: slow-dependency, errors, pool-starvation, cache-flush, cpu-burn
  cargo demo --fault none --for 5m      nothing is broken, and nothing may be reported
  cargo demo --all                      a weak and a strong fault of each kind, one after the other, scored: a quarter of an hour
  cargo demo --calm 1h                  a healthy day in an hour: swings, crowds and a deploy, and nothing may be reported";

/// How long `cargo verify` lets a demo run at most: warm-up, fault and recovery with room for a slow machine.
pub(crate) const VERIFY_DURATION: &str = "6m";

/// How the line begins that says what the demo proved.
pub(crate) const VERDICT_PREFIX: &str = "verdict:";

/// The longest warm-up. A route that has not been learnt by then has too little traffic to be judged.
const WARM_UP_LIMIT: Duration = Duration::from_secs(60);
/// How fast the faulted route must be named.
const NAMED_WITHIN: Duration = Duration::from_secs(30);
/// How long the fault stays on after its first report, so that its numbers can be seen to settle.
const SETTLE: Duration = Duration::from_secs(15);
/// How long the demo waits for the report, and for the recovery.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at the agent.
const POLL: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Draws the fault's kind, route, share, strength and moment [default: random, and printed]
    #[arg(long)]
    seed: Option<u64>,
    /// The kind of fault instead of a drawn one, or `none`
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// End after this long [default: stay up until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// End when the story is told, rather than stay up
    #[arg(long)]
    once: bool,
    /// All five kinds of faults, a weak and a strong one of each, scored against the shop's truth file
    #[arg(long, conflicts_with_all = ["fault", "calm", "duration"])]
    all: bool,
    /// A healthy day that lasts so long: the load swings, crowds come, customers change, the shop is deployed anew
    #[arg(long, value_name = "DURATION", value_parser = calm::day, conflicts_with_all = ["fault", "duration"])]
    calm: Option<Duration>,
    /// Keep the scores of --all or --calm here, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Journeys that begin each second; one journey is about a dozen requests
    #[arg(long, default_value_t = 8)]
    rate: u32,
    /// Use the release binaries as they are
    #[arg(long)]
    prebuilt: bool,
}

/// Why the story ended before its end.
enum Ending {
    /// It was told to the end.
    Told(Verdict),
    /// Ctrl-C, or the end of `--for`.
    Stopped,
}

/// What the demo showed.
struct Verdict {
    text: String,
    passed: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(1..10_000));
    let fault = Fault::draw(seed, options.fault.as_deref())?;
    if !options.prebuilt {
        println!("building shop, load generator and agent (release; the first build takes some minutes) ...");
        sh::shown(sh::cargo().args([
            "build",
            "--release",
            "--package",
            "shop",
            "--package",
            "outrigger-agent",
            "--bins",
        ]))?;
    }
    let children = Children::start(options.rate, options.calm)?;
    match options.calm {
        Some(_) => {}
        None if options.all => println!("seed {seed}: `cargo demo --all --seed {seed}` repeats this run's faults"),
        None => println!("seed {seed}: `cargo demo --seed {seed}` repeats this run's fault"),
    }
    for line in children.urls() {
        println!("{line}");
    }

    let mut demo = Demo {
        agent: Agent { url: children.agent_url.clone() },
        shop: Shop { admin_url: children.admin_url.clone() },
        ends: options.duration.map(|duration| Instant::now() + duration),
        screen: Screen::new(),
        children,
    };
    let ending = match options.calm {
        Some(day) => demo.calm_day(day, options.json.as_deref())?,
        None if options.all => demo.ten_faults(seed, &Fault::ten(seed), options.json.as_deref())?,
        None => demo.story(fault.as_ref())?,
    };
    let verdict = match ending {
        Ending::Told(verdict) => Some(verdict),
        Ending::Stopped => None,
    };
    if let Some(verdict) = &verdict {
        println!("{VERDICT_PREFIX} {}", verdict.text);
        if !(options.once || options.all || options.calm.is_some()) {
            demo.stay();
        }
    }
    demo.children.stop();
    Ok(match verdict {
        Some(verdict) if verdict.passed => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
        None if children::interrupted() => {
            println!("stopped; nothing was left behind");
            ExitCode::SUCCESS
        }
        None => {
            println!("{VERDICT_PREFIX} --for ended before the story did; give it more time");
            ExitCode::FAILURE
        }
    })
}

struct Demo {
    agent: Agent,
    shop: Shop,
    ends: Option<Instant>,
    screen: Screen,
    children: Children,
}

impl Demo {
    fn story(&mut self, fault: Option<&Fault>) -> Result<Ending> {
        let Some(learnt) = self.warm_up() else { return Ok(Ending::Stopped) };
        match fault {
            _ if learnt.is_empty() => Ok(told("the agent learnt no route, so nothing could be judged".into(), false)),
            Some(fault) if !learnt.iter().any(|route| route == fault.route) => Ok(told(
                format!("the agent has not learnt {}, so a fault there could not be judged", fault.route),
                false,
            )),
            Some(fault) => Ok(self.break_and_mend(fault)),
            None => Ok(self.stay_calm()),
        }
    }

    /// Waits until the agent knows every busy route's normal, and says which it knows; `None` if stopped.
    fn warm_up(&mut self) -> Option<Vec<String>> {
        self.screen.event(&format!(
            "warming up: the agent learns each route's normal, at most {} s at its 1 s tick",
            WARM_UP_LIMIT.as_secs()
        ));
        let begun = Instant::now();
        let mut learnt = Vec::new();
        while begun.elapsed() < WARM_UP_LIMIT {
            if let Ok(target) = self.agent.target() {
                let rate = |route: &api::Watched| route.requests_per_second.unwrap_or(0.0);
                let busy: Vec<_> = target.routes.iter().filter(|route| rate(route) >= 1.0).collect();
                let known = busy.iter().filter(|route| route.phase != "warming_up").count();
                let total = target.routes.iter().map(rate).fold(0.0, |sum, rate| sum + rate);
                let up = if target.up { "" } else { "; the shop does not answer" };
                self.screen
                    .progress(&format!("{known} of {} busy routes learnt, {total:.0} requests/s{up}", busy.len()));
                let routes = target.routes.iter().filter(|route| route.phase != "warming_up");
                learnt = routes.map(|route| route.route.clone()).collect();
                if target.up && !busy.is_empty() && known == busy.len() {
                    break;
                }
            }
            if !self.pause() {
                return None;
            }
        }
        self.screen.event(&format!("warm: {} routes learnt ({})", learnt.len(), learnt.join(", ")));
        Some(learnt)
    }

    fn break_and_mend(&mut self, fault: &Fault) -> Ending {
        let quiet_until = Instant::now() + fault.after;
        while Instant::now() < quiet_until {
            self.screen.progress("calm");
            if !self.pause() {
                return Ending::Stopped;
            }
        }
        let early = self.agent.incidents().unwrap_or_default();
        for incident in &early {
            self.screen.event(&format!("INCIDENT before any fault, on {}", incident.primary()));
            self.screen.incident(incident);
        }
        if let Err(error) = self.shop.switch_on(fault) {
            return told(format!("the fault could not be switched on: {error}"), false);
        }
        let switched_on = Instant::now();
        self.screen.event(&format!("FAULT ON   {}", fault.describe()));

        let Some(named) = self.wait_for_report(fault, &early, switched_on) else { return Ending::Stopped };
        let settle_until = Instant::now() + SETTLE;
        // When the right cause came first, and which one does in the end.
        let (mut explained, mut cause) = (None, "unknown".to_owned());
        while named.is_some() && Instant::now() < settle_until {
            self.screen.progress("the fault stays on for a while");
            if let Some(incident) = self.new_incident(&early) {
                incident.cause().clone_into(&mut cause);
                if explained.is_none() && cause == fault.cause() {
                    explained = Some(switched_on.elapsed());
                }
            }
            if !self.pause() {
                return Ending::Stopped;
            }
        }
        match self.shop.switch_off(fault) {
            Ok(()) => self.screen.event("FAULT OFF"),
            Err(error) => self.screen.event(&format!("the fault could not be switched off: {error}")),
        }
        let Some(named) = named else {
            return told(format!("NOT named within {} s: {}", PATIENCE.as_secs(), fault.route), false);
        };
        let Some(recovered) = self.wait_for_recovery(&early, Instant::now()) else { return Ending::Stopped };

        let passed = early.is_empty() && named <= NAMED_WITHIN && recovered.is_some();
        let recovery = recovered.map_or_else(
            || format!("still open {} s after its end", PATIENCE.as_secs()),
            |time| format!("recovery reported {:.0} s after its end", time.as_secs_f64()),
        );
        let before = match early.len() {
            0 => "nothing reported before it".to_owned(),
            count => format!("{count} reported BEFORE it"),
        };
        let route = fault.route;
        let named = named.as_secs_f64();
        let explained = match explained {
            Some(time) if cause == fault.cause() => format!("cause {cause}, right after {:.0} s", time.as_secs_f64()),
            _ => format!("cause {cause}, which is NOT {}", fault.cause()),
        };
        told(format!("{route} named {named:.0} s after the fault's start; {explained}; {recovery}; {before}"), passed)
    }

    /// Until an incident names the faulted route: how long that took, `Some(None)` if it never did, `None` if stopped.
    fn wait_for_report(&mut self, fault: &Fault, early: &[Incident], since: Instant) -> Option<Option<Duration>> {
        let mut headline = None;
        while since.elapsed() < PATIENCE {
            if let Some(incident) = self.new_incident(early) {
                if headline.as_deref() != Some(incident.primary()) {
                    let time = since.elapsed().as_secs_f64();
                    self.screen
                        .event(&format!("INCIDENT   {} ({time:.0} s after the fault's start)", incident.primary()));
                    self.screen.incident(&incident);
                    headline = Some(incident.primary().to_owned());
                }
                if incident.routes.iter().any(|route| route.route == fault.route) {
                    return Some(Some(since.elapsed()));
                }
            }
            self.screen.progress("waiting for the agent's report");
            if !self.pause() {
                return None;
            }
        }
        Some(None)
    }

    /// Until no incident is open: how long that took, `Some(None)` if one stays open, `None` if stopped.
    fn wait_for_recovery(&mut self, early: &[Incident], since: Instant) -> Option<Option<Duration>> {
        while since.elapsed() < PATIENCE {
            if let Some(incident) = self.new_incident(early).filter(|incident| !incident.is_open()) {
                let time = since.elapsed();
                self.screen.event(&format!(
                    "RECOVERED  {:.0} s after the fault's end; {} requests were affected",
                    time.as_secs_f64(),
                    incident.requests_affected
                ));
                self.screen.incident(&incident);
                return Some(Some(time));
            }
            self.screen.progress("waiting for the agent to see the recovery");
            if !self.pause() {
                return None;
            }
        }
        Some(None)
    }

    fn stay_calm(&mut self) -> Ending {
        // Without an end of its own, two minutes of calm are shown before the verdict.
        let until = self.ends.unwrap_or_else(|| Instant::now() + PATIENCE);
        let begun = self.screen.elapsed();
        let mut unanswered = 0;
        while Instant::now() + POLL < until && !children::interrupted() {
            match self.agent.incidents() {
                Ok(incidents) => {
                    self.screen.progress(&format!("no fault is on; {} incidents reported", incidents.len()))
                }
                Err(_) => unanswered += 1,
            }
            self.children.notice(&mut self.screen);
            std::thread::sleep(POLL);
        }
        let watched = (self.screen.elapsed() - begun).as_secs();
        let incidents = match self.agent.incidents() {
            Ok(incidents) if self.children.all_run() && self.agent.target().is_ok_and(|target| target.up) => incidents,
            _ => return told("not everything ran to the end, so the calm proves nothing".into(), false),
        };
        for incident in &incidents {
            self.screen.event(&format!("INCIDENT without any fault, on {}", incident.primary()));
            self.screen.incident(incident);
        }
        let memory =
            self.agent.resident_mebibytes().map_or_else(String::new, |mib| format!("; the agent holds {mib:.1} MiB"));
        let text = format!("{} incidents in {watched} s without a fault{memory}", incidents.len());
        told(text, incidents.is_empty() && unanswered == 0)
    }

    /// The newest incident that tells more than was known before the fault: an incident that was open already gathers
    /// the faulted route too. An agent that does not answer tells nothing; that it has ended is said elsewhere.
    fn new_incident(&self, early: &[Incident]) -> Option<Incident> {
        let known = |incident: &Incident| {
            early.iter().any(|old| old.id == incident.id && old.routes.len() == incident.routes.len())
        };
        self.agent.incidents().ok()?.into_iter().find(|incident| !known(incident))
    }

    /// Waits a moment; `false` when the demo is to end.
    fn pause(&mut self) -> bool {
        self.children.notice(&mut self.screen);
        std::thread::sleep(POLL);
        !children::interrupted() && self.ends.is_none_or(|end| Instant::now() < end)
    }

    /// After the story: up until Ctrl-C, or until the end of `--for`.
    fn stay(&mut self) {
        let until = if self.ends.is_some() { "the end of --for" } else { "Ctrl-C" };
        self.screen.event(&format!("everything stays up until {until}; look around:"));
        for line in self.children.urls() {
            self.screen.detail(&line);
        }
        while self.pause() {}
    }
}

fn told(text: String, passed: bool) -> Ending {
    Ending::Told(Verdict { text, passed })
}

/// Keeps a score for programs.
fn write_json(path: &Path, score: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(score)?;
    text.push(b'\n');
    std::fs::write(path, text).map_err(|error| format!("--json {}: {error}", path.display()).into())
}
