//! What a replay found, in lines for people and as JSON for programs. The same pages give the same report.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::player::{Episode, Played};
use super::truth::Score;
use crate::picture::incident::{Told, length, seconds};
use crate::picture::svg::{Short, moment};

/// What is kept of an incident once its picture is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) told: Told,
    json: serde_json::Value,
    /// The file with its picture, if there is one.
    pub(crate) page: Option<String>,
}

impl Found {
    pub(crate) fn new(episode: Episode, page: Option<String>) -> Self {
        Self { told: episode.told, json: episode.json, page }
    }
}

/// The incident in one line.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = &self.told;
        let onset = seconds(told.started_at);
        write!(f, "{} noticed after {}, ", moment(onset), length(seconds(told.detected_at) - onset))?;
        match told.end() {
            Some(end) => write!(f, "over after {}", length(end - onset))?,
            None => f.write_str("still open")?,
        }
        write!(f, ": {} {}", told.target, told.title())?;
        if let Some((what, before, during)) = told.routes.first().and_then(|route| route.moved()) {
            write!(f, ", {what} {before} -> {during}")?;
        }
        if told.routes.len() > 1 {
            write!(f, ", {} more", told.routes.len() - 1)?;
        }
        write!(f, "; {} requests affected; ", told.requests_affected)?;
        match told.causes.first() {
            Some(cause) => {
                write!(f, "cause {}", cause.cause)?;
                if let Some(subject) = &cause.subject {
                    write!(f, " ({subject})")?;
                }
                write!(f, " {:.2}", cause.strength)
            }
            None => f.write_str("cause unknown"),
        }
    }
}

/// The whole of a replay in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) targets: usize,
    pub(crate) pages: u64,
    pub(crate) failed_scrapes: u64,
    /// Pages out of the order of time, or of a target too many.
    pub(crate) dropped_pages: u64,
    /// How often the time of a target went back, so that it was taken up anew.
    pub(crate) turns_back: u64,
    /// Pages with histograms of which there is no bucket, so that their latency cannot be judged.
    pub(crate) pages_without_buckets: u64,
    pub(crate) requests: u64,
    pub(crate) routes: usize,
    /// Routes with requests that were still being learnt at the end.
    pub(crate) routes_warming_up: usize,
    pub(crate) hours_watched: f64,
    pub(crate) incidents: usize,
    pub(crate) incidents_per_day: Option<f64>,
    /// Hours between notice and end of the incidents.
    pub(crate) alarm_hours: f64,
    /// Why this is not the whole time that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broke_off: Option<String>,
}

impl Summary {
    pub(crate) fn of(found: &[Found], played: &Played) -> Self {
        let hours = played.targets.values().map(|target| target.watched).sum::<f64>() / 3600.0;
        let alarm = |found: &Found| {
            let last = played.targets.get(&found.told.target).map_or(0.0, |target| target.to);
            (found.told.end().unwrap_or(last) - seconds(found.told.detected_at)).max(0.0) / 3600.0
        };
        Self {
            targets: played.targets.len(),
            pages: played.pages,
            failed_scrapes: played.failures,
            dropped_pages: played.dropped,
            turns_back: played.turns,
            pages_without_buckets: played.bare,
            requests: played.requests,
            routes: played.targets.values().map(|target| target.routes).sum(),
            routes_warming_up: played.targets.values().map(|target| target.warming_up).sum(),
            hours_watched: hours,
            incidents: found.len(),
            incidents_per_day: (hours > 0.0).then(|| found.len() as f64 * 24.0 / hours),
            alarm_hours: found.iter().map(alarm).sum(),
            broke_off: None,
        }
    }
}

impl Summary {
    /// Incidents per day, unless the time was too short to say.
    pub(super) fn told_per_day(&self) -> Option<f64> {
        self.incidents_per_day.filter(|_| self.hours_watched >= 1.0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        write!(
            f,
            "{} of {} watched: {} pages, {}, {} requests",
            length(self.hours_watched * 3600.0),
            count(self.targets, "target"),
            self.pages,
            count(self.routes, "route"),
            self.requests
        )?;
        if self.failed_scrapes > 0 {
            write!(f, ", {} scrapes without a page", self.failed_scrapes)?;
        }
        if self.dropped_pages > 0 {
            write!(f, ", {} pages out of order left out", self.dropped_pages)?;
        }
        if self.turns_back > 0 {
            write!(f, "\nthe time of a target went back {}; it was taken up anew there", times(self.turns_back))?;
        }
        write!(f, "\n{}", count(self.incidents, "incident"))?;
        if let Some(per_day) = self.told_per_day() {
            write!(f, ": {} per day", Short(per_day))?;
        }
        if self.incidents > 0 {
            write!(f, ", {} of alarm", length(self.alarm_hours * 3600.0))?;
        }
        if self.routes_warming_up > 0 {
            write!(f, "\n{} had too few requests to be judged by the end", count(self.routes_warming_up, "route"))?;
        }
        if self.routes == 0 && self.pages > 0 {
            write!(
                f,
                "\nno page has http_server_request_duration_seconds; name the service's own histogram with --metric"
            )?;
        }
        if self.pages_without_buckets > 0 {
            write!(
                f,
                "\nhistograms without buckets on {} pages, whose latency cannot be judged; if the service has native ones, \
                 record it again: `outrigger record` asks for them",
                self.pages_without_buckets
            )?;
        }
        if let Some(why) = &self.broke_off {
            write!(f, "\nthis is not the whole time that was asked for: {why}")?;
        }
        Ok(())
    }
}

fn times(number: u64) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

/// Everything as JSON.
pub(crate) fn json(found: &[Found], summary: &Summary, score: Option<&Score>) -> String {
    let incidents: Vec<_> = found
        .iter()
        .map(|found| {
            let mut json = found.json.clone();
            if let (Some(page), Some(fields)) = (&found.page, json.as_object_mut()) {
                fields.insert("page".to_owned(), page.clone().into());
            }
            json
        })
        .collect();
    let mut whole = serde_json::json!({"version": 1, "summary": summary, "incidents": incidents});
    if let (Some(score), Some(fields)) = (score, whole.as_object_mut()) {
        fields.insert("truth".to_owned(), serde_json::json!(score));
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{whole:#}");
    text
}
