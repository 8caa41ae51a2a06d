//! What recording and a page cost.
//!
//! `record cached|macro|constant|nothing <n>` makes n observations: run it under callgrind with two values of n, the difference
//! divided by the difference of n is the cost of one, the loop included.
//! `record threads` prints CPU nanoseconds for an observation of one thread, and of two threads on one series.
//! `record page <series>` prints the CPU time of a page of histograms with 12 buckets.
//! `record size` prints the resident bytes of a series, by kind.

use std::hint::black_box;
use std::sync::{Arc, Barrier};

use outrigger_recorder::{Matcher, PageFormat, Recorder};

const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// For a name that is not a literal, the facade's macros build the key each time.
const NAME: &str = "request_seconds";

type Operation = Arc<dyn Fn(f64) + Send + Sync>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let recorder =
        Recorder::builder().buckets(Matcher::Prefix(String::new()), &BUCKETS).series_limit(10_000_000).build()?;
    metrics::set_global_recorder(recorder.clone())?;
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "threads".to_owned());
    let number = arguments.next().map_or(Ok(100_000), |number| number.parse())?;
    match &*what {
        "threads" => threads(),
        "page" => page(&recorder, number),
        "size" => size(number),
        operation => measured(&named(operation), number),
    }
    Ok(())
}

fn named(operation: &str) -> Operation {
    let handle =
        || metrics::histogram!("request_seconds", "method" => "GET", "route" => "/products/{id}", "status" => "200");
    match operation {
        "cached" => {
            let cached = handle();
            Arc::new(move |value| cached.record(value))
        }
        "macro" => Arc::new(move |value| handle().record(value)),
        "constant" => Arc::new(|value| {
            metrics::histogram!(NAME, "method" => "GET", "route" => "/products/{id}", "status" => "200").record(value);
        }),
        _ => Arc::new(|value| {
            black_box(value);
        }),
    }
}

#[inline(never)]
fn measured(operation: &Operation, count: usize) {
    let samples = samples();
    for index in 0..count {
        operation(samples[index & 1023]);
    }
}

/// Plausible latencies in seconds, 0.2 ms to 2 s.
fn samples() -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..1024).map(|_| 2e-4 * 1e4_f64.powf(random.f64())).collect()
}

fn threads() {
    const COUNT: usize = 2_000_000;
    let operation = named("cached");
    let nanoseconds = |operation: &Operation| {
        let start = processor_time();
        measured(operation, COUNT);
        (processor_time() - start) / COUNT as f64
    };
    for _ in 0..7 {
        let one = nanoseconds(&operation);
        let barrier = Barrier::new(2);
        let work = || {
            barrier.wait();
            nanoseconds(&operation)
        };
        let two = std::thread::scope(|scope| {
            let other = scope.spawn(work);
            (work() + other.join().unwrap_or(f64::NAN)) / 2.0
        });
        println!("one thread {one:.1} ns, two threads {two:.1} ns, ratio {:.2}", two / one);
    }
}

/// What this thread has had of the processor, in nanoseconds: the wall clock would show what else runs here.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(f64::NAN)
}

fn page(recorder: &Recorder, series: usize) {
    let samples = samples();
    for index in 0..series {
        let route = format!("/api/v1/resource-{index}/{{id}}");
        let handle = metrics::histogram!("request_seconds", "method" => "GET", "route" => route, "status" => "200");
        (0..4).for_each(|step| handle.record(samples[(index * 4 + step) & 1023]));
    }
    for _ in 0..5 {
        let start = processor_time();
        let (mut pieces, mut bytes) = (0, 0);
        for piece in recorder.page(PageFormat::OpenMetrics) {
            pieces += 1;
            bytes += black_box(piece).len();
        }
        println!("{series} series, {bytes} bytes in {pieces} pieces: {:.1} ms", (processor_time() - start) / 1e6);
    }
}

fn size(series: usize) {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
    };
    let report = |kind: &str, make: &mut dyn FnMut(usize)| {
        let before = resident();
        (0..series).for_each(make);
        println!("{kind}: {} bytes a series", (resident() - before) / series);
    };
    let route = |index: usize| format!("/api/v1/resource-{index}/{{id}}");
    report("counter", &mut |i| {
        metrics::counter!("a_total", "method" => "GET", "route" => route(i), "status" => "200").increment(1)
    });
    report("gauge", &mut |i| metrics::gauge!("b", "method" => "GET", "route" => route(i), "status" => "200").set(1));
    report("histogram", &mut |i| {
        metrics::histogram!("c", "method" => "GET", "route" => route(i), "status" => "200").record(1)
    });
}
