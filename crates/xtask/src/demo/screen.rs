//! What the demo shows: a line for each thing that happens, and one line that moves while it waits.

use super::api::{Incident, Quantiles, Route};
use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

/// How often a waiting line is printed where it cannot be overwritten.
const PLAIN_PROGRESS: Duration = Duration::from_secs(10);

/// Columns of a summary, so that a line of it fits a terminal.
const SUMMARY_WIDTH: usize = 88;

pub(crate) struct Screen {
    started: Instant,
    terminal: bool,
    moving: bool,
    last_plain: Option<Instant>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), terminal: stdout().is_terminal(), moving: false, last_plain: None }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Something happened.
    pub(crate) fn event(&mut self, text: &str) {
        self.settle();
        println!("[{:>4} s] {text}", self.started.elapsed().as_secs());
        self.last_plain = None;
    }

    /// More about the event above.
    pub(crate) fn detail(&mut self, text: &str) {
        self.settle();
        println!("         {text}");
    }

    /// Still waiting: overwritten on a terminal, rare in a file.
    pub(crate) fn progress(&mut self, text: &str) {
        let line = format!("[{:>4} s] {text}", self.started.elapsed().as_secs());
        if self.terminal {
            print!("\r\x1b[2K{line}");
            // A terminal that is gone shows nothing; the demo ends by itself or by a signal.
            let _ = stdout().flush();
            self.moving = true;
        } else if self.last_plain.is_none_or(|last| last.elapsed() >= PLAIN_PROGRESS) {
            println!("{line}");
            self.last_plain = Some(Instant::now());
        }
    }

    /// An incident's routes, strongest first, at most three of them.
    pub(crate) fn incident(&mut self, incident: &Incident) {
        for route in incident.routes.iter().take(3) {
            self.route(route);
        }
        if incident.routes.len() > 3 {
            self.detail(&format!("and {} more routes", incident.routes.len() - 3));
        }
        for cause in &incident.causes {
            let text = format!("cause: {} ({:.2}): {}", cause.cause, cause.strength, cause.evidence);
            for line in wrap(&text, SUMMARY_WIDTH) {
                self.detail(&line);
            }
        }
    }

    fn route(&mut self, route: &Route) {
        let clock = route.started_at.get(11..19).unwrap_or(&route.started_at);
        self.detail(&format!("{} {}  ({}) since {clock} UTC", route.method, route.route, route.signal));
        self.detail(&format!("    {:<8}{:>9}{:>9}{:>9}{:>9}", "", "p50", "p95", "p99", "errors"));
        self.detail(&row("before", &route.before));
        self.detail(&row("during", &route.during));
        for line in wrap(&route.summary, SUMMARY_WIDTH) {
            self.detail(&format!("    {line}"));
        }
    }

    fn settle(&mut self) {
        if self.moving {
            print!("\r\x1b[2K");
            self.moving = false;
        }
    }
}

fn row(name: &str, quantiles: &Quantiles) -> String {
    let Quantiles { p50, p95, p99, error_ratio } = quantiles;
    let errors = error_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0));
    format!("    {name:<8}{:>9}{:>9}{:>9}{errors:>9}", milliseconds(*p50), milliseconds(*p95), milliseconds(*p99))
}

fn milliseconds(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) if seconds < 0.1 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) => format!("{:.0} ms", seconds * 1e3),
        None => "-".to_owned(),
    }
}

/// Breaks a text between words. A word that is wider than the line gets one of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_broken_between_words() {
        assert_eq!(wrap("the median did not move", 10), ["the median", "did not", "move"]);
        assert_eq!(wrap("a verylongword b", 6), ["a", "verylongword", "b"]);
        assert_eq!(wrap("", 6), Vec::<String>::new());
    }

    #[test]
    fn durations_are_shown_in_milliseconds_as_far_as_they_matter() {
        assert_eq!(milliseconds(Some(0.0024)), "2.4 ms");
        assert_eq!(milliseconds(Some(0.4644)), "464 ms");
        assert_eq!(milliseconds(None), "-");
    }
}
