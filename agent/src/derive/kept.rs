//! Routes that outlive the agent: where each series stood, so that the first page after a restart tells its difference.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Baseline, Key, Route, Timed};

/// What is kept of a target's routes, or dependencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept<K> {
    routes: Vec<KeptRoute<K>>,
    series: Vec<KeptSeries>,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self { routes: Vec::new(), series: Vec::new() }
    }
}

/// What is kept of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptRoute<K> {
    key: K,
    bounds: Vec<f64>,
    /// Pages since the last one that had it.
    absent_pages: u64,
}

/// Where a series stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptSeries {
    identity: u64,
    counts: Vec<u64>,
    /// JSON knows no NaN, but pages do.
    sum: Option<f64>,
    absent_pages: u64,
}

/// The most series whose place is kept. Others count from their first page after a restart.
const MAX_SERIES: usize = 20_000;

impl<K: Key> Timed<K> {
    /// What another agent needs to go on from here.
    pub(crate) fn keep(&self) -> Kept<K> {
        let absent = |page: u64| self.page.saturating_sub(page);
        let route = |(key, route): (&K, &Route)| KeptRoute {
            key: key.clone(),
            bounds: route.bounds.clone(),
            absent_pages: absent(route.seen),
        };
        let series = |(identity, baseline): (&u64, &Baseline)| KeptSeries {
            identity: *identity,
            counts: baseline.counts.clone(),
            sum: baseline.sum.is_finite().then_some(baseline.sum),
            absent_pages: absent(baseline.page),
        };
        let mut kept = Kept {
            routes: self.routes.iter().map(route).collect(),
            series: self.baselines.iter().map(series).collect(),
        };
        // In an order of their own, so that the same state is the same file.
        kept.routes.sort_by(|a, b| a.key.cmp(&b.key));
        kept.series.sort_by_key(|series| (series.absent_pages, series.identity));
        kept.series.truncate(MAX_SERIES);
        kept
    }

    /// Goes on from what was kept, with at most `limit` routes.
    pub(crate) fn restore(limit: usize, kept: &Kept<K>) -> Self {
        // A file can claim anything.
        let since = |absent_pages: u64| absent_pages.min(u32::MAX.into());
        let absent = kept.routes.iter().map(|route| since(route.absent_pages));
        let page = absent.chain(kept.series.iter().map(|series| since(series.absent_pages))).max().unwrap_or(0);
        let route = |route: &KeptRoute<K>| {
            let kept =
                Route { bounds: route.bounds.clone(), seen: page - since(route.absent_pages), ..Route::default() };
            (route.key.clone(), kept)
        };
        let baseline = |series: &KeptSeries| Baseline {
            counts: series.counts.clone(),
            sum: series.sum.unwrap_or(f64::NAN),
            page: page - since(series.absent_pages),
        };
        let baselines: HashMap<_, _> =
            kept.series.iter().take(MAX_SERIES).map(|series| (series.identity, baseline(series))).collect();
        Self { baselines, page, routes: kept.routes.iter().take(limit).map(route).collect(), ..Self::new(limit) }
    }
}
