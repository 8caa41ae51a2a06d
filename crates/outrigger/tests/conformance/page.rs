//! The page as a whole.

use outrigger::Metrics;
use outrigger::cache::CacheMetrics;
use outrigger_semconv::{PROMTOOL_EXCEPTIONS, cache, label, library};

use crate::support::Page;

pub(crate) async fn target_info_names_the_service(metrics: Metrics) {
    let page = Page::of(&metrics);
    let series = page.series(&library::TARGET_INFO);
    let [labels] = series.as_slice() else { panic!("{series:?}") };
    assert!(labels.get(label::SERVICE_NAME).is_some_and(|name| name.starts_with("conformance")), "{labels:?}");
    assert_eq!(page.sum(&library::TARGET_INFO), 1.0);
}

pub(crate) async fn names_and_escapes_come_back_as_they_went(metrics: Metrics) {
    let names = [r#"say "hi""#, "two\nlines", "{a=\"b\",}", "größer ≥ 猫", "", r"one\backslash", "tab\there", "a,b c"];
    for (index, name) in names.iter().enumerate() {
        let cache = CacheMetrics::new(&metrics, *name);
        (0..=index).for_each(|_| cache.hit());
    }
    let page = Page::of(&metrics);
    for (index, name) in names.iter().enumerate() {
        let labels = [(label::CACHE_NAME, *name), (label::CACHE_RESULT, "hit")];
        assert_eq!(page.number(&cache::REQUESTS, &labels), Some(index as f64 + 1.0), "{name:?}");
    }
}

pub(crate) async fn promtool_has_no_complaint(metrics: Metrics) {
    // One of each kind.
    let cache = CacheMetrics::new(&metrics, "c");
    cache.hit();
    cache.entries(3);
    let loaded: Result<u8, std::io::Error> = cache.load(async { Ok(1) }).await;
    loaded.expect("it was loaded");

    let page = Page::of(&metrics);
    let Some(complaints) = outrigger_testkit::promtool::check_metrics(page.text()) else { return };
    let unexpected: Vec<&String> = complaints
        .iter()
        .filter(|complaint| !PROMTOOL_EXCEPTIONS.iter().any(|name| complaint.starts_with(name)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}
