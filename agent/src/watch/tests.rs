//! A service that has everything which is watched, under a clock that tests turn.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_exposition::Format;
use serde_json::Value;

use crate::collect::scrape::{Page, Scrape};
use crate::config::Settings;
use crate::state::State;
use crate::store::{Memory, Snapshot};

/// A Monday, at midnight.
const MONDAY: u64 = 1_800_000_000 - 1_800_000_000 % 604_800 + 4 * 86_400;
const DAY: u64 = 86_400;

/// How the service fares.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// Requests per second of each of two routes.
    rate: f64,
    /// Shares of the first route's requests that are slow, and of both routes' that fail.
    slow: f64,
    failed: f64,
    /// The share of slow calls to a dependency.
    dependency: f64,
    /// Connections in use of ten, and callers that wait.
    used: f64,
    waiting: f64,
    descriptors: f64,
    /// The share of look-ups that hit.
    hits: f64,
}

const CALM: Load = Load {
    rate: 10.0,
    slow: 0.01,
    failed: 0.0,
    dependency: 0.01,
    used: 3.0,
    waiting: 0.0,
    descriptors: 100.0,
    hits: 0.94,
};

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    fast: u64,
    slow: u64,
    failed: u64,
}

struct Service {
    state: State,
    settings: Settings,
    elapsed: u64,
    started: u64,
    routes: [Counts; 2],
    calls: Counts,
    looked_up: [u64; 2],
    cpu: f64,
    random: u64,
}

impl Service {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let mut state = State::new(&settings);
        state.started_at = UNIX_EPOCH + Duration::from_secs(MONDAY);
        Self {
            state,
            settings,
            elapsed: 0,
            started: 0,
            routes: [Counts::default(); 2],
            calls: Counts::default(),
            looked_up: [0; 2],
            cpu: 0.0,
            random: 7,
        }
    }

    /// Between nought and one, the same in every run.
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as f64 / f64::from(1_u32 << 31)
    }

    /// A count around a mean, as wide as chance makes it.
    fn about(&mut self, mean: f64) -> u64 {
        let normal: f64 = (0..12).map(|_| self.random()).sum::<f64>() - 6.0;
        (mean + normal * mean.sqrt()).round().max(0.0) as u64
    }

    fn now(&self) -> SystemTime {
        self.state.started_at + Duration::from_secs(self.elapsed)
    }

    /// Runs for so many steps of so many seconds, each ending in a scrape.
    fn run(&mut self, steps: u64, seconds: u64, load: impl Fn(u64) -> Load) {
        for _ in 0..steps {
            self.elapsed += seconds;
            let load = load(self.elapsed);
            let mean = load.rate * seconds as f64;
            for route in 0..2 {
                let (slow, failed) = (if route == 0 { load.slow } else { 0.01 }, load.failed);
                let (slow, failed) = (self.about(mean * slow), self.about(mean * failed));
                let fast = self.about(mean * (1.0 - load.failed)).saturating_sub(slow);
                let counts = &mut self.routes[route];
                (counts.fast, counts.slow, counts.failed) =
                    (counts.fast + fast, counts.slow + slow, counts.failed + failed);
            }
            let (slow, fast) = (self.about(mean * load.dependency), self.about(mean * (1.0 - load.dependency)));
            (self.calls.fast, self.calls.slow) = (self.calls.fast + fast, self.calls.slow + slow);
            let (hits, misses) = (self.about(2.0 * mean * load.hits), self.about(2.0 * mean * (1.0 - load.hits)));
            self.looked_up = [self.looked_up[0] + hits, self.looked_up[1] + misses];
            self.cpu += seconds as f64 * (0.1 + 0.01 * load.rate) * (0.95 + 0.1 * self.random());
            self.scrape(load);
        }
    }

    fn scrape(&mut self, load: Load) {
        let mut text = format!(
            "process_start_time_seconds {}\nprocess_open_fds {}\nprocess_max_fds 1024\n\
             # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {}\n\
             db_client_connection_max{{db_client_connection_pool_name=\"shop\"}} 10\n\
             db_client_connection_count{{db_client_connection_pool_name=\"shop\",db_client_connection_state=\"used\"}} {}\n\
             db_client_connection_pending_requests{{db_client_connection_pool_name=\"shop\"}} {}\n\
             # TYPE cache_requests_total counter\n\
             cache_requests_total{{cache_name=\"products\",cache_result=\"hit\"}} {}\n\
             cache_requests_total{{cache_name=\"products\",cache_result=\"miss\"}} {}\n",
            MONDAY + self.started - 1000.min(MONDAY),
            load.descriptors,
            self.cpu,
            load.used,
            load.waiting,
            self.looked_up[0],
            self.looked_up[1]
        );
        let mut histogram = |family: &str, labels: &str, counts: Counts| {
            let Counts { fast, slow, failed } = counts;
            let mut one = |labels: &str, fast: u64, slow: u64| {
                for (bound, count) in
                    [("0.1", fast), ("0.2", fast), ("0.5", fast), ("1", fast + slow), ("+Inf", fast + slow)]
                {
                    writeln!(text, "{family}_bucket{{{labels},le=\"{bound}\"}} {count}").unwrap();
                }
                writeln!(text, "{family}_sum{{{labels}}} {}", fast as f64 * 0.05 + slow as f64 * 0.7).unwrap();
                writeln!(text, "{family}_count{{{labels}}} {}", fast + slow).unwrap();
            };
            one(&format!("{labels},http_response_status_code=\"200\""), fast, slow);
            if failed > 0 {
                one(&format!("{labels},http_response_status_code=\"500\",error_type=\"500\""), failed, 0);
            }
        };
        let of = |route: &str| format!("http_request_method=\"GET\",http_route=\"{route}\"");
        let family = "http_server_request_duration_seconds";
        histogram(family, &of("/products"), self.routes[0]);
        histogram(family, &of("/search"), self.routes[1]);
        histogram(
            "http_client_request_duration_seconds",
            "server_address=\"payments\",server_port=\"443\"",
            self.calls,
        );
        let text = text
            .replacen(
                "http_server_request_duration_seconds_bucket",
                "# TYPE http_server_request_duration_seconds histogram\nhttp_server_request_duration_seconds_bucket",
                1,
            )
            .replacen(
                "http_client_request_duration_seconds_bucket",
                "# TYPE http_client_request_duration_seconds histogram\nhttp_client_request_duration_seconds_bucket",
                1,
            );
        let elapsed = Duration::from_secs(self.elapsed);
        let page = Ok(Page { bytes: text.into_bytes(), format: Format::Text, cut_samples: 0 });
        let (started, at) = (self.state.started + elapsed, self.state.started_at + elapsed);
        assert!(self.state.absorb_scrape(0, &Scrape { started, at, took: Duration::from_millis(2), page }));
    }

    /// Another process takes over.
    fn deploy(&mut self) {
        self.started = self.elapsed + 1;
        (self.routes, self.calls, self.looked_up, self.cpu) = ([Counts::default(); 2], Counts::default(), [0; 2], 0.0);
    }

    fn incidents(&self) -> Vec<Value> {
        let view = serde_json::to_value(self.state.incidents.view(usize::MAX)).unwrap();
        view["incidents"].as_array().unwrap().clone()
    }

    fn metrics(&self) -> String {
        crate::export::page::encode(&crate::export::page::families(&self.state, None), Format::Text).unwrap()
    }

    /// What another agent would know, after a way through the files' format.
    fn memory(&mut self) -> Memory {
        let writing = self.state.keep(self.now());
        let text = serde_json::to_string(&writing.snapshot).unwrap();
        let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
        assert_eq!(snapshot, writing.snapshot);
        let incidents = writing
            .incidents
            .iter()
            .map(|incident| serde_json::from_str(&serde_json::to_string(incident).unwrap()).unwrap());
        Memory { snapshot: Some(snapshot), incidents: incidents.collect(), ..Memory::default() }
    }

    fn restart_agent(&mut self) {
        let memory = self.memory();
        let (started_at, now) = (self.state.started_at, self.now());
        self.state = State::new(&self.settings);
        self.state.started_at = started_at;
        assert_eq!(self.state.restore(&self.settings, memory, now), None);
    }

    /// The one thing that moved in the one incident.
    #[track_caller]
    fn moved(&self) -> (Value, Value) {
        let incidents = self.incidents();
        assert_eq!(incidents.len(), 1, "{incidents:#?}");
        (incidents[0].clone(), incidents[0]["moved"][0].clone())
    }
}

/// A day's traffic: little at night, a lunch break.
fn diurnal(at: u64) -> Load {
    let day = (at % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
    let rate = 10.0 - 8.0 * day.cos() + 1.5 * (2.0 * day).sin();
    Load { rate, used: (rate / 3.0).round(), descriptors: 80.0 + 4.0 * rate, ..CALM }
}

#[test]
fn three_healthy_days_with_a_deploy_raise_nothing() {
    let mut service = Service::new();
    service.run(DAY / 30 + 400, 30, diurnal);
    service.deploy();
    service.run(DAY / 15, 30, diurnal);
    assert_eq!(service.incidents(), Vec::<Value>::new());
    let metrics = service.metrics();
    assert!(
        metrics
            .contains("outrigger_slo_budget_remaining_ratio{target=\"127.0.0.1:9464\",objective=\"availability\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("outrigger_saturation_ratio{target=\"127.0.0.1:9464\",subject=\"pool shop\"} 0."),
        "{metrics}"
    );
    assert!(metrics.contains("subject=\"the service\",signal=\"traffic\""), "{metrics}");
    assert!(metrics.contains("subject=\"http payments:443\",signal=\"latency\""), "{metrics}");
    assert!(metrics.contains("subject=\"hit ratio products\",signal=\"level\""), "{metrics}");
}

#[test]
fn a_steady_failure_that_everybody_is_used_to_burns_the_budget() {
    let mut service = Service::new();
    // From the first page on, so that no baseline knows it otherwise.
    service.run(240, 30, |_| Load { failed: 0.03, ..CALM });
    let (incident, moved) = service.moved();
    assert_eq!((&incident["scope"], &incident["state"]), (&"budget".into(), &"open".into()));
    assert_eq!(
        (&moved["subject"]["kind"], &moved["signal"], &moved["severity"]),
        (&"service".into(), &"burn".into(), &"critical".into())
    );
    let summary = incident["summary"].as_str().unwrap();
    assert!(summary.starts_with("the service spends its error budget too fast since "), "{summary}");
    assert!(summary.contains("availability of 99.9 %: the error budget is spent "), "{summary}");
    assert!(incident["moved"].as_array().unwrap().iter().any(|moved| moved["subject"]["route"] == "/search"));
    let pace = |metrics: &str| {
        let line = metrics.lines().find(|line| {
            line.starts_with(
                "outrigger_slo_burn_rate{target=\"127.0.0.1:9464\",objective=\"availability\",window=\"1h\"}",
            )
        });
        line.unwrap().rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    assert!((25.0..35.0).contains(&pace(&service.metrics())), "{}", service.metrics());

    service.restart_agent();
    service.run(2, 30, |_| Load { failed: 0.03, ..CALM });
    let (again, _) = service.moved();
    assert_eq!((&again["id"], &again["state"]), (&incident["id"], &"open".into()));
    service.run(800, 30, |_| CALM);
    assert_eq!(service.moved().0["state"], "resolved");
}

#[test]
fn an_outage_and_its_burnt_budget_are_one_incident_that_ends_with_the_outage() {
    let mut service = Service::new();
    service.run(400, 15, |_| CALM);
    service.run(40, 15, |_| Load { failed: 0.5, ..CALM });
    let (incident, moved) = service.moved();
    assert_eq!(incident["routes"][0]["signal"], "errors");
    assert_eq!((&moved["signal"], &moved["role"]), (&"burn".into(), &"supports".into()));
    let route = &incident["routes"][0];
    let rate = |when: &str| route[when]["requests_per_second"].as_f64().unwrap();
    assert!((9.0..11.0).contains(&rate("before")) && (9.0..11.0).contains(&rate("during")), "{route}");
    let spent = &incident["error_budget"][0];
    assert_eq!(spent["objective"], "availability");
    let (bad, share) = (spent["bad"].as_u64().unwrap(), spent["share"].as_f64().unwrap());
    // Half the requests for ten minutes: 500 times the pace for 600 of 2,592,000 seconds.
    assert!(bad > 5000 && (0.10..0.13).contains(&share), "{spent}");
    assert!(
        incident["summary"].as_str().unwrap().contains("% of 30 days' error budget (availability)."),
        "{incident:#}"
    );
    // Nobody answers for eight hours: what was not asked did not fail.
    service.elapsed += 8 * 3600;
    service.run(1, 15, |_| Load { failed: 0.5, ..CALM });
    let (incident, _) = service.moved();
    let spent = &incident["error_budget"][0];
    assert!((0.10..0.20).contains(&spent["share"].as_f64().unwrap()), "{spent}");
    service.run(400, 15, |_| CALM);
    let incidents = service.incidents();
    assert_eq!((incidents.len(), &incidents[0]["state"]), (1, &"resolved".into()), "{incidents:#?}");
}

#[test]
fn a_pool_that_leaks_is_told_ahead_and_a_full_one_as_such() {
    let mut service = Service::new();
    service.run(480, 30, |_| CALM);
    let leak = |at: u64| Load { used: (3.0 + (at - 14_400) as f64 / 300.0).floor().min(10.0), ..CALM };
    service.run(60, 30, leak);
    let (incident, moved) = service.moved();
    assert_eq!(
        (&incident["scope"], &moved["subject"]["resource"], &moved["subject"]["name"]),
        (&"resource".into(), &"pool".into(), &"shop".into())
    );
    assert!(moved["summary"].as_str().unwrap().contains("pool shop running full: full in "), "{moved}");
    assert!(
        service
            .metrics()
            .contains("outrigger_saturation_full_in_seconds{target=\"127.0.0.1:9464\",subject=\"pool shop\"}")
    );

    let mut service = Service::new();
    service.run(60, 30, |_| CALM);
    service.run(4, 30, |_| Load { used: 10.0, waiting: 7.0, ..CALM });
    let (_, moved) = service.moved();
    assert_eq!((&moved["severity"], &moved["during"]), (&"critical".into(), &1.0.into()));
    assert_eq!(moved["summary"], "pool shop running full: 10 of 10 in use, 7 wait");
    service.run(20, 30, |_| CALM);
    assert_eq!(service.moved().0["state"], "resolved");
}

#[test]
fn a_sawtooth_and_a_busy_morning_fill_nothing() {
    let mut service = Service::new();
    service.run(DAY / 60, 60, |at| Load { descriptors: 100.0 + (at % 3600) as f64 / 8.0, ..CALM });
    assert_eq!(service.incidents(), Vec::<Value>::new());
    let mut service = Service::new();
    let morning = |at: u64| (at as f64 / 6.0 / 3600.0).min(1.0);
    service.run(420, 60, |at| Load { rate: 1.0 + 30.0 * morning(at), used: (0.5 + 8.5 * morning(at)).round(), ..CALM });
    assert_eq!(service.incidents(), Vec::<Value>::new());
}

#[test]
fn a_busy_service_that_falls_silent_is_an_incident_and_a_route_that_rests_at_night_is_none() {
    let mut service = Service::new();
    service.run(240, 30, |_| CALM);
    service.run(20, 30, |_| Load { rate: 0.0, ..CALM });
    let (incident, moved) = service.moved();
    assert_eq!(
        (&incident["scope"], &moved["signal"], &moved["subject"]["kind"]),
        (&"requests".into(), &"traffic".into(), &"service".into())
    );
    assert!(
        moved["summary"]
            .as_str()
            .unwrap()
            .starts_with("the service gets less traffic than usual: requests fell from 20"),
        "{moved}"
    );
    service.run(60, 30, |_| CALM);
    assert_eq!(service.moved().0["state"], "resolved");

    let mut service = Service::new();
    let office = |at: u64| Load { rate: if (8..18).contains(&(at % DAY / 3600)) { 3.0 } else { 0.2 }, ..CALM };
    service.run(2 * DAY / 60, 60, office);
    assert_eq!(service.incidents(), Vec::<Value>::new());
}

#[test]
fn a_service_that_restarts_again_and_again_is_missed() {
    let mut service = Service::new();
    service.run(240, 30, |_| CALM);
    for _ in 0..15 {
        service.deploy();
        service.run(2, 30, |_| Load { rate: 0.0, ..CALM });
    }
    let (incident, moved) = service.moved();
    assert_eq!((&incident["state"], &moved["signal"]), (&"open".into(), &"traffic".into()), "{incident:#}");
}

#[test]
fn a_slow_dependency_stands_in_the_incident_of_its_route_and_alone_opens_one_only_if_it_lasts() {
    let mut service = Service::new();
    service.run(300, 5, |_| CALM);
    service.run(12, 5, |_| Load { slow: 0.4, dependency: 0.4, ..CALM });
    let (incident, moved) = service.moved();
    let route = &incident["routes"][0];
    assert_eq!((&route["route"], &route["signal"]), (&"/products".into(), &"latency".into()));
    let share = |when: &str| route["distribution"][when].as_array().unwrap()[3].as_f64().unwrap();
    assert_eq!(route["distribution"]["bounds"], serde_json::json!([0.1, 0.2, 0.5, 1.0]));
    assert!(share("before") < 0.02 && (0.2..0.6).contains(&share("during")), "{route}");
    assert_eq!((&moved["subject"]["kind"], &moved["subject"]["name"]), (&"dependency".into(), &"payments:443".into()));
    assert!(incident["summary"].as_str().unwrap().contains("http payments:443 slower than usual"), "{incident:#}");
    service.run(60, 5, |_| CALM);
    assert_eq!(service.moved().0["state"], "resolved");

    let mut service = Service::new();
    service.run(300, 5, |_| CALM);
    service.run(8, 5, |_| Load { dependency: 0.4, ..CALM });
    assert_eq!(service.incidents(), Vec::<Value>::new(), "not yet");
    service.run(12, 5, |_| Load { dependency: 0.4, ..CALM });
    let (incident, moved) = service.moved();
    assert_eq!((incident["routes"].as_array().unwrap().len(), &moved["role"]), (0, &"opens".into()));
    service.restart_agent();
    service.run(1, 5, |_| Load { dependency: 0.4, ..CALM });
    assert_eq!(service.moved().0["id"], incident["id"]);
    service.run(60, 5, |_| CALM);
    assert_eq!(service.moved().0["state"], "resolved");
}

#[test]
fn a_hit_ratio_that_falls_opens_nothing_and_stands_in_the_incident_of_its_time() {
    let mut service = Service::new();
    service.run(4 * 3600 / 20, 20, |_| CALM);
    service.run(30, 20, |_| Load { hits: 0.12, ..CALM });
    assert_eq!(service.incidents(), Vec::<Value>::new());
    service.run(9, 20, |_| Load { hits: 0.12, slow: 0.4, ..CALM });
    let (incident, _) = service.moved();
    let found = incident["moved"].as_array().unwrap().iter().find(|moved| moved["subject"]["resource"] == "hit_ratio");
    let found = found.unwrap_or_else(|| panic!("{incident:#}"));
    assert_eq!((&found["role"], &found["signal"]), (&"supports".into(), &"level".into()));
    assert!(found["summary"].as_str().unwrap().contains("hit ratio products unusual: fell from 9"), "{found}");
    assert!(found["during"].as_f64().unwrap() < 0.2, "{found}");
}

#[test]
fn what_is_turned_off_is_silent_and_leaves_no_series() {
    let mut settings = Settings::default();
    settings.watch.dependencies = false;
    settings.watch.traffic = false;
    settings.watch.saturation = false;
    settings.watch.figures = false;
    settings.slo.alert = false;
    let mut service = Service::with(settings);
    service.run(200, 30, |_| CALM);
    service.run(60, 30, |_| Load { rate: 0.0, used: 10.0, waiting: 9.0, ..CALM });
    service.run(60, 30, |_| Load { dependency: 0.9, ..CALM });
    assert_eq!(service.incidents(), Vec::<Value>::new());
    let metrics = service.metrics();
    assert!(!metrics.contains("subject=") && metrics.contains("outrigger_slo_burn_rate"), "{metrics}");
}

#[test]
fn a_state_of_an_earlier_release_is_still_read() {
    let mut service = Service::new();
    service.run(60, 30, |_| CALM);
    let memory = service.memory();
    let mut json = serde_json::to_value(memory.snapshot.unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("host");
    json["targets"][0].as_object_mut().unwrap().remove("signals");
    let snapshot: Snapshot = serde_json::from_value(json).unwrap();
    let mut state = State::new(&Settings::default());
    let memory = Memory { snapshot: Some(snapshot), incidents: Vec::new(), ..Memory::default() };
    assert_eq!(state.restore(&Settings::default(), memory, service.now()), None);
    assert_eq!(state.targets[0].routes.len(), 2);
}

#[test]
fn the_settings_in_the_documentation_are_the_defaults() {
    let docs = include_str!("../../../docs/signals.md");
    let toml = docs.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let read = Settings::from_toml(toml).unwrap();
    assert_eq!((read.watch, read.slo), (Settings::default().watch, Settings::default().slo));
    let wrong = Settings::from_toml("[slo]\navailability = 99.9").unwrap_err().to_string();
    assert!(wrong.starts_with("config:2: slo.availability: 99.9 is out of range; choose 0.5 to "), "{wrong}");
    let wrong = Settings::from_toml("watch.trafic = false").unwrap_err().to_string();
    assert!(wrong.contains("did you mean `watch.traffic`?"), "{wrong}");
}
