//! What was reported, held against what the shop's truth file says was wrong.

use crate::sh::Result;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What is said of a fault is judged this long after its start.
pub(super) const WITHIN: Duration = Duration::from_secs(30);
/// What is opened this long after a fault's end may still be about it.
const GRACE: Duration = Duration::from_secs(5);
/// Of the faults, so many must have their cause named first.
const WANTED: f64 = 0.8;

/// A fault that was on, by the truth file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct Truth {
    id: String,
    pub(super) kind: String,
    pub(super) routes: Vec<String>,
    pub(super) cause: String,
    share: f64,
    strength_ms: Option<u64>,
    #[serde(deserialize_with = "moment")]
    pub(super) start: SystemTime,
    #[serde(deserialize_with = "maybe_moment")]
    pub(super) end: Option<SystemTime>,
}

/// What the agent said at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sight {
    /// The open incident.
    pub(super) incident: Option<Said>,
}

/// What an open incident said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) id: String,
    /// Those that are anomalous, the suspect first.
    pub(super) routes: Vec<String>,
    pub(super) cause: String,
    pub(super) strength: f64,
}

/// What came of one fault. Times are seconds since its start, or its end where it says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    kind: String,
    route: String,
    share: f64,
    strength_ms: Option<u64>,
    cause: String,
    /// When an incident held the route.
    pub(super) named_after: Option<f64>,
    /// Whether the route was the suspect when it was judged.
    suspect: bool,
    /// When the right cause came first for the first time.
    pub(super) right_after: Option<f64>,
    /// The first cause when it was judged, and its strength.
    pub(super) said: String,
    strength: f64,
    /// The first cause at the fault's end.
    said_at_end: String,
    /// After the end, no incident was open.
    recovered_after: Option<f64>,
    /// The route and the right cause first, when it was judged.
    pub(super) passed: bool,
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(super) struct Score {
    version: u32,
    seed: u64,
    pub(super) rows: Vec<Row>,
    pub(super) right: usize,
    /// Incidents that opened while no fault was on.
    pub(super) outside: usize,
}

impl Score {
    pub(super) fn passed(&self) -> bool {
        self.outside == 0 && self.right as f64 >= WANTED * self.rows.len() as f64 && !self.rows.is_empty()
    }
}

/// The faults of a truth file, in the order of their starts.
pub(super) fn truths(path: &Path) -> Result<Vec<Truth>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Truth>> {
    let mut truths: Vec<Truth> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let truth: Truth =
            serde_json::from_str(line).map_err(|error| format!("line {} of the truth file: {error}", number + 1))?;
        match truths.iter_mut().find(|known| known.id == truth.id) {
            Some(known) => *known = truth,
            None => truths.push(truth),
        }
    }
    truths.sort_by_key(|truth| truth.start);
    Ok(truths)
}

/// Scores what was seen, in the order of time, against the truth.
pub(super) fn score(seed: u64, truths: &[Truth], seen: &[(SystemTime, Sight)]) -> Score {
    let rows: Vec<Row> = truths.iter().map(|truth| row(truth, seen)).collect();
    let explained = |at: SystemTime| truths.iter().any(|truth| truth.start <= at && at <= truth.over() + GRACE);
    let is_open = |sight: &Sight| sight.incident.is_some();
    let mut outside = usize::from(seen.first().is_some_and(|(at, sight)| is_open(sight) && !explained(*at)));
    for pair in seen.windows(2) {
        if let [(_, before), (at, now)] = pair {
            outside += usize::from(!is_open(before) && is_open(now) && !explained(*at));
        }
    }
    let right = rows.iter().filter(|row| row.passed).count();
    Score { version: 1, seed, rows, right, outside }
}

impl Truth {
    /// Its end, or the end of time.
    fn over(&self) -> SystemTime {
        self.end.unwrap_or(self.start + Duration::from_secs(86_400))
    }
}

fn row(truth: &Truth, seen: &[(SystemTime, Sight)]) -> Row {
    let route = truth.routes.first().cloned().unwrap_or_default();
    let over = truth.over();
    let during = || {
        let seen = seen.iter().filter(|(at, _)| truth.start <= *at && *at <= over);
        seen.filter_map(|(at, sight)| Some((seconds(truth.start, *at), sight.incident.as_ref()?)))
    };
    let holds = |said: &Said| said.routes.contains(&route);
    let mut early = during().filter(|(after, said)| *after <= WITHIN.as_secs_f64() && holds(said));
    let judged = early.next_back().map(|(_, said)| said.clone()).unwrap_or_default();
    let cause = |said: &Said| if said.cause.is_empty() { "unknown".to_owned() } else { said.cause.clone() };
    Row {
        named_after: during().find(|(_, said)| holds(said)).map(|(after, _)| after),
        suspect: judged.routes.first() == Some(&route),
        right_after: during().find(|(_, said)| holds(said) && said.cause == truth.cause).map(|(after, _)| after),
        said: cause(&judged),
        strength: judged.strength,
        said_at_end: during().next_back().map_or_else(|| "unknown".to_owned(), |(_, said)| cause(said)),
        recovered_after: seen
            .iter()
            .find(|(at, sight)| *at >= over && sight.incident.is_none())
            .map(|(at, _)| seconds(over, *at)),
        passed: judged.cause == truth.cause,
        kind: truth.kind.clone(),
        route,
        share: truth.share,
        strength_ms: truth.strength_ms,
        cause: truth.cause.clone(),
    }
}

/// The scores for people.
pub(super) fn table(score: &Score) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:<16} {:<15} {:>5} {:>5} {:>7} {:>8} {:>7}  {:<22} {:<16} {:>9}  ",
        "fault", "route", "share", "ms", "named", "suspect", "right", "cause at 30 s", "at the end", "recovered"
    );
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"));
    for row in &score.rows {
        let strength = row.strength_ms.map_or_else(String::new, |ms| ms.to_string());
        let _ = writeln!(
            text,
            "{:<16} {:<15} {:>4.0}% {:>5} {:>7} {:>8} {:>7}  {:<22} {:<16} {:>9}  {}",
            row.kind,
            row.route,
            row.share * 100.0,
            strength,
            time(row.named_after),
            if row.suspect { "yes" } else { "no" },
            time(row.right_after),
            format!("{} ({:.2})", row.said, row.strength),
            row.said_at_end,
            time(row.recovered_after),
            if row.passed { "ok" } else { "NOT RIGHT" },
        );
    }
    text
}

fn seconds(from: SystemTime, to: SystemTime) -> f64 {
    let seconds = to.duration_since(from).unwrap_or_default().as_secs_f64();
    (seconds * 10.0).round() / 10.0
}

fn moment<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<SystemTime, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)
}

fn maybe_moment<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<SystemTime>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: &str = r#"{"id":"errors-1","kind":"errors","routes":["/a"],"cause":"errors","share":0.5,"strength_ms":1,"start":"2026-01-01T00:00:00.000Z","end":null}
{"id":"errors-1","kind":"errors","routes":["/a"],"cause":"errors","share":0.5,"strength_ms":1,"start":"2026-01-01T00:00:00.000Z","end":"2026-01-01T00:00:40.000Z"}
"#;

    fn sight(truth: &Truth, after: i64, said: Option<(&str, &str)>) -> (SystemTime, Sight) {
        let said = said.map(|(route, cause)| Said {
            id: "1".into(),
            routes: vec!["/b".into(), route.into()],
            cause: cause.into(),
            strength: 0.5,
        });
        let after = Duration::from_secs((after + 100) as u64);
        (truth.start - Duration::from_secs(100) + after, Sight { incident: said })
    }

    #[test]
    fn the_cause_counts_that_stands_first_at_half_a_minute() {
        let truths = parse(TRUTH).unwrap();
        assert_eq!(truths.len(), 1, "the second line ends the fault of the first");
        let truth = &truths[0];
        let seen = |causes: &[(i64, Option<(&str, &str)>)]| -> Vec<_> {
            causes.iter().map(|(after, said)| sight(truth, *after, *said)).collect()
        };
        let good = [(-5, None), (4, Some(("/a", "cpu"))), (10, Some(("/a", "errors"))), (45, None)];
        let scored = score(1, &truths, &seen(&good));
        let row = &scored.rows[0];
        assert_eq!((row.named_after, row.right_after, row.recovered_after), (Some(4.0), Some(10.0), Some(5.0)));
        assert!(row.passed && !row.suspect && scored.passed(), "{scored:?}");

        let late = [(-5, None), (4, Some(("/a", "cpu"))), (31, Some(("/a", "errors"))), (45, None)];
        assert_eq!(score(1, &truths, &seen(&late)).right, 0);
        let elsewhere = [(-5, None), (4, Some(("/c", "errors"))), (45, None)];
        assert_eq!(score(1, &truths, &seen(&elsewhere)).right, 0);
        assert!(!score(1, &truths, &[]).passed());
    }

    #[test]
    fn what_opens_while_nothing_is_wrong_is_outside() {
        let truths = parse(TRUTH).unwrap();
        let at = |after| sight(&truths[0], after, Some(("/a", "errors")));
        let calm = |after| sight(&truths[0], after, None);
        assert_eq!(score(1, &truths, &[at(-10), calm(-5), at(3), calm(50), at(60)]).outside, 2);
        assert_eq!(score(1, &truths, &[calm(-5), at(43), calm(50)]).outside, 0);
        // One that stays open is one.
        assert_eq!(score(1, &truths, &[calm(-50), at(-40), at(-30), calm(-5)]).outside, 1);
    }
}
