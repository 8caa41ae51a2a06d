//! What is scraped, how often, and how much of it is kept.

use super::{Key, Problems, duration, quote};
use crate::collect::scrape::Address;
use crate::config::value::{format_bytes, format_duration, within};
use crate::config::{Settings, range};

/// The keys.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "targets",
        help: "what is scraped: host:port, host:port/path or a URL",
        set: |settings, value| {
            settings.targets = value.list()?.iter().map(|text| text.parse::<Address>()).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| {
            let labels: Vec<_> = settings.targets.iter().map(|target| quote(&target.to_string())).collect();
            format!("[{}]", labels.join(", "))
        },
    },
    Key {
        name: "interval",
        help: "time between two ticks, 1s to 60s",
        set: |settings, value| {
            settings.interval = value.duration(range::INTERVAL)?;
            Ok(())
        },
        show: |settings| duration(settings.interval),
    },
    Key {
        name: "scrape_timeout",
        help: "how long one scrape may take, at most the interval",
        set: |settings, value| {
            settings.scrape_timeout = Some(value.duration(range::SCRAPE_TIMEOUT)?);
            Ok(())
        },
        show: |settings| duration(settings.scrape_timeout()),
    },
    Key {
        name: "page_limit",
        help: "the most bytes that are read of one page",
        set: |settings, value| {
            settings.page_limit = value.bytes(range::PAGE_LIMIT)?;
            Ok(())
        },
        show: |settings| quote(&format_bytes(settings.page_limit)),
    },
    Key {
        name: "series_limit",
        help: "the most series that are kept of one target",
        set: |settings, value| {
            settings.series_limit = value.count(range::SERIES_LIMIT)?;
            Ok(())
        },
        show: |settings| settings.series_limit.to_string(),
    },
    Key {
        name: "route_limit",
        help: "the most routes that are watched on one target",
        set: |settings, value| {
            settings.route_limit = value.count(range::ROUTE_LIMIT)?;
            Ok(())
        },
        show: |settings| settings.route_limit.to_string(),
    },
];

/// What no agent can work with.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    problems.note("interval", within(settings.interval, &range::INTERVAL, format_duration));
    problems.note("scrape_timeout", within(settings.scrape_timeout(), &range::SCRAPE_TIMEOUT, format_duration));
    problems.note("page_limit", within(settings.page_limit, &range::PAGE_LIMIT, format_bytes));
    problems.note("series_limit", within(settings.series_limit, &range::SERIES_LIMIT, |count| count.to_string()));
    problems.note("route_limit", within(settings.route_limit, &range::ROUTE_LIMIT, |count| count.to_string()));
    if settings.scrape_timeout() > settings.interval {
        problems.add("scrape_timeout", "is longer than `interval`, so scrapes would pile up; lower it".to_owned());
    }
    if settings.targets.is_empty() {
        problems.add("targets", "the list is empty; name at least one target".to_owned());
    }
    for (index, target) in settings.targets.iter().enumerate() {
        if settings.targets.iter().take(index).any(|earlier| earlier.label() == target.label()) {
            problems.add("targets", format!("{} stands twice; remove one", target.label()));
        }
    }
}
