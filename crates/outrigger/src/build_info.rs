//! The build that runs.

use ::metrics::Label;
use outrigger_semconv::{label, library};

use crate::Metrics;
use crate::metrics::register_gauge;

/// The build that runs, for `build_info`, by which dashboards mark releases. What is left out has no label.
///
/// ```
/// use outrigger::BuildInfo;
///
/// let build = BuildInfo::new(env!("CARGO_PKG_VERSION"))
///     .revision(option_env!("GIT_REVISION").unwrap_or_default()) // set where the program is built
///     .rust_version(option_env!("RUSTC_VERSION").unwrap_or_default());
/// outrigger::Metrics::global().build_info(&build);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    version: String,
    revision: String,
    rust_version: String,
}

impl BuildInfo {
    /// A build of this version.
    #[must_use]
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into(), revision: String::new(), rust_version: String::new() }
    }

    /// The revision of the source that it was built from.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = revision.into();
        self
    }

    /// The compiler that it was built with.
    #[must_use]
    pub fn rust_version(mut self, version: impl Into<String>) -> Self {
        self.rust_version = version.into();
        self
    }
}

impl Metrics {
    /// Sets `build_info` (labels `version`, `revision`, `rust_version`, and `profile` = `release`, `debug`) to 1.
    pub fn build_info(&self, build: &BuildInfo) {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let labels: Vec<Label> = [
            (label::VERSION, build.version.as_str()),
            (label::REVISION, &build.revision),
            (label::RUST_VERSION, &build.rust_version),
            (label::PROFILE, profile),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| Label::new(name, value.to_owned()))
        .collect();
        self.resolve(|recorder| register_gauge(recorder, &library::BUILD_INFO, labels).set(1.0));
    }
}

#[cfg(all(test, feature = "recorder"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_a_label() {
        let metrics = crate::standalone().unwrap();
        metrics.build_info(&BuildInfo::new("1.2.3").revision("abc"));
        let page = metrics.render().unwrap();
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let line = page.lines().find(|line| line.starts_with("build_info{")).unwrap_or_default();
        for known in ["version=\"1.2.3\"", "revision=\"abc\"", &format!("profile=\"{profile}\"")] {
            assert!(line.contains(known) && line.ends_with("} 1"), "{known}: {page}");
        }
        assert!(!line.contains("rust_version"), "{line}");
    }
}
