//! Ten faults one after the other on one stack, scored against the shop's truth file.

use super::plan::Fault;
use super::score::{self, Said, Sight, WITHIN};
use super::{Demo, Ending, PATIENCE, told};
use crate::sh::Result;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// How long a fault stays on after it is judged.
const LINGER: Duration = Duration::from_secs(3);

impl Demo {
    /// Breaks and mends the shop with each of the faults, and scores what was said of them.
    pub(super) fn ten_faults(&mut self, seed: u64, faults: &[Fault], json: Option<&Path>) -> Result<Ending> {
        let Some(learnt) = self.warm_up() else { return Ok(Ending::Stopped) };
        if let Some(fault) = faults.iter().find(|fault| !learnt.iter().any(|route| route == fault.route)) {
            return Ok(told(format!("the agent has not learnt {}", fault.route), false));
        }
        let mut seen = Vec::new();
        for (number, fault) in faults.iter().enumerate() {
            let progress = format!("{} of {}", number + 1, faults.len());
            if !self.watch(&mut seen, fault.after, &format!("{progress}: calm")) {
                return Ok(Ending::Stopped);
            }
            self.shop.switch_on(fault)?;
            self.screen.event(&format!("FAULT ON   {progress}: {}", fault.describe()));
            if !self.watch(&mut seen, WITHIN + LINGER, &format!("{progress}: {} is on", fault.name)) {
                return Ok(Ending::Stopped);
            }
            self.shop.switch_off(fault)?;
            self.screen.event("FAULT OFF");
            let begun = Instant::now();
            let is_open = |seen: &[(SystemTime, Sight)]| seen.last().is_some_and(|(_, sight)| sight.incident.is_some());
            while is_open(&seen) && begun.elapsed() < PATIENCE {
                if !self.watch(&mut seen, Duration::ZERO, &format!("{progress}: recovering")) {
                    return Ok(Ending::Stopped);
                }
            }
        }
        let truths = score::truths(&self.children.truth)?;
        let scored = score::score(seed, &truths, &seen);
        println!("\n{}", score::table(&scored));
        if let Some(path) = json {
            super::write_json(path, &scored)?;
        }
        let (right, all) = (scored.right, scored.rows.len());
        let outside = scored.outside;
        let text = format!(
            "the right cause first within {} s in {right} of {all}; {outside} incidents without a fault",
            WITHIN.as_secs()
        );
        Ok(told(text, scored.passed() && all == faults.len()))
    }

    /// Notes what the agent says, for so long, and at least once. `false` when the demo is to end.
    fn watch(&mut self, seen: &mut Vec<(SystemTime, Sight)>, lasts: Duration, doing: &str) -> bool {
        let until = Instant::now() + lasts;
        loop {
            if let Ok(incidents) = self.agent.incidents() {
                let open = incidents.iter().find(|incident| incident.is_open());
                let said = open.map(|incident| Said {
                    id: incident.id.clone(),
                    routes: incident.anomalous().map(str::to_owned).collect(),
                    cause: incident.causes.first().map_or_else(String::new, |cause| cause.cause.clone()),
                    strength: incident.causes.first().map_or(0.0, |cause| cause.strength),
                });
                let before = seen.last().and_then(|(_, sight)| sight.incident.as_ref());
                // What is new is shown; all is kept, a few thousand moments.
                let face = |said: Option<&Said>| {
                    said.map(|said| (said.id.clone(), said.cause.clone(), said.routes.first().cloned()))
                };
                if face(before) != face(said.as_ref()) {
                    match open {
                        Some(incident) => {
                            self.screen.event(&format!("INCIDENT   {}", incident.primary()));
                            self.screen.incident(incident);
                        }
                        None => self.screen.event("RECOVERED"),
                    }
                }
                seen.push((SystemTime::now(), Sight { incident: said }));
            }
            self.screen.progress(doing);
            if !self.pause() {
                return false;
            }
            if Instant::now() >= until {
                return true;
            }
        }
    }
}
