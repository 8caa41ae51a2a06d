//! `/-/healthy` and `/-/ready`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use super::checks::{Checks, Report};
use super::phase::{self, Phase};
use super::token::{self, Token};
use crate::Metrics;

#[derive(Clone)]
pub(super) struct Probes {
    pub(super) readiness: Arc<Checks>,
    pub(super) liveness: Arc<Checks>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) token: Token,
    pub(super) metrics: Metrics,
}

impl Probes {
    /// Whoever reads the metrics wants to know what the checks say, asked by a probe or not. The answer is on the next page.
    pub(super) fn refresh(&self) {
        self.readiness.refresh();
        self.liveness.refresh();
    }

    /// Whether the request shows the token. A wrong one is counted, since the answer tells it from the right one.
    fn is_trusted(&self, headers: &HeaderMap) -> bool {
        let is_shown = self.token.is_shown(headers);
        if !is_shown && !self.token.is_none() && headers.contains_key(header::AUTHORIZATION) {
            token::count_refused(&self.metrics, 1);
        }
        is_shown
    }
}

pub(super) fn routes(probes: Probes) -> Router {
    Router::new().route(HEALTHY, get(healthy)).route(READY, get(ready)).with_state(probes)
}

async fn healthy(State(probes): State<Probes>, headers: HeaderMap) -> Response {
    let is_trusted = probes.is_trusted(&headers);
    let report = probes.liveness.report().await;
    answer(report.as_deref(), "healthy", "not healthy", is_trusted)
}

async fn ready(State(mut probes): State<Probes>, headers: HeaderMap) -> Response {
    let is_trusted = probes.is_trusted(&headers);
    tokio::select! {
        // First: what the checks say does not count any more.
        biased;
        () = phase::reached(&mut probes.phase, Phase::Draining) => plain(false, "not ready\nshutting down\n".to_owned()),
        report = probes.readiness.report() => answer(report.as_deref(), "ready", "not ready", is_trusted),
    }
}

/// The verdict, and a line for each check.
fn answer(report: Option<&Report>, up: &str, down: &str, with_reasons: bool) -> Response {
    let is_up = report.is_some_and(Report::is_up);
    let mut body = format!("{}\n", if is_up { up } else { down });
    for (check, outcome) in report.iter().flat_map(|report| &report.results) {
        body.push_str(&format!("{}: {}\n", check.name(), outcome.describe(with_reasons)));
    }
    plain(is_up, body)
}

fn plain(is_up: bool, body: String) -> Response {
    let status = if is_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}

pub(super) const HEALTHY: &str = "/-/healthy";
pub(super) const READY: &str = "/-/ready";
