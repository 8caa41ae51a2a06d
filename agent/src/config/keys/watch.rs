//! What is watched beside the routes, and what the service promises of its requests.

use super::{Key, Problems, duration};
use crate::config::value::{Value, format_duration, within};
use crate::config::{Settings, range};

/// The keys.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "watch.dependencies",
        help: "whether the calls to dependencies are watched: services, databases, loads of caches",
        set: |settings, value| {
            settings.watch.dependencies = value.flag()?;
            Ok(())
        },
        show: |settings| settings.watch.dependencies.to_string(),
    },
    Key {
        name: "watch.dependency_limit",
        help: "the most dependencies that are watched on one target",
        set: |settings, value| {
            settings.watch.dependency_limit = value.count(range::DEPENDENCY_LIMIT)?;
            Ok(())
        },
        show: |settings| settings.watch.dependency_limit.to_string(),
    },
    Key {
        name: "watch.traffic",
        help: "whether drops and surges of traffic are watched",
        set: |settings, value| {
            settings.watch.traffic = value.flag()?;
            Ok(())
        },
        show: |settings| settings.watch.traffic.to_string(),
    },
    Key {
        name: "watch.saturation",
        help: "whether what can run full is watched: pools, descriptors, memory, disks",
        set: |settings, value| {
            settings.watch.saturation = value.flag()?;
            Ok(())
        },
        show: |settings| settings.watch.saturation.to_string(),
    },
    Key {
        name: "watch.horizon",
        help: "what will be full sooner than this is told, 1m to 7days",
        set: |settings, value| {
            settings.watch.horizon = value.duration(range::HORIZON)?;
            Ok(())
        },
        show: |settings| duration(settings.watch.horizon),
    },
    Key {
        name: "watch.figures",
        help: "whether CPU, memory, hit ratios and queues are watched, as evidence in incidents",
        set: |settings, value| {
            settings.watch.figures = value.flag()?;
            Ok(())
        },
        show: |settings| settings.watch.figures.to_string(),
    },
    Key {
        name: "slo.alert",
        help: "whether error budgets that are spent too fast are told; they are counted all the same",
        set: |settings, value| {
            settings.slo.alert = value.flag()?;
            Ok(())
        },
        show: |settings| settings.slo.alert.to_string(),
    },
    Key {
        name: "slo.availability",
        help: "the share of requests that must not fail",
        set: |settings, value| {
            settings.slo.availability = share(value)?;
            Ok(())
        },
        show: |settings| settings.slo.availability.to_string(),
    },
    Key {
        name: "slo.latency",
        help: "what a request may take; at best a bound of the histogram, else the next higher one counts",
        set: |settings, value| {
            settings.slo.latency = value.duration(range::SLO_LATENCY)?;
            Ok(())
        },
        show: |settings| duration(settings.slo.latency),
    },
    Key {
        name: "slo.latency_share",
        help: "the share of requests that must not take longer",
        set: |settings, value| {
            settings.slo.latency_share = share(value)?;
            Ok(())
        },
        show: |settings| settings.slo.latency_share.to_string(),
    },
];

/// What no agent can work with.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    let (watch, slo) = (&settings.watch, &settings.slo);
    let limit = within(watch.dependency_limit, &range::DEPENDENCY_LIMIT, |count| count.to_string());
    problems.note("watch.dependency_limit", limit);
    problems.note("watch.horizon", within(watch.horizon, &range::HORIZON, format_duration));
    problems.note("slo.availability", within(slo.availability, &range::SLO_SHARE, |share| share.to_string()));
    problems.note("slo.latency", within(slo.latency, &range::SLO_LATENCY, format_duration));
    problems.note("slo.latency_share", within(slo.latency_share, &range::SLO_SHARE, |share| share.to_string()));
}

fn share(value: Value) -> Result<f64, String> {
    let text = value.text()?;
    let share = text.trim().parse().map_err(|_| format!("`{text}` is no share; write one such as 0.999"))?;
    within(share, &range::SLO_SHARE, |share| share.to_string())
}
