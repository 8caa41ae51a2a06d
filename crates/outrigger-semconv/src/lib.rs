//! The catalogue: every metric that Outrigger emits or reads, with its names, kind, unit, buckets, labels and meaning.
//!
//! Names follow the [OpenTelemetry semantic conventions] and are spelled as Prometheus spells them; where no convention
//! exists (cache, background tasks, the agent's own metrics) the name is ours and [`Metric::otel`] says so by its
//! prefix. A metric name is a public API, since dashboards and alert rules call it: tests hold the code, the dashboards
//! and the rules of this project against this crate, and nothing is emitted that does not stand here.
//!
//! ```
//! use outrigger_semconv::{Kind, http};
//!
//! let metric = &http::SERVER_REQUEST_DURATION;
//! assert_eq!(metric.otel, "http.server.request.duration");
//! assert_eq!(metric.name, "http_server_request_duration_seconds");
//! assert!(matches!(metric.kind, Kind::Histogram(bounds) if bounds.contains(&0.2)));
//! assert_eq!(outrigger_semconv::find(metric.name), Some(metric));
//! ```
//!
//! The crate holds constants and nothing else: no code here runs at request time.
//!
//! [OpenTelemetry semantic conventions]: https://opentelemetry.io/docs/specs/semconv/

#![deny(missing_docs)]

pub mod agent;
pub mod buckets;
pub mod cache;
pub mod classic;
pub mod db;
pub mod db_findings;
pub mod http;
pub mod label;
pub mod library;
pub mod objective;
pub mod process;
pub mod profile;
pub mod resilience;
pub mod runtime;
pub mod system;
pub mod task;

/// What a metric measures and how its samples combine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A sum that only rises, and falls back to zero when its process restarts.
    Counter,
    /// A value that can go either way.
    Gauge,
    /// Observations counted in buckets with these upper bounds, inclusive and ascending; `+Inf` is implied.
    Histogram(&'static [f64]),
}

/// The base unit of a metric's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share between 0 and 1.
    Ratio,
    /// A plain number of things, named by the metric.
    One,
}

impl Unit {
    /// The suffix that Prometheus names carry for this unit, without the underscore; empty for a plain number.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
            Self::One => "",
        }
    }

    /// The unit in the notation that OTLP carries (UCUM).
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes => "By",
            Self::Ratio | Self::One => "1",
        }
    }
}

/// Who puts a metric on a `/metrics` page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emitter {
    /// The library, inside the service.
    Library,
    /// The agent, beside it.
    Agent,
    /// Both, each for what it sees.
    Both,
}

/// One entry of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The dotted OpenTelemetry name.
    pub otel: &'static str,
    /// The Prometheus name, with unit and `_total` suffixes.
    pub name: &'static str,
    /// Counter, gauge or histogram with its default buckets.
    pub kind: Kind,
    /// The base unit.
    pub unit: Unit,
    /// Every label that can appear, in Prometheus spelling. See [`label`] for their values.
    pub labels: &'static [&'static str],
    /// One sentence for `# HELP`.
    pub help: &'static str,
    /// Which of our pages it stands on.
    pub emitter: Emitter,
}

impl Metric {
    /// The histogram's default bucket bounds, or `None` for a counter or gauge.
    #[must_use]
    pub const fn bounds(&self) -> Option<&'static [f64]> {
        match self.kind {
            Kind::Histogram(bounds) => Some(bounds),
            Kind::Counter | Kind::Gauge => None,
        }
    }
}

/// Every metric, group by group.
pub const CATALOGUE: &[&[Metric]] = &[
    http::ALL,
    classic::ALL,
    db::ALL,
    db_findings::ALL,
    cache::ALL,
    task::ALL,
    resilience::ALL,
    runtime::ALL,
    process::ALL,
    profile::ALL,
    system::ALL,
    library::ALL,
    agent::ALL,
];

/// All metrics in the order of the catalogue.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    CATALOGUE.iter().flat_map(|group| group.iter())
}

/// Looks a metric up by its Prometheus name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    metrics().find(|metric| metric.name == name)
}

/// Gauges whose conventional name ends in `_count`, to which `promtool check metrics` objects.
///
/// The name is OpenTelemetry's, and renaming it would cost every reader of the conventions; nothing else is excused.
pub const PROMTOOL_EXCEPTIONS: &[&str] =
    &["db_client_connection_count", "process_thread_count", "process_unix_file_descriptor_count"];

const fn metric(
    otel: &'static str,
    name: &'static str,
    kind: Kind,
    unit: Unit,
    labels: &'static [&'static str],
    emitter: Emitter,
    help: &'static str,
) -> Metric {
    Metric { otel, name, kind, unit, labels, help, emitter }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn dotted(otel: &str) -> String {
        otel.replace('.', "_")
    }

    #[test]
    fn names_are_unique_and_are_what_prometheus_makes_of_the_dotted_name() {
        let mut seen = HashSet::new();
        for metric in metrics() {
            assert!(seen.insert(metric.name), "{} stands twice", metric.name);
            let mut expected = dotted(metric.otel);
            let suffix = metric.unit.suffix();
            if !suffix.is_empty() && !expected.ends_with(suffix) {
                expected = format!("{expected}_{suffix}");
            }
            if metric.kind == Kind::Counter {
                expected = format!("{}_total", expected.trim_end_matches("_total"));
            }
            assert_eq!(metric.name, expected, "{}", metric.otel);
        }
    }

    #[test]
    fn help_is_a_sentence_and_labels_are_known() {
        for metric in metrics() {
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{}: {:?}", metric.name, metric.help);
            for name in metric.labels {
                assert!(label::ALL.contains(name), "{}: label {name} is not in label::ALL", metric.name);
            }
            assert!(!metric.labels.contains(&"le") && !metric.labels.contains(&"quantile"), "{}", metric.name);
        }
    }

    #[test]
    fn bounds_rise_and_are_finite() {
        for metric in metrics() {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(!bounds.is_empty() && bounds.iter().all(|b| b.is_finite() && *b > 0.0), "{}", metric.name);
                assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{}", metric.name);
            }
        }
    }

    #[test]
    fn only_the_listed_gauges_end_in_count() {
        for metric in metrics() {
            assert_eq!(
                metric.name.ends_with("_count"),
                PROMTOOL_EXCEPTIONS.contains(&metric.name),
                "{} and the list of exceptions disagree",
                metric.name
            );
        }
    }

    #[test]
    fn every_latency_objective_is_a_bound_of_its_histogram() {
        for objective in objective::ALL {
            let metric =
                find(objective.metric).unwrap_or_else(|| panic!("{} is not in the catalogue", objective.metric));
            if let objective::Measure::Quantile { .. } = objective.measure {
                let bounds = metric.bounds().unwrap_or_else(|| panic!("{} is no histogram", metric.name));
                assert!(bounds.contains(&objective.threshold), "{}: {} is no bound", metric.name, objective.threshold);
            }
        }
    }
}
