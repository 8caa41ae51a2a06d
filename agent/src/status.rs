//! `GET /api/v1/status`: what the agent watches and how it stands, as versioned JSON.

use outrigger_detect::Phase;
use serde::Serialize;

use crate::derive::Figures;
use crate::state::State;
use crate::target::Target;

/// The agent and its targets.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusView {
    version: u32,
    uptime_seconds: f64,
    interval_seconds: f64,
    pub(crate) targets: Vec<TargetView>,
}

/// One target.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TargetView {
    pub(crate) target: String,
    pub(crate) url: String,
    pub(crate) up: bool,
    pub(crate) last_error: Option<String>,
    pub(crate) samples: u64,
    pub(crate) routes: Vec<RouteView>,
}

/// One route of a target; busiest first. A target that is down has no figures, rather than those of its last minute.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RouteView {
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) phase: Phase,
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) error_ratio: Option<f64>,
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl StatusView {
    pub(crate) fn of(state: &State) -> Self {
        Self {
            version: 1,
            uptime_seconds: state.started.elapsed().as_secs_f64(),
            interval_seconds: state.interval.as_secs_f64(),
            targets: state.targets.iter().map(TargetView::of).collect(),
        }
    }
}

impl TargetView {
    fn of(target: &Target) -> Self {
        let mut routes: Vec<_> = target
            .routes
            .iter()
            .map(|(key, route)| {
                let figures = target.health.is_up().then(|| route.figures());
                let figure = |read: fn(&Figures) -> Option<f64>| figures.as_ref().and_then(read);
                RouteView {
                    method: key.method.clone(),
                    route: key.route.clone(),
                    phase: target.watches.get(key).map_or(Phase::WarmingUp, |watch| watch.phase()),
                    requests_per_second: figures.as_ref().map(|figures| figures.rate),
                    error_ratio: figure(|figures| figures.error_ratio),
                    p50: figure(|figures| figures.p50),
                    p95: figure(|figures| figures.p95),
                    p99: figure(|figures| figures.p99),
                }
            })
            .collect();
        routes.sort_by(|a, b| {
            let busiest = b.requests_per_second.unwrap_or(0.0).total_cmp(&a.requests_per_second.unwrap_or(0.0));
            busiest.then_with(|| (&a.route, &a.method).cmp(&(&b.route, &b.method)))
        });
        Self {
            target: target.address.label().to_owned(),
            url: target.address.to_string(),
            up: target.health.is_up(),
            last_error: target.health.last_error.clone(),
            samples: target.health.samples,
            routes,
        }
    }
}
