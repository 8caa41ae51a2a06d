//! `cargo demo`: shop, load and agent as three processes on loopback; a fault on one route; the incident that follows.

mod api;
mod children;
mod plan;
mod screen;

use crate::sh::{self, Result};
use api::{Agent, Incident, Shop};
use children::Children;
use plan::Fault;
use screen::Screen;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) const EXAMPLES: &str = "Examples:
  cargo demo                            draw a fault from a random seed, show the incident, stay up until Ctrl-C
  cargo demo --seed 7 --for 3m          the same fault each time; end after three minutes
  cargo demo --fault cpu-burn           choose the fault: slow-dependency, errors, pool-starvation, cache-flush, cpu-burn
  cargo demo --fault none --for 5m      nothing is broken, and nothing may be reported";

/// How long `cargo verify` lets a demo run: warm-up, fault and recovery with room for a slow machine.
pub(crate) const VERIFY_DURATION: &str = "4m";

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
    /// Journeys that begin each second; one journey is about ten requests
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
    let children = Children::start(options.rate)?;
    println!("seed {seed}: `cargo demo --seed {seed}` repeats this run's fault");
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
    let verdict = match demo.story(fault.as_ref())? {
        Ending::Told(verdict) => Some(verdict),
        Ending::Stopped => None,
    };
    if let Some(verdict) = &verdict {
        println!("{VERDICT_PREFIX} {}", verdict.text);
        demo.stay();
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
        if !self.warm_up()? {
            return Ok(Ending::Stopped);
        }
        match fault {
            Some(fault) => self.break_and_mend(fault),
            None => self.stay_calm(),
        }
    }

    /// Waits until the agent knows every busy route's normal.
    fn warm_up(&mut self) -> Result<bool> {
        self.screen.event(&format!(
            "warming up: the agent learns each route's normal, at most {} s at its 1 s tick",
            WARM_UP_LIMIT.as_secs()
        ));
        let begun = Instant::now();
        while begun.elapsed() < WARM_UP_LIMIT {
            if let Ok(target) = self.agent.target() {
                let busy: Vec<_> = target
                    .routes
                    .iter()
                    .filter(|route| route.requests_per_second.is_some_and(|rate| rate >= 1.0))
                    .collect();
                let learnt = busy.iter().filter(|route| route.phase != "warming_up").count();
                let rate = target
                    .routes
                    .iter()
                    .filter_map(|route| route.requests_per_second)
                    .fold(0.0, |sum, rate| sum + rate);
                let up = if target.up { "" } else { "; the shop does not answer" };
                self.screen
                    .progress(&format!("{learnt} of {} busy routes learnt, {rate:.0} requests/s{up}", busy.len()));
                if target.up && !busy.is_empty() && learnt == busy.len() {
                    break;
                }
            }
            if !self.pause() {
                return Ok(false);
            }
        }
        let target = self.agent.target()?;
        let learnt: Vec<&str> = target
            .routes
            .iter()
            .filter(|route| route.phase != "warming_up")
            .map(|route| route.route.as_str())
            .collect();
        self.screen.event(&format!("warm: {} routes learnt ({})", learnt.len(), learnt.join(", ")));
        Ok(true)
    }

    fn break_and_mend(&mut self, fault: &Fault) -> Result<Ending> {
        let quiet_until = Instant::now() + fault.after;
        while Instant::now() < quiet_until {
            self.screen.progress("calm");
            if !self.pause() {
                return Ok(Ending::Stopped);
            }
        }
        let early = self.agent.incidents()?;
        for incident in &early {
            self.screen.event(&format!("INCIDENT before any fault, on {}", incident.primary()));
            self.screen.incident(incident);
        }
        self.shop.switch_on(fault)?;
        let switched_on = Instant::now();
        self.screen.event(&format!("FAULT ON   {}", fault.describe()));

        let Some(named) = self.wait_for_report(fault, &early, switched_on)? else { return Ok(Ending::Stopped) };
        let settle_until = Instant::now() + SETTLE;
        while named.is_some() && Instant::now() < settle_until {
            self.screen.progress("the fault stays on for a while");
            if !self.pause() {
                return Ok(Ending::Stopped);
            }
        }
        self.shop.switch_off(fault)?;
        self.screen.event("FAULT OFF");
        let Some(named) = named else {
            return Ok(told(format!("NOT named within {} s: {}", PATIENCE.as_secs(), fault.route), false));
        };
        let switched_off = Instant::now();
        let Some(recovered) = self.wait_for_recovery(&early, switched_off)? else { return Ok(Ending::Stopped) };

        let passed = early.is_empty() && named <= NAMED_WITHIN && recovered.is_some();
        let recovery = recovered.map_or_else(
            || format!("still open {} s after its end", PATIENCE.as_secs()),
            |time| format!("recovery reported {:.0} s after its end", time.as_secs_f64()),
        );
        let before = if early.is_empty() {
            "nothing reported before it".to_owned()
        } else {
            format!("{} reported BEFORE it", early.len())
        };
        let text =
            format!("{} named {:.0} s after the fault's start; {recovery}; {before}", fault.route, named.as_secs_f64());
        Ok(told(text, passed))
    }

    /// Until an incident names the faulted route: how long that took, `Some(None)` if it never did, `None` if stopped.
    fn wait_for_report(
        &mut self,
        fault: &Fault,
        early: &[Incident],
        since: Instant,
    ) -> Result<Option<Option<Duration>>> {
        let mut first_headline = None;
        while since.elapsed() < PATIENCE {
            let reported = self.new_incident(early)?;
            if let Some(incident) = reported {
                if first_headline.as_deref() != Some(incident.primary()) {
                    let time = since.elapsed().as_secs_f64();
                    self.screen
                        .event(&format!("INCIDENT   {} ({time:.0} s after the fault's start)", incident.primary()));
                    self.screen.incident(&incident);
                    first_headline = Some(incident.primary().to_owned());
                }
                if incident.routes.iter().any(|route| route.route == fault.route) {
                    return Ok(Some(Some(since.elapsed())));
                }
            }
            self.screen.progress("waiting for the agent's report");
            if !self.pause() {
                return Ok(None);
            }
        }
        Ok(Some(None))
    }

    /// Until no incident is open: how long that took, `Some(None)` if one stays open, `None` if stopped.
    fn wait_for_recovery(&mut self, early: &[Incident], since: Instant) -> Result<Option<Option<Duration>>> {
        while since.elapsed() < PATIENCE {
            if let Some(incident) = self.new_incident(early)?.filter(|incident| !incident.is_open()) {
                let time = since.elapsed();
                self.screen.event(&format!(
                    "RECOVERED  {:.0} s after the fault's end; {} requests were affected",
                    time.as_secs_f64(),
                    incident.requests_affected
                ));
                self.screen.incident(&incident);
                return Ok(Some(Some(time)));
            }
            self.screen.progress("waiting for the agent to see the recovery");
            if !self.pause() {
                return Ok(None);
            }
        }
        Ok(Some(None))
    }

    fn stay_calm(&mut self) -> Result<Ending> {
        // Without an end of its own, two minutes of calm are shown before the verdict.
        let until = self.ends.unwrap_or_else(|| Instant::now() + PATIENCE);
        let begun = self.screen.elapsed();
        while Instant::now() + POLL < until && !children::interrupted() {
            self.screen.progress(&format!("no fault is on; {} incidents reported", self.agent.incidents()?.len()));
            self.children.notice(&mut self.screen);
            std::thread::sleep(POLL);
        }
        let incidents = self.agent.incidents()?;
        for incident in &incidents {
            self.screen.event(&format!("INCIDENT without any fault, on {}", incident.primary()));
            self.screen.incident(incident);
        }
        let watched = (self.screen.elapsed() - begun).as_secs();
        Ok(told(format!("{} incidents in {watched} s without a fault", incidents.len()), incidents.is_empty()))
    }

    /// The newest incident that tells more than was known before the fault: an incident that was open already gathers
    /// the faulted route too.
    fn new_incident(&self, early: &[Incident]) -> Result<Option<Incident>> {
        let known = |incident: &Incident| {
            early.iter().any(|old| old.id == incident.id && old.routes.len() == incident.routes.len())
        };
        Ok(self.agent.incidents()?.into_iter().find(|incident| !known(incident)))
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
