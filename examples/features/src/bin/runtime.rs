//! The Tokio runtime: `cargo run --release -p features --bin runtime`, then look at <http://127.0.0.1:9464/metrics>.

use std::time::Duration;

use outrigger::BuildInfo;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;
    metrics.serve_admin();
    metrics.build_info(&BuildInfo::new(env!("CARGO_PKG_VERSION")));
    metrics.watch_runtime();

    println!("curl -s http://127.0.0.1:9464/metrics | grep tokio_runtime");
    loop {
        // Code that blocks holds up whatever waits for its worker: the probe sees it as delay.
        for _ in 0..8 {
            tokio::spawn(async { std::thread::sleep(Duration::from_millis(150)) });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
