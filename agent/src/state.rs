//! Everything that the agent knows. One task owns it; whoever wants to see it asks that task.

use std::time::{Duration, Instant, SystemTime};

use crate::collect::host::Host;
use crate::collect::process::Processes;
use crate::collect::scrape::Scrape;
use crate::config::Settings;
use crate::health::{Durations, Reading};
use crate::incident::{Change, Incident, Incidents, Mark};
use crate::profile::Profiles;
use crate::store::{Memory, Snapshot, StoreHealth, Writing};
use crate::target::Target;
use crate::tell::TellHealth;
use crate::watch::{HostSignals, WatchSettings};

/// The agent's state.
pub(crate) struct State {
    pub(crate) targets: Vec<Target>,
    pub(crate) incidents: Incidents,
    /// An incident's state changed since somebody last looked here.
    pub(crate) has_news: bool,
    pub(crate) profiles: Profiles,
    pub(crate) store: StoreHealth,
    pub(crate) tell: TellHealth,
    /// The settings that were read last are in force.
    pub(crate) is_reloaded: bool,
    pub(crate) host: Option<Host>,
    pub(crate) host_signals: HostSignals,
    watch: WatchSettings,
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
        let targets: Vec<_> = settings.targets.iter().map(|address| Target::new(address.clone(), settings)).collect();
        Self {
            profiles: Profiles::new(&settings.profile, &targets),
            targets,
            incidents: Incidents::restore(&settings.incidents, Vec::new(), SystemTime::now(), |_| false),
            has_news: false,
            store: StoreHealth::default(),
            tell: TellHealth::default(),
            is_reloaded: true,
            host: None,
            host_signals: HostSignals::default(),
            watch: settings.watch.clone(),
            host_reading: None,
            processes: Processes::default(),
            process_reading: None,
            ticks: Durations::default(),
            interval: settings.interval,
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// Goes on from what an earlier agent kept. Answers why a detector could not, if one could not.
    pub(crate) fn restore(&mut self, settings: &Settings, memory: Memory, now: SystemTime) -> Option<String> {
        let mut refused = None;
        let snapshot = memory.snapshot.unwrap_or_default();
        match HostSignals::restore(snapshot.host) {
            Ok(signals) => self.host_signals = signals,
            Err(error) => refused = Some(error),
        }
        for kept in snapshot.targets {
            if let Some(target) = self.targets.iter_mut().find(|target| target.address.label() == kept.target) {
                refused = target.restore(kept, settings, now).or(refused);
            }
        }
        let targets = &self.targets;
        let is_watched = |label: &str| {
            (label == HOST && settings.watch.saturation) || targets.iter().any(|target| target.address.label() == label)
        };
        self.incidents = Incidents::restore(&settings.incidents, memory.incidents, now, is_watched);
        self.profiles.restore(memory.profiles, &mut self.incidents);
        for target in &mut self.targets {
            target.health.false_alarms = self.incidents.false_alarms(target.address.label());
        }
        refused.map(|error| error.to_string())
    }

    /// Works with other settings from now on. Targets that stay keep all that is known of them.
    pub(crate) fn apply(&mut self, settings: &Settings, now: SystemTime) {
        let mut old = std::mem::take(&mut self.targets);
        self.targets = settings
            .targets
            .iter()
            .map(|address| match old.iter().position(|target| target.address.label() == address.label()) {
                Some(at) => old.swap_remove(at).with(address, settings),
                None => Target::new(address.clone(), settings),
            })
            .collect();
        for gone in old {
            self.has_news |= self.incidents.close(gone.address.label(), now);
        }
        self.incidents.set(&settings.incidents, now);
        self.profiles.apply(&settings.profile, &self.targets);
        self.watch = settings.watch.clone();
        if !self.watch.saturation {
            self.host_signals = HostSignals::default();
            self.has_news |= self.incidents.close(HOST, now);
        }
        self.interval = settings.interval;
    }

    /// What has to be written so that another agent can go on from here.
    pub(crate) fn keep(&mut self, now: SystemTime) -> Writing {
        self.incidents.forget(now);
        let dropped = self.incidents.take_dropped();
        dropped.iter().for_each(|id| self.profiles.forget(id));
        Writing {
            snapshot: Snapshot::new(
                self.targets.iter().filter_map(Target::keep).collect(),
                self.host_signals.fills.keep(),
            ),
            incidents: self.incidents.take_unsaved(),
            dropped,
            profiles: std::mem::take(&mut self.profiles.outbox),
        }
    }

    /// Notes what a person said of an incident. False if there is none with this id.
    pub(crate) fn mark(&mut self, id: &str, mark: Mark) -> bool {
        let was_marked = self.incidents.get(id).is_some_and(|incident| incident.is_false_alarm());
        let Some(incident) = self.incidents.mark(id, mark) else { return false };
        let is_new = incident.is_false_alarm() && !was_marked;
        if let Some(target) = self.targets.iter_mut().find(|target| target.address.label() == incident.target()) {
            target.health.false_alarms += u64::from(is_new);
        }
        self.has_news = true;
        true
    }

    /// Takes in a scrape of the target with this index, from its page to its incident. True if the page was good.
    pub(crate) fn absorb_scrape(&mut self, index: usize, scrape: &Scrape) -> bool {
        let Some(target) = self.targets.get_mut(index) else { return false };
        let label = target.address.label().to_owned();
        let process = self.processes.targets.get(index).and_then(|read| read.as_ref()?.as_ref().ok());
        target.evidence.strained(process.map(|process| process.strain));
        if !target.absorb(scrape, process) {
            self.incidents.target_is_silent(&label, target.health.down_since.unwrap_or(scrape.at));
            return false;
        }
        if !target.is_judged() {
            return true;
        }
        let change = self.incidents.update(&label, scrape.at, &target.findings(), target.signals.signs());
        let apart = self.incidents.update_apart(&label, scrape.at, target.signals.signs());
        self.incidents.detail(&label, &target.watches);
        self.incidents.spend(&label, |since| target.signals.budgets.spent(since));
        match self.incidents.open(&label) {
            None => target.evidence.calm(),
            Some(incident) => {
                target.evidence.hold(incident.began_at());
                let explanation = incident.trouble().and_then(|trouble| target.evidence.explain(&trouble));
                if let Some(explanation) = explanation {
                    self.incidents.explain(&label, explanation);
                }
            }
        }
        let of_requests = change.and_then(|change| Some((self.incidents.newest(&label)?.id.clone(), change)));
        for (id, change) in of_requests.into_iter().chain(apart) {
            target.health.incidents += u64::from(change == Change::Opened);
            if change == Change::Reopened {
                self.profiles.reopened(&id, &mut self.incidents, scrape.at);
            }
            if change == Change::Opened
                && let Some(incident) = self.incidents.open(&label)
            {
                self.profiles.opened(&label, incident.began_at(), scrape.at);
            }
            self.has_news = true;
            if let Some(incident) = self.incidents.get(&id) {
                log(incident, change);
            }
        }
        true
    }

    /// Takes in what was read of the host, from its figures to its incidents.
    pub(crate) fn absorb_host(&mut self, host: Option<Host>, at: SystemTime) {
        self.host = host;
        let Some(host) = self.host.as_ref().filter(|_| self.watch.saturation) else { return };
        let signs = self.host_signals.observe(host.gauges(), at, self.watch.horizon);
        for (id, change) in self.incidents.update_apart(HOST, at, signs) {
            self.has_news = true;
            if let Some(incident) = self.incidents.get(&id) {
                log(incident, change);
            }
        }
    }
}

/// What incidents of the host itself have for a target.
pub(crate) const HOST: &str = "host";

/// Says what became of an incident.
fn log(incident: &Incident, change: Change) {
    let (target, id, summary) = (incident.target(), &incident.id, incident.summary());
    match change {
        Change::Opened => tracing::warn!(target, id, "incident opened: {summary}"),
        Change::Reopened => tracing::warn!(target, id, "incident opened again: {summary}"),
        Change::Resolved => tracing::info!(target, id, "incident resolved: {summary}"),
    }
}

#[cfg(test)]
pub(crate) mod world;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use outrigger_exposition::Format;

    use super::world::World;
    use super::*;
    use crate::collect::scrape::{Page, ScrapeError};

    #[test]
    fn a_slow_route_becomes_an_incident_and_its_recovery_resolves_it() {
        let mut world = World::new();
        world.serve(120, 0.0);
        assert_eq!(world.incidents(), Vec::<serde_json::Value>::new(), "nothing before the fault");

        let incident = world.serve_until("open", 0.4, 15);
        assert_eq!(incident["routes"].as_array().unwrap().len(), 1, "{incident:#}");
        let route = &incident["routes"][0];
        assert_eq!((&route["route"], &route["signal"]), (&"/products/{id}".into(), &"latency".into()));
        let (before, during) = (&route["before"]["p95"], &route["during"]["p95"]);
        assert!(before.as_f64().unwrap() <= 0.1 && during.as_f64().unwrap() > 0.5, "{route:#}");
        assert!(incident["requests_affected"].as_u64().unwrap() > 3, "{incident:#}");

        let resolved = world.serve_until("resolved", 0.0, 90);
        assert_eq!(resolved["id"], incident["id"]);
        assert_eq!(world.incidents().len(), 1);
        assert_eq!(world.state.targets[0].health.incidents, 1);
    }

    #[test]
    fn other_settings_keep_what_is_known_of_the_targets_that_stay() {
        let mut world = World::new();
        world.serve(120, 0.0);
        let incident = world.serve_until("open", 0.4, 15);
        let more: Vec<_> = ["127.0.0.1:1", "127.0.0.1:9464"].map(|target| target.parse().unwrap()).into();
        world.state.apply(&Settings { targets: more, ..Settings::default() }, world.now());
        assert_eq!(world.state.targets.iter().map(|target| target.routes.len()).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(world.incidents()[0]["state"], "open");
        world.state.apply(&Settings::default(), world.now());
        assert_eq!(world.state.targets[0].warming_up(), 0);
        let resolved = world.serve_until("resolved", 0.0, 90);
        assert_eq!((&resolved["id"], world.incidents().len()), (&incident["id"], 1));

        let incident = world.serve_until("open", 0.4, 15);
        let other = vec!["127.0.0.1:1".parse().unwrap()];
        world.state.apply(&Settings { targets: other, ..Settings::default() }, world.now());
        let closed = world.incidents().into_iter().find(|other| other["id"] == incident["id"]).unwrap();
        assert_eq!((&closed["state"], &closed["routes"][0]["ended"]), (&"resolved".into(), &"unwatched".into()));
    }

    #[test]
    fn a_restart_raises_nothing() {
        let mut world = World::new();
        world.serve(120, 0.0);
        world.restart();
        // The first second of a cold service is slow for most.
        world.serve(2, 0.8);
        world.serve(120, 0.0);
        assert_eq!(world.incidents(), Vec::<serde_json::Value>::new());
    }

    #[test]
    fn a_job_of_every_hour_is_told_three_times_and_counted_from_then_on() {
        let mut world = World::new();
        world.serve(600, 0.0);
        for _ in 0..5 {
            world.serve(3600 - 120, 0.0);
            world.serve(120, 0.2);
        }
        world.serve(60, 0.0);
        assert_eq!((world.incidents().len(), world.state.targets[0].health.expected), (3, 2));
    }

    #[test]
    fn a_target_that_is_down_gets_no_verdicts_and_its_incident_says_so() {
        let mut world = World::new();
        world.serve(120, 0.0);
        let incident = world.serve_until("open", 0.4, 15);
        for _ in 0..120 {
            world.count(1, 0.0);
            world.scrape(Err(ScrapeError::Timeout(Duration::from_secs(1))));
        }
        let incidents = world.incidents();
        assert_eq!(
            (incidents.len(), &incidents[0]["id"], &incidents[0]["state"]),
            (1, &incident["id"], &"open".into())
        );
        assert!(
            incidents[0]["summary"].as_str().unwrap().contains("The target has not answered since"),
            "{incidents:#?}"
        );
        assert_eq!(world.state.targets[0].health.up, Some(false));

        let resolved = world.serve_until("resolved", 0.0, 200);
        assert!(!resolved["summary"].as_str().unwrap().contains("not answered"), "{resolved:#}");
    }

    /// Lines that are nearly right: what a broken or hostile target would serve.
    fn line() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let name = prop_oneof![
            Just("http_server_request_duration_seconds"),
            Just("process_start_time_seconds"),
            Just("target_info"),
            Just("http_client_request_duration_seconds"),
            Just("db_client_connection_max"),
            Just("db_client_connection_count"),
            Just("process_open_fds"),
            Just("process_max_fds"),
            Just("cache_requests"),
            Just("x"),
        ];
        let suffix =
            prop_oneof![Just(""), Just("_bucket"), Just("_sum"), Just("_count"), Just("_total"), Just("_created")];
        let labels = prop_oneof![
            Just(""),
            Just("{le=\"0.1\"}"),
            Just("{le=\"+Inf\"}"),
            Just("{le=\"NaN\"}"),
            Just("{http_route=\"/a\",le=\"-1\"}"),
            Just("{quantile=\"0.5\",error_type=\"x\"}"),
        ];
        let value =
            prop_oneof![Just("0"), Just("1"), Just("-5"), Just("1e300"), Just("NaN"), Just("+Inf"), Just("-Inf")];
        let time =
            prop_oneof![Just(""), Just(" 1700000000000"), Just(" -9223372036854775808"), Just(" 9223372036854775807")];
        let kind = prop_oneof![Just("counter"), Just("gauge"), Just("histogram"), Just("summary"), Just("untyped")];
        prop_oneof![
            4 => (name.clone(), suffix, labels, value, time).prop_map(|(n, s, l, v, t)| format!("{n}{s}{l} {v}{t}\n")),
            1 => (name, kind).prop_map(|(name, kind)| format!("# TYPE {name} {kind}\n")),
            1 => "\\PC{0,20}\n",
        ]
    }

    proptest::proptest! {
        #[test]
        fn no_page_breaks_any_stage(pages in proptest::collection::vec(proptest::collection::vec(line(), 0..30), 1..6)) {
            let settings = Settings { series_limit: 10, route_limit: 2, ..Settings::default() };
            let mut state = State::new(&settings);
            for (number, lines) in pages.iter().enumerate() {
                let elapsed = Duration::from_secs(number as u64);
                let page = Page { bytes: lines.concat().into_bytes(), format: Format::Text, cut_samples: 0 };
                let (started, at) = (state.started + elapsed, state.started_at + elapsed);
                state.absorb_scrape(0, &Scrape { started, at, took: elapsed, page: Ok(page) });
                let families = crate::export::page::families(&state, None);
                crate::export::page::encode(&families, Format::OpenMetrics).unwrap();
                let target = &state.targets[0];
                crate::export::otlp::message::of_target(&target.series, &target.address, at);
                crate::export::otlp::message::of_agent(&families, "x", state.started_at, at);
                proptest::prop_assert!(target.series.len() <= 10 && target.routes.len() <= 2);
            }
        }
    }
}
