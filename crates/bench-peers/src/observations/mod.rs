//! One observation of a histogram by itself, on one series with three labels. To add a case: a line in [`all`].

mod facade;
#[cfg(feature = "peers")]
mod peers;

use crate::Result;
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
    pub about: &'static str,
    pub build: fn() -> Result<Histogram>,
}

/// Every case that is compiled in. `-handle` was looked up before, `-labels` is looked up each time.
pub fn all() -> Vec<Case> {
    vec![
        Case { name: "loop", about: "the loop around an observation", build: the_loop },
        Case { name: "outrigger-handle", about: "outrigger-recorder", build: facade::ours_handle },
        Case { name: "outrigger-labels", about: "the same by histogram!", build: facade::ours_macro },
        Case { name: "exporter-handle", about: "metrics-exporter-prometheus", build: facade::exporter_handle },
        Case { name: "exporter-labels", about: "the same by histogram!", build: facade::exporter_macro },
        #[cfg(feature = "peers")]
        Case { name: "prometheus-handle", about: "prometheus", build: peers::prometheus_handle },
        #[cfg(feature = "peers")]
        Case { name: "prometheus-labels", about: "with_label_values", build: peers::prometheus_labels },
        #[cfg(feature = "peers")]
        Case { name: "prometheus-client-handle", about: "prometheus-client", build: peers::prometheus_client_handle },
        #[cfg(feature = "peers")]
        Case { name: "prometheus-client-labels", about: "get_or_create", build: peers::prometheus_client_labels },
        #[cfg(feature = "peers")]
        Case { name: "otel-tower-labels", about: "OpenTelemetry's SDK 0.33", build: peers::opentelemetry_labels },
    ]
}

pub fn find(name: &str) -> Result<Case> {
    let found = all().into_iter().find(|case| case.name == name);
    found.ok_or_else(|| format!("no observation {name:?} is compiled in").into())
}

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

fn the_loop() -> Result<Histogram> {
    Ok(Histogram::new(|value| _ = black_box(value)))
}
