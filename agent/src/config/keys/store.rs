//! What outlives the agent: its folder, and how incidents are kept.

use super::{Key, Problems, duration, quote};
use crate::config::value::{format_duration, within};
use crate::config::{Settings, range};

/// The keys.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        help: "where state and incidents are kept; empty = $STATE_DIRECTORY, or outrigger in the XDG state home",
        set: |settings, value| {
            let text = value.text()?;
            settings.data_dir = (!text.is_empty()).then(|| text.into());
            Ok(())
        },
        show: |settings| quote(&settings.data_dir.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default()),
    },
    Key {
        name: "save_interval",
        help: "time between two writings of the state, 1s to 1h; changes of incidents are written at once",
        set: |settings, value| {
            settings.save_interval = value.duration(range::SAVE_INTERVAL)?;
            Ok(())
        },
        show: |settings| duration(settings.save_interval),
    },
    Key {
        name: "incidents.keep",
        help: "the most incidents that are kept; the oldest resolved one goes first",
        set: |settings, value| {
            settings.incidents.keep = value.count(range::INCIDENTS_KEEP)?;
            Ok(())
        },
        show: |settings| settings.incidents.keep.to_string(),
    },
    Key {
        name: "incidents.keep_for",
        help: "how long a resolved incident is kept",
        set: |settings, value| {
            settings.incidents.keep_for = value.duration(range::INCIDENTS_KEEP_FOR)?;
            Ok(())
        },
        show: |settings| duration(settings.incidents.keep_for),
    },
];

/// What no agent can work with.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    let incidents = &settings.incidents;
    problems.note("save_interval", within(settings.save_interval, &range::SAVE_INTERVAL, format_duration));
    problems.note("incidents.keep", within(incidents.keep, &range::INCIDENTS_KEEP, |count| count.to_string()));
    problems.note("incidents.keep_for", within(incidents.keep_for, &range::INCIDENTS_KEEP_FOR, format_duration));
}
