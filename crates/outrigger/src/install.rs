//! Installing a recorder.

use crate::{Metrics, exporter, prometheus_builder};

/// Installs a Prometheus recorder for the whole process and returns the handle to it.
///
/// Every metric of the catalogue is described and every histogram has its buckets. With the feature `process`, each
/// rendering of the page reads the process anew.
///
/// Nothing listens yet: see `Metrics::serve_admin`.
///
/// # Errors
/// When the process has a recorder already, or the upkeep's thread could not be started.
///
/// ```standalone_crate
/// let metrics = outrigger::install()?;
/// assert!(outrigger::install().is_err(), "there is one global recorder per process");
/// # let _ = metrics;
/// # Ok::<(), outrigger::InstallError>(())
/// ```
pub fn install() -> Result<Metrics, InstallError> {
    exporter::install(prometheus_builder())
}

/// As [`install()`], but not global: for tests that run side by side, or a second registry.
///
/// # Errors
/// When the upkeep's thread could not be started.
///
/// ```
/// let metrics = outrigger::standalone()?;
/// assert!(metrics.render().is_some_and(|page| page.contains("target_info")));
/// # Ok::<(), outrigger::InstallError>(())
/// ```
pub fn standalone() -> Result<Metrics, InstallError> {
    exporter::standalone(prometheus_builder())
}

/// Why no recorder was installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The process has a recorder already, ours or another.
    #[error(
        "a metrics recorder is already installed in this process: install one once, before any other, \
         or keep the other recorder and use outrigger::Metrics::global()"
    )]
    AlreadyInstalled,
    /// The exporter's recorder stands, but nothing bounds its memory.
    #[error("the thread for the exporter's upkeep could not be started")]
    Upkeep(#[source] std::io::Error),
}
