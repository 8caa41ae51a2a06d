//! Registries with many series of one histogram, to be scraped. To add one: a line in [`all`].

mod facade;
#[cfg(feature = "peers")]
mod peers;

use crate::Result;

type Scrape = Box<dyn Fn(&mut dyn FnMut(&[u8]))>;

pub struct Registry {
    /// An observation of the series with this number.
    pub observe: Box<dyn Fn(usize, f64)>,
    /// Makes the page and hands it over, in as many pieces as the library makes.
    pub scrape: Scrape,
}

impl Registry {
    /// Of one handle per series.
    fn new<H: 'static>(
        handles: Vec<H>,
        observe: fn(&H, f64),
        scrape: impl Fn(&mut dyn FnMut(&[u8])) + 'static,
    ) -> Self {
        let observe = move |number: usize, value| {
            if let Some(handle) = handles.get(number) {
                observe(handle, value);
            }
        };
        Self { observe: Box::new(observe), scrape: Box::new(scrape) }
    }
}

pub struct Entry {
    pub name: &'static str,
    pub about: &'static str,
    pub build: fn(usize) -> Result<Registry>,
}

/// Every registry that is compiled in. They have the same names, labels and 12 buckets.
pub fn all() -> Vec<Entry> {
    vec![
        Entry { name: "outrigger", about: "outrigger-recorder, in pieces", build: facade::ours },
        Entry { name: "exporter", about: "metrics-exporter-prometheus, one string", build: facade::exporter },
        #[cfg(feature = "peers")]
        Entry { name: "prometheus", about: "its text encoder, one string", build: peers::prometheus },
        #[cfg(feature = "peers")]
        Entry { name: "prometheus-client", about: "its text encoder, one string", build: peers::prometheus_client },
    ]
}

pub fn find(name: &str) -> Result<Entry> {
    let found = all().into_iter().find(|entry| entry.name == name);
    found.ok_or_else(|| format!("no registry {name:?} is compiled in").into())
}

/// The one label in which the series differ.
fn route(number: usize) -> String {
    format!("/api/v1/collection-{number}/{{id}}")
}
