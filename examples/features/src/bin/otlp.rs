//! A push over OTLP, without an agent: `cargo run --release -p features --bin otlp`, with a collector on port 4318.
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT` and its like say where to, and how. Without a collector it counts what failed.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;
    metrics.otlp().start()?;
    metrics.task("warm_up").run(async {}).await;
    // The last numbers are pushed, within a second.
    println!("{:?}", metrics.shutdown().await);

    let page = metrics.render().unwrap_or_default();
    page.lines().filter(|line| line.starts_with("outrigger_otlp_")).for_each(|line| println!("{line}"));
    Ok(())
}
