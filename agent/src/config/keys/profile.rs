//! CPU profiles: when they are taken, from where, and how many are kept.

use http::Uri;

use super::{Key, Problems, duration, quote};
use crate::collect::scrape::Address;
use crate::config::value::{format_bytes, format_duration, within};
use crate::config::{Settings, range};

/// The keys.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "profile.enabled",
        help: "whether CPU profiles are taken from targets that serve them",
        set: |settings, value| {
            settings.profile.enabled = value.flag()?;
            Ok(())
        },
        show: |settings| settings.profile.enabled.to_string(),
    },
    Key {
        name: "profile.seconds",
        help: "how long the profile of an incident is taken over, 1s to 60s",
        set: |settings, value| {
            settings.profile.seconds = value.duration(range::PROFILE_SECONDS)?;
            Ok(())
        },
        show: |settings| duration(settings.profile.seconds),
    },
    Key {
        name: "profile.calm_seconds",
        help: "how long a calm profile is taken over, 1s to 60s",
        set: |settings, value| {
            settings.profile.calm_seconds = value.duration(range::PROFILE_SECONDS)?;
            Ok(())
        },
        show: |settings| duration(settings.profile.calm_seconds),
    },
    Key {
        name: "profile.every",
        help: "time between two calm profiles of a target, 1s to 1day; the first few come a minute apart",
        set: |settings, value| {
            settings.profile.every = value.duration(range::PROFILE_EVERY)?;
            Ok(())
        },
        show: |settings| duration(settings.profile.every),
    },
    Key {
        name: "profile.keep",
        help: "the most incidents whose profiles are kept; the oldest go first",
        set: |settings, value| {
            settings.profile.keep = value.count(range::PROFILE_KEEP)?;
            Ok(())
        },
        show: |settings| settings.profile.keep.to_string(),
    },
    Key {
        name: "profile.max_bytes",
        help: "the most bytes that these take together, graphs included",
        set: |settings, value| {
            settings.profile.max_bytes = value.bytes(range::PROFILE_MAX_BYTES)?;
            Ok(())
        },
        show: |settings| quote(&format_bytes(settings.profile.max_bytes)),
    },
    Key {
        name: "profile.urls",
        help: "where a target serves its profiles if not beside its page, by target; empty = none from it",
        set: |settings, value| {
            settings.profile.urls = value.pairs()?.iter().map(url).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |settings| {
            let pair = |(target, uri): &(String, Option<Uri>)| {
                let uri = uri.as_ref().map(Uri::to_string).unwrap_or_default();
                format!("{} = {}", quote(target), quote(&uri))
            };
            let pairs: Vec<_> = settings.profile.urls.iter().map(pair).collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        },
    },
];

/// What no agent can work with.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    let profile = &settings.profile;
    problems.note("profile.seconds", within(profile.seconds, &range::PROFILE_SECONDS, format_duration));
    problems.note("profile.calm_seconds", within(profile.calm_seconds, &range::PROFILE_SECONDS, format_duration));
    problems.note("profile.every", within(profile.every, &range::PROFILE_EVERY, format_duration));
    problems.note("profile.keep", within(profile.keep, &range::PROFILE_KEEP, |count| count.to_string()));
    problems.note("profile.max_bytes", within(profile.max_bytes, &range::PROFILE_MAX_BYTES, format_bytes));
    if profile.every <= profile.calm_seconds {
        let message = "is no longer than `profile.calm_seconds`, so they would never end; raise it".to_owned();
        problems.add("profile.every", message);
    }
    for (label, _) in &profile.urls {
        if !settings.targets.iter().any(|target| target.label() == label) {
            let message = format!("`{label}` is none of the targets; write one as it stands in `targets`");
            problems.add("profile.urls", message);
        }
    }
}

/// Where a target serves its profiles; the target by its label.
fn url((target, text): &(String, String)) -> Result<(String, Option<Uri>), String> {
    let target: Address = target.parse()?;
    let wrong = || format!("`{text}` is no URL; write one such as http://127.0.0.1:6060/debug/pprof/profile");
    let is_right = |uri: &Uri| {
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        is_http
            && uri
                .authority()
                .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'))
    };
    let uri = match text.as_str() {
        "" => None,
        text => Some(text.parse().ok().filter(is_right).ok_or_else(wrong)?),
    };
    Ok((target.label().to_owned(), uri))
}
