//! Everything that the agent knows. One task owns it; whoever wants to see it asks that task.

use std::time::{Duration, Instant, SystemTime};

use crate::collect::host::Host;
use crate::collect::process::Processes;
use crate::collect::scrape::Scrape;
use crate::config::Settings;
use crate::health::{Durations, Reading};
use crate::incident::{Change, Incidents};
use crate::target::Target;

/// The agent's state.
pub(crate) struct State {
    pub(crate) targets: Vec<Target>,
    pub(crate) incidents: Incidents,
    pub(crate) host: Option<Host>,
    pub(crate) host_reading: Option<Reading>,
    pub(crate) processes: Processes,
    pub(crate) process_reading: Option<Reading>,
    pub(crate) ticks: Durations,
    pub(crate) interval: Duration,
    pub(crate) started: Instant,
    pub(crate) started_at: SystemTime,
}

impl State {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            targets: settings.targets.iter().map(|address| Target::new(address.clone(), settings)).collect(),
            incidents: Incidents::default(),
            host: None,
            host_reading: None,
            processes: Processes::default(),
            process_reading: None,
            ticks: Durations::default(),
            interval: settings.interval,
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// Takes in a scrape of the target with this index, from its page to its incident. True if the page was good.
    pub(crate) fn absorb_scrape(&mut self, index: usize, scrape: &Scrape) -> bool {
        let Some(target) = self.targets.get_mut(index) else { return false };
        let label = target.address.label().to_owned();
        if !target.absorb(scrape) {
            self.incidents.target_is_silent(&label, target.health.down_since.unwrap_or(scrape.at));
            return false;
        }
        match self.incidents.update(&label, scrape.at, &target.findings()) {
            Some(Change::Opened) => {
                target.health.incidents += 1;
                self.log(&label, "incident opened");
            }
            Some(Change::Reopened) => self.log(&label, "incident opened again"),
            Some(Change::Resolved) => self.log(&label, "incident resolved"),
            None => {}
        }
        true
    }

    fn log(&self, target: &str, what: &str) {
        if let Some(incident) = self.incidents.newest(target) {
            tracing::warn!(target, id = incident.id, "{what}: {}", incident.summary());
        }
    }
}
