//! Prometheus.

use crate::{
    Folder, Process, Program, Signal,
    find::server_program,
    http,
    server::{Ready, Server},
    wait::wait_for,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What a [`Prometheus`] shall scrape, evaluate and notify.
#[derive(Clone, Debug)]
pub struct PrometheusConfig {
    interval: Duration,
    jobs: Vec<(String, Vec<String>)>,
    rule_files: Vec<PathBuf>,
    alertmanagers: Vec<String>,
    features: Vec<String>,
    remote_write: bool,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl PrometheusConfig {
    /// No targets, no rules, an interval of 1 s.
    #[must_use]
    pub fn new() -> Self {
        Self {
            interval: Duration::from_secs(1),
            jobs: Vec::new(),
            rule_files: Vec::new(),
            alertmanagers: Vec::new(),
            features: Vec::new(),
            remote_write: false,
        }
    }

    /// Scrapes `/metrics` of `host:port` under a job name.
    #[must_use]
    pub fn scrape(mut self, job: &str, target: impl ToString) -> Self {
        match self.jobs.iter_mut().find(|(name, _)| name == job) {
            Some((_, targets)) => targets.push(target.to_string()),
            None => self.jobs.push((job.to_owned(), vec![target.to_string()])),
        }
        self
    }

    /// Sets the interval of scrapes and of rule evaluation. Defaults to 1 s.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Evaluates the rules of a file.
    #[must_use]
    pub fn rule_file(mut self, file: impl AsRef<Path>) -> Self {
        self.rule_files.push(file.as_ref().to_owned());
        self
    }

    /// Sends alerts to `host:port`.
    #[must_use]
    pub fn alertmanager(mut self, address: impl ToString) -> Self {
        self.alertmanagers.push(address.to_string());
        self
    }

    /// Switches a feature flag on: `native-histograms`, `exemplar-storage`, ...
    #[must_use]
    pub fn feature(mut self, name: &str) -> Self {
        self.features.push(name.to_owned());
        self
    }

    /// Accepts remote write on `/api/v1/write`.
    #[must_use]
    pub fn remote_write_receiver(mut self) -> Self {
        self.remote_write = true;
        self
    }

    /// The configuration file: JSON, which is YAML too and needs no quoting rules of ours.
    fn file(&self) -> String {
        let millis = format!("{}ms", self.interval.as_millis());
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .map(|(name, targets)| json!({"job_name": name, "static_configs": [{"targets": targets}]}))
            .collect();
        let mut file = json!({
            "global": {"scrape_interval": millis, "scrape_timeout": millis, "evaluation_interval": millis},
            "scrape_configs": jobs,
            "rule_files": self.rule_files.iter().map(|file| absolute(file)).collect::<Vec<_>>(),
        });
        if !self.alertmanagers.is_empty() {
            file["alerting"] = json!({"alertmanagers": [{"static_configs": [{"targets": self.alertmanagers}]}]});
        }
        file.to_string()
    }
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A Prometheus server, logging at debug level: it tells of a page that it cannot parse at no other.
#[derive(Debug)]
pub struct Prometheus {
    server: Server,
    folder: Folder,
}

impl Prometheus {
    /// Starts it; `None` when it is not installed (see [`require`](crate::require)).
    ///
    /// # Panics
    /// When it does not become ready, for instance because the configuration is wrong; the message ends with its log's tail.
    #[must_use]
    #[track_caller]
    pub fn start(config: PrometheusConfig) -> Option<Self> {
        let prometheus = server_program("prometheus")?;
        let folder = Folder::new("prometheus");
        // Not as another user, unlike the databases: rule files may lie where only we can read.
        let file = folder.write("prometheus.yml", config.file());
        let server = Server::start(Ready::Path("/-/ready"), Signal::Term, |port| {
            let mut program = Program::new(&prometheus)
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(["--log.level=debug", "--web.enable-lifecycle", "--storage.tsdb.retention.time=1d"])
                .current_dir(folder.path());
            if !config.features.is_empty() {
                program = program.arg(format!("--enable-feature={}", config.features.join(",")));
            }
            if config.remote_write {
                program = program.arg("--web.enable-remote-write-receiver");
            }
            program
        });
        Some(Self { server, folder })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
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

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// What it has against the pages it scrapes and the rules it evaluates: log lines of level warn or error, and those of
    /// a page that it could not take ("Append failed", said at debug level only).
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.log();
        let complaint =
            |line: &&str| line.contains("level=warn") || line.contains("level=error") || line.contains("Append failed");
        log.lines().filter(complaint).map(str::to_owned).collect()
    }

    /// The result of an instant query: the array of series for a vector.
    ///
    /// # Panics
    /// When the query is refused; the message says why.
    #[must_use]
    #[track_caller]
    pub fn query(&self, promql: &str) -> Value {
        self.try_query(promql).unwrap_or_else(|error| panic!("{promql}: {error}"))
    }

    /// As [`Prometheus::query`], with Prometheus' words when it refuses.
    ///
    /// # Errors
    /// When the query is refused or Prometheus does not answer.
    pub fn try_query(&self, promql: &str) -> Result<Value, String> {
        self.ask("query", &format!("query={}", percent_encoded(promql)))
    }

    /// The result of a query over the time until now: the array of series, each with `values`.
    ///
    /// # Errors
    /// As [`Prometheus::try_query`].
    pub fn try_query_range(&self, promql: &str, range: Duration, step: Duration) -> Result<Value, String> {
        let end = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
        let (start, end, step) = (end.saturating_sub(range).as_secs_f64(), end.as_secs_f64(), step.as_secs_f64());
        self.ask("query_range", &format!("query={}&start={start}&end={end}&step={step}", percent_encoded(promql)))
    }

    fn ask(&self, what: &str, form: &str) -> Result<Value, String> {
        let url = format!("{}/api/v1/{what}", self.url());
        let answer = http::post(&url, "application/x-www-form-urlencoded", form).map_err(|error| error.to_string())?;
        let mut answer = answer.json();
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"]["result"].take()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// The first series' value of an instant query, or `None` when the result is empty.
    ///
    /// # Panics
    /// As [`Prometheus::query`].
    #[must_use]
    #[track_caller]
    pub fn value(&self, promql: &str) -> Option<f64> {
        self.query(promql).get(0)?["value"][1].as_str()?.parse().ok()
    }

    /// Waits until the first series' value satisfies `wanted`, and gives it.
    ///
    /// # Panics
    /// When none does within `deadline`.
    #[track_caller]
    pub fn wait_value(&self, deadline: Duration, promql: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        wait_for(deadline, promql, || self.value(promql).filter(|value| wanted(*value)))
    }

    /// The values of a label on the series of a selector, sorted.
    ///
    /// # Panics
    /// When Prometheus refuses the selector or does not answer.
    #[must_use]
    #[track_caller]
    pub fn label_values(&self, selector: &str, label: &str) -> Vec<String> {
        let url = format!("{}/api/v1/label/{label}/values?match[]={}", self.url(), percent_encoded(selector));
        let answer = http::get(&url).expect("Prometheus answers").json();
        let values = answer["data"].as_array().unwrap_or_else(|| panic!("{selector}: {answer}"));
        values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
    }

    /// The exemplars of a selector's series within the time until now: series with `seriesLabels` and `exemplars`, each of
    /// which has `labels`, `value` and `timestamp`. Needs the feature `exemplar-storage`.
    ///
    /// # Panics
    /// When Prometheus refuses the selector or does not answer.
    #[must_use]
    #[track_caller]
    pub fn exemplars(&self, selector: &str, range: Duration) -> Vec<Value> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        // Rounded up, so that what was taken just now is within.
        let (start, end) = (now.saturating_sub(range).as_secs(), now.as_secs() + 1);
        let selector = percent_encoded(selector);
        let url = format!("{}/api/v1/query_exemplars?query={selector}&start={start}&end={end}", self.url());
        let mut answer = http::get(&url).expect("Prometheus answers").json();
        match answer["data"].take() {
            Value::Array(series) => series,
            _ => panic!("{selector}: {answer}"),
        }
    }

    /// The rules that are loaded, with `type`, `name`, `query`, `health` and `lastError`.
    ///
    /// # Panics
    /// When Prometheus does not answer.
    #[must_use]
    #[track_caller]
    pub fn rules(&self) -> Vec<Value> {
        let groups = self.list("/api/v1/rules", "groups");
        groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten()).cloned().collect()
    }

    /// The active targets, with `health`, `lastError` and `labels`.
    ///
    /// # Panics
    /// When Prometheus does not answer.
    #[must_use]
    #[track_caller]
    pub fn targets(&self) -> Vec<Value> {
        self.list("/api/v1/targets?state=active", "activeTargets")
    }

    /// The alerts that are pending or firing.
    ///
    /// # Panics
    /// When Prometheus does not answer.
    #[must_use]
    #[track_caller]
    pub fn alerts(&self) -> Vec<Value> {
        self.list("/api/v1/alerts", "alerts")
    }

    /// Puts another configuration in place while it runs. Feature flags stay those of the start.
    ///
    /// # Panics
    /// When Prometheus refuses it; the message says why.
    #[track_caller]
    pub fn reload(&self, config: &PrometheusConfig) {
        self.folder.write("prometheus.yml", config.file());
        let answer = http::post(&format!("{}/-/reload", self.url()), "text/plain", "").expect("Prometheus answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
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

    #[track_caller]
    fn list(&self, path: &str, field: &str) -> Vec<Value> {
        let mut answer = http::get(&format!("{}{path}", self.url())).expect("Prometheus answers").json();
        match answer["data"][field].take() {
            Value::Array(list) => list,
            other => panic!("{path}: no list {field}: {other}"),
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
