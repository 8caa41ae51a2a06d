//! A cache that loads by itself: `cargo run --release -p features --bin read_through`, which prints what it has counted.
//! With `REDIS_URL=redis://127.0.0.1/` it shares what it loads through Redis; run it twice.

use std::time::Duration;

use outrigger::cache::ReadThroughBuilder;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;

    let mut products = ReadThroughBuilder::<u64, String>::new("products")
        .ttl(Duration::from_secs(60))
        .stale_while_revalidate(Duration::from_secs(30))
        .negative_ttl(Duration::from_secs(5))
        .tags(|id, _product| vec![format!("shelf:{}", id % 10)]);
    if let Ok(url) = std::env::var("REDIS_URL") {
        // Connects at the first command, and again after an outage: Redis need not be there.
        let redis = ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, ConnectionManagerConfig::new())?;
        products =
            products.redis(metrics.timed_redis(redis), (|product: &String| product.clone().into_bytes(), decode));
    }
    let products = products.build(&metrics, read_product);

    // A thousand ask for one product at a time: one load.
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let products = products.clone();
            tokio::spawn(async move { products.get(&42).await })
        })
        .collect();
    for caller in callers {
        assert!(caller.await??.is_some());
    }
    assert_eq!(products.get(&1_000).await?, None); // there is no such product, and that is remembered
    products.invalidate(&42).await; //                 it has changed
    products.invalidate_tag("shelf:2").await; //       all of its shelf have
    println!("{:?}", products.get(&42).await?);

    let page = metrics.render().unwrap_or_default();
    page.lines()
        .filter(|line| line.starts_with("cache_") && !line.contains("_bucket"))
        .for_each(|line| println!("{line}"));
    Ok(())
}

async fn read_product(id: u64) -> Result<Option<String>, std::io::Error> {
    tokio::time::sleep(Duration::from_millis(20)).await; // as long as a query takes
    Ok((id < 100).then(|| format!("product {id}")))
}

fn decode(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
