//! Installing a recorder: ours here, and the exporter's in [`exporter`](crate::exporter).

#[cfg(feature = "recorder")]
mod builder;

#[cfg(feature = "recorder")]
pub use self::builder::{Builder, builder, install, standalone};

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
    /// A setting of the [`Builder`] cannot be; the message names the metric and says what to write.
    #[cfg(feature = "recorder")]
    #[error(transparent)]
    Settings(#[from] outrigger_recorder::BuildError),
    /// The exporter's recorder stands, but nothing bounds its memory.
    #[cfg(feature = "exporter")]
    #[error("the thread for the exporter's upkeep could not be started")]
    Upkeep(#[source] std::io::Error),
}
