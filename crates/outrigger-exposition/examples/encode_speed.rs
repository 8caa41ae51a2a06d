//! What a point of a histogram costs the encoder: 12 buckets, three labels, 100,000 series in pieces of 64 KiB.
//!
//!     cargo run --release -p outrigger-exposition --example encode_speed [series]
//!
//! For instructions: run it under `valgrind --tool=callgrind` with 2000 and with 1000 series and take the difference.

use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use outrigger_exposition::{EncodeError, Encoder, Extra, Format, Header, Kind, ValueRef};

const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const PIECE: usize = 64 * 1024;

struct Series {
    route: String,
    method: &'static str,
    status: String,
    counts: [u64; 12],
    sum: f64,
}

fn main() -> ExitCode {
    let wanted = env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000_usize);
    let series: Vec<Series> = (0..wanted).map(one).collect();
    let begun = Instant::now();
    match scrape(&series) {
        Ok(bytes) => {
            let each = begun.elapsed().as_secs_f64() * 1e9 / wanted as f64;
            println!("{wanted} series, {bytes} bytes, {each:.0} ns per point");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn one(index: usize) -> Series {
    let number = index as u64;
    Series {
        route: format!("/shop/items/{}/reviews", index / 20),
        method: ["GET", "POST", "PUT", "DELETE"][index % 4],
        status: (200 + index % 5).to_string(),
        counts: std::array::from_fn(|bucket| (number * 7919 + bucket as u64 * 104_729) % 5_000),
        sum: number as f64 * 0.123_456_789 + 0.1,
    }
}

#[inline(never)]
fn scrape(series: &[Series]) -> Result<usize, EncodeError> {
    let help = Some("Duration of requests until the end of the body.");
    let header =
        Header { name: "http_server_request_duration_seconds", kind: Kind::Histogram, help, unit: Some("seconds") };
    let mut encoder = Encoder::new(Format::Text, String::with_capacity(PIECE + 8192));
    encoder.begin(header)?;
    let mut bytes = 0;
    let mut series = series.iter().peekable();
    while series.peek().is_some() {
        let mut points = encoder.resume(header)?;
        for one in series.by_ref().take(32) {
            let labels = [
                ("http_request_method", one.method),
                ("http_route", one.route.as_str()),
                ("http_response_status_code", one.status.as_str()),
            ];
            let (bounds, counts) = (&BOUNDS[..], &one.counts[..]);
            let value = ValueRef::Histogram { bounds, counts, sum: Some(one.sum), exemplars: &[], native: None };
            points.point(labels, value, Extra::default())?;
        }
        let piece = encoder.get_mut();
        bytes += black_box(&*piece).len();
        piece.clear();
    }
    Ok(bytes)
}
