//! What watching an idle runtime costs: `cargo run --release --example runtime_cost [seconds]`.
//!
//! The process' processor time over some seconds, first without the watch and then with it, as shares of one processor.

use std::time::{Duration, Instant};

use outrigger_exposition::{Format, Value, families};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(20), |seconds| seconds.parse())?;
    let metrics = outrigger::standalone()?;
    let without = share(&metrics, seconds).await?;
    let watch = metrics.watch_runtime();
    let with = share(&metrics, seconds).await?;
    watch.stop();
    println!("idle, {seconds} s each: {:.4} % of a processor without the watch, {:.4} % with it", without, with);
    Ok(())
}

/// The share of a processor, in per cent, that this process used in some seconds of doing nothing.
async fn share(metrics: &outrigger::Metrics, seconds: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let (begun, before) = (Instant::now(), processor_seconds(metrics)?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok((processor_seconds(metrics)? - before) / begun.elapsed().as_secs_f64() * 100.0)
}

fn processor_seconds(metrics: &outrigger::Metrics) -> Result<f64, Box<dyn std::error::Error>> {
    let page = metrics.render().ok_or("no page")?;
    let read = families(page.as_bytes(), Format::Text).families;
    let family = read.iter().find(|family| family.name == "process_cpu_seconds").ok_or("no CPU time: Linux only")?;
    match family.points.first().map(|point| &point.value) {
        Some(Value::Counter(seconds)) => Ok(*seconds),
        _ => Err("no CPU time".into()),
    }
}
