//! Alertmanager.

use crate::{
    Folder, Process, Program, Signal,
    find::server_program,
    http,
    server::{Ready, Server},
};
use serde_json::{Value, json};

/// An Alertmanager that hands every alert on at once, to a webhook if one is given.
#[derive(Debug)]
pub struct Alertmanager {
    server: Server,
    _folder: Folder,
}

impl Alertmanager {
    /// Starts it; `None` when it is not installed (see [`require`](crate::require)).
    ///
    /// # Panics
    /// When it does not become ready; the message ends with its log's tail.
    #[must_use]
    #[track_caller]
    pub fn start(webhook: Option<&str>) -> Option<Self> {
        let mut receiver = json!({"name": "test"});
        if let Some(url) = webhook {
            receiver["webhook_configs"] = json!([{"url": url, "send_resolved": true}]);
        }
        let route = json!({
            "receiver": "test", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"
        });
        let config = json!({"route": route, "receivers": [receiver]});

        let alertmanager = server_program("prometheus-alertmanager")?;
        let folder = Folder::unprivileged("alertmanager");
        let file = folder.write("alertmanager.yml", config.to_string());
        let server = Server::start(Ready::Path("/-/ready"), Signal::Term, |port| {
            Program::new(&alertmanager)
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                // No gossip: it would listen on all addresses.
                .arg("--cluster.listen-address=")
                .current_dir(folder.path())
                .unprivileged()
        });
        Some(Self { server, _folder: folder })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// `127.0.0.1:port`, as [`PrometheusConfig::alertmanager`](crate::PrometheusConfig::alertmanager) takes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// The port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The process, for its log, signals and state.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.server.process()
    }

    /// Posts alerts as the v2 API takes them: an array of objects with `labels`, `annotations`, `startsAt`, `endsAt`.
    ///
    /// # Panics
    /// When they are refused; the message says why.
    #[track_caller]
    pub fn post(&self, alerts: &Value) {
        let url = format!("{}/api/v2/alerts", self.url());
        let answer = http::post(&url, "application/json", alerts.to_string()).expect("Alertmanager answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The alerts it holds, as its v2 API gives them.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn alerts(&self) -> Vec<Value> {
        let answer = http::get(&format!("{}/api/v2/alerts", self.url())).expect("Alertmanager answers").json();
        answer.as_array().cloned().unwrap_or_else(|| panic!("no list of alerts: {answer}"))
    }

    /// Ends it with SIGTERM.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Ends it if it still runs, and starts it again on the same port with the same data.
    ///
    /// # Panics
    /// When it does not become ready.
    #[track_caller]
    pub fn restart(&mut self) {
        self.server.restart();
    }
}
