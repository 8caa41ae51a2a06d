//! Reads cumulative Prometheus bucket counters as CSV on stdin (`timestamp,le_0.005,...,le_+Inf,sum`, one row per scrape;
//! counters fall back on a restart, missed scrapes are absent) and writes `timestamp,score,alert` per row on stdout.
//!
//! ```sh
//! cargo run --release -p outrigger-detect --example hist < route.csv
//! ```

use std::{
    error::Error,
    io::{self, BufRead, Write},
};

use outrigger_detect::{Interval, LatencyDetector, LatencySettings, Phase};

fn main() -> Result<(), Box<dyn Error>> {
    let mut lines = io::stdin().lock().lines();
    let header = lines.next().ok_or("stdin is empty: expected a header line")??;
    let bounds = header
        .split(',')
        .filter_map(|column| column.strip_prefix("le_"))
        .filter(|bound| *bound != "+Inf")
        .map(str::parse)
        .collect::<Result<Vec<f64>, _>>()?;
    let mut detector = LatencyDetector::new(LatencySettings::default());
    let mut before: Option<Row> = None;
    let mut delta = Vec::new();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in lines {
        let line = line?;
        let row = Row::parse(&line, bounds.len() + 1)?;
        let (mut score, mut alert) = (0.0, false);
        if let Some(before) = &before {
            let reset = row.cumulative.iter().zip(&before.cumulative).any(|(now, then)| now < then);
            let since = |now: f64, then: f64| if reset { now } else { now - then };
            let mut below = 0.0;
            delta.clear();
            for (now, then) in row.cumulative.iter().zip(&before.cumulative) {
                let cumulative = since(*now, *then);
                delta.push((cumulative - below).max(0.0) as u64);
                below = cumulative;
            }
            let verdict = detector.observe(&Interval {
                at: row.time,
                bounds: &bounds,
                delta: &delta,
                sum: since(row.sum, before.sum),
                seconds: row.time - before.time,
                reset,
            });
            score = verdict.score;
            alert = verdict.phase == Phase::Anomalous;
        }
        writeln!(out, "{},{score:.4},{}", row.time, u8::from(alert))?;
        before = Some(row);
    }
    out.flush()?;
    Ok(())
}

struct Row {
    time: f64,
    cumulative: Vec<f64>,
    sum: f64,
}

impl Row {
    fn parse(line: &str, buckets: usize) -> Result<Self, Box<dyn Error>> {
        let values = line.split(',').map(|field| field.trim().parse()).collect::<Result<Vec<f64>, _>>()?;
        match values.as_slice() {
            [time, cumulative @ .., sum] if cumulative.len() == buckets => {
                Ok(Self { time: *time, cumulative: cumulative.to_vec(), sum: *sum })
            }
            _ => Err(format!("expected a timestamp, {buckets} buckets and a sum, found `{line}`").into()),
        }
    }
}
