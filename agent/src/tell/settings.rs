//! Whom incidents are told.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use http::Uri;

use crate::incident::Severity;

/// Whom incidents are told, and how.
#[derive(Clone, PartialEq)]
pub struct TellSettings {
    /// Where Alertmanagers take alerts: full addresses such as `http://127.0.0.1:9093/api/v2/alerts`. Each of them is told;
    /// they agree among themselves. Default: none.
    pub alertmanager: Vec<Uri>,
    /// Where each change of an incident is posted as JSON. Default: none.
    pub webhook: Option<Uri>,
    /// What the webhook's bodies are signed with: HMAC-SHA256, in the header `X-Outrigger-Signature`. Default: none.
    pub webhook_secret: Option<Secret>,
    /// A Slack-compatible incoming webhook. Its address is its password and is never shown. Default: none.
    pub slack: Option<Uri>,
    /// An incident is told once it is as grave as this. Default: [`Severity::Warning`], every one.
    pub min_severity: Severity,
    /// Where people find the agent's page, for links. Default: `http://` and what the agent listens on.
    pub page_url: Option<Uri>,
    /// Time between two sendings of an alert that fires: 1 s to 1 h. Alertmanager takes it as resolved after four of them
    /// without a word. Default: 1 min.
    pub resend_interval: Duration,
    /// The least time between two updates of an open incident at the webhook: 1 s to 1 day. An update comes when the
    /// suspect, the number of routes or the likeliest cause changed. Default: 1 min.
    pub update_interval: Duration,
    /// How long one request may take. Default: 10 s.
    pub timeout: Duration,
}

impl Default for TellSettings {
    fn default() -> Self {
        Self {
            alertmanager: Vec::new(),
            webhook: None,
            webhook_secret: None,
            slack: None,
            min_severity: Severity::Warning,
            page_url: None,
            resend_interval: Duration::from_secs(60),
            update_interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
        }
    }
}

impl TellSettings {
    /// Every address that is told.
    pub(crate) fn uris(&self) -> impl Iterator<Item = &Uri> {
        self.alertmanager.iter().chain(&self.webhook).chain(&self.slack)
    }
}

impl fmt::Debug for TellSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |uri: &Uri| origin(uri);
        f.debug_struct("TellSettings")
            .field("alertmanager", &self.alertmanager.iter().map(shown).collect::<Vec<_>>())
            .field("webhook", &self.webhook.as_ref().map(shown))
            .field("webhook_secret", &self.webhook_secret)
            .field("slack", &self.slack.as_ref().map(shown))
            .field("min_severity", &self.min_severity)
            .field("page_url", &self.page_url)
            .field("resend_interval", &self.resend_interval)
            .field("update_interval", &self.update_interval)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret; `None` if it is empty.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        Some(text.into()).filter(|text| !text.is_empty()).map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The most bytes of a file with a secret.
const MAX_SECRET: u64 = 4096;

/// The secret in a file, without the line's end.
pub(crate) fn secret_from(path: &Path) -> Result<Secret, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_SECRET).read_to_string(&mut text));
    read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Secret::new(text.trim_end_matches(['\r', '\n'])).ok_or_else(|| format!("{} is empty", path.display()))
}

/// An address as far as it may be shown: without user, path and query, which may hold a secret.
pub(crate) fn origin(uri: &Uri) -> String {
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let rest = if uri.path().len() > 1 || uri.query().is_some() { "/***" } else { "" };
    format!("{}://{}{port}{rest}", uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default())
}
