//! An incident in words.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::record::{Affected, How, Incident};
use crate::time::writable;
use crate::watch::Signal;

/// The most routes that a summary names beside the suspect.
const NAMED_ROUTES: usize = 4;

impl Incident {
    /// The incident in words.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        if let Some((suspect, others)) = self.routes.split_first() {
            let _ = write!(text, "{} since {}", suspect.title(), clock(suspect.started_at));
            let _ = write!(text, ": {}.", suspect.words);
            if !others.is_empty() {
                let names: Vec<_> = others.iter().take(NAMED_ROUTES).map(Affected::title).collect();
                let _ = write!(text, " Also: {}", names.join(", "));
                match others.len().saturating_sub(NAMED_ROUTES) {
                    0 => text.push('.'),
                    more => {
                        let _ = write!(text, " and {more} more.");
                    }
                }
            }
        }
        match self.causes.first() {
            Some(cause) => {
                let _ = write!(text, " {}", cause.sentence());
            }
            None => text.push_str(" Cause unknown."),
        }
        if let Some(function) = self.profile.as_ref().and_then(|note| note.culprit()) {
            let _ = write!(text, " In the CPU profile, {}.", function.words());
        }
        let unrecovered = || self.routes.iter().filter_map(|route| Some((route, route.unrecovered()?)));
        for (route, end) in unrecovered().take(NAMED_ROUTES) {
            let _ = write!(text, " {} {}: {end}.", route.key.method, route.key.route);
        }
        if let Some(resolved_at) = self.resolved_at {
            // An incident that nobody saw recover is over, but not resolved in the sense of the word.
            let over = if unrecovered().next().is_none() { "Resolved" } else { "Closed" };
            let lasted = lasted(self.started_at, resolved_at);
            let _ = write!(text, " {over} at {} after {lasted}.", clock(resolved_at));
        } else if let Some(silent_since) = self.silent_since {
            let _ = write!(text, " The target has not answered since {}; nothing newer is known.", clock(silent_since));
        }
        text
    }
}

impl Affected {
    /// How the route ended, in words, unless it is anomalous or recovered.
    pub(super) fn unrecovered(&self) -> Option<String> {
        let end = self.ended?;
        match end.how {
            How::Recovered => None,
            How::Adopted => Some(format!("taken as the new normal after {}", lasted(self.started_at, end.at))),
            How::Idle => Some(format!("no more requests since {}", clock(end.idle_since.unwrap_or(end.at)))),
            How::Unwatched => Some(format!("not watched any more since {}", clock(end.at))),
        }
    }

    fn title(&self) -> String {
        let what = match self.signal {
            Signal::Latency => "slower than usual",
            Signal::Errors => "failing more than usual",
        };
        format!("{} {} {what}", self.key.method, self.key.route)
    }
}

fn lasted(from: SystemTime, to: SystemTime) -> humantime::FormattedDuration {
    let lasted = to.duration_since(from).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(lasted.as_secs()))
}

fn clock(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(writable(time)).to_string()
}
