//! `metrics-exporter-prometheus` as the recorder, for those who already use it: our buckets, its upkeep running.
//!
//! [`outrigger::install()`](crate::install) has a recorder of its own, and needs none of this.
//!
//! ```standalone_crate
//! use outrigger::exporter;
//!
//! let builder = outrigger::prometheus_builder().add_global_label("region", "north");
//! let metrics = exporter::install(builder)?;
//! # let _ = metrics;
//! # Ok::<(), outrigger::InstallError>(())
//! ```
//!
//! # Limits
//!
//! The exporter keeps every observation for up to five seconds, 16 bytes each. Its page is the text format only, without
//! exemplars and without native histograms. Set no idle timeout: handles are kept here, and what a handle of an expired
//! series writes is lost with this recorder.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use outrigger_semconv::{Emitter, buckets};

use crate::{InstallError, Metrics};

/// Installs what the builder makes for the whole process, and returns the handle to it.
///
/// Every metric of the catalogue is described. The exporter's upkeep runs every five seconds on a thread of its own,
/// `outrigger-upkeep`: it must go on when the runtime that called this ends, and must not hold up requests. With the
/// feature `process`, each rendering of the page reads the process anew.
///
/// Nothing listens yet: see `Metrics::serve_admin`. A listener that the builder was given is not started.
///
/// # Errors
/// When the process has a recorder already, or the upkeep's thread could not be started.
pub fn install(builder: PrometheusBuilder) -> Result<Metrics, InstallError> {
    let recorder = Arc::new(builder.build_recorder());
    ::metrics::set_global_recorder(Arc::clone(&recorder)).map_err(|_| InstallError::AlreadyInstalled)?;
    start(recorder)
}

/// As [`install()`], but not global: for tests that run side by side, or a second registry.
///
/// # Errors
/// When the upkeep's thread could not be started.
///
/// ```
/// let metrics = outrigger::exporter::standalone(outrigger::prometheus_builder())?;
/// assert!(metrics.render().is_some_and(|page| page.contains("target_info")));
/// # Ok::<(), outrigger::InstallError>(())
/// ```
pub fn standalone(builder: PrometheusBuilder) -> Result<Metrics, InstallError> {
    start(Arc::new(builder.build_recorder()))
}

/// A `PrometheusBuilder` with the catalogue's buckets, for those who already use `metrics-exporter-prometheus`.
///
/// Histograms of your own whose names end in `_seconds` or `_bytes` get the buckets of requests and of bodies, instead
/// of a summary, which cannot be aggregated. Change or add what you like, then give it to [`install()`] or
/// [`standalone()`]. With the builder's own `install_recorder()`, run the handle's `run_upkeep()` every few seconds: the
/// exporter does not do so by itself, and grows without it; see [`Metrics::with_page`] for serving the page.
#[must_use]
#[allow(
    clippy::expect_used,
    reason = "the only error is an empty list of bounds, and the catalogue's tests refuse one"
)]
pub fn prometheus_builder() -> PrometheusBuilder {
    let suffixes = [
        (Matcher::Suffix("_seconds".to_owned()), buckets::REQUEST_SECONDS),
        (Matcher::Suffix("_bytes".to_owned()), buckets::BODY_BYTES),
    ];
    let ours = outrigger_semconv::metrics()
        .filter(|metric| metric.emitter != Emitter::Agent)
        .filter_map(|metric| Some((Matcher::Full(metric.name.to_owned()), metric.bounds()?)));
    suffixes.into_iter().chain(ours).fold(PrometheusBuilder::new(), |builder, (matcher, bounds)| {
        builder.set_buckets_for_metric(matcher, bounds).expect("bounds are not empty")
    })
}

fn start(recorder: Arc<PrometheusRecorder>) -> Result<Metrics, InstallError> {
    let upkeep = Arc::downgrade(&recorder);
    thread::Builder::new()
        .name("outrigger-upkeep".to_owned())
        .spawn(move || run_upkeep(&upkeep))
        .map_err(InstallError::Upkeep)?;

    let handle = recorder.handle();
    let page = move || {
        #[allow(unused_mut, reason = "features add to it")]
        let mut page = handle.render();
        #[cfg(feature = "process")]
        crate::process::families::append_to(&mut page);
        page
    };
    let metrics = Metrics::with_recorder(recorder).with_page(page);
    metrics.describe();
    Ok(metrics)
}

/// Drains the exporter's lists of observations into buckets until the recorder is gone.
fn run_upkeep(recorder: &Weak<PrometheusRecorder>) {
    loop {
        thread::sleep(UPKEEP_INTERVAL);
        match recorder.upgrade() {
            Some(recorder) => recorder.handle().run_upkeep(),
            None => return,
        }
    }
}

/// What the exporter itself uses where it runs its upkeep. It holds 16 bytes per observation in between.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
