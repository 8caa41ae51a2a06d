//! Label values that want to be something else come back from a real Prometheus as they went in.

use std::collections::BTreeSet;

use outrigger::cache::CacheMetrics;
use outrigger_semconv::PROMTOOL_EXCEPTIONS;
use outrigger_testkit::{Prometheus, PrometheusConfig, promtool, wait_for};

use crate::{SOON, Served, scraped_without_complaint};

const HOSTILE: [&str; 14] = [
    r#"say "hi""#,
    r"one\backslash",
    r"two\\backslashes",
    "two\nlines",
    r"not\na line",
    "\n",
    "\"} 1\nforged{a=\"b",
    "{a=\"b\",}",
    "# EOF",
    "größer ≥ 猫",
    "\u{202e}backwards",
    "tab\tand\rreturn",
    "nul\0 and del\u{7f}",
    "a,b c=d",
];

#[test]
fn hostile_label_values_come_back_from_prometheus_exactly() {
    for feature in [None, Some("native-histograms")] {
        let served = Served::new(outrigger::standalone().unwrap());
        for (index, name) in HOSTILE.iter().enumerate() {
            let cache = CacheMetrics::new(&served.metrics, *name);
            (0..=index).for_each(|_| cache.hit());
        }
        let config = PrometheusConfig::new().scrape("service", served.address);
        let config = feature.map_or(config.clone(), |feature| config.feature(feature));
        let Some(prometheus) = Prometheus::start(config) else { return };
        let series = wait_for(SOON, "the series", || {
            let series = prometheus.query(r#"cache_requests_total{cache_result="hit"}"#);
            series.as_array().filter(|series| !series.is_empty()).cloned()
        });
        let found: BTreeSet<(String, String)> = series
            .iter()
            .map(|series| {
                let text = |value: Option<&str>| value.unwrap().to_owned();
                (text(series["metric"]["cache_name"].as_str()), text(series["value"][1].as_str()))
            })
            .collect();
        let expected = HOSTILE.iter().enumerate().map(|(index, name)| ((*name).to_owned(), (index + 1).to_string()));
        assert_eq!(found, expected.collect(), "{feature:?}");
        scraped_without_complaint(&prometheus);
    }
}

#[test]
fn promtool_has_nothing_against_the_page_as_it_is_served() {
    let served = Served::new(outrigger::standalone().unwrap());
    for name in HOSTILE {
        CacheMetrics::new(&served.metrics, name).hit();
    }
    let Some(complaints) = promtool::check_metrics(&served.ask("GET", &[]).text()) else { return };
    let unexpected: Vec<&String> = complaints
        .iter()
        .filter(|complaint| !PROMTOOL_EXCEPTIONS.iter().any(|name| complaint.starts_with(name)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}
