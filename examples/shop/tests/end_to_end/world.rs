//! Shop, agent and load generator on ports and in a folder of their own.

use outrigger_testkit::{Folder, Postgres, Process, Program, Redis, binary, free_port, http, wait_for, wait_until};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, time::Duration};

/// For what happens within a few ticks; generous, for two cores may be shared with a compiler.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// For the detectors to learn what is normal: 50 ticks at most, and room.
pub(crate) const WARM_UP: Duration = Duration::from_secs(100);

/// The busiest route of the journey, and so the first one whose normal is known.
pub(crate) const BUSY_ROUTE: &str = "/products/{id}";

pub(crate) struct World {
    folder: Folder,
    agent_binary: PathBuf,
    shop_port: u16,
    admin_port: u16,
    agent_port: u16,
    otlp_endpoint: Option<String>,
    database: Option<String>,
    redis: Option<String>,
}

impl World {
    /// Nothing runs yet; `None` when the agent is not built (see [`binary`]).
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            agent_binary: binary("outrigger")?,
            folder: Folder::new("world"),
            shop_port: free_port(),
            admin_port: free_port(),
            agent_port: free_port(),
            otlp_endpoint: None,
            database: None,
            redis: None,
        })
    }

    /// The agent will push what it scrapes there.
    pub(crate) fn with_otlp(mut self, endpoint: String) -> Self {
        self.otlp_endpoint = Some(endpoint);
        self
    }

    /// The shop will stand on these, instead of on a file and nothing.
    pub(crate) fn with_servers(mut self, postgres: &Postgres, redis: &Redis) -> Self {
        self.database = Some(postgres.url());
        self.redis = Some(redis.url());
        self
    }

    /// Starts the shop and waits until it serves. Its database outlives it, so that a restart meets the same customers.
    pub(crate) fn start_shop(&self) -> Process {
        let file = || self.folder.path().join("shop.db").display().to_string();
        let mut program = Program::new(env!("CARGO_BIN_EXE_shop"))
            .args(["--listen", &self.shop_address(), "--admin-listen", &self.target()])
            .args(["--database", &self.database.clone().unwrap_or_else(file)])
            .arg("--truth-file")
            .arg(self.truth_file());
        if let Some(redis) = &self.redis {
            program = program.args(["--redis", redis]);
        }
        let shop = program.start();
        shop.wait_url(SOON, &format!("{}/products", self.shop_url()));
        shop
    }

    /// Starts the agent at its fastest tick and waits until it serves.
    pub(crate) fn start_agent(&self) -> Process {
        let mut agent = Program::new(&self.agent_binary)
            .args(["run", "--interval", "1s", "--target", &self.target(), "--listen", &self.agent_address()])
            // Whatever this agent keeps between runs stays in the test's own folder.
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path().join("state"));
        if let Some(endpoint) = &self.otlp_endpoint {
            agent = agent.args(["--otlp-endpoint", endpoint]);
        }
        let agent = agent.start();
        agent.wait_url(SOON, &format!("{}/-/healthy", self.agent_url()));
        agent
    }

    /// Starts the load generator for `sustained` after a short warm-up; a journey has about a dozen requests.
    pub(crate) fn start_load(&self, journeys_per_second: u32, sustained: &str) -> Process {
        Program::new(env!("CARGO_BIN_EXE_load"))
            .args(["--target", &self.shop_url(), "--rate", &journeys_per_second.to_string(), "--seed", "1"])
            .args(["--warm-up", "5s", "--users", "30", "--sustained", sustained, "--peak", "0s", "--report"])
            .arg(self.report_file())
            .start()
    }

    pub(crate) fn shop_address(&self) -> String {
        format!("127.0.0.1:{}", self.shop_port)
    }

    /// The shop's admin listener, as the agent and Prometheus are told it.
    pub(crate) fn target(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    pub(crate) fn agent_address(&self) -> String {
        format!("127.0.0.1:{}", self.agent_port)
    }

    pub(crate) fn shop_url(&self) -> String {
        format!("http://{}", self.shop_address())
    }

    pub(crate) fn agent_url(&self) -> String {
        format!("http://{}", self.agent_address())
    }

    pub(crate) fn shop_page(&self) -> String {
        page(&format!("http://{}/metrics", self.target()))
    }

    pub(crate) fn agent_page(&self) -> String {
        page(&format!("{}/metrics", self.agent_url()))
    }

    /// The sample of that name on the agent's page that speaks of the shop and holds `label` too.
    pub(crate) fn agent_sample(&self, name: &str, label: &str) -> Option<f64> {
        let target = format!("target=\"{}\"", self.target());
        self.agent_page().lines().find_map(|line| {
            let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.split_once("} ")?;
            if labels.contains(&target) && labels.contains(label) { value.parse().ok() } else { None }
        })
    }

    /// The sum of the shop's samples of that name which hold all of the labels, each written `name="value"`.
    pub(crate) fn shop_sum(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.shop_page();
        let samples = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
        let wanted = samples.filter(|(found, _)| labels.iter().all(|label| found.contains(label)));
        wanted.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    /// What the agent says of the shop.
    pub(crate) fn status(&self) -> Value {
        let mut status = http::get(&format!("{}/api/v1/status", self.agent_url())).expect("the agent answers").json();
        assert_eq!(status["version"], 1);
        status["targets"][0].take()
    }

    /// Newest first.
    pub(crate) fn incidents(&self) -> Vec<Value> {
        let answer = http::get(&format!("{}/api/v1/incidents", self.agent_url())).expect("the agent answers").json();
        assert_eq!(answer["version"], 1);
        answer["incidents"].as_array().expect("a list of incidents").clone()
    }

    /// Waits until the agent's last scrape went as `up` says.
    pub(crate) fn wait_up(&self, up: bool) -> Value {
        wait_for(SOON, &format!("the agent to see up = {up}"), || {
            Some(self.status()).filter(|status| status["up"] == up)
        })
    }

    /// Waits until the busy routes' normal is known, so that from now on an incident could be reported.
    pub(crate) fn wait_warm(&self) {
        wait_until(WARM_UP, "the detectors' warm-up", || {
            let status = self.status();
            let routes = status["routes"].as_array().expect("a list of routes");
            routes.iter().any(|route| route["route"] == BUSY_ROUTE && route["phase"] == "calm")
        });
    }

    /// Waits until that many more scrapes have succeeded.
    pub(crate) fn wait_scrapes(&self, more: u32) {
        let count = || {
            let sample = self.agent_sample("outrigger_scrapes_total", "outcome=\"success\"");
            sample.unwrap_or_else(|| panic!("no successful scrapes in:\n{}", self.agent_page()))
        };
        let goal = count() + f64::from(more);
        wait_until(SOON + Duration::from_secs(2) * more, &format!("{more} more scrapes"), || count() >= goal);
    }

    /// Switches a fault on.
    pub(crate) fn break_route(&self, fault: &str, share: f64, strength_ms: u32, route: &str) {
        let order = json!({"share": share, "strength_ms": strength_ms, "routes": [route]}).to_string();
        let answer = http::put(&self.fault_url(fault), "application/json", order).expect("the shop answers");
        assert!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text());
    }

    /// Switches a fault off.
    pub(crate) fn mend(&self, fault: &str) {
        let answer = http::delete(&self.fault_url(fault)).expect("the shop answers");
        assert!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text());
    }

    /// The truth file's lines.
    pub(crate) fn truth(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.truth_file()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// What the load generator measured; written when it ends.
    pub(crate) fn report(&self) -> Value {
        let text = fs::read(self.report_file()).expect("the load generator's report");
        serde_json::from_slice(&text).expect("the report is JSON")
    }

    fn fault_url(&self, fault: &str) -> String {
        format!("http://{}/faults/{fault}", self.target())
    }

    fn truth_file(&self) -> PathBuf {
        self.folder.path().join("truth.jsonl")
    }

    fn report_file(&self) -> PathBuf {
        self.folder.path().join("report.json")
    }
}

fn page(url: &str) -> String {
    let answer = http::get(url).expect("a page of metrics");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}
