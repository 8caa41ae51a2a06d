//! One target: its page becomes series, series become routes, routes get verdicts.

use outrigger_detect::Phase;

use crate::collect::scrape::{Address, Page, Scrape, ScrapeError};
use crate::config::Settings;
use crate::derive::Routes;
use crate::health::Health;
use crate::incident::Finding;
use crate::series::SeriesTable;
use crate::watch::Watches;

/// All that the agent knows of one target.
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) series: SeriesTable,
    pub(crate) routes: Routes,
    pub(crate) watches: Watches,
    pub(crate) health: Health,
}

impl Target {
    pub(crate) fn new(address: Address, settings: &Settings) -> Self {
        Self {
            address,
            series: SeriesTable::new(settings.series_limit),
            routes: Routes::new(settings.route_limit),
            watches: Watches::default(),
            health: Health::default(),
        }
    }

    /// Takes in what came of a scrape. True if there are new verdicts; a failed scrape changes the target's health only.
    pub(crate) fn absorb(&mut self, scrape: &Scrape) -> bool {
        self.health.durations.observe(scrape.took);
        self.health.last_duration = scrape.took;
        let read = match &scrape.page {
            Ok(page) => self.read(page, scrape),
            Err(error) => Err(error.to_string()),
        };
        let was_up = self.health.up;
        self.health.up = Some(read.is_ok());
        match &read {
            Ok(()) => {
                self.health.successes += 1;
                self.health.last_error = None;
                self.health.down_since = None;
                if was_up != Some(true) {
                    tracing::info!(target = self.address.label(), samples = self.health.samples, "the target answers");
                }
            }
            Err(error) => {
                self.health.failures += 1;
                self.health.down_since.get_or_insert(scrape.at);
                if was_up != Some(false) {
                    tracing::warn!(target = self.address.label(), %error, "the target cannot be scraped");
                }
                self.health.last_error = Some(error.clone());
            }
        }
        read.is_ok()
    }

    /// The verdicts on the last page.
    pub(crate) fn findings(&self) -> Vec<Finding<'_>> {
        let of = self.watches.iter().flat_map(|(key, watch)| {
            watch.verdicts().iter().map(move |(signal, verdict)| Finding { key, signal: *signal, verdict })
        });
        of.collect()
    }

    /// Routes whose baseline is still being learnt although they have traffic.
    pub(crate) fn warming_up(&self) -> usize {
        let warming = |key| self.watches.get(key).is_none_or(|watch| watch.phase() == Phase::WarmingUp);
        self.routes.iter().filter(|(key, route)| route.figures().rate > 0.0 && warming(key)).count()
    }

    fn read(&mut self, page: &Page, scrape: &Scrape) -> Result<(), String> {
        let summary = self.series.read(page, scrape.at);
        self.health.samples = summary.samples;
        self.health.bad_lines += summary.bad_lines;
        self.health.dropped.page_limit += page.cut_samples;
        self.health.dropped.series_limit += summary.dropped;
        if summary.samples == 0
            && let Some(first) = summary.first_bad_line
        {
            return Err(ScrapeError::NotMetrics(first).to_string());
        }
        let overflow = self.routes.update(&self.series, scrape.started);
        self.health.dropped.route_limit = self.health.dropped.route_limit.saturating_add(overflow);
        self.watches.observe(&self.routes);
        Ok(())
    }
}
