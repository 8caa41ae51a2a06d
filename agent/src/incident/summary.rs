//! An incident in words.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::moved::Moved;
use super::record::{Affected, How, Incident};
use crate::time::writable;
use crate::watch::{Role, Signal, Spent};

/// The most routes that a summary names beside the suspect.
const NAMED_ROUTES: usize = 4;
/// A smaller share of an error budget is not worth a sentence.
const LEAST_SPENT: f64 = 0.01;
/// The most that it tells of what moved beside them.
const NAMED_SIGNS: usize = 3;

impl Incident {
    /// The incident in words.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut titles: Vec<_> = self.routes.iter().map(Affected::title).collect();
        let opened = self.moved.iter().filter(|moved| moved.role != Role::Supports);
        titles.extend(opened.map(Moved::title));
        let suspect = self.routes.first().map(|route| (route.started_at, &route.words));
        let suspect = suspect.or_else(|| self.moved.first().map(|moved| (moved.started_at, &moved.words)));
        if let Some(((since, words), (title, others))) = suspect.zip(titles.split_first()) {
            let _ = write!(text, "{title} since {}: {words}.", clock(since));
            if !others.is_empty() {
                let _ = write!(text, " Also: {}", others.get(..NAMED_ROUTES).unwrap_or(others).join(", "));
                match others.len().saturating_sub(NAMED_ROUTES) {
                    0 => text.push('.'),
                    more => {
                        let _ = write!(text, " and {more} more.");
                    }
                }
            }
        }
        let beside: Vec<_> = self.moved.iter().filter(|moved| moved.role == Role::Supports).take(NAMED_SIGNS).collect();
        for moved in beside {
            let _ = write!(text, " Meanwhile {}: {}.", moved.title(), moved.words);
        }
        match self.causes.first() {
            Some(cause) => {
                let _ = write!(text, " {}", cause.sentence());
            }
            None if self.routes.is_empty() => {}
            None => text.push_str(" Cause unknown."),
        }
        if let Some(function) = self.profile.as_ref().and_then(|note| note.culprit()) {
            let _ = write!(text, " In the CPU profile, {}.", function.words());
        }
        let spent = |spent: &&Spent| spent.share >= LEAST_SPENT;
        if let Some(most) = self.spent.iter().filter(spent).max_by(|a, b| a.share.total_cmp(&b.share)) {
            let (share, objective) = (most.share * 100.0, most.objective.as_str());
            let _ = write!(text, " It spent {share:.1} % of 30 days' error budget ({objective}).");
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
        let what = if self.signal == Signal::Errors { "failing more than usual" } else { "slower than usual" };
        format!("{} {what}", self.key)
    }
}

fn lasted(from: SystemTime, to: SystemTime) -> humantime::FormattedDuration {
    let lasted = to.duration_since(from).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(lasted.as_secs()))
}

fn clock(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(writable(time)).to_string()
}
