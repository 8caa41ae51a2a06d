//! Whom incidents are told.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use http::Uri;

use super::quiet::{QuietHours, UtcOffset};
use super::rule::TellRule;
use super::silence::Silence;
use super::template::Template;
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
    /// An incident of routes is told once one of them is as far from usual as this, in the score of
    /// `outrigger_anomaly_score`; detectors open from 5 on. Others, such as a full pool, have no such score. 0 to 1000.
    /// Default: 0, every one.
    pub min_score: usize,
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
    /// How long the webhook and Slack wait for other changes to go in the same message. Default: 0 s, none waits; what is
    /// due at the same time goes together all the same.
    pub group_wait: Duration,
    /// The most messages a minute at the webhook, and at Slack. What is beyond waits and goes together. Default: 20.
    pub rate_limit: usize,
    /// The same trouble is told at once when it begins so often within an hour; further beginnings are told after 5 minutes,
    /// then 10, at most an hour. Default: 3.
    pub flap_after: usize,
    /// When incidents below [`quiet_below`](Self::quiet_below) wait. Default: never.
    pub quiet_hours: Vec<QuietHours>,
    /// How grave an incident has to be to be told in quiet hours. Default: [`Severity::Critical`].
    pub quiet_below: Severity,
    /// How far the clocks of quiet hours are ahead of UTC. Default: not at all.
    pub utc_offset: UtcOffset,
    /// Overrides. Each thing that an incident is about goes by the first that fits it: whoever is to be told of one is told,
    /// as gravely as the gravest. Default: none.
    pub rules: Vec<TellRule>,
    /// Silences that stand in the settings. Default: none.
    pub silences: Vec<Silence>,
    /// The webhook's body, instead of the usual one. Default: none.
    pub webhook_template: Option<Template>,
    /// Slack's text, instead of the usual one. Default: none.
    pub slack_template: Option<Template>,
}

impl Default for TellSettings {
    fn default() -> Self {
        Self {
            alertmanager: Vec::new(),
            webhook: None,
            webhook_secret: None,
            slack: None,
            min_severity: Severity::Warning,
            min_score: 0,
            page_url: None,
            resend_interval: Duration::from_secs(60),
            update_interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            group_wait: Duration::ZERO,
            rate_limit: 20,
            flap_after: 3,
            quiet_hours: Vec::new(),
            quiet_below: Severity::Critical,
            utc_offset: UtcOffset::default(),
            rules: Vec::new(),
            silences: Vec::new(),
            webhook_template: None,
            slack_template: None,
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
            .field("min_score", &self.min_score)
            .field("page_url", &self.page_url)
            .field("resend_interval", &self.resend_interval)
            .field("update_interval", &self.update_interval)
            .field("timeout", &self.timeout)
            .field("group_wait", &self.group_wait)
            .field("rate_limit", &self.rate_limit)
            .field("flap_after", &self.flap_after)
            .field("quiet_hours", &self.quiet_hours)
            .field("quiet_below", &self.quiet_below)
            .field("utc_offset", &self.utc_offset)
            .field("rules", &self.rules)
            .field("silences", &self.silences)
            .field("webhook_template", &self.webhook_template)
            .field("slack_template", &self.slack_template)
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

    /// Without blanks around it; `None` if there is nothing else.
    pub(crate) fn trimmed(&self) -> Option<Self> {
        Self::new(self.0.trim_ascii())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
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
