//! Whom incidents are told.

use http::Uri;

use super::{Key, Problems, duration, quote};
use crate::config::value::{format_duration, within};
use crate::config::{Settings, range};
use crate::incident::Severity;
use crate::tell::{Secret, origin, secret_from};

/// The keys.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "tell.alertmanager",
        help: "the Alertmanagers that are told of incidents; empty = none",
        set: |settings, value| {
            let urls = value.list()?;
            settings.tell.alertmanager = urls.iter().map(|text| alertmanager(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| {
            let urls: Vec<_> = settings.tell.alertmanager.iter().map(|uri| quote(&uri.to_string())).collect();
            format!("[{}]", urls.join(", "))
        },
    },
    Key {
        name: "tell.webhook",
        help: "where each change of an incident is posted as JSON; empty = nowhere",
        set: |settings, value| {
            settings.tell.webhook = secret_url(&value.text()?)?;
            Ok(())
        },
        show: |settings| quote(&settings.tell.webhook.as_ref().map(origin).unwrap_or_default()),
    },
    Key {
        name: "tell.webhook_secret",
        help: "what the webhook's bodies are signed with; empty = not at all",
        set: |settings, value| {
            settings.tell.webhook_secret = Secret::new(value.text()?);
            Ok(())
        },
        show: |settings| quote(settings.tell.webhook_secret.as_ref().map_or("", |_| "***")),
    },
    Key {
        name: "tell.webhook_secret_file",
        help: "the file with that secret, instead of the secret itself",
        set: |settings, value| {
            let text = value.text()?;
            if !text.is_empty() {
                settings.tell.webhook_secret = Some(secret_from(text.as_ref())?);
            }
            Ok(())
        },
        show: |_| quote(""),
    },
    Key {
        name: "tell.slack",
        help: "the address of a Slack-compatible incoming webhook; empty = none",
        set: |settings, value| {
            settings.tell.slack = secret_url(&value.text()?)?;
            Ok(())
        },
        show: |settings| quote(&settings.tell.slack.as_ref().map(origin).unwrap_or_default()),
    },
    Key {
        name: "tell.min_severity",
        help: "how grave an incident has to be to be told: warning or critical",
        set: |settings, value| {
            let text = value.text()?;
            let found = Severity::ALL.into_iter().find(|severity| severity.as_str() == text);
            settings.tell.min_severity = found.ok_or_else(|| format!("`{text}` is neither warning nor critical"))?;
            Ok(())
        },
        show: |settings| quote(settings.tell.min_severity.as_str()),
    },
    Key {
        name: "tell.page_url",
        help: "where people find the agent's page, for links; empty = http:// and `listen`",
        set: |settings, value| {
            let text = value.text()?;
            settings.tell.page_url = if text.is_empty() { None } else { Some(url(&text)?) };
            Ok(())
        },
        show: |settings| quote(&settings.tell.page_url.as_ref().map(Uri::to_string).unwrap_or_default()),
    },
    Key {
        name: "tell.resend_interval",
        help: "time between two sendings of an alert that fires, 1s to 1h",
        set: |settings, value| {
            settings.tell.resend_interval = value.duration(range::RESEND_INTERVAL)?;
            Ok(())
        },
        show: |settings| duration(settings.tell.resend_interval),
    },
    Key {
        name: "tell.update_interval",
        help: "the least time between two updates of an open incident at the webhook",
        set: |settings, value| {
            settings.tell.update_interval = value.duration(range::UPDATE_INTERVAL)?;
            Ok(())
        },
        show: |settings| duration(settings.tell.update_interval),
    },
    Key {
        name: "tell.timeout",
        help: "how long one request that tells of incidents may take",
        set: |settings, value| {
            settings.tell.timeout = value.duration(range::TELL_TIMEOUT)?;
            Ok(())
        },
        show: |settings| duration(settings.tell.timeout),
    },
];

/// What no agent can work with.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    let tell = &settings.tell;
    problems.note("tell.resend_interval", within(tell.resend_interval, &range::RESEND_INTERVAL, format_duration));
    problems.note("tell.update_interval", within(tell.update_interval, &range::UPDATE_INTERVAL, format_duration));
    problems.note("tell.timeout", within(tell.timeout, &range::TELL_TIMEOUT, format_duration));
    if tell.alertmanager.len() > range::MAX_ALERTMANAGERS {
        problems.add("tell.alertmanager", format!("more than {} stand here; name fewer", range::MAX_ALERTMANAGERS));
    }
    for (index, uri) in tell.alertmanager.iter().enumerate() {
        if tell.alertmanager.iter().take(index).any(|earlier| earlier == uri) {
            problems.add("tell.alertmanager", format!("{} stands twice; remove one", origin(uri)));
        }
    }
    if tell.webhook_secret.is_some() && tell.webhook.is_none() {
        problems.add("tell.webhook_secret", "there is no `tell.webhook` to sign for; name one".to_owned());
    }
}

/// Where Alertmanagers take alerts, below their own address.
const ALERTS_PATH: &str = "/api/v2/alerts";

/// The address that alerts go to, from that of the Alertmanager; it may stand below a path.
fn alertmanager(text: &str) -> Result<Uri, String> {
    let wrong = || "this is no http:// or https:// URL; write one such as http://127.0.0.1:9093".to_owned();
    let base = url(text).map_err(|_| wrong())?;
    if base.query().is_some() {
        return Err(wrong());
    }
    let base = base.to_string();
    let base = base.trim_end_matches('/');
    let whole = if base.ends_with(ALERTS_PATH) { base.to_owned() } else { format!("{base}{ALERTS_PATH}") };
    whole.parse().map_err(|_| wrong())
}

/// An address that may hold a secret, so a wrong one is not repeated.
fn secret_url(text: &str) -> Result<Option<Uri>, String> {
    if text.is_empty() { Ok(None) } else { url(text).map(Some) }
}

fn url(text: &str) -> Result<Uri, String> {
    let wrong = || "this is no http:// or https:// URL; write one such as https://example.com/hook".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    // A name and password in front of the host would be sent to nobody.
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !is_http || has_user || uri.host().is_none_or(str::is_empty) { Err(wrong()) } else { Ok(uri) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alertmanagers_are_named_by_their_own_address() {
        for (written, read) in [
            ("http://a:9093", "http://a:9093/api/v2/alerts"),
            ("https://a/alertmanager/", "https://a/alertmanager/api/v2/alerts"),
            ("http://a:9093/api/v2/alerts", "http://a:9093/api/v2/alerts"),
        ] {
            assert_eq!(alertmanager(written).unwrap().to_string(), read);
        }
        for wrong in ["a:9093", "http://", "http://a?b=c", "ftp://a", "http://me:secret@a"] {
            let error = alertmanager(wrong).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
