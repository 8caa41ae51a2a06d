//! The one task that owns the state: sends collectors out, takes in what they bring home, and answers questions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::collect::host::{Host, HostCollector};
use crate::collect::native::NativePages;
use crate::collect::process::{ProcessCollector, Processes};
use crate::collect::scrape::{Address, Scrape, scrape};
use crate::config::Settings;
use crate::export::otlp::{Counts, Delivery, message};
use crate::export::{html, page};
use crate::health::Reading;
use crate::incident::{IncidentView, IncidentsView, Mark};
use crate::picture::Album;
use crate::profile::exhibit::Form;
use crate::profile::shelf::Place;
use crate::profile::{self, Taken};
use crate::serve::guard::Guard;
use crate::serve::{Answer, Pulse, What};
use crate::state::State;
use crate::status::StatusView;
use crate::store::{Store, Written};
use crate::tell::{Sent, Stand, Teller};

use super::reload::Reload;

/// What a collector's task brings home.
pub(super) enum Done {
    Scrape { label: String, scrape: Scrape, native: Option<Box<NativePages>> },
    Host { collector: Box<HostCollector>, reading: Result<Host, String>, took: Duration },
    Processes { collector: ProcessCollector, reading: Processes, took: Duration, reloads: u64 },
}

/// The owner of the state. A collector that is away is `None` here, and a target's scrape under way is marked there.
pub(super) struct Owner {
    pub(super) settings: Arc<Settings>,
    pub(super) client: Client,
    instance: String,
    pub(super) state: State,
    pub(super) delivery: Option<Delivery>,
    /// What an earlier delivery counted, for the next one.
    pub(super) pushed: Arc<Counts>,
    pub(super) pulse: watch::Sender<Pulse>,
    pub(super) work: JoinSet<Done>,
    pub(super) reload: Option<Reload>,
    /// Tells the server who may ask.
    pub(super) guard: Option<watch::Sender<Arc<Guard>>>,
    /// How often the settings were replaced.
    pub(super) reloads: u64,
    pub(super) store: Store,
    /// The profile that is under way, and one that is broken off.
    pub(super) profiling: JoinSet<Taken>,
    /// The writing of the state that is under way, if one is.
    pub(super) writing: JoinSet<Written>,
    /// The incidents in it, and how they stand there.
    written: Vec<(String, Stand)>,
    pub(super) teller: Teller,
    pub(super) album: Album,
    /// Where people find the agent's page unless the settings say it.
    pub(super) page: String,
    host: Option<Box<HostCollector>>,
    pub(super) processes: Option<ProcessCollector>,
    /// When the tick at hand began; `None` once all its work is done.
    tick_began: Option<Instant>,
}

impl Owner {
    pub(super) fn new(
        settings: Settings,
        client: Client,
        address: SocketAddr,
        delivery: Option<Delivery>,
        pulse: watch::Sender<Pulse>,
        mut store: Store,
    ) -> Self {
        let host = HostCollector::new().inspect_err(|error| tracing::warn!(%error, "no figures of the host"));
        let mut state = State::new(&settings);
        let mut memory = store.load();
        let mut teller = Teller::new(&settings.tell, &format!("http://{address}"));
        teller.set_interval(settings.interval);
        teller.restore(memory.snapshot.as_mut().map(|snapshot| std::mem::take(&mut snapshot.tell)).unwrap_or_default());
        if let Some(why) = state.restore(&settings, memory, SystemTime::now()) {
            store.set_state_aside(&why);
        }
        // What was set aside or closed just now is nowhere on disk.
        store.hurry();
        state.store = store.health();
        Self {
            client,
            instance: address.to_string(),
            state,
            store,
            profiling: JoinSet::new(),
            writing: JoinSet::new(),
            written: Vec::new(),
            teller,
            album: Album::default(),
            page: format!("http://{address}"),
            delivery,
            pushed: Arc::default(),
            pulse,
            work: JoinSet::new(),
            reload: None,
            guard: None,
            reloads: 0,
            host: host.ok().map(Box::new),
            processes: Some(process_collector(&settings.targets)),
            tick_began: None,
            settings: Arc::new(settings),
        }
    }

    /// Begins a tick: sends every collector that is at home out.
    pub(super) fn tick(&mut self) {
        if self.tick_began.is_some() {
            // Somebody hangs. What the others brought home is complete all the same.
            self.end_tick();
        }
        let now = Instant::now();
        self.tick_began = Some(now);
        self.pulse.send_modify(|pulse| pulse.at = now);
        self.start_scrapes();
        if let Some(mut collector) = self.host.take() {
            self.work.spawn_blocking(move || {
                let began = Instant::now();
                let reading = collector.read();
                Done::Host { collector, reading, took: began.elapsed() }
            });
        } else if let Some(reading) = &mut self.state.host_reading {
            reading.success = false;
        }
        if let Some(mut collector) = self.processes.take() {
            let reloads = self.reloads;
            let answered: Vec<bool> = self.state.targets.iter().map(|target| target.health.is_up()).collect();
            self.work.spawn_blocking(move || {
                let began = Instant::now();
                let reading = collector.read(&answered);
                Done::Processes { collector, reading, took: began.elapsed(), reloads }
            });
        } else if let Some(reading) = &mut self.state.process_reading {
            reading.success = false;
        }
    }

    fn start_scrapes(&mut self) {
        for target in self.state.targets.iter_mut().filter(|target| !target.is_being_scraped) {
            target.is_being_scraped = true;
            let (address, client, settings) = (target.address.clone(), self.client.clone(), Arc::clone(&self.settings));
            // A copy, so that what is kept on disk meanwhile is whole.
            let mut native = target.native.clone();
            self.work.spawn(async move {
                let (timeout, limit) = (settings.scrape_timeout(), settings.page_limit);
                let scrape = scrape(&client, &address, timeout, limit, native.as_deref_mut()).await;
                Done::Scrape { label: address.label().to_owned(), scrape, native }
            });
        }
    }

    /// Takes in what a collector brought home.
    pub(super) fn take(&mut self, done: Done) {
        match done {
            Done::Scrape { label, scrape, native } => self.take_scrape(&label, &scrape, native),
            Done::Host { collector, reading, took } => {
                self.host = Some(collector);
                note("host", &mut self.state.host_reading, took, reading.as_ref().err());
                self.state.absorb_host(reading.ok(), SystemTime::now());
            }
            Done::Processes { reloads, .. } if reloads != self.reloads => {
                // It read the processes of targets that were replaced meanwhile.
                self.processes = Some(process_collector(&self.settings.targets));
            }
            Done::Processes { collector, reading, took, .. } => {
                self.processes = Some(collector);
                let of_targets = reading.targets.iter().flatten();
                let error = reading.own.iter().chain(of_targets).find_map(|read| read.as_ref().err());
                note("process", &mut self.state.process_reading, took, error);
                self.state.processes = reading;
            }
        }
        if self.work.is_empty() {
            self.end_tick();
        }
    }

    fn take_scrape(&mut self, label: &str, scrape: &Scrape, native: Option<Box<NativePages>>) {
        let index = self.state.targets.iter().position(|target| target.address.label() == label);
        // A reload may have removed the target.
        let Some(index) = index else { return };
        if let Some(target) = self.state.targets.get_mut(index) {
            target.is_being_scraped = false;
            if native.is_some() {
                target.native = native;
            }
        }
        let is_good = self.state.absorb_scrape(index, scrape);
        if let Some(target) = self.state.targets.get(index).filter(|target| is_good && target.is_judged()) {
            self.album.note(target, &self.state.incidents, scrape.at);
        }
        self.profile();
        self.tell();
        if is_good
            && let Some(delivery) = &self.delivery
            && let Some(target) = self.state.targets.get(index)
        {
            delivery.push(&message::of_target(&target.series, &target.address, scrape.at));
        }
    }

    /// Sends out for a profile if it is time for one.
    fn profile(&mut self) {
        let State { profiles, incidents, targets, .. } = &mut self.state;
        if let Some(order) = profiles.next(incidents, targets, Instant::now()) {
            // A calm one gives way.
            self.profiling.abort_all();
            self.profiling.spawn(profile::take(self.client.clone(), order));
        }
    }

    /// Takes in what came of a profile.
    pub(super) fn take_profile(&mut self, taken: Taken) {
        let State { profiles, incidents, .. } = &mut self.state;
        self.state.has_news |= profiles.take(taken, incidents, Instant::now());
        self.profile();
        self.tell();
    }

    fn end_tick(&mut self) {
        let Some(began) = self.tick_began.take() else { return };
        self.state.ticks.observe(began.elapsed());
        self.state.store = self.store.health();
        self.pulse.send_if_modified(|pulse| !std::mem::replace(&mut pulse.ready, true));
        if let Some(delivery) = &self.delivery {
            let families = page::families(&self.state, Some(delivery));
            delivery.push(&message::of_agent(&families, &self.instance, self.state.started_at, SystemTime::now()));
        }
        self.tell();
    }

    /// Tells what is new and on disk, and writes what is new.
    fn tell(&mut self) {
        let now = SystemTime::now();
        let targets = &self.state.targets;
        let service_of = |label: &str| targets.iter().find(|target| target.address.label() == label)?.service();
        self.state.has_news |= self.teller.prepare(&mut self.state.incidents, now, service_of);
        self.write_if_due();
        let is_kept = self.store.health().up;
        self.teller.tell(&mut self.state.incidents, &self.client, now, is_kept);
        self.state.tell = self.teller.health();
    }

    /// Takes in what became of a notification.
    pub(super) fn take_sent(&mut self, sent: Sent) {
        self.state.has_news |= self.teller.take(sent, &mut self.state.incidents, SystemTime::now());
        self.tell();
    }

    /// Begins to write the state if it is time, or if an incident changed.
    pub(super) fn write_if_due(&mut self) {
        if std::mem::take(&mut self.state.has_news) {
            self.store.hurry();
        }
        if self.store.is_due() {
            self.write();
        }
    }

    fn write(&mut self) {
        let mut writing = self.state.keep(SystemTime::now());
        writing.snapshot.tell = self.teller.keep();
        self.written = writing.incidents.iter().map(|incident| (incident.id.clone(), incident.stand())).collect();
        if let Some(work) = self.store.begin(writing) {
            self.writing.spawn_blocking(work);
        }
    }

    pub(super) fn end_writing(&mut self, mut written: Written) {
        self.store.end(&written);
        self.state.profiles.saved(&written.saved);
        self.state.profiles.outbox.take_back(std::mem::take(&mut written.profiles));
        self.state.incidents.still_unsaved(&written.unsaved);
        for (id, stand) in std::mem::take(&mut self.written) {
            if !written.unsaved.contains(&id)
                && let Some(incident) = self.state.incidents.get_mut(&id)
            {
                incident.saved_at(stand);
            }
        }
        self.state.store = self.store.health();
        self.tell();
    }

    /// Writes what was learnt last, after the writing that may be under way.
    pub(super) async fn write_the_last(&mut self) {
        while let Some(Ok(written)) = self.writing.join_next().await {
            self.store.end(&written);
            self.state.incidents.still_unsaved(&written.unsaved);
        }
        self.write();
        self.writing.join_next().await;
    }

    pub(super) fn answer(&mut self, what: What) -> Answer {
        Answer::of(match what {
            What::Metrics(format) => {
                let page = page::encode(&page::families(&self.state, self.delivery.as_ref()), format);
                page.unwrap_or_else(|error| format!("# {error}\n"))
            }
            What::Incidents { limit } => json(&self.incidents(limit)),
            What::Incident { id } => return self.incident(&id),
            What::Picture { id } => return self.picture(&id),
            What::Mark { id, false_alarm, note } => {
                if self.state.mark(&id, Mark::new(false_alarm, note, SystemTime::now())) {
                    self.tell();
                }
                return self.incident(&id);
            }
            What::Profile { id, form } => return self.profile_of(&id, form),
            What::Silences => json(&self.teller.silences(SystemTime::now())),
            What::Silence { row } => match self.teller.silence(&row, SystemTime::now()) {
                Ok(silence) => {
                    self.store.hurry();
                    self.tell();
                    json(&silence)
                }
                Err(error) => return Answer::bad(format!("{error}\n")),
            },
            What::Unsilence { id } => {
                if !self.teller.unsilence(&id) {
                    let text = format!("there is no silence {id} of the API; GET /api/v1/silences lists them\n");
                    return Answer::nothing(text);
                }
                self.store.hurry();
                self.tell();
                json(&self.teller.silences(SystemTime::now()))
            }
            What::Reload => return self.reload(),
            What::Status => json(&StatusView::of(&self.state)),
            What::Page => html::page(&StatusView::of(&self.state), &self.incidents(html::SHOWN)),
        })
    }

    fn profile_of(&self, id: &str, form: Form) -> Answer {
        match (self.state.profiles.shelf.place(id, form), self.store.path()) {
            (Some(Place::Memory(bytes)), _) => Answer::bytes(bytes),
            (Some(Place::Disk(name)), Some(folder)) => Answer::file(folder.join(name)),
            _ => Answer::nothing(format!("there is no {} of incident {id}\n", form.name())),
        }
    }

    /// The newest incidents, and why nobody is told of those that are open.
    fn incidents(&self, limit: usize) -> IncidentsView {
        let mut view = self.state.incidents.view(limit);
        let now = SystemTime::now();
        for view in view.incidents.iter_mut().filter(|view| view.state == "open") {
            view.held = self.state.incidents.get(&view.id).and_then(|incident| self.teller.held(incident, now));
        }
        view
    }

    fn view(&self, id: &str) -> Option<IncidentView> {
        let incident = self.state.incidents.get(id)?;
        let mut view = incident.view();
        view.held = self.teller.held(incident, SystemTime::now());
        Some(view)
    }

    fn incident(&self, id: &str) -> Answer {
        self.view(id).map_or_else(|| no_incident(id), |view| Answer::of(json(&view)))
    }

    fn picture(&self, id: &str) -> Answer {
        let page = self.view(id).and_then(|view| self.album.page(&view));
        page.map_or_else(|| no_incident(id), Answer::of)
    }
}

/// A collector for the processes behind these targets.
pub(super) fn process_collector(targets: &[Address]) -> ProcessCollector {
    ProcessCollector::new(targets.iter().map(|target| (target.host().to_owned(), target.port())))
}

fn no_incident(id: &str) -> Answer {
    Answer::nothing(format!("there is no incident {id}; GET /api/v1/incidents lists them\n"))
}

fn json(view: &impl serde::Serialize) -> String {
    // These types have nothing that JSON cannot say; a NaN becomes null.
    serde_json::to_string(view).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

/// Notes how a collector's reading went, and says so when that changes.
fn note(collector: &str, last: &mut Option<Reading>, took: Duration, error: Option<&String>) {
    let was_well = last.is_none_or(|reading| reading.success);
    match error {
        Some(error) if was_well => tracing::warn!(collector, %error, "the collector cannot read everything"),
        None if !was_well => tracing::info!(collector, "the collector reads everything again"),
        _ => {}
    }
    *last = Some(Reading { success: error.is_none(), took });
}
