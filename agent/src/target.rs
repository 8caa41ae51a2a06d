//! One target: its page becomes series, series become routes, routes get verdicts.

use std::time::{Duration, SystemTime};

use outrigger_detect::{Phase, StateError};
use outrigger_semconv::label;
use serde::{Deserialize, Serialize};

use crate::collect::native::{KeptNativePages, NativePages};
use crate::collect::process::Process;
use crate::collect::scrape::{Address, Page, Scrape, ScrapeError};
use crate::config::Settings;
use crate::derive::{Kept, RouteKey, Routes};
use crate::health::Health;
use crate::incident::{Evidence, Finding, KeptEvidence};
use crate::series::{ProcessStart, SeriesTable};
use crate::time;
use crate::watch::{KeptSignals, KeptWatch, Signals, Watches};

/// What is kept of a target across a restart of the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptTarget {
    pub(crate) target: String,
    /// When the last page was scraped.
    #[serde(with = "time")]
    scraped_at: SystemTime,
    process_start: ProcessStart,
    routes: Kept<RouteKey>,
    watches: Vec<KeptWatch>,
    #[serde(default)]
    signals: KeptSignals,
    /// Its pages are asked for in protobuf.
    #[serde(default)]
    native: Option<KeptNativePages>,
    /// What the causes of incidents are held against; absent in older files.
    #[serde(default)]
    evidence: Option<KeptEvidence>,
}

/// What was normal longer ago than this is learnt anew: the service may have changed, and the week has other days.
const LONGEST_ABSENCE: Duration = Duration::from_secs(86_400);

/// All that the agent knows of one target.
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) series: SeriesTable,
    pub(crate) routes: Routes,
    pub(crate) watches: Watches,
    /// What is watched beside the routes.
    pub(crate) signals: Signals,
    pub(crate) evidence: Evidence,
    pub(crate) health: Health,
    pub(crate) is_being_scraped: bool,
    /// Set where text does not tell all: its histograms have native buckets only.
    pub(crate) native: Option<Box<NativePages>>,
}

impl Target {
    pub(crate) fn new(address: Address, settings: &Settings) -> Self {
        Self {
            address,
            series: SeriesTable::new(settings.series_limit),
            routes: Routes::new(settings.route_limit),
            watches: Watches::default(),
            signals: Signals::new(settings),
            evidence: Evidence::default(),
            health: Health::default(),
            is_being_scraped: false,
            native: None,
        }
    }

    /// The same target, perhaps by another scheme, under other settings.
    pub(crate) fn with(mut self, address: &Address, settings: &Settings) -> Self {
        self.address = address.clone();
        self.series.set_limit(settings.series_limit);
        self.routes.set_limit(settings.route_limit);
        self.signals.set(settings);
        self
    }

    /// What another agent needs to go on from here; `None` if no page was read yet.
    pub(crate) fn keep(&self) -> Option<KeptTarget> {
        let (scraped_at, process_start) = self.series.keep()?;
        let target = self.address.label().to_owned();
        let native = self.native.as_ref().map(|native| native.keep());
        let (routes, watches, signals) = (self.routes.keep(), self.watches.keep(), self.signals.keep());
        let evidence = self.evidence.keep();
        Some(KeptTarget { target, scraped_at, process_start, routes, watches, signals, native, evidence })
    }

    /// Goes on from what an earlier agent kept, unless that was too long before `now`. Answers why a detector could not.
    pub(crate) fn restore(&mut self, kept: KeptTarget, settings: &Settings, now: SystemTime) -> Option<StateError> {
        let is_recent = now.duration_since(kept.scraped_at).map_or(true, |age| age <= LONGEST_ABSENCE);
        let of_signals;
        (self.signals, of_signals) = Signals::restore(settings, kept.signals, is_recent);
        if !is_recent {
            return of_signals;
        }
        self.series = SeriesTable::restore(settings.series_limit, kept.scraped_at, kept.process_start);
        self.routes = Routes::restore(settings.route_limit, &kept.routes);
        self.native = kept.native.map(|native| Box::new(NativePages::restore(native)));
        let refused;
        (self.watches, refused) = Watches::restore(kept.watches, &self.routes);
        self.evidence = kept.evidence.map(Evidence::restore).unwrap_or_default();
        refused.or(of_signals)
    }

    /// What the service calls itself on its page, if it does.
    pub(crate) fn service(&self) -> Option<String> {
        let info = self.series.family("target_info").next()?;
        let (_, name) = info.labels.iter().find(|(label, _)| **label == *label::SERVICE_NAME)?;
        Some(name.to_string()).filter(|name| !name.is_empty())
    }

    /// The last page closed an interval, so that there are verdicts on it.
    pub(crate) fn is_judged(&self) -> bool {
        self.series.interval().is_some()
    }

    /// Takes in what came of a scrape, and what was last seen of the target's process. True if there are new verdicts; a failed scrape changes the target's health only.
    pub(crate) fn absorb(&mut self, scrape: &Scrape, process: Option<&Process>) -> bool {
        self.health.durations.observe(scrape.took);
        self.health.last_duration = scrape.took;
        let read = match &scrape.page {
            Ok(page) => self.read(page, scrape, process),
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

    fn read(&mut self, page: &Page, scrape: &Scrape, process: Option<&Process>) -> Result<(), String> {
        let summary = self.series.read(page, scrape.at, scrape.started);
        self.health.samples = summary.samples;
        self.health.bad_lines += summary.bad_lines;
        self.health.dropped.page_limit += page.cut_samples;
        self.health.dropped.series_limit += summary.dropped;
        if summary.samples == 0 {
            let reason = match summary.first_bad_line {
                Some(first) => first,
                None if page.cut_samples > 0 => "all its samples stand behind the page limit".to_owned(),
                None => "it has no samples".to_owned(),
            };
            return Err(ScrapeError::NotMetrics(reason).to_string());
        }
        if self.native.is_none() && self.series.has_bare_histogram() {
            tracing::info!(
                target = self.address.label(),
                "histograms have no buckets in text; asking for native ones, in protobuf"
            );
            // What follows has other buckets, so the next page is the first one.
            self.native = Some(Box::default());
            self.series = self.series.anew();
            self.routes = self.routes.anew();
            return Ok(());
        }
        let overflow = self.routes.update(&self.series);
        self.health.dropped.route_limit = self.health.dropped.route_limit.saturating_add(overflow);
        if self.is_judged() {
            self.health.expected += self.watches.observe(&self.routes, scrape.at);
        }
        let seen = self.signals.observe(&self.series, &self.routes, process, scrape.at);
        self.health.expected += seen.expected;
        self.health.dropped.dependency_limit = self.health.dropped.dependency_limit.saturating_add(seen.overflow);
        self.evidence.observe(&self.series, &self.routes, scrape.at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use outrigger_exposition::Format;

    use super::*;

    fn scrape(text: &str, cut_samples: u64) -> Scrape {
        Scrape {
            started: Instant::now(),
            at: SystemTime::now(),
            took: Duration::ZERO,
            page: Ok(Page { bytes: text.as_bytes().to_vec(), format: Format::Text, cut_samples }),
        }
    }

    #[test]
    fn a_page_without_samples_is_a_failed_scrape() {
        let mut target = Target::new(Address::default(), &Settings::default());
        assert!(target.absorb(&scrape("up 1\n", 0), None));
        for (text, cut, reason) in [
            ("", 0, "no samples"),
            ("# TYPE a gauge\n", 0, "no samples"),
            ("", 9, "page limit"),
            ("<html>\n", 0, "line 1"),
        ] {
            assert!(!target.absorb(&scrape(text, cut), None), "{text:?} tells nothing new");
            assert_eq!(target.health.up, Some(false));
            let error = target.health.last_error.clone().unwrap();
            assert!(error.starts_with("the page holds no metrics; ") && error.contains(reason), "{error}");
        }
        assert_eq!((target.health.successes, target.health.failures), (1, 4));
    }
}
