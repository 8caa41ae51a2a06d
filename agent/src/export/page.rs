//! The agent's own and derived series: built here once, for `/metrics` and for OTLP.
//!
//! Every name comes from the catalogue; the encoder is the project's one encoder. What is unknown is absent: a route
//! without requests has no quantiles, a target that is down has no routes.

use outrigger_exposition::{EncodeError, Encoder, Family, Format, Histogram, Kind, Label, Point, Value};
use outrigger_semconv as semconv;
use outrigger_semconv::{Metric, agent, label, process, system};

use crate::collect::process::Process;
use crate::export::otlp::Delivery;
use crate::health::Reading;
use crate::profile::{Failure, Profiles, Purpose};
use crate::state::{HOST, State};
use crate::store::StoreHealth;
use crate::target::Target;
use crate::tell::{Channel, Reason, TellHealth};
use crate::watch::{Fills, Subject};

/// The page in a text format.
pub(crate) fn encode(families: &[Family], format: Format) -> Result<String, EncodeError> {
    let mut encoder = Encoder::new(format, String::new());
    for family in families {
        encoder.family(family)?;
    }
    encoder.finish()
}

/// All families of the agent, without those that have no point.
pub(crate) fn families(state: &State, delivery: Option<&Delivery>) -> Vec<Family> {
    let mut page = Page::default();
    page.add(&agent::BUILD_INFO, &[(label::VERSION, env!("CARGO_PKG_VERSION"))], 1.0);
    page.histogram(&agent::TICK_DURATION, &[], state.ticks.histogram());
    for target in &state.targets {
        page.target(target, state);
    }
    page.collectors(state);
    page.store(&state.store);
    page.profiles(&state.profiles);
    page.tell(&state.tell);
    page.add(&agent::CONFIG_RELOAD_SUCCESS, &[], f64::from(u8::from(state.is_reloaded)));
    page.host(state);
    page.processes(state);
    if let Some(delivery) = delivery {
        page.delivery(delivery);
    }
    page.families
}

#[derive(Default)]
struct Page {
    families: Vec<Family>,
}

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    fn add(&mut self, metric: &Metric, labels: Labels<'_>, value: f64) {
        let value = match metric.kind {
            semconv::Kind::Counter => Value::Counter(value),
            _ => Value::Gauge(value),
        };
        self.point(metric, labels, value);
    }

    fn some(&mut self, metric: &Metric, labels: Labels<'_>, value: Option<f64>) {
        if let Some(value) = value {
            self.add(metric, labels, value);
        }
    }

    fn histogram(&mut self, metric: &Metric, labels: Labels<'_>, histogram: Histogram) {
        self.point(metric, labels, Value::Histogram(histogram));
    }

    fn point(&mut self, metric: &Metric, labels: Labels<'_>, value: Value) {
        let labels = labels.iter().map(|(name, value)| Label::new(*name, *value)).collect();
        let point = Point::new(labels, value);
        match self.families.iter_mut().find(|family| family.name == family_name(metric)) {
            Some(family) => family.points.push(point),
            None => {
                let unit = metric.unit.suffix();
                self.families.push(Family {
                    help: Some(metric.help.to_owned()),
                    unit: (!unit.is_empty()).then(|| unit.to_owned()),
                    points: vec![point],
                    ..Family::new(family_name(metric), kind(metric))
                });
            }
        }
    }

    fn target(&mut self, target: &Target, state: &State) {
        let name = target.address.label();
        let labels = [(label::TARGET, name)];
        let health = &target.health;
        self.some(&agent::TARGET_UP, &labels, health.up.map(|up| f64::from(u8::from(up))));
        for (outcome, count) in [("success", health.successes), ("failure", health.failures)] {
            self.add(&agent::SCRAPES, &[labels[0], (label::OUTCOME, outcome)], count as f64);
        }
        self.histogram(&agent::SCRAPE_DURATION, &labels, health.durations.histogram());
        self.add(&agent::SCRAPE_SAMPLES, &labels, if health.is_up() { health.samples as f64 } else { 0.0 });
        self.add(&agent::SCRAPE_BAD_LINES, &labels, health.bad_lines as f64);
        self.add(&agent::SERIES, &labels, target.series.len() as f64);
        let dropped = health.dropped;
        for (reason, count) in [
            ("series_limit", dropped.series_limit),
            ("page_limit", dropped.page_limit),
            ("route_limit", dropped.route_limit),
            ("dependency_limit", dropped.dependency_limit),
        ] {
            self.add(&agent::SAMPLES_DROPPED, &[labels[0], (label::REASON, reason)], count as f64);
        }
        self.add(&agent::ROUTES, &labels, target.routes.len() as f64);
        self.add(&agent::ROUTES_WARMING_UP, &labels, target.warming_up() as f64);
        self.add(&agent::DEPENDENCIES, &labels, target.signals.calls.len() as f64);
        let open = state.incidents.any_firing(name);
        self.add(&agent::INCIDENT_OPEN, &labels, f64::from(u8::from(open)));
        self.add(&agent::INCIDENTS, &labels, health.incidents as f64);
        self.add(&agent::INCIDENT_FALSE_ALARMS, &labels, health.false_alarms as f64);
        self.add(&agent::ANOMALIES_EXPECTED, &labels, health.expected as f64);
        if health.is_up() {
            self.routes(target);
            self.signals(target);
        }
    }

    fn routes(&mut self, target: &Target) {
        let mut routes: Vec<_> = target.routes.iter().collect();
        routes.sort_by_key(|(key, _)| *key);
        for (key, route) in routes {
            let base = [
                (label::TARGET, target.address.label()),
                (label::HTTP_REQUEST_METHOD, key.method.as_str()),
                (label::HTTP_ROUTE, key.route.as_str()),
            ];
            let with = |name, value| [base[0], base[1], base[2], (name, value)];
            if route.last().is_some() {
                let figures = route.figures();
                self.add(&agent::ROUTE_REQUEST_RATE, &base, figures.rate);
                self.some(&agent::ROUTE_ERROR, &base, figures.error_ratio);
                for (percentile, value) in [("p50", figures.p50), ("p95", figures.p95), ("p99", figures.p99)] {
                    self.some(&agent::ROUTE_LATENCY, &with(label::PERCENTILE, percentile), value);
                }
            }
            for (signal, verdict) in target.watches.get(key).map(|watch| watch.verdicts()).unwrap_or_default() {
                if verdict.phase != outrigger_detect::Phase::WarmingUp {
                    self.add(&agent::ANOMALY_SCORE, &with(label::SIGNAL, signal.as_str()), verdict.score);
                }
            }
        }
    }

    /// What is watched beside the routes.
    fn signals(&mut self, target: &Target) {
        let name = target.address.label();
        let base = (label::TARGET, name);
        let mut scores = target.signals.scores();
        scores.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        for (subject, signal, score) in scores {
            let signal = (label::SIGNAL, signal.as_str());
            if let Subject::Route(key) = &subject {
                let (method, route) = (key.method.as_str(), key.route.as_str());
                let route = [(label::HTTP_REQUEST_METHOD, method), (label::HTTP_ROUTE, route)];
                self.add(&agent::ANOMALY_SCORE, &[base, route[0], route[1], signal], score);
            } else {
                self.add(&agent::ANOMALY_SCORE, &[base, (label::SUBJECT, &subject.to_string()), signal], score);
            }
        }
        let mut budgets: Vec<_> = target.signals.budgets.iter().collect();
        budgets.sort_by_key(|(route, objective, _)| (*route, *objective));
        for (route, objective, budget) in budgets {
            let objective = (label::OBJECTIVE, objective.as_str());
            let mut labels = vec![base, objective];
            if let Some(key) = route {
                labels.push((label::HTTP_REQUEST_METHOD, &key.method));
                labels.push((label::HTTP_ROUTE, &key.route));
            }
            self.add(&agent::SLO_BUDGET_REMAINING, &labels, budget.remaining());
            for ((_, pace), window) in budget.paces().into_iter().zip(["5m", "1h", "6h", "3d"]) {
                labels.push((label::WINDOW, window));
                self.add(&agent::SLO_BURN_RATE, &labels, pace);
                labels.pop();
            }
        }
        self.fills(name, &target.signals.fills);
    }

    fn fills(&mut self, target: &str, fills: &Fills) {
        for (subject, share, full_in) in fills.iter() {
            let subject = subject.to_string();
            let labels = [(label::TARGET, target), (label::SUBJECT, subject.as_str())];
            self.add(&agent::SATURATION, &labels, share);
            self.some(&agent::SATURATION_FULL_IN, &labels, full_in);
        }
    }

    fn collectors(&mut self, state: &State) {
        let scrapes = &state.targets;
        let known = scrapes.iter().all(|target| target.health.up.is_some());
        let scrape = known.then(|| Reading {
            success: scrapes.iter().all(|target| target.health.is_up()),
            took: scrapes.iter().map(|target| target.health.last_duration).max().unwrap_or_default(),
        });
        for (name, reading) in [("host", state.host_reading), ("process", state.process_reading), ("scrape", scrape)] {
            let Some(reading) = reading else { continue };
            let labels = [(label::COLLECTOR, name)];
            self.add(&agent::COLLECTOR_SUCCESS, &labels, f64::from(u8::from(reading.success)));
            self.add(&agent::COLLECTOR_DURATION, &labels, reading.took.as_secs_f64());
        }
    }

    fn store(&mut self, health: &StoreHealth) {
        self.add(&agent::STORE_UP, &[], f64::from(u8::from(health.up)));
        for (outcome, count) in [("success", health.successes), ("failure", health.failures)] {
            self.add(&agent::STORE_WRITES, &[(label::OUTCOME, outcome)], count as f64);
        }
        self.add(&agent::STORE_SIZE, &[], health.state_bytes as f64);
        self.add(&agent::STORE_SET_ASIDE, &[], health.set_aside as f64);
    }

    fn profiles(&mut self, profiles: &Profiles) {
        for (target, of) in profiles.targets() {
            for (purpose, count) in Purpose::NAMES.into_iter().zip(of.taken) {
                let labels = [(label::TARGET, target), (label::PROFILE_PURPOSE, purpose)];
                self.add(&agent::PROFILE_TAKEN, &labels, count as f64);
            }
            for (reason, count) in Failure::REASONS.into_iter().zip(of.failures) {
                self.add(&agent::PROFILE_FAILURES, &[(label::TARGET, target), (label::REASON, reason)], count as f64);
            }
        }
        for (purpose, count) in Purpose::NAMES.into_iter().zip([profiles.shelf.dropped, profiles.dropped_pieces]) {
            self.add(&agent::PROFILE_DROPPED, &[(label::PROFILE_PURPOSE, purpose)], count as f64);
        }
        self.add(&agent::PROFILE_SIZE, &[], profiles.bytes() as f64);
        self.histogram(&agent::PROFILE_MAKING, &[], profiles.making.histogram());
    }

    fn tell(&mut self, health: &TellHealth) {
        self.add(&agent::SILENCES, &[], health.silences as f64);
        for (channel, health) in Channel::ALL.iter().zip(&health.channels) {
            let labels = [(label::DESTINATION, channel.as_str())];
            for (outcome, count) in [("success", health.successes), ("failure", health.failures)] {
                self.add(&agent::NOTIFICATIONS, &[labels[0], (label::OUTCOME, outcome)], count as f64);
            }
            let dropped = [("rejected", health.rejected), ("expired", health.expired), ("forgotten", health.forgotten)];
            for (reason, count) in dropped {
                self.add(&agent::NOTIFICATIONS_DROPPED, &[labels[0], (label::REASON, reason)], count as f64);
            }
            for ((reason, held), (skipped, on_hold)) in
                Reason::ALL.iter().zip(health.held).zip(health.skipped.into_iter().zip(health.on_hold))
            {
                let labels = [labels[0], (label::REASON, reason.as_str())];
                self.add(&agent::NOTIFICATIONS_HELD, &labels, held as f64);
                self.add(&agent::NOTIFICATIONS_ON_HOLD, &labels, on_hold as f64);
                if skipped > 0 || reason.drops() {
                    self.add(&agent::NOTIFICATIONS_DROPPED, &labels, skipped as f64);
                }
            }
            self.add(&agent::NOTIFICATIONS_PENDING, &labels, health.pending as f64);
        }
    }

    fn host(&mut self, state: &State) {
        self.fills(HOST, &state.host_signals.fills);
        let Some(host) = &state.host else { return };
        self.some(&system::CPU_UTILIZATION, &[], host.cpu_utilization);
        let (used, limit) = (host.memory_used as f64, host.memory_limit as f64);
        self.add(&system::MEMORY_USAGE, &[(label::SYSTEM_MEMORY_STATE, "used")], used);
        self.add(&system::MEMORY_USAGE, &[(label::SYSTEM_MEMORY_STATE, "free")], limit - used);
        self.add(&system::MEMORY_LIMIT, &[], limit);
        self.add(&system::MEMORY_UTILIZATION, &[], used / limit);
    }

    fn processes(&mut self, state: &State) {
        if let Some(Ok(own)) = &state.processes.own {
            self.process(label::SELF_TARGET, own);
        }
        for (target, process) in state.targets.iter().zip(&state.processes.targets) {
            if let Some(Ok(process)) = process {
                self.process(target.address.label(), process);
            }
        }
    }

    fn process(&mut self, target: &str, read: &Process) {
        let labels = [(label::TARGET, target)];
        for (mode, seconds) in [("user", read.cpu_user), ("system", read.cpu_system)] {
            self.add(&process::CPU_TIME, &[(label::CPU_MODE, mode), labels[0]], seconds);
        }
        self.add(&process::CPU_SECONDS, &labels, read.cpu_user + read.cpu_system);
        self.add(&process::MEMORY_USAGE, &labels, read.resident_memory as f64);
        self.add(&process::RESIDENT_MEMORY, &labels, read.resident_memory as f64);
        self.add(&process::THREAD_COUNT, &labels, read.threads as f64);
        self.add(&process::START_TIME, &labels, read.start_time);
        let open_fds = read.open_fds.map(|count| count as f64);
        self.some(&process::UNIX_FILE_DESCRIPTOR_COUNT, &labels, open_fds);
        self.some(&process::OPEN_FDS, &labels, open_fds);
        self.some(&process::MAX_FDS, &labels, read.max_fds.map(|count| count as f64));
    }

    fn delivery(&mut self, delivery: &Delivery) {
        for (outcome, count) in delivery.exports() {
            self.add(&agent::OTLP_EXPORTS, &[(label::OUTCOME, outcome)], count as f64);
        }
        for (reason, count) in delivery.dropped() {
            self.add(&agent::OTLP_DROPPED, &[(label::REASON, reason)], count as f64);
        }
    }
}

/// The family's name as the encoder's model wants it: without `_total`.
fn family_name(metric: &Metric) -> &'static str {
    match metric.kind {
        semconv::Kind::Counter => metric.name.strip_suffix("_total").unwrap_or(metric.name),
        _ => metric.name,
    }
}

fn kind(metric: &Metric) -> Kind {
    match metric.kind {
        semconv::Kind::Counter => Kind::Counter,
        semconv::Kind::Gauge => Kind::Gauge,
        semconv::Kind::Histogram(_) => Kind::Histogram,
    }
}
