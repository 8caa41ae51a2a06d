//! The agent's own metrics, and the series it derives from what it scrapes.

use crate::{Emitter::Agent, Emitter::Both, Kind, Metric, Unit, buckets, label, metric};

const ROUTE: &[&str] = &[label::TARGET, label::HTTP_REQUEST_METHOD, label::HTTP_ROUTE];
const TARGET: &[&str] = &[label::TARGET];
const RESOURCE: &[&str] = &[label::TARGET, label::SUBJECT];

/// The agent's release, always 1.
pub const BUILD_INFO: Metric = metric(
    "outrigger.build_info",
    "outrigger_build_info",
    Kind::Gauge,
    Unit::One,
    &[label::VERSION],
    Agent,
    "The agent's release; always 1.",
);

/// Whether the last scrape of a target worked.
pub const TARGET_UP: Metric = metric(
    "outrigger.target.up",
    "outrigger_target_up",
    Kind::Gauge,
    Unit::One,
    TARGET,
    Agent,
    "1 if the last scrape of the target worked, else 0.",
);

/// Scrapes by outcome.
pub const SCRAPES: Metric = metric(
    "outrigger.scrapes",
    "outrigger_scrapes_total",
    Kind::Counter,
    Unit::One,
    &[label::TARGET, label::OUTCOME],
    Agent,
    "Scrapes of a target, by outcome (success or failure).",
);

/// Time of one scrape, parsing included.
pub const SCRAPE_DURATION: Metric = metric(
    "outrigger.scrape.duration",
    "outrigger_scrape_duration_seconds",
    Kind::Histogram(buckets::OPERATION_SECONDS),
    Unit::Seconds,
    TARGET,
    Agent,
    "Duration of scrapes, parsing included.",
);

/// Samples on the last page.
pub const SCRAPE_SAMPLES: Metric = metric(
    "outrigger.scrape.samples",
    "outrigger_scrape_samples",
    Kind::Gauge,
    Unit::One,
    TARGET,
    Agent,
    "Samples on the target's last page.",
);

/// Lines that no parser could read.
pub const SCRAPE_BAD_LINES: Metric = metric(
    "outrigger.scrape.bad_lines",
    "outrigger_scrape_bad_lines_total",
    Kind::Counter,
    Unit::One,
    TARGET,
    Agent,
    "Lines of scraped pages that could not be parsed and were skipped.",
);

/// Series held in memory.
pub const SERIES: Metric = metric(
    "outrigger.series",
    "outrigger_series",
    Kind::Gauge,
    Unit::One,
    TARGET,
    Agent,
    "Series of the target that the agent keeps.",
);

/// Samples that found no room.
pub const SAMPLES_DROPPED: Metric = metric(
    "outrigger.samples.dropped",
    "outrigger_samples_dropped_total",
    Kind::Counter,
    Unit::One,
    &[label::TARGET, label::REASON],
    Agent,
    "Samples that were not kept, by reason (series_limit, page_limit, route_limit).",
);

/// Whether a collector's last reading worked.
pub const COLLECTOR_SUCCESS: Metric = metric(
    "outrigger.collector.success",
    "outrigger_collector_success",
    Kind::Gauge,
    Unit::One,
    &[label::COLLECTOR],
    Agent,
    "1 if the collector's last reading worked, else 0.",
);

/// Time of a collector's last reading.
pub const COLLECTOR_DURATION: Metric = metric(
    "outrigger.collector.duration",
    "outrigger_collector_duration_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[label::COLLECTOR],
    Agent,
    "Duration of the collector's last reading.",
);

/// Time of one tick.
pub const TICK_DURATION: Metric = metric(
    "outrigger.tick.duration",
    "outrigger_tick_duration_seconds",
    Kind::Histogram(buckets::OPERATION_SECONDS),
    Unit::Seconds,
    &[],
    Agent,
    "Duration of the agent's ticks, from the first collector to the last verdict.",
);

/// Requests per second on a route.
pub const ROUTE_REQUEST_RATE: Metric = metric(
    "outrigger.route.request_rate",
    "outrigger_route_request_rate",
    Kind::Gauge,
    Unit::One,
    ROUTE,
    Agent,
    "Requests per second on the route, over the agent's short window.",
);

/// Share of failed requests on a route.
pub const ROUTE_ERROR: Metric = metric(
    "outrigger.route.error",
    "outrigger_route_error_ratio",
    Kind::Gauge,
    Unit::Ratio,
    ROUTE,
    Agent,
    "Share of the route's requests that failed (5xx, panic), over the agent's short window.",
);

/// Latency quantiles of a route.
pub const ROUTE_LATENCY: Metric = metric(
    "outrigger.route.latency",
    "outrigger_route_latency_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[label::TARGET, label::HTTP_REQUEST_METHOD, label::HTTP_ROUTE, label::PERCENTILE],
    Agent,
    "Latency quantiles of the route (p50, p95, p99), interpolated in its buckets over the agent's short window.",
);

/// How far a route is from its normal; or what has no route: the service, a dependency, a figure, which `subject` names.
pub const ANOMALY_SCORE: Metric = metric(
    "outrigger.anomaly.score",
    "outrigger_anomaly_score",
    Kind::Gauge,
    Unit::One,
    &[label::TARGET, label::HTTP_REQUEST_METHOD, label::HTTP_ROUTE, label::SUBJECT, label::SIGNAL],
    Agent,
    "Deviation of a route, or of another subject, from its own baseline, in standard deviations (signal=level: log of its rarity); absent during warm-up.",
);

/// Dependencies that the detector watches.
pub const DEPENDENCIES: Metric = metric(
    "outrigger.dependencies",
    "outrigger_dependencies",
    Kind::Gauge,
    Unit::One,
    TARGET,
    Agent,
    "Dependencies of the target that the agent watches: servers, database operations, caches.",
);

/// How fast an error budget is spent.
pub const SLO_BURN_RATE: Metric = metric(
    "outrigger.slo.burn_rate",
    "outrigger_slo_burn_rate",
    Kind::Gauge,
    Unit::One,
    &[label::TARGET, label::HTTP_REQUEST_METHOD, label::HTTP_ROUTE, label::OBJECTIVE, label::WINDOW],
    Agent,
    "Pace at which the error budget is spent: at 1 it lasts 30 days. Without a route: of the service as a whole.",
);

/// How much of an error budget is left.
pub const SLO_BUDGET_REMAINING: Metric = metric(
    "outrigger.slo.budget_remaining",
    "outrigger_slo_budget_remaining_ratio",
    Kind::Gauge,
    Unit::Ratio,
    &[label::TARGET, label::HTTP_REQUEST_METHOD, label::HTTP_ROUTE, label::OBJECTIVE],
    Agent,
    "Share of the error budget of 30 days that is left, negative when more is spent; time not seen counts as good.",
);

/// How full a resource is.
pub const SATURATION: Metric = metric(
    "outrigger.saturation",
    "outrigger_saturation_ratio",
    Kind::Gauge,
    Unit::Ratio,
    RESOURCE,
    Agent,
    "Share of its limit that is in use, by resource: pool, descriptors, memory, disk.",
);

/// When a resource will be full.
pub const SATURATION_FULL_IN: Metric = metric(
    "outrigger.saturation.full_in",
    "outrigger_saturation_full_in_seconds",
    Kind::Gauge,
    Unit::Seconds,
    RESOURCE,
    Agent,
    "Time until the resource is full if it goes on as it did; absent unless that is foreseen.",
);

/// Routes whose baseline is still being learnt.
pub const ROUTES_WARMING_UP: Metric = metric(
    "outrigger.routes.warming_up",
    "outrigger_routes_warming_up",
    Kind::Gauge,
    Unit::One,
    TARGET,
    Agent,
    "Routes with traffic whose baseline is still being learnt, so that nothing is flagged on them.",
);

/// Routes that the detector watches.
pub const ROUTES: Metric = metric(
    "outrigger.routes",
    "outrigger_routes",
    Kind::Gauge,
    Unit::One,
    TARGET,
    Agent,
    "Routes that the agent watches.",
);

/// Whether an incident is open on a target.
pub const INCIDENT_OPEN: Metric = metric(
    "outrigger.incident.open",
    "outrigger_incident_open",
    Kind::Gauge,
    Unit::One,
    TARGET,
    Agent,
    "1 while an incident is open on the target, else 0.",
);

/// Incidents opened since the agent's start.
pub const INCIDENTS: Metric = metric(
    "outrigger.incidents",
    "outrigger_incidents_total",
    Kind::Counter,
    Unit::One,
    TARGET,
    Agent,
    "Incidents opened on the target since the agent's start.",
);

/// Incidents that people marked as false alarms.
pub const INCIDENT_FALSE_ALARMS: Metric = metric(
    "outrigger.incident.false_alarms",
    "outrigger_incident_false_alarms_total",
    Kind::Counter,
    Unit::One,
    TARGET,
    Agent,
    "Incidents on the target that people marked as false alarms, among those that are kept and since.",
);

/// Anomalies that came as they regularly do.
pub const ANOMALIES_EXPECTED: Metric = metric(
    "outrigger.anomalies.expected",
    "outrigger_anomalies_expected_total",
    Kind::Counter,
    Unit::One,
    TARGET,
    Agent,
    "Slow spells of routes and dependencies that were not told, since they come by the clock and were no worse than before.",
);

/// Whether the settings that were read last are in force.
pub const CONFIG_RELOAD_SUCCESS: Metric = metric(
    "outrigger.config.reload_success",
    "outrigger_config_reload_success",
    Kind::Gauge,
    Unit::One,
    &[],
    Agent,
    "1 if the settings that were read last are in force, 0 if they were wrong and those before them stayed.",
);

/// Whether the agent's state is kept on disk.
pub const STORE_UP: Metric = metric(
    "outrigger.store.up",
    "outrigger_store_up",
    Kind::Gauge,
    Unit::One,
    &[],
    Agent,
    "1 if the agent has a data folder and the last writing of its state worked, else 0: a restart would forget.",
);

/// Writings of the agent's state by outcome.
pub const STORE_WRITES: Metric = metric(
    "outrigger.store.writes",
    "outrigger_store_writes_total",
    Kind::Counter,
    Unit::One,
    &[label::OUTCOME],
    Agent,
    "Writings of the agent's state to its data folder, by outcome (success or failure).",
);

/// Size of the agent's state on disk.
pub const STORE_SIZE: Metric = metric(
    "outrigger.store.size",
    "outrigger_store_size_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[],
    Agent,
    "Size of the agent's state, without incidents, when it was last written.",
);

/// Files of the data folder that could not be used.
pub const STORE_SET_ASIDE: Metric = metric(
    "outrigger.store.set_aside",
    "outrigger_store_set_aside_total",
    Kind::Counter,
    Unit::One,
    &[],
    Agent,
    "Files of the data folder that were damaged or of another version, and were set aside under another name.",
);

/// CPU profiles that were taken of targets.
pub const PROFILE_TAKEN: Metric = metric(
    "outrigger.profile.taken",
    "outrigger_profile_taken_total",
    Kind::Counter,
    Unit::One,
    &[label::TARGET, label::PROFILE_PURPOSE],
    Agent,
    "CPU profiles that the agent took of a target, by purpose (incident, or calm to compare with).",
);

/// CPU profiles that could not be taken.
pub const PROFILE_FAILURES: Metric = metric(
    "outrigger.profile.failures",
    "outrigger_profile_failures_total",
    Kind::Counter,
    Unit::One,
    &[label::TARGET, label::REASON],
    Agent,
    "CPU profiles that the agent could not take of a target, by reason (absent, refused, busy, failed, connection, timeout, too_large, invalid).",
);

/// Profiles that made room for others.
pub const PROFILE_DROPPED: Metric = metric(
    "outrigger.profile.dropped",
    "outrigger_profile_dropped_total",
    Kind::Counter,
    Unit::One,
    &[label::PROFILE_PURPOSE],
    Agent,
    "CPU profiles that the agent dropped to stay within its limits, by purpose (incident or calm).",
);

/// Size of the profiles that are kept.
pub const PROFILE_SIZE: Metric = metric(
    "outrigger.profile.size",
    "outrigger_profile_size_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[],
    Agent,
    "Size of the CPU profiles and flame graphs that the agent keeps.",
);

/// How long reading profiles and drawing them takes.
pub const PROFILE_MAKING: Metric = metric(
    "outrigger.profile.making.duration",
    "outrigger_profile_making_duration_seconds",
    Kind::Histogram(buckets::OPERATION_SECONDS),
    Unit::Seconds,
    &[],
    Agent,
    "How long the agent took to read a CPU profile and to draw what is kept of it.",
);

/// Requests that tell of incidents, by outcome.
pub const NOTIFICATIONS: Metric = metric(
    "outrigger.notifications",
    "outrigger_notifications_total",
    Kind::Counter,
    Unit::One,
    &[label::DESTINATION, label::OUTCOME],
    Agent,
    "Requests that told of incidents, by destination (alertmanager, webhook, slack) and outcome (success or failure).",
);

/// Changes of incidents that were not told.
pub const NOTIFICATIONS_DROPPED: Metric = metric(
    "outrigger.notifications.dropped",
    "outrigger_notifications_dropped_total",
    Kind::Counter,
    Unit::One,
    &[label::DESTINATION, label::REASON],
    Agent,
    "Changes of incidents that were not told, by destination and reason (rejected, expired, forgotten, silenced, \
     quiet_hours, flapping).",
);

/// Changes of incidents that were held back.
pub const NOTIFICATIONS_HELD: Metric = metric(
    "outrigger.notifications.held",
    "outrigger_notifications_held_total",
    Kind::Counter,
    Unit::One,
    &[label::DESTINATION, label::REASON],
    Agent,
    "Changes of incidents that were held back or not meant for the destination, once for each reason (muted, severity, \
     score, silenced, quiet_hours, flapping, rate_limited).",
);

/// Changes of incidents that are held back now.
pub const NOTIFICATIONS_ON_HOLD: Metric = metric(
    "outrigger.notifications.on_hold",
    "outrigger_notifications_on_hold",
    Kind::Gauge,
    Unit::One,
    &[label::DESTINATION, label::REASON],
    Agent,
    "Changes of incidents that are held back now, by destination and reason.",
);

/// Silences that last.
pub const SILENCES: Metric = metric(
    "outrigger.silences",
    "outrigger_silences",
    Kind::Gauge,
    Unit::One,
    &[],
    Agent,
    "Silences that last, of the settings and of the API.",
);

/// Changes of incidents that wait.
pub const NOTIFICATIONS_PENDING: Metric = metric(
    "outrigger.notifications.pending",
    "outrigger_notifications_pending",
    Kind::Gauge,
    Unit::One,
    &[label::DESTINATION],
    Agent,
    "Changes of incidents that no destination of this kind has accepted yet.",
);

/// OTLP pushes by outcome.
pub const OTLP_EXPORTS: Metric = metric(
    "outrigger.otlp.exports",
    "outrigger_otlp_exports_total",
    Kind::Counter,
    Unit::One,
    &[label::OUTCOME],
    Both,
    "OTLP export requests, by outcome (success or failure).",
);

/// Data points that never reached the OTLP endpoint.
pub const OTLP_DROPPED: Metric = metric(
    "outrigger.otlp.dropped_points",
    "outrigger_otlp_dropped_points_total",
    Kind::Counter,
    Unit::One,
    &[label::REASON],
    Both,
    "Data points that were not delivered over OTLP, by reason (queue_full, rejected, retries_exhausted, \
     series_limit, unsupported).",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[
    BUILD_INFO,
    TARGET_UP,
    SCRAPES,
    SCRAPE_DURATION,
    SCRAPE_SAMPLES,
    SCRAPE_BAD_LINES,
    SERIES,
    SAMPLES_DROPPED,
    COLLECTOR_SUCCESS,
    COLLECTOR_DURATION,
    TICK_DURATION,
    ROUTE_REQUEST_RATE,
    ROUTE_ERROR,
    ROUTE_LATENCY,
    ANOMALY_SCORE,
    DEPENDENCIES,
    SLO_BURN_RATE,
    SLO_BUDGET_REMAINING,
    SATURATION,
    SATURATION_FULL_IN,
    ROUTES_WARMING_UP,
    ROUTES,
    INCIDENT_OPEN,
    INCIDENTS,
    INCIDENT_FALSE_ALARMS,
    ANOMALIES_EXPECTED,
    CONFIG_RELOAD_SUCCESS,
    STORE_UP,
    STORE_WRITES,
    STORE_SIZE,
    STORE_SET_ASIDE,
    PROFILE_TAKEN,
    PROFILE_FAILURES,
    PROFILE_DROPPED,
    PROFILE_SIZE,
    PROFILE_MAKING,
    NOTIFICATIONS,
    NOTIFICATIONS_DROPPED,
    NOTIFICATIONS_PENDING,
    NOTIFICATIONS_HELD,
    NOTIFICATIONS_ON_HOLD,
    SILENCES,
    OTLP_EXPORTS,
    OTLP_DROPPED,
];
