//! Native histograms, from the setting to Prometheus' quantiles.

use outrigger_semconv::{http, label};
use outrigger_testkit::{Prometheus, PrometheusConfig, wait_for};

use crate::{SOON, Served, scraped_without_complaint};

/// Neighbouring bounds of a native histogram are at most this far apart here: the eighth root of two.
const GROWTH: f64 = 1.0906;

#[test]
fn quantiles_in_prometheus_agree_with_what_was_recorded() {
    let metrics = outrigger::builder().native_histogram(http::SERVER_REQUEST_DURATION.name).install().unwrap();
    let served = Served::new(metrics);
    let mut values = log_normal(20_000);
    let histogram = metrics::histogram!(http::SERVER_REQUEST_DURATION.name, label::HTTP_ROUTE => "/products/{id}");
    values.iter().for_each(|value| histogram.record(*value));
    values.sort_by(f64::total_cmp);

    let config = PrometheusConfig::new().scrape("service", served.address).feature("native-histograms");
    let Some(prometheus) = Prometheus::start(config) else { return };
    let name = http::SERVER_REQUEST_DURATION.name;
    let count = wait_for(SOON, "the native histogram", || prometheus.value(&format!("histogram_count({name})")));
    assert_eq!(count, values.len() as f64);
    let sum = prometheus.value(&format!("histogram_sum({name})")).unwrap();
    let exact: f64 = values.iter().sum();
    assert!((sum / exact - 1.0).abs() < 1e-9, "{sum} for {exact}");
    for quantile in [0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999] {
        let said = prometheus.value(&format!("histogram_quantile({quantile}, {name})")).unwrap();
        let rank = (quantile * values.len() as f64).ceil() as usize;
        let exact = values[rank - 1];
        let off = if said > exact { said / exact } else { exact / said };
        assert!(off <= GROWTH, "{quantile}: {said} for {exact}");
    }
    scraped_without_complaint(&prometheus);

    // The classic buckets stay, for whoever reads text.
    let text = served.ask("GET", &[]).text();
    assert!(text.contains(&format!("{name}_bucket{{http_route=\"/products/{{id}}\",le=\"0.2\"}}")), "{text}");
}

/// Durations as services have them: most around 20 ms, some a hundred times as long. The same at every run.
fn log_normal(count: usize) -> Vec<f64> {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    let normal = |one: f64, two: f64| (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos();
    (0..count).map(|_| 0.02 * (1.2 * normal(uniform(), uniform())).exp()).collect()
}
