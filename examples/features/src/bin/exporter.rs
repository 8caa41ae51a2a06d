//! metrics-exporter-prometheus as the recorder: `cargo run --release -p features --bin exporter`, which prints its page.
//!
//! For those who have it already. Everything else is as with our recorder.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A `PrometheusBuilder` with our buckets, to be changed as one likes; its upkeep runs.
    let builder = outrigger::prometheus_builder().add_global_label("zone", "eu-1");
    let metrics = outrigger::exporter::install(builder)?;
    metrics.task("warm_up").run(async {}).await;
    println!("{}", metrics.render().unwrap_or_default());
    Ok(())
}
