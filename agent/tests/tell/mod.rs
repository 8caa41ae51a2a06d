//! Who is told of an incident, over a real Alertmanager and through restarts.

mod hold;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use outrigger_testkit::http::{Request, Response};
use outrigger_testkit::{Alertmanager, Folder, Signal, WebhookSink, wait_for};
use serde_json::json;

use crate::support::{Agent, DEADLINE, Service, data_dir, shop};

const ID: &str = "18c2f4a7b00-1";
const SECRET: &str = "a shared secret";

/// A data folder as an agent leaves it in the middle of an incident on this target.
fn folder_with_incident(target: &str) -> std::path::PathBuf {
    let level = json!({"p50": 0.01, "p95": 0.05, "p99": 0.1, "error_ratio": null});
    let toll = json!({"requests": 100, "affected": 60, "seconds": 30.0});
    let none = json!({"requests": 0, "affected": 0, "seconds": 0.0});
    let route = json!({
        "key": {"method": "GET", "route": "/products/{id}"}, "signal": "latency", "ended": null,
        "started_at": "2026-01-02T03:04:05.000Z", "score": 9.0, "before": level, "during": level,
        "words": "requests over 250 ms went from 1 % to <60 %>", "earlier": none, "latest": toll
    });
    let incident = json!({
        "id": ID, "target": target, "started_at": "2026-01-02T03:04:05.000Z", "detected_at": "2026-01-02T03:04:09.000Z",
        "routes": [route], "sequence": 1
    });
    let bundle = json!({"version": 1, "written_at": "2026-01-02T03:04:10.000Z", "incident": incident});
    let folder = data_dir();
    std::fs::create_dir_all(folder.join("incidents")).unwrap();
    std::fs::write(folder.join(format!("incidents/{ID}.json")), bundle.to_string()).unwrap();
    folder
}

fn key(request: &Request) -> String {
    request.header("idempotency-key").unwrap().to_owned()
}

fn statuses(sink: &WebhookSink) -> Vec<String> {
    sink.requests().iter().map(|request| request.json()["status"].as_str().unwrap().to_owned()).collect()
}

fn kill(agent: &Agent) {
    agent.process.signal(Signal::Kill);
    agent.process.wait_exit(DEADLINE);
}

#[test]
fn an_incident_fires_once_and_is_resolved_once_whoever_restarts() {
    let (receiver, hook, slack) = (WebhookSink::start(), WebhookSink::start(), WebhookSink::start());
    let Some(mut alertmanager) = Alertmanager::start(Some(&receiver.url("/receiver"))) else { return };
    // While the target does not answer, its incident stays as it is.
    let service = Service::start("");
    service.answer(Response::plain(503, "not now"));
    let folder = folder_with_incident(&service.target);
    let settings = Folder::new("tell");
    let secret = settings.write("secret", format!("{SECRET}\n"));
    let (webhook, chat) = (hook.url("/hook?token=hidden"), slack.url("/services/hidden"));
    let config = settings.write(
        "outrigger.toml",
        format!(
            "[tell]\nwebhook = '{webhook}'\nwebhook_secret_file = '{}'\nslack = '{chat}'\nresend_interval = '4s'\n\
             page_url = 'https://outrigger.example/shop/'",
            secret.display()
        ),
    );
    let config = config.to_string_lossy().into_owned();
    let start = |folder: &Path, url: &str| {
        Agent::start_in(folder, &[&service.target], &["--config", &config, "--tell-alertmanager", url])
    };

    hook.answer_with(503);
    let agent = start(&folder, &alertmanager.url());
    receiver.wait_for(DEADLINE, "the alert", |request| request.json()["status"] == "firing");
    let alert = alertmanager.alerts().remove(0);
    let labels = &alert["labels"];
    assert_eq!(
        *labels,
        json!({
            "alertname": "OutriggerIncident", "target": service.target, "http_request_method": "GET",
            "http_route": "/products/{id}", "signal": "latency", "severity": "critical"
        })
    );
    assert_eq!(alert["annotations"]["url"], format!("https://outrigger.example/shop/incidents/{ID}"));
    assert!(alert["annotations"]["summary"].as_str().unwrap().contains("slower than usual"), "{alert:#}");
    wait_for(DEADLINE, "a second attempt at the webhook", || (hook.requests().len() >= 2).then_some(()));
    agent.wait("what waits is shown", |agent| {
        agent.value("outrigger_notifications_pending", &[("destination", "webhook")]) == 1.0
    });
    let counted = |agent: &Agent, channel, outcome| {
        agent.value("outrigger_notifications_total", &[("destination", channel), ("outcome", outcome)])
    };
    assert!(counted(&agent, "webhook", "failure") >= 2.0);

    // Alerts are in Alertmanager's memory alone.
    alertmanager.restart();
    wait_for(DEADLINE, "the alert, sent again", || (!alertmanager.alerts().is_empty()).then_some(()));

    kill(&agent);
    let before_restart = agent.process.log();
    hook.answer_with(200);
    let agent = start(&folder, &alertmanager.url());
    agent.wait("the new agent's word", |agent| counted(agent, "alertmanager", "success") >= 1.0);
    hook.wait_for(DEADLINE, "word of the beginning", |request| request.json()["event"] == "opened");
    assert_eq!(alertmanager.alerts().remove(0)["labels"], *labels);

    // The target is back, and nothing is slow any more; Alertmanager is away meanwhile.
    alertmanager.stop();
    service.show(&shop(1_700_000_000, 1000, 0));
    agent.wait("the end, waiting for Alertmanager", |agent| {
        agent.value("outrigger_incident_open", &[]) == 0.0
            && agent.value("outrigger_notifications_pending", &[("destination", "alertmanager")]) == 1.0
    });
    alertmanager.restart();
    receiver.wait_for(DEADLINE, "the end", |request| request.json()["status"] == "resolved");
    agent.wait("everybody knows", |agent| agent.value("outrigger_notifications_pending", &[]) == 0.0);
    assert_eq!(agent.process.stop(DEADLINE).and_then(|status| status.code()), Some(0));
    // One more, who has nothing left to say but the end, once more, to an Alertmanager that may have lost it.
    let agent = start(&folder, &alertmanager.url());
    agent.wait("the end, sent again", |agent| counted(agent, "alertmanager", "success") >= 2.0);
    assert_eq!(counted(&agent, "webhook", "success") + counted(&agent, "slack", "success"), 0.0);
    assert_eq!(statuses(&receiver), ["firing", "resolved"], "{before_restart}\n{}", agent.process.log());

    let keys: BTreeSet<_> = hook.requests().iter().map(key).collect();
    let changes = [format!("{ID}/opened/1"), format!("{ID}/resolved/2")];
    assert_eq!(keys, changes.clone().into(), "any number of attempts, one key");
    for request in hook.requests() {
        let body = request.json();
        assert_eq!((&body["version"], &body["key"]), (&1.into(), &key(&request).into()));
        assert_eq!(body["incident"]["id"], ID);
        let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        let digits: String =
            ring::hmac::sign(&hmac, &request.body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(request.header("x-outrigger-signature"), Some(format!("sha256={digits}").as_str()));
    }
    assert_eq!(
        slack.requests().iter().map(key).collect::<Vec<_>>(),
        changes,
        "each is told once that takes it at once"
    );
    let text = slack.requests()[0].json()["text"].as_str().unwrap().to_owned();
    let headline = format!("*Incident opened on {}*\nGET /products/{{id}} slower than usual", service.target);
    assert!(text.starts_with(&headline), "{text}");
    assert!(text.contains("to &lt;60 %&gt;"), "{text}");
    assert!(text.ends_with(&format!("<https://outrigger.example/shop/incidents/{ID}|Incident {ID}>")), "{text}");
    for log in [before_restart, agent.process.log()] {
        assert!(!log.contains("hidden") && !log.contains(SECRET), "{log}");
    }
}

#[test]
fn a_webhook_that_hangs_delays_no_tick_and_no_end() {
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Service::start("");
    service.answer(Response::plain(503, "not now"));
    let folder = folder_with_incident(&service.target);
    let settings = Folder::new("hangs");
    let url = format!("http://{}/", hangs.local_addr().unwrap());
    let config = settings.write("outrigger.toml", format!("[tell]\nwebhook = '{url}'\ntimeout = '2m'"));
    let agent = Agent::start_in(&folder, &[&service.target], &["--config", &config.to_string_lossy()]);
    // It is asked, and never answers.
    let (_held, _) = hangs.accept().unwrap();
    service.show(&shop(1_700_000_000, 1000, 0));
    agent.wait("pages", |agent| agent.value("outrigger_scrapes_total", &[("outcome", "success")]) >= 3.0);
    assert_eq!(agent.value("outrigger_notifications_pending", &[("destination", "webhook")]), 2.0);
    assert_eq!(agent.process.stop(Duration::from_secs(30)).and_then(|status| status.code()), Some(0));
}
