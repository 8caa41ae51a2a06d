//! What an agent remembers, over real sockets, folders and signals.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use outrigger_exposition::Format;
use outrigger_testkit::http::{self, Response, Server};
use outrigger_testkit::{Folder, Signal, wait_for};
use serde_json::Value;

use crate::support::pprof::profile;
use crate::support::{Agent, DEADLINE, Service, data_dir, outrigger, shop};

/// Learning what is normal takes most of a minute; two busy cores.
const LEARNING: Duration = Duration::from_secs(180);

/// A service with traffic of its own: its counters grow with time, whoever looks.
struct Live {
    target: String,
    traffic: Arc<Mutex<Traffic>>,
    _server: Server,
}

struct Traffic {
    since: Instant,
    fast: f64,
    slow: f64,
    slow_share: f64,
}

impl Traffic {
    const REQUESTS_PER_SECOND: f64 = 50.0;

    fn catch_up(&mut self) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        self.slow += seconds * Self::REQUESTS_PER_SECOND * self.slow_share;
        self.fast += seconds * Self::REQUESTS_PER_SECOND * (1.0 - self.slow_share);
    }
}

impl Live {
    fn start() -> Self {
        let traffic = Traffic { since: Instant::now(), fast: 0.0, slow: 0.0, slow_share: 0.0 };
        let traffic = Arc::new(Mutex::new(traffic));
        let shown = Arc::clone(&traffic);
        let server = Server::start(move |request| {
            if request.path.starts_with("/debug/pprof/profile?seconds=") {
                let calm = shown.lock().unwrap_or_else(PoisonError::into_inner).slow_share == 0.0;
                let body = if calm {
                    profile(5.0, &[("main;work", 500)])
                } else {
                    profile(10.0, &[("main;work", 900), ("main;burn", 4000)])
                };
                return Response::text_with_type(200, "application/octet-stream", body);
            }
            let mut traffic = shown.lock().unwrap_or_else(PoisonError::into_inner);
            traffic.catch_up();
            let page = shop(1_700_000_000, traffic.fast as u32, traffic.slow as u32);
            Response::text_with_type(200, Format::Text.content_type(), page)
        });
        Self { target: server.address().to_string(), traffic, _server: server }
    }

    fn slow_down(&self, share: f64) {
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        traffic.catch_up();
        traffic.slow_share = share;
    }
}

fn incidents(agent: &Agent) -> Vec<Value> {
    agent.get("/api/v1/incidents").json()["incidents"].as_array().unwrap().clone()
}

/// The only incident, once it is in this state.
fn wait_incident(agent: &Agent, state: &str) -> Value {
    wait_for(LEARNING, &format!("an incident that is {state}\n{}", agent.process.log()), || {
        let found = incidents(agent);
        assert!(found.len() <= 1, "{found:#?}");
        found.into_iter().find(|incident| incident["state"] == state)
    })
}

fn phase(agent: &Agent) -> Value {
    agent.get("/api/v1/status").json()["targets"][0]["routes"][0]["phase"].clone()
}

/// The files of an incident's profile are served, and cannot touch the agent from a browser.
fn shown_files(agent: &Agent, id: &str) {
    for (name, content_type, begin) in [
        ("profile.pb.gz", "application/octet-stream", &b"\x1f\x8b"[..]),
        ("flame.svg", "image/svg+xml", b"<?xml"),
        ("diff.svg", "image/svg+xml", b"<?xml"),
    ] {
        let answer = agent.get(&format!("/api/v1/incidents/{id}/{name}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{}", answer.text());
        assert!(answer.body.starts_with(begin), "{}", answer.text());
        assert!(
            answer.header("content-security-policy").is_some_and(|policy| policy.starts_with("sandbox allow-scripts"))
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(agent.get(&format!("/api/v1/incidents/{id}/state.json")).status, 404);
    assert_eq!(agent.get("/api/v1/incidents/18c2f-9/flame.svg").status, 404);
    assert_eq!(agent.get("/api/v1/incidents/..%2Fstate/flame.svg").status, 400);
}

#[test]
fn an_agent_that_is_killed_in_the_middle_of_an_incident_goes_on_with_it() {
    let service = Live::start();
    let folder = data_dir();
    let agent = Agent::start_in(&folder, &[&service.target], &[]);
    wait_for(LEARNING, "the normal to be learnt", || (phase(&agent) == "calm").then_some(()));
    service.slow_down(0.5);
    let opened = wait_incident(&agent, "open");
    let id = opened["id"].as_str().unwrap().to_owned();
    let url = format!("{}/api/v1/incidents/{id}", agent.url);
    let file = folder.join(format!("incidents/{id}.json"));
    wait_for(DEADLINE, "the incident on disk", || file.exists().then_some(()));
    agent.wait("the state on disk", |agent| {
        agent.value("outrigger_store_writes_total", &[("outcome", "success")]) >= 2.0
    });

    let picture = agent.get(&format!("/incidents/{id}"));
    assert!(picture.text().contains("Latency of GET /products/{id} over time"), "{}", picture.text());
    assert!(picture.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(agent.get("/").text().contains(&format!("href=\"/incidents/{id}\"")));

    let mark = |content_type: &str, body: &str| http::post(&format!("{url}/mark"), content_type, body).unwrap();
    let json = "application/json";
    assert_eq!(mark("text/plain", r#"{"false_alarm":true}"#).status, 415);
    assert_eq!(mark(json, r#"{"false_alarm":"perhaps"}"#).status, 400);
    assert_eq!(mark(json, &format!(r#"{{"false_alarm":true,"note":"{}"}}"#, "x".repeat(1001))).status, 400);
    assert_eq!(mark(json, &" ".repeat(1 << 20)).status, 413);
    assert_eq!(agent.value("outrigger_incident_false_alarms_total", &[]), 0.0);
    let marked = mark(json, r#"{"false_alarm":true,"note":"a <backup>"}"#).json();
    assert_eq!((&marked["id"], &marked["mark"]["note"]), (&opened["id"], &"a <backup>".into()), "{marked}");
    assert_eq!(mark(json, r#"{"false_alarm":true,"note":"a <backup>"}"#).status, 200);
    assert_eq!(agent.value("outrigger_incident_false_alarms_total", &[]), 1.0, "one incident counts once");
    wait_for(DEADLINE, "the mark on disk", || std::fs::read_to_string(&file).unwrap().contains("backup").then_some(()));

    let shown = wait_for(DEADLINE, "the incident's profile", || {
        incidents(&agent)
            .into_iter()
            .next()
            .map(|incident| incident["profile"].clone())
            .filter(|shown| !shown.is_null())
    });
    assert_eq!(shown["functions"][0]["name"], "burn", "{shown}");
    assert!(shown["functions"][0]["before"] == 0.0 && shown["calm_seconds"].as_f64() >= Some(5.0), "{shown}");
    wait_for(DEADLINE, "the profile on disk", || {
        let is_there = |end| folder.join(format!("incidents/{id}.{end}")).exists();
        ["profile.pb.gz", "flame.svg", "diff.svg"].into_iter().all(is_there).then_some(())
    });
    shown_files(&agent, &id);

    agent.process.signal(Signal::Kill);
    agent.process.wait_exit(DEADLINE);
    let agent = Agent::start_in(&folder, &[&service.target], &[]);
    shown_files(&agent, &id);
    assert!(agent.get("/").text().contains(&format!("href=\"/api/v1/incidents/{id}/diff.svg\"")));
    agent.wait("two pages", |agent| agent.value("outrigger_scrapes_total", &[("outcome", "success")]) >= 2.0);
    let again = wait_incident(&agent, "open");
    assert_eq!(
        (&again["id"], &again["detected_at"]),
        (&opened["id"], &opened["detected_at"]),
        "{}",
        agent.process.log()
    );
    assert_eq!(agent.value("outrigger_incidents_total", &[]), 0.0, "this agent opened none");
    assert_eq!(agent.value("outrigger_incident_false_alarms_total", &[]), 1.0);
    assert_ne!(phase(&agent), "warming_up");
    let page = agent.get("/").text();
    assert!(page.contains("Marked as a false alarm. a &lt;backup&gt;"), "{page}");

    service.slow_down(0.0);
    let resolved = wait_incident(&agent, "resolved");
    assert_eq!(resolved["id"], opened["id"]);
    assert_eq!(agent.process.stop(DEADLINE).and_then(|status| status.code()), Some(0));
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&kept["version"], &kept["incident"]["id"]), (&1.into(), &opened["id"]));
    assert_eq!(kept["summary"], resolved["summary"], "the end of the agent writes what is new");
}

#[test]
fn a_second_agent_is_refused_the_folder_by_name_pid_and_fix() {
    let service = Service::start(&shop(1000, 0, 0));
    let folder = data_dir();
    let first = Agent::start_in(&folder, &[&service.target], &[]);
    let path = folder.to_string_lossy().into_owned();
    let second = || outrigger().args(["run", "--listen", "127.0.0.1:0", "--data-dir", &path]);
    let refused = second().run(DEADLINE);
    assert_eq!(refused.status.code(), Some(1));
    let told = refused.log.lines().last().unwrap();
    let expected =
        format!("the data folder {path} belongs to another outrigger that runs (process {})", first.process.id());
    assert!(told.starts_with(&expected) && told.contains("--data-dir"), "{told}");

    first.process.signal(Signal::Kill);
    first.process.wait_exit(DEADLINE);
    let heir = second().start();
    heir.wait_line(DEADLINE, "serving http://");
}

#[test]
fn an_agent_whose_folder_cannot_be_used_works_without_memory_and_says_so() {
    let folder = Folder::new("blocked");
    let file = folder.write("file", "");
    let service = Service::start(&shop(1000, 1, 0));
    let agent = Agent::start_in(&file.join("below"), &[&service.target], &[]);
    agent.wait("scrapes", |agent| agent.value("outrigger_scrapes_total", &[("outcome", "success")]) >= 3.0);
    assert_eq!(agent.value("outrigger_store_up", &[]), 0.0);
    let log = agent.process.log();
    assert_eq!(log.matches("the data folder cannot be used").count(), 1, "{log}");
}

#[test]
fn a_state_of_another_version_is_set_aside() {
    let folder = Folder::new("old");
    let state = folder.write("state.json", r#"{"version":99}"#);
    let service = Service::start(&shop(1000, 1, 0));
    let agent = Agent::start_in(folder.path(), &[&service.target], &[]);
    agent.wait("a page", |agent| agent.value("outrigger_target_up", &[]) == 1.0);
    assert_eq!(agent.value("outrigger_store_set_aside_total", &[]), 1.0);
    assert!(agent.process.log().contains("it has version 99, this release reads version 1"), "{}", agent.process.log());
    assert_eq!(agent.process.stop(DEADLINE).and_then(|status| status.code()), Some(0));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    assert!(read(&state).starts_with(r#"{"version":1,"#), "{}", read(&state));
    let mut files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside = files.find(|path| path.to_string_lossy().contains(".aside-")).unwrap();
    assert_eq!(read(&aside), r#"{"version":99}"#);
}

#[test]
fn incidents_are_asked_for_one_by_one() {
    let service = Service::start(&shop(1000, 1, 0));
    let agent = Agent::start(&[&service.target], &[]);
    let status = |path: &str| agent.get(path).status;
    assert_eq!(status("/api/v1/incidents?limit=3"), 200);
    assert_eq!(status("/api/v1/incidents?limit=three"), 400);
    assert_eq!(status("/api/v1/incidents?limt=3"), 400);
    assert_eq!(status("/api/v1/incidents/18c2f-1"), 404);
    assert_eq!((status("/incidents/18c2f-1"), status("/incidents/..%2Fstate")), (404, 400));
    for id in ["..%2Fstate", "..%2f..%2fetc%2fpasswd", "lock", "1-1.json", "%00-1", "1-1%2F.."] {
        let answer = agent.get(&format!("/api/v1/incidents/{id}"));
        assert_eq!((answer.status, answer.text().starts_with("this is no id")), (400, true), "{id}");
        let url = format!("{}/api/v1/incidents/{id}/mark", agent.url);
        assert_eq!(http::post(&url, "application/json", r#"{"false_alarm":true}"#).unwrap().status, 400, "{id}");
    }
}
