//! One observation of a histogram, by itself.

use crate::{BOUNDS, Result};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::hint::black_box;

type Observe = Box<dyn Fn(f64) + Send + Sync>;

pub struct Histogram {
    pub observe: Observe,
    /// The work that an observation leaves for later.
    pub upkeep: Box<dyn Fn()>,
}

impl Histogram {
    fn new(observe: impl Fn(f64) + Send + Sync + 'static) -> Self {
        Self { observe: Box::new(observe), upkeep: Box::new(|| {}) }
    }

    fn with_upkeep(self, upkeep: impl Fn() + 'static) -> Self {
        Self { upkeep: Box::new(upkeep), ..self }
    }
}

pub struct Case {
    pub name: &'static str,
    pub build: fn() -> Result<Histogram>,
}

pub fn all() -> Vec<Case> {
    vec![
        Case { name: "loop", build: || Ok(Histogram::new(|value| _ = black_box(value))) },
        Case { name: "exporter-handle", build: || exporter(by_handle) },
        Case { name: "exporter-macro", build: || exporter(by_macro) },
    ]
}

pub fn find(name: &str) -> Result<Case> {
    let found = all().into_iter().find(|case| case.name == name);
    found.ok_or_else(|| format!("no observation {name:?} is compiled in").into())
}

const NAME: &str = "http_request_duration_seconds";

/// Plausible latencies in seconds, evenly spread over the powers of ten from 0.2 ms to 2 s; the same in each run.
pub fn samples() -> Vec<f64> {
    const COUNT: u32 = 1 << 10;
    // The golden ratio's multiples spread evenly in whatever order they come.
    let fraction = |number: u32| (f64::from(number) * 0.618_033_988_749_895).fract();
    (0..COUNT).map(|number| 2e-4 * 1e4_f64.powf(fraction(number))).collect()
}

/// Makes `count` observations. Instructions are counted within this symbol, so it has to exist as such.
#[inline(never)]
#[unsafe(no_mangle)]
pub fn measured_observations(observe: &Observe, samples: &[f64], count: usize) {
    for sample in samples.iter().cycle().take(count) {
        observe(*sample);
    }
}

fn by_handle() -> impl Fn(f64) + Send + Sync + 'static {
    let handle = metrics::histogram!(NAME, "method" => "GET", "route" => "/products/{id}", "status" => "200");
    move |value| handle.record(value)
}

fn by_macro() -> impl Fn(f64) + Send + Sync + 'static {
    |value| {
        metrics::histogram!(NAME, "method" => "GET", "route" => "/products/{id}", "status" => "200").record(value);
    }
}

fn exporter<F: Fn(f64) + Send + Sync + 'static>(observe: impl FnOnce() -> F) -> Result<Histogram> {
    let recorder = PrometheusBuilder::new().set_buckets(&BOUNDS)?.build_recorder();
    let upkeep = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(Histogram::new(observe()).with_upkeep(move || upkeep.run_upkeep()))
}
