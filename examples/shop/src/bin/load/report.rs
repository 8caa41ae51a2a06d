//! What is shown: a line now and then, a table at the end, and the same as JSON.

use crate::day::Day;
use crate::options::Options;
use crate::stats::{Journeys, PhaseStats, Requests, Step};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A part of the run.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) lasts: Duration,
    /// Journeys per second, on average.
    pub(crate) rate: f64,
    /// How rate and customers change meanwhile, if they do.
    pub(crate) day: Option<Day>,
}

/// The whole run. `version` changes when a field changes its meaning.
#[derive(Serialize)]
pub(crate) struct Report {
    version: u32,
    target: String,
    seed: u64,
    /// Ended by a signal before its time.
    interrupted: bool,
    phases: Vec<PhaseReport>,
    /// All phases together.
    total: PhaseReport,
}

#[derive(Serialize)]
struct PhaseReport {
    name: &'static str,
    seconds: f64,
    journeys: JourneyReport,
    requests: u64,
    errors: u64,
    requests_per_second: f64,
    steps: Vec<StepReport>,
}

/// `begun` is the sum of what follows it; `dropped` did not begin.
#[derive(Serialize)]
struct JourneyReport {
    begun: u64,
    ordered: u64,
    left: u64,
    failed: u64,
    unfinished: u64,
    dropped: u64,
}

/// `requests` is the sum of successes, conflicts and errors; `errors` that of its kinds.
#[derive(Serialize)]
struct StepReport {
    step: &'static str,
    requests: u64,
    successes: u64,
    conflicts: u64,
    errors: u64,
    errors_by_status: BTreeMap<u16, u64>,
    errors_connect: u64,
    errors_timeout: u64,
    errors_broken: u64,
    requests_per_second: f64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        seed: u64,
        interrupted: bool,
        phases: &[Phase],
        ran: Duration,
        stats: Vec<PhaseStats>,
    ) -> Self {
        let mut begins = Duration::ZERO;
        let mut reports = Vec::new();
        for (phase, stats) in phases.iter().zip(&stats) {
            let lasted = ran.saturating_sub(begins).min(phase.lasts);
            begins += phase.lasts;
            reports.push(PhaseReport::new(phase.name, lasted, stats));
        }
        let total = stats.into_iter().reduce(sum).map(|stats| PhaseReport::new("total", ran.min(begins), &stats));
        let total = total.unwrap_or_else(|| PhaseReport::empty("total"));
        Self { version: 1, target: options.target.base().to_owned(), seed, interrupted, phases: reports, total }
    }
}

impl PhaseReport {
    fn new(name: &'static str, lasted: Duration, stats: &PhaseStats) -> Self {
        let seconds = lasted.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let steps: Vec<StepReport> = Step::ALL
            .iter()
            .zip(&stats.steps)
            .map(|(step, requests)| StepReport::new(step.name(), requests, per_second(requests.total())))
            .collect();
        let requests = steps.iter().map(|step| step.requests).sum();
        let errors = steps.iter().map(|step| step.errors).sum();
        let Journeys { begun, ordered, left, failed, dropped } = stats.journeys;
        let unfinished = begun.saturating_sub(ordered + left + failed);
        let journeys = JourneyReport { begun, ordered, left, failed, unfinished, dropped };
        Self { name, seconds, journeys, requests, errors, requests_per_second: per_second(requests), steps }
    }

    fn empty(name: &'static str) -> Self {
        let journeys = JourneyReport { begun: 0, ordered: 0, left: 0, failed: 0, unfinished: 0, dropped: 0 };
        Self { name, seconds: 0.0, journeys, requests: 0, errors: 0, requests_per_second: 0.0, steps: Vec::new() }
    }
}

impl StepReport {
    fn new(step: &'static str, requests: &Requests, requests_per_second: f64) -> Self {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let quantile = |q| requests.latency.quantile(q).map(ms);
        Self {
            step,
            requests: requests.total(),
            successes: requests.successes,
            conflicts: requests.conflicts,
            errors: requests.errors(),
            errors_by_status: requests.statuses.clone(),
            errors_connect: requests.connect,
            errors_timeout: requests.timeout,
            errors_broken: requests.broken,
            requests_per_second,
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            max_ms: requests.latency.max().map(ms),
        }
    }
}

/// The report's file, opened before the run.
pub(crate) struct File {
    path: PathBuf,
    file: std::fs::File,
}

impl File {
    pub(crate) fn create(path: &PathBuf) -> Result<Self, String> {
        let file = std::fs::File::create(path).map_err(|error| failed(path, &error))?;
        Ok(Self { path: path.clone(), file })
    }

    pub(crate) fn write(mut self, report: &Report) -> Result<(), String> {
        let mut text = serde_json::to_vec_pretty(report).map_err(|error| failed(&self.path, &error.into()))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("--report {}: {error}", path.display())
}

/// A line on stderr.
pub(crate) fn progress(phases: &[Phase], elapsed: Duration, recent: &Requests, span: Duration, under_way: usize) {
    let mut begins = Duration::ZERO;
    let mut now = ("end", elapsed, elapsed);
    for phase in phases {
        if elapsed < begins + phase.lasts {
            now = (phase.name, elapsed - begins, phase.lasts);
            break;
        }
        begins += phase.lasts;
    }
    let (name, since, lasts) = now;
    let quantile = |q| match recent.latency.quantile(q) {
        Some(time) => format!("{:.1}", time.as_secs_f64() * 1_000.0),
        None => "-".to_owned(),
    };
    eprintln!(
        "load: {name} {:.0}/{:.0} s: {:.0} requests/s, {} errors, p50 {} p95 {} p99 {} ms, {under_way} journeys under way",
        since.as_secs_f64(),
        lasts.as_secs_f64(),
        recent.total() as f64 / span.as_secs_f64(),
        recent.errors(),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
    );
}

/// The table on stdout.
pub(crate) fn print(report: &Report) {
    // Nobody is left to tell when stdout is gone; the JSON file is still to come.
    let _ = io::stdout().write_all(table(report).as_bytes());
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    let shown = report.phases.iter().filter(|phase| phase.journeys.begun + phase.journeys.dropped + phase.requests > 0);
    for phase in shown {
        let JourneyReport { begun, ordered, left, failed, unfinished, dropped } = phase.journeys;
        let _ = writeln!(
            text,
            "{}, {:.0} s: {begun} journeys began ({ordered} ordered, {left} left, {failed} failed, {unfinished} unfinished), \
             {dropped} dropped; {:.1} requests/s, {} of {} failed",
            phase.name, phase.seconds, phase.requests_per_second, phase.errors, phase.requests
        );
        let _ = writeln!(
            text,
            "  {:<20}{:>9}{:>8}{:>11}{:>9}{:>10}{:>10}{:>10}{:>10}",
            "step", "requests", "errors", "conflicts", "req/s", "p50 ms", "p95 ms", "p99 ms", "max ms"
        );
        for step in &phase.steps {
            let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
            let _ = writeln!(
                text,
                "  {:<20}{:>9}{:>8}{:>11}{:>9.1}{:>10}{:>10}{:>10}{:>10}",
                step.step,
                step.requests,
                step.errors,
                step.conflicts,
                step.requests_per_second,
                ms(step.p50_ms),
                ms(step.p95_ms),
                ms(step.p99_ms),
                ms(step.max_ms)
            );
        }
    }
    if text.is_empty() {
        text.push_str("nobody came: the run ended before its first journey\n");
    }
    text
}

fn sum(mut one: PhaseStats, other: PhaseStats) -> PhaseStats {
    one.journeys.begun += other.journeys.begun;
    one.journeys.ordered += other.journeys.ordered;
    one.journeys.left += other.journeys.left;
    one.journeys.failed += other.journeys.failed;
    one.journeys.dropped += other.journeys.dropped;
    for (mine, theirs) in one.steps.iter_mut().zip(&other.steps) {
        mine.add(theirs);
    }
    one
}
