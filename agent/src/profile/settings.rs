//! How profiles are taken and kept.

use std::time::Duration;

use http::Uri;

/// How CPU profiles of the targets are taken and kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileSettings {
    /// Whether any are taken. Default: yes, from targets that serve them.
    pub enabled: bool,
    /// How long the profile of an incident is taken over: 1 s to 60 s. Default: 10 s.
    pub seconds: Duration,
    /// How long a calm one is taken over: 1 s to 60 s. Default: 5 s.
    pub calm_seconds: Duration,
    /// Time between two calm ones of a target: 1 s to 1 day. The first few come sooner, a minute apart. Default: 10 min.
    pub every: Duration,
    /// The most incidents whose profiles are kept; the oldest go first. Default: 50.
    pub keep: usize,
    /// The most bytes that these take together, pictures included. Default: 64 MiB.
    pub max_bytes: usize,
    /// Where a target serves its profiles, by its label; `None` if none are to be taken from it. Default:
    /// `/debug/pprof/profile` beside its page, where the library and Go's `net/http/pprof` have it.
    pub urls: Vec<(String, Option<Uri>)>,
}

impl Default for ProfileSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            seconds: Duration::from_secs(10),
            calm_seconds: Duration::from_secs(5),
            every: Duration::from_secs(600),
            keep: 50,
            max_bytes: 64 << 20,
            urls: Vec::new(),
        }
    }
}

impl ProfileSettings {
    /// Every address that is named.
    pub(crate) fn uris(&self) -> impl Iterator<Item = &Uri> {
        self.urls.iter().filter_map(|(_, uri)| uri.as_ref())
    }
}
