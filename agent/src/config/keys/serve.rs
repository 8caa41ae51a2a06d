//! What the agent shows of itself: where it listens, and what it logs.

use super::{Key, Problems, quote};
use crate::config::Settings;
use crate::config::value::Value;
use crate::tell::{Secret, secret_from};

/// The keys.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "listen",
        help: "where the page, /metrics and the API are served",
        set: |settings, value| {
            let text = value.text()?;
            settings.listen =
                text.parse().map_err(|_| format!("`{text}` is no address; write one such as 127.0.0.1:9465"))?;
            Ok(())
        },
        show: |settings| quote(&settings.listen.to_string()),
    },
    Key {
        name: "listen_unprotected",
        help: "whether to listen beyond loopback although there is no api_token",
        set: |settings, value| {
            settings.listen_unprotected = value.flag()?;
            Ok(())
        },
        show: |settings| settings.listen_unprotected.to_string(),
    },
    Key {
        name: "api_token",
        help: "what whoever asks for the page, the API or /metrics has to say; empty = nothing",
        set: |settings, value| {
            settings.api_token = Secret::new(value.text()?).as_ref().map(token).transpose()?;
            Ok(())
        },
        show: |settings| quote(settings.api_token.as_ref().map_or("", |_| "***")),
    },
    Key {
        name: "api_token_file",
        help: "the file with that token, instead of the token itself",
        set: |settings, value| {
            let text = value.text()?;
            if !text.is_empty() {
                settings.api_token = Some(token(&secret_from(text.as_ref())?)?);
            }
            Ok(())
        },
        show: |_| quote(""),
    },
    Key {
        name: "metrics_unprotected",
        help: "whether /metrics is served without the token",
        set: |settings, value| {
            settings.metrics_unprotected = value.flag()?;
            Ok(())
        },
        show: |settings| settings.metrics_unprotected.to_string(),
    },
    Key {
        name: "allowed_hosts",
        help: "names that the agent may be asked by, beside addresses, localhost and that of tell.page_url",
        set: |settings, value| {
            let names = value.list()?;
            if let Some(wrong) = names.iter().find(|name| name.contains(['/', ':', '*']) || name.is_empty()) {
                return Err(format!("`{wrong}` is no name of a host; write one such as metrics.example.com"));
            }
            settings.allowed_hosts = names;
            Ok(())
        },
        show: |settings| {
            let names: Vec<_> = settings.allowed_hosts.iter().map(|name| quote(name)).collect();
            format!("[{}]", names.join(", "))
        },
    },
    Key {
        name: "log",
        help: "log lines to write: error, warn, info, debug, trace, or target=level pairs",
        set: |settings, value| {
            let text = match value {
                // `a=debug,b=info` in a variable is one filter, not a list.
                Value::List(parts) => parts.join(","),
                other => other.text()?,
            };
            settings.log = log_filter(&text)?;
            Ok(())
        },
        show: |settings| quote(&settings.log.to_string()),
    },
];

/// What no agent can work with.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    if !settings.listen.ip().is_loopback() && !settings.listen_unprotected && settings.api_token.is_none() {
        let message = format!(
            "{} can be reached from other machines and nothing there asks for a password; listen on 127.0.0.1, set \
             `api_token_file`, or say `listen_unprotected = true` (--listen-unprotected) if the network around it is trusted",
            settings.listen
        );
        problems.add("listen", message);
    }
}

/// A token without the blanks around it, which no header can carry.
fn token(secret: &Secret) -> Result<Secret, String> {
    secret.trimmed().ok_or_else(|| "it is blank; write a token of letters and digits".to_owned())
}

/// A filter for log lines. A word that is no level would be read as the name of a module, and nothing would be logged.
fn log_filter(text: &str) -> Result<tracing_subscriber::filter::Targets, String> {
    let wrong = || {
        format!(
            "`{text}` is no log filter; write error, warn, info, debug or trace, or pairs such as outrigger_agent=debug"
        )
    };
    let known = |part: &str| part.contains('=') || part.parse::<tracing::level_filters::LevelFilter>().is_ok();
    if text.is_empty() || !text.split(',').all(|part| known(part.trim())) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}
