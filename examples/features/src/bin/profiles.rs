//! Profiles: `cargo run --release -p features --bin profiles`, then open
//! <http://127.0.0.1:9464/debug/pprof/flamegraph?seconds=5> in a browser.

use std::time::Duration;

use outrigger::profile;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;
    metrics.serve_admin(); // profiles are on it, since the feature `profile` is on

    println!("go tool pprof -http=: 'http://127.0.0.1:9464/debug/pprof/profile?seconds=5'");
    println!("curl -s http://127.0.0.1:9464/metrics | grep profile_");
    loop {
        tokio::task::spawn_blocking(|| price(20_000_000)).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the flame graph shows, and how long each call takes: the two have nothing to do with one another.
#[inline(never)]
fn price(items: u64) -> u64 {
    let _timed = profile::scope("checkout.price");
    (0..items).fold(0, |sum, item| std::hint::black_box(sum ^ item.wrapping_mul(31)))
}
