//! What is not told: silences and marks, over a real Alertmanager, a reload and a kill; and who may ask for it.

use std::time::Duration;

use outrigger_testkit::http::{self, Response};
use outrigger_testkit::{Alertmanager, Finished, Folder, WebhookSink, free_port, wait_for};
use serde_json::{Value, json};

use super::{ID, folder_with_incident, key, kill, statuses};
use crate::support::{Agent, DEADLINE, Service, outrigger, shop};

#[test]
fn a_silence_holds_through_a_kill_and_a_reload_and_a_false_alarm_ends_what_fires() {
    let (receiver, hook, slack) = (WebhookSink::start(), WebhookSink::start(), WebhookSink::start());
    let Some(alertmanager) = Alertmanager::start(Some(&receiver.url("/receiver"))) else { return };
    // While the target does not answer, its incident stays as it is.
    let service = Service::start("");
    service.answer(Response::plain(503, "not now"));
    let folder = folder_with_incident(&service.target);
    let settings = Folder::new("hold");
    let write = |more: &str| {
        let destinations = format!(
            "[tell]\nalertmanager = ['{}']\nwebhook = '{}'\nslack = '{}'\nresend_interval = '1s'\n{more}",
            alertmanager.url(),
            hook.url("/hook"),
            slack.url("/slack")
        );
        settings.write("outrigger.toml", destinations).to_string_lossy().into_owned()
    };
    let config = write("[[tell.silence]]\ntarget = '*'\nuntil = 2100-01-01T00:00:00Z");
    let start = || Agent::start_in(&folder, &[&service.target], &["--config", &config]);
    let on_hold = |agent: &Agent| {
        agent.wait("it is held back everywhere", |agent| {
            agent.value("outrigger_notifications_on_hold", &[("reason", "silenced")]) == 3.0
        });
    };
    let json = "application/json";

    let agent = start();
    on_hold(&agent);
    for incident in [
        agent.get(&format!("/api/v1/incidents/{ID}")).json(),
        agent.get("/api/v1/incidents").json()["incidents"][0].clone(),
    ] {
        assert_eq!(incident["severity"], "critical");
        assert_eq!(incident["held"], json!({"reason": "silenced", "until": "2100-01-01T00:00:00.000Z"}));
    }
    for page in ["/", &format!("/incidents/{ID}")] {
        let html = agent.get(page).text();
        assert!(html.contains("Told to nobody:</strong> silenced until 2100-01-01T00:00:00.000Z."), "{page}: {html}");
        assert!(html.contains("critical") && html.contains("href=\"/api/v1/silences\""), "{page}: {html}");
    }
    let silences = format!("{}/api/v1/silences", agent.url);
    let wrong = http::post(&silences, json, r#"{"rout": "/a", "for": "1h"}"#).unwrap();
    assert_eq!((wrong.status, wrong.text().contains("did you mean `route`?")), (400, true), "{}", wrong.text());
    assert_eq!(http::post(&silences, "text/plain", "{}").unwrap().status, 415);
    let body = r#"{"route": "/products/*", "signal": "latency", "for": "1h", "comment": "a move"}"#;
    let made = http::post(&silences, json, body).unwrap().json();
    let listed = agent.get("/api/v1/silences").json()["silences"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed:#}");
    assert_eq!(made["match"], json!({"route": "/products/*", "signal": "latency"}));
    let is_kept = || std::fs::read_to_string(folder.join("state.json")).unwrap_or_default().contains("a move");
    wait_for(DEADLINE, "the silence on disk", || is_kept().then_some(()));
    kill(&agent);

    // The settings' own silence goes; the other one stays.
    write("webhook_template = '{\"id\": \"{{ incident.id }}\", \"what\": \"{{ event }}\"}'");
    let agent = start();
    on_hold(&agent);
    write(
        "webhook_template = '{\"id\": \"{{ incident.id }}\", \"what\": \"{{ event }}\"}'\n\
         slack_template = '{{ event }} {{ incident.route }}: {{ severity }}'",
    );
    assert_eq!(http::post(&format!("{}/-/reload", agent.url), "", "").unwrap().status, 200);
    on_hold(&agent);
    assert_eq!(agent.value("outrigger_silences", &[]), 1.0);
    assert_eq!(agent.value("outrigger_notifications_pending", &[]), 0.0, "what is held waits for nobody");
    assert!(hook.requests().is_empty() && slack.requests().is_empty() && alertmanager.alerts().is_empty());

    let id = made["id"].as_str().unwrap();
    assert_eq!(http::delete(&format!("{}/api/v1/silences/{id}", agent.url)).unwrap().status, 200);
    assert_eq!(http::delete(&format!("{}/api/v1/silences/{id}", agent.url)).unwrap().status, 404);
    receiver.wait_for(DEADLINE, "the alert", |request| request.json()["status"] == "firing");
    let told = hook.wait_for(DEADLINE, "the beginning", |_| true);
    assert_eq!(told.json(), json!({"id": ID, "what": "opened"}));
    let told = slack.wait_for(DEADLINE, "the beginning", |_| true);
    assert_eq!(told.json()["text"], "opened /products/{id}: critical");

    let mark = format!("{}/api/v1/incidents/{ID}/mark", agent.url);
    assert_eq!(http::post(&mark, json, r#"{"false_alarm": true}"#).unwrap().status, 200);
    receiver.wait_for(DEADLINE, "the end", |request| request.json()["status"] == "resolved");
    hook.wait_for(DEADLINE, "the end", |request| request.json()["what"] == "resolved");
    assert!(agent.get(&format!("/api/v1/incidents/{ID}")).json().get("held").is_none(), "it was told");
    agent.wait("everybody knows", |agent| agent.value("outrigger_notifications_pending", &[]) == 0.0);
    assert_eq!(agent.get(&format!("/api/v1/incidents/{ID}")).json()["state"], "open", "it is what it is");
    assert_eq!(agent.value("outrigger_incident_open", &[]), 0.0);
    assert_eq!(agent.process.stop(DEADLINE).and_then(|status| status.code()), Some(0));

    let agent = start();
    service.show(&shop(1_700_000_000, 1000, 0));
    agent.wait("pages", |agent| agent.value("outrigger_scrapes_total", &[("outcome", "success")]) >= 3.0);
    for destination in ["webhook", "slack"] {
        assert_eq!(agent.value("outrigger_notifications_total", &[("destination", destination)]), 0.0);
    }
    assert_eq!(statuses(&receiver), ["firing", "resolved"], "{}", agent.process.log());
    let changes = [format!("{ID}/opened/1"), format!("{ID}/resolved/2")];
    for sink in [&hook, &slack] {
        assert_eq!(sink.requests().iter().map(key).collect::<Vec<_>>(), changes);
    }
}

#[test]
fn a_test_message_says_what_came_back() {
    let (hook, slack) = (WebhookSink::start(), WebhookSink::start());
    slack.answer_with(403);
    let settings = Folder::new("test");
    let config = settings.write(
        "outrigger.toml",
        format!("[tell]\nwebhook = '{}'\nslack = '{}'\n", hook.url("/hook?key=hidden"), slack.url("/hidden")),
    );
    let run = |args: &[&str]| -> Finished { outrigger().args(args).run(DEADLINE) };
    let finished = run(&["tell", "--test", "--config", &config.to_string_lossy()]);
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(finished.status.code(), Some(1), "{}", finished.log);
    assert!(matches!(lines[..], [a, b] if a.ends_with("/***: taken") && b.ends_with("/***: answered 403 Forbidden")));
    assert_eq!((hook.requests().remove(0).json()["event"].clone(), slack.requests().len()), ("test".into(), 1));
    slack.answer_with(200);
    assert_eq!(run(&["tell", "--test", "--config", &config.to_string_lossy()]).status.code(), Some(0));
    if let Some(alertmanager) = Alertmanager::start(None) {
        assert_eq!(run(&["tell", "--test", "--tell-alertmanager", &alertmanager.url()]).status.code(), Some(0));
        assert_eq!(alertmanager.alerts().remove(0)["labels"]["alertname"], "OutriggerTest");
    }
    let nobody = run(&["tell", "--test"]);
    assert!(nobody.status.code() == Some(1) && nobody.log.contains("nobody is told"), "{}", nobody.log);
}

#[test]
fn other_machines_are_answered_with_the_token_only() {
    let settings = Folder::new("token");
    let token = settings.write("token", "s3cret\n");
    let service = Service::start(&shop(1_700_000_000, 1000, 0));
    let listen = format!("0.0.0.0:{}", free_port());
    let mut config = format!("listen = '{listen}'\napi_token_file = '{}'\n", token.display());
    let file = settings.write("outrigger.toml", &config);
    let path = file.to_string_lossy().into_owned();
    let program = outrigger().args(["run", "--interval", "1s", "--target", &service.target, "--config", &path]);
    let agent = program.start();
    let url = format!("http://{}", listen.replace("0.0.0.0", "127.0.0.1"));
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        http::request(method, &format!("{url}{path}"), headers, b"", Duration::from_secs(30))
    };
    let status = |path: &str, headers: &[(&str, &str)]| ask("GET", path, headers).unwrap().status;
    let bearer = [("authorization", "Bearer s3cret")];
    wait_for(DEADLINE, "the agent", || ask("GET", "/-/ready", &[]).ok().filter(|answer| answer.status == 200));
    for path in ["/", "/metrics", "/api/v1/incidents", "/api/v1/silences", "/api/v1/status"] {
        assert_eq!((status(path, &[]), status(path, &bearer)), (401, 200), "{path}");
    }
    assert_eq!(ask("POST", "/-/reload", &[]).unwrap().status, 401);
    config.push_str("metrics_unprotected = true\n");
    settings.write("outrigger.toml", &config);
    assert_eq!(ask("POST", "/-/reload", &bearer).unwrap().status, 200);
    assert_eq!((status("/metrics", &[]), status("/", &[])), (200, 401));
    assert!(!agent.log().contains("s3cret"), "{}", agent.log());
}

#[test]
fn a_name_that_was_bound_to_the_agent_later_is_refused() {
    let service = Service::start(&shop(1_700_000_000, 1000, 0));
    let agent = Agent::start(&[&service.target], &[]);
    let ask = |path: &str, host: &str| -> (u16, Value) {
        // The client writes a `Host` of its own, so this one is spoken by hand.
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(agent.url.trim_start_matches("http://")).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer.into())
    };
    for path in ["/", "/api/v1/incidents", "/metrics"] {
        let (status, answer) = ask(path, "rebound.example");
        assert_eq!((status, answer.as_str().unwrap().contains("allowed_hosts")), (403, true), "{answer}");
        assert_eq!(ask(path, "localhost").0, 200, "{path}");
    }
    assert_eq!(ask("/-/healthy", "10.0.0.7.nip.example").0, 200);
}
