//! Holds expressions against the catalogue.

use super::promql::{self, Expression, Selector};
use outrigger_semconv as semconv;
use std::collections::{BTreeMap, BTreeSet};

/// Labels that Prometheus adds to whatever it scrapes.
const FROM_SCRAPING: [&str; 2] = ["job", "instance"];
/// Functions that make something of a counter.
const OF_COUNTERS: [&str; 2] = ["rate", "increase"];

type Labels = BTreeSet<String>;

/// The metrics that an expression may name: the catalogue's, and those that rules record.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    recorded: BTreeMap<String, Labels>,
}

impl Catalogue {
    /// Adds a recording rule, whose labels are what its expression leaves.
    pub(crate) fn record(&mut self, name: &str, expression: &str) -> Result<(), String> {
        let labels = self.check(expression)?;
        match self.recorded.insert(name.to_owned(), labels) {
            Some(_) => Err(format!("{name} is recorded twice")),
            None => Ok(()),
        }
    }

    /// The labels of an expression's result, or what the catalogue has against the expression.
    pub(crate) fn check(&self, text: &str) -> Result<Labels, String> {
        let expression = promql::read(text).map_err(|error| format!("{error}, in {text}"))?;
        self.check_expression(&expression).map_err(|error| format!("{error}, in {text}"))
    }

    fn check_expression(&self, expression: &Expression) -> Result<Labels, String> {
        if expression.selectors.is_empty() {
            return Err("it names no metric".into());
        }
        let mut left: Option<Labels> = None;
        for selector in &expression.selectors {
            let labels = self.check_selector(selector)?;
            if let Some(label) = expression.join_labels.iter().find(|label| !labels.contains(*label)) {
                return Err(format!("a join on {label}, which is gone from {}", selector.metric));
            }
            left = Some(match left {
                Some(left) => left.intersection(&labels).cloned().collect(),
                None => labels,
            });
        }
        Ok(left.unwrap_or_default())
    }

    /// The labels that the calls around a selector leave of its own.
    fn check_selector(&self, selector: &Selector) -> Result<Labels, String> {
        let metric = &selector.metric;
        let (mut labels, counts) = self.metric(metric)?;
        if let Some((label, ..)) = selector.matchers.iter().find(|(label, ..)| !labels.contains(label)) {
            return Err(format!("{metric} has no label {label}; it has {labels:?}"));
        }
        let in_rate =
            selector.has_range && selector.calls.last().is_some_and(|call| OF_COUNTERS.contains(&call.name.as_str()));
        if counts != in_rate {
            let wish = if counts { "a counter: put it in rate or increase" } else { "a gauge, which has no rate" };
            return Err(format!("{metric} is {wish}"));
        }
        for call in selector.calls.iter().rev() {
            if call.name == "histogram_quantile" && !labels.remove("le") {
                return Err(format!("a quantile of {metric}, which has no le (any more)"));
            }
            let Some(by) = &call.by else { continue };
            if let Some(label) = by.iter().find(|label| !labels.contains(*label)) {
                return Err(format!("{metric} has no label {label} to keep; it has {labels:?}"));
            }
            labels.retain(|label| by.contains(label));
        }
        // Absence has the labels of nothing.
        if selector.calls.iter().any(|call| call.name == "absent") {
            labels.clear();
        }
        Ok(labels)
    }

    /// The labels of a metric, and whether it only rises.
    fn metric(&self, name: &str) -> Result<(Labels, bool), String> {
        if let Some(labels) = self.recorded.get(name) {
            return Ok((labels.clone(), false));
        }
        let part =
            ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| Some((name.strip_suffix(suffix)?, suffix)));
        let histogram = part.filter(|(name, _)| semconv::find(name).is_some_and(|metric| metric.bounds().is_some()));
        let (metric, le, counts) = match (semconv::find(name), histogram) {
            (Some(metric), _) if metric.bounds().is_none() => (metric, None, metric.kind == semconv::Kind::Counter),
            (_, Some((name, suffix))) => {
                let metric = semconv::find(name).ok_or_else(|| format!("{name} is not in the catalogue"))?;
                (metric, (suffix == "_bucket").then_some("le"), true)
            }
            (Some(_), None) => return Err(format!("{name} is a histogram: name its _bucket, _sum or _count")),
            (None, None) => return Err(format!("{name} is not in the catalogue")),
        };
        let labels = metric.labels.iter().copied().chain(FROM_SCRAPING).chain(le);
        Ok((labels.map(str::to_owned).collect(), counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_of_the_catalogue_pass_and_leave_their_labels() {
        let mut catalogue = Catalogue::default();
        let quantile = "histogram_quantile(0.95, sum by (job, http_route, le) (rate(http_server_request_duration_seconds_bucket[5m])))";
        catalogue.record("job_route:latency:p95", quantile).unwrap();
        let left = catalogue.check(r#"max by (http_route) (job_route:latency:p95{job="shop"}) > 0.2"#).unwrap();
        assert_eq!(left, BTreeSet::from(["http_route".to_owned()]));
    }

    #[test]
    fn each_kind_of_mistake_is_found() {
        let catalogue = Catalogue::default();
        for (expression, complaint) in [
            ("rate(http_server_requests_total[5m])", "http_server_requests_total is not in the catalogue"),
            ("rate(http_server_request_duration_seconds[5m])", "is a histogram"),
            ("job:unknown:rate5m > 1", "is not in the catalogue"),
            (r#"rate(cache_requests_total{result="hit"}[5m])"#, "has no label result"),
            ("sum by (route) (rate(cache_requests_total[5m]))", "has no label route to keep"),
            ("sum by (le) (rate(http_server_request_duration_seconds_count[5m]))", "has no label le to keep"),
            ("sum by (job) (sum by (instance) (http_server_active_requests))", "has no label job to keep"),
            ("sum(cache_requests_total)", "is a counter"),
            ("sum(rate(cache_entries[5m]))", "is a gauge"),
            ("histogram_quantile(0.9, sum by (job) (rate(cache_load_duration_seconds_bucket[5m])))", "has no le"),
            ("cache_entries and on (job) sum by (instance) (cache_entries)", "a join on job"),
            ("1 + 1", "names no metric"),
            ("sum(", "not closed"),
        ] {
            let error = catalogue.check(expression).expect_err(expression);
            assert!(error.contains(complaint), "{expression}: {error}");
        }
    }
}
