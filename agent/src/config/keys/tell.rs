//! Whom incidents are told.

use http::Uri;

use super::{Key, Problems, duration, quote};
use crate::config::value::{format_duration, within};
use crate::config::{Settings, range};
use crate::incident::Severity;
use crate::tell::{Secret, Silence, TellRule, Template, origin, secret_from};

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
            settings.tell.min_severity = Severity::read(&value.text()?)?;
            Ok(())
        },
        show: |settings| quote(settings.tell.min_severity.as_str()),
    },
    Key {
        name: "tell.min_score",
        help: "how far from usual a route has to be for its incident to be told, 0 to 1000; detectors open from 5 on",
        set: |settings, value| {
            settings.tell.min_score = value.count(range::MIN_SCORE)?;
            Ok(())
        },
        show: |settings| settings.tell.min_score.to_string(),
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
    Key {
        name: "tell.group_wait",
        help: "how long the webhook and Slack wait for other changes to go in the same message, up to 3m",
        set: |settings, value| {
            settings.tell.group_wait = value.duration(range::GROUP_WAIT)?;
            Ok(())
        },
        show: |settings| duration(settings.tell.group_wait),
    },
    Key {
        name: "tell.rate_limit",
        help: "the most messages a minute at the webhook, and at Slack; what is beyond waits and goes together",
        set: |settings, value| {
            settings.tell.rate_limit = value.count(range::RATE_LIMIT)?;
            Ok(())
        },
        show: |settings| settings.tell.rate_limit.to_string(),
    },
    Key {
        name: "tell.flap_after",
        help: "how often within an hour the same trouble may begin and be told at once; then it is told less and less",
        set: |settings, value| {
            settings.tell.flap_after = value.count(range::FLAP_AFTER)?;
            Ok(())
        },
        show: |settings| settings.tell.flap_after.to_string(),
    },
    Key {
        name: "tell.quiet_hours",
        help: "when only grave incidents are told, such as \"Mon-Fri 22:00-07:00\"; the others wait for the end",
        set: |settings, value| {
            settings.tell.quiet_hours = value.list()?.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| {
            let hours: Vec<_> = settings.tell.quiet_hours.iter().map(|hours| quote(&hours.to_string())).collect();
            format!("[{}]", hours.join(", "))
        },
    },
    Key {
        name: "tell.quiet_below",
        help: "how grave an incident has to be to be told in quiet hours: critical (or warning: all are)",
        set: |settings, value| {
            settings.tell.quiet_below = Severity::read(&value.text()?)?;
            Ok(())
        },
        show: |settings| quote(settings.tell.quiet_below.as_str()),
    },
    Key {
        name: "tell.utc_offset",
        help: "how far the clock of quiet hours is ahead of UTC, such as +01:00",
        set: |settings, value| {
            settings.tell.utc_offset = value.text()?.parse()?;
            Ok(())
        },
        show: |settings| quote(&settings.tell.utc_offset.to_string()),
    },
    Key {
        name: "tell.webhook_template",
        help: "the webhook's body as JSON with names in {{ }}, instead of the usual one",
        set: |settings, value| {
            let text = value.text()?;
            settings.tell.webhook_template = (!text.is_empty()).then(|| Template::read_json(&text)).transpose()?;
            Ok(())
        },
        show: |settings| quote(settings.tell.webhook_template.as_ref().map_or("", |_| "***")),
    },
    Key {
        name: "tell.slack_template",
        help: "Slack's text with names in {{ }}, instead of the usual one",
        set: |settings, value| {
            let text = value.text()?;
            settings.tell.slack_template = (!text.is_empty()).then(|| Template::read(&text)).transpose()?;
            Ok(())
        },
        show: |settings| quote(settings.tell.slack_template.as_ref().map_or("", |_| "***")),
    },
    Key {
        name: "tell.route",
        help: "[[tell.route]]: another severity, other destinations or nobody for some targets, routes, signals or causes",
        set: |settings, value| {
            settings.tell.rules = value.rows()?.iter().map(TellRule::read).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| rows(&settings.tell.rules),
    },
    Key {
        name: "tell.silence",
        help: "[[tell.silence]]: what is not told until some time; POST /api/v1/silences makes others",
        set: |settings, value| {
            settings.tell.silences =
                value.rows()?.iter().map(|row| Silence::read(row, None)).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| rows(&settings.tell.silences),
    },
];

fn rows(rows: &[impl std::fmt::Display]) -> String {
    let rows: Vec<_> = rows.iter().map(ToString::to_string).collect();
    format!("[{}]", rows.join(", "))
}

/// What no agent can work with.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    let tell = &settings.tell;
    problems.note("tell.resend_interval", within(tell.resend_interval, &range::RESEND_INTERVAL, format_duration));
    problems.note("tell.update_interval", within(tell.update_interval, &range::UPDATE_INTERVAL, format_duration));
    problems.note("tell.timeout", within(tell.timeout, &range::TELL_TIMEOUT, format_duration));
    problems.note("tell.group_wait", within(tell.group_wait, &range::GROUP_WAIT, format_duration));
    problems.note("tell.flap_after", within(tell.flap_after, &range::FLAP_AFTER, |count| count.to_string()));
    problems.note("tell.rate_limit", within(tell.rate_limit, &range::RATE_LIMIT, |count| count.to_string()));
    problems.note("tell.min_score", within(tell.min_score, &range::MIN_SCORE, |count| count.to_string()));
    let lengths = [
        ("tell.quiet_hours", tell.quiet_hours.len()),
        ("tell.route", tell.rules.len()),
        ("tell.silence", tell.silences.len()),
    ];
    for (key, _) in lengths.into_iter().filter(|(_, length)| *length > range::MAX_RULES) {
        problems.add(key, format!("more than {} stand here; name fewer", range::MAX_RULES));
    }
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
