//! Caches: `cargo run --release -p features --bin cache`, which prints what it has counted.

use std::collections::HashMap;
use std::sync::Arc;

use outrigger::cache::{CountedCache, MokaCache};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;

    // moka: look-ups, loads, evictions by cause, entries, and bytes, since its weigher counts them.
    let products = moka::future::Cache::builder()
        .max_capacity(200)
        .weigher(|_: &u64, name: &String| name.len().try_into().unwrap_or(u32::MAX));
    let products = MokaCache::build(&metrics, "products", products).weighed_in_bytes();
    for id in 0..100 {
        products.try_get_with(id % 40, read_product(id % 40)).await.map_err(|error: Arc<_>| error.to_string())?;
    }
    products.run_pending_tasks().await;

    // Any other cache: a map here. One of your own says how many entries it has, in the two lines of `CacheSize`.
    let mut names = CountedCache::new(&metrics, "names", HashMap::new());
    for id in [1, 2, 1, 1] {
        if names.lookup(|map| map.get(&id)).is_none() {
            names.update(|map| map.insert(id, format!("name {id}")));
        }
    }

    let page = metrics.render().unwrap_or_default();
    page.lines()
        .filter(|line| line.starts_with("cache_") && !line.contains("_bucket"))
        .for_each(|line| println!("{line}"));
    Ok(())
}

async fn read_product(id: u64) -> std::io::Result<String> {
    Ok(format!("product {id}"))
}
