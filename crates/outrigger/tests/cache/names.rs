//! What caches are called.

use outrigger::cache::{CacheMetrics, ReadThrough, ReadThroughBuilder};
use outrigger_semconv::{cache, label, library};

use crate::support::Page;
use crate::{NAME, fresh, look_ups};

#[test]
fn names_are_capped_and_those_of_one_name_count_together() {
    let metrics = fresh();
    let caches: Vec<_> = (0..1_002).map(|number| CacheMetrics::new(&metrics, format!("cache-{number}"))).collect();
    caches.iter().for_each(CacheMetrics::hit);
    CacheMetrics::new(&metrics, "cache-0").hit();
    let page = Page::of(&metrics);
    let hits = |name: &str| page.number(&cache::REQUESTS, &[(label::CACHE_NAME, name), (label::CACHE_RESULT, "hit")]);
    assert_eq!((hits("cache-0"), hits("cache-999"), hits("cache-1000")), (Some(2.0), Some(1.0), None));
    assert_eq!(hits(label::OTHER), Some(2.0));
    assert_eq!(page.number(&library::SERIES_DROPPED, &[(label::METRIC, cache::REQUESTS.name)]), Some(2.0));
}

#[tokio::test]
async fn keys_are_looked_up_as_what_they_lend() {
    let metrics = fresh();
    let lengths: ReadThrough<String, usize, std::convert::Infallible> =
        ReadThroughBuilder::new(NAME).build(&metrics, |word: String| async move { Ok(Some(word.len())) });
    assert_eq!(lengths.get("paddle").await.unwrap(), Some(6));
    assert_eq!(lengths.get(&"paddle".to_owned()).await.unwrap(), Some(6));
    lengths.invalidate("paddle").await;
    assert_eq!(lengths.get("paddle").await.unwrap(), Some(6));
    assert_eq!(look_ups(&metrics), (1.0, 2.0));
}
