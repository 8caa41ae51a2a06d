//! A healthy day in short: the load swings, crowds come and go, customers change, and the shop is deployed anew. Whatever
//! the agent reports of it is a false alarm.

use super::api::Incident;
use super::{Demo, Ending, POLL, children, told};
use crate::sh::Result;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// Which part of the day has gone by when the shop is deployed anew.
const DEPLOY_AT: f64 = 0.55;

/// What came of the day.
#[derive(Serialize)]
struct Score {
    version: u32,
    seconds: u64,
    /// The shop's truth file has so many faults.
    faults: usize,
    deploys: u32,
    incidents: Vec<False>,
}

#[derive(Serialize)]
struct False {
    id: String,
    seen_after_seconds: u64,
    summary: String,
}

/// A day that is long enough to hold crowds and a deploy.
pub(super) fn day(text: &str) -> std::result::Result<Duration, String> {
    let day = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let most = Duration::from_secs(86_400);
    if (Duration::from_secs(60)..=most).contains(&day) { Ok(day) } else { Err("give 1m to 24h".to_owned()) }
}

impl Demo {
    /// Watches such a day.
    pub(super) fn calm_day(&mut self, lasts: Duration, json: Option<&Path>) -> Result<Ending> {
        let Some(learnt) = self.warm_up() else { return Ok(Ending::Stopped) };
        if learnt.is_empty() {
            return Ok(told("the agent learnt no route, so nothing could be judged".into(), false));
        }
        let begun = Instant::now();
        let deploy_at = lasts.mul_f64(DEPLOY_AT);
        let (mut deploys, mut unanswered) = (0, 0);
        let mut seen: Vec<(u64, Incident)> = Vec::new();
        while begun.elapsed() < lasts {
            if children::interrupted() {
                return Ok(Ending::Stopped);
            }
            if deploys == 0 && begun.elapsed() >= deploy_at {
                self.children.restart_shop()?;
                deploys += 1;
                self.screen.event("DEPLOY     the shop was ended and started again, as fast as it was");
            }
            match self.agent.incidents() {
                Ok(incidents) => self.note(&mut seen, incidents, begun),
                Err(_) => unanswered += 1,
            }
            let rate: f64 = self
                .agent
                .target()
                .map_or(0.0, |target| target.routes.iter().filter_map(|route| route.requests_per_second).sum());
            self.screen.progress(&format!("no fault is on; {rate:.0} requests/s, {} incidents reported", seen.len()));
            self.children.notice(&mut self.screen);
            std::thread::sleep(POLL);
        }
        let is_whole = unanswered == 0 && self.children.all_run() && self.agent.target().is_ok_and(|target| target.up);
        for (after, incident) in &seen {
            println!("\nFALSE ALARM after {after} s, id {}, {}:", incident.id, incident.state);
            println!("{}", incident.summary);
        }
        let faults = super::score::truths(&self.children.truth)?.len();
        let score = Score {
            version: 1,
            seconds: begun.elapsed().as_secs(),
            faults,
            deploys,
            incidents: seen
                .iter()
                .map(|(after, incident)| False {
                    id: incident.id.clone(),
                    seen_after_seconds: *after,
                    summary: incident.summary.clone(),
                })
                .collect(),
        };
        if let Some(path) = json {
            super::write_json(path, &score)?;
        }
        if !is_whole {
            return Ok(told("not everything ran to the end, so the calm proves nothing".into(), false));
        }
        let memory =
            self.agent.resident_mebibytes().map_or_else(String::new, |mib| format!("; the agent holds {mib:.1} MiB"));
        let text = format!(
            "{} incidents in {} s of healthy load with {deploys} deploy and {faults} faults in the truth file{memory}",
            seen.len(),
            score.seconds
        );
        Ok(told(text, seen.is_empty() && faults == 0))
    }

    /// Shows what is new, and keeps what was said last.
    fn note(&mut self, seen: &mut Vec<(u64, Incident)>, incidents: Vec<Incident>, begun: Instant) {
        for incident in incidents {
            match seen.iter_mut().find(|(_, known)| known.id == incident.id) {
                Some((_, known)) => {
                    if known.state != incident.state {
                        self.screen.event(&format!("now {}: {}", incident.state, incident.summary));
                    }
                    *known = incident;
                }
                None => {
                    self.screen.event(&format!("INCIDENT without any fault, on {}", incident.primary()));
                    self.screen.incident(&incident);
                    seen.push((begun.elapsed().as_secs(), incident));
                }
            }
        }
    }
}
