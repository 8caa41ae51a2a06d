//! What the demo reads from the agent's versioned JSON, and what it tells the shop.

use super::plan::Fault;
use crate::sh::Result;
use outrigger_testkit::http;
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Deserialize)]
struct Incidents {
    incidents: Vec<Incident>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) requests_affected: u64,
    pub(crate) summary: String,
    pub(crate) routes: Vec<Route>,
    pub(crate) causes: Vec<Cause>,
}

/// What the agent takes for the cause.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Cause {
    pub(crate) cause: String,
    pub(crate) strength: f64,
    pub(crate) evidence: String,
}

impl Incident {
    /// The likeliest cause.
    pub(crate) fn cause(&self) -> &str {
        self.causes.first().map_or("unknown", |cause| &cause.cause)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == "open"
    }

    /// The routes that are anomalous now, the one that is suspected first before the others.
    pub(crate) fn anomalous(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().filter(|route| route.state == "anomalous").map(|route| route.route.as_str())
    }

    /// The route that the agent suspects first.
    pub(crate) fn primary(&self) -> &str {
        self.routes.first().map_or("(no route)", |route| &route.route)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) signal: String,
    pub(crate) state: String,
    pub(crate) started_at: String,
    pub(crate) before: Quantiles,
    pub(crate) during: Quantiles,
    pub(crate) summary: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) error_ratio: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Status {
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) up: bool,
    pub(crate) routes: Vec<Watched>,
}

/// A route as the agent watches it.
#[derive(Debug, Deserialize)]
pub(crate) struct Watched {
    pub(crate) route: String,
    pub(crate) phase: String,
    pub(crate) requests_per_second: Option<f64>,
}

/// The agent's API.
pub(crate) struct Agent {
    pub(crate) url: String,
}

impl Agent {
    /// Newest first.
    pub(crate) fn incidents(&self) -> Result<Vec<Incident>> {
        let body = get(&format!("{}/api/v1/incidents", self.url))?;
        Ok(serde_json::from_str::<Incidents>(&body)?.incidents)
    }

    /// The agent's own resident memory, as its page tells it.
    pub(crate) fn resident_mebibytes(&self) -> Option<f64> {
        let page = get(&format!("{}/metrics", self.url)).ok()?;
        let line = page.lines().find(|line| line.starts_with(r#"process_resident_memory_bytes{target="self"}"#))?;
        let bytes: f64 = line.split_whitespace().next_back()?.parse().ok()?;
        Some(bytes / f64::from(1 << 20))
    }

    pub(crate) fn target(&self) -> Result<Target> {
        let body = get(&format!("{}/api/v1/status", self.url))?;
        let mut status: Status = serde_json::from_str(&body)?;
        status.targets.pop().ok_or_else(|| "the agent has no target".into())
    }
}

/// The shop's admin listener.
pub(crate) struct Shop {
    pub(crate) admin_url: String,
}

impl Shop {
    pub(crate) fn switch_on(&self, fault: &Fault) -> Result<()> {
        let body = serde_json::json!({
            "share": fault.share,
            "strength_ms": fault.strength_ms,
            "routes": [fault.route],
        });
        let url = format!("{}/faults/{}", self.admin_url, fault.name);
        accepted(
            &url,
            http::request("PUT", &url, &[("content-type", "application/json")], body.to_string().as_bytes(), TIMEOUT)?,
        )
    }

    pub(crate) fn switch_off(&self, fault: &Fault) -> Result<()> {
        let url = format!("{}/faults/{}", self.admin_url, fault.name);
        accepted(&url, http::request("DELETE", &url, &[], b"", TIMEOUT)?)
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a page answers with success.
pub(crate) fn answers(url: &str) -> bool {
    get(url).is_ok()
}

fn get(url: &str) -> Result<String> {
    let response = http::request("GET", url, &[], b"", TIMEOUT)?;
    let text = response.text();
    if response.status == 200 { Ok(text) } else { Err(format!("{url} answered {}: {text}", response.status).into()) }
}

fn accepted(url: &str, response: http::Response) -> Result<()> {
    if (200..300).contains(&response.status) {
        return Ok(());
    }
    Err(format!("{url} answered {}: {}", response.status, response.text()).into())
}
