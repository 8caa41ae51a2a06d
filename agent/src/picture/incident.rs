//! One incident as a page: what happened, why it may be, and a picture of each affected route.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::distribution;
use super::scene::Scene;
use super::svg::{Latency, Percent, Short, Text, clock, moment};
use crate::time::Time;

/// An incident as the API tells it, as far as pages and reports need it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) target: String,
    pub(crate) state: String,
    pub(crate) started_at: Time,
    pub(crate) detected_at: Time,
    pub(crate) resolved_at: Option<Time>,
    pub(crate) requests_affected: u64,
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) routes: Vec<ToldRoute>,
    #[serde(default)]
    pub(crate) causes: Vec<ToldCause>,
    #[serde(default)]
    pub(crate) added_time: Vec<ToldTime>,
    /// What else moved.
    #[serde(default)]
    pub(crate) moved: Vec<ToldMove>,
    #[serde(default)]
    pub(crate) profile: Option<ToldProfile>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    held: Option<ToldHeld>,
}

/// Why nobody is told of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct ToldHeld {
    reason: String,
    until: Option<Time>,
}

/// Something beside the routes that moved.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ToldMove {
    pub(crate) summary: String,
}

/// What the CPU was used for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ToldProfile {
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) links: Vec<String>,
}

/// One signal of one route of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ToldRoute {
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) signal: String,
    pub(crate) before: ToldLevel,
    pub(crate) during: ToldLevel,
    pub(crate) requests_affected: u64,
    /// How its requests spread, as the incident keeps it.
    #[serde(default)]
    pub(crate) distribution: Option<ToldDistribution>,
    pub(crate) summary: String,
}

/// How requests spread over buckets before an incident and during it, as shares.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ToldDistribution {
    pub(crate) bounds: Vec<f64>,
    pub(crate) before: Vec<f64>,
    pub(crate) during: Vec<f64>,
}

/// Where a route stood.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct ToldLevel {
    #[serde(default)]
    pub(crate) p95: Option<f64>,
    #[serde(default)]
    pub(crate) error_ratio: Option<f64>,
}

/// What may be the cause.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ToldCause {
    pub(crate) cause: String,
    pub(crate) strength: f64,
    #[serde(default)]
    pub(crate) subject: Option<String>,
    pub(crate) evidence: String,
    #[serde(default)]
    pub(crate) advice: String,
}

/// What one kind of work took of the time that requests lost.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ToldTime {
    pub(crate) part: String,
    #[serde(default)]
    pub(crate) subject: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) share: f64,
}

impl Told {
    /// Reads what the API says of an incident. `None` if that is not what this module knows of incidents.
    pub(crate) fn of(view: &impl Serialize) -> Option<Self> {
        serde_json::from_value(serde_json::to_value(view).ok()?).ok()
    }

    /// When it was over, in seconds since the epoch.
    pub(crate) fn end(&self) -> Option<f64> {
        self.resolved_at.map(seconds)
    }

    /// What it is called: the route that cost most, and how it went wrong.
    pub(crate) fn title(&self) -> String {
        match self.routes.first() {
            Some(first) => first.title(),
            None => self.summary.split(" since ").next().unwrap_or_default().to_owned(),
        }
    }
}

impl ToldRoute {
    fn title(&self) -> String {
        let what = match self.signal.as_str() {
            "latency" => "slower than usual",
            "errors" => "failing more than usual",
            other => other,
        };
        format!("{} {} {what}", self.method, self.route)
    }

    /// The figure that moved, before and during: its name and both values.
    pub(crate) fn moved(&self) -> Option<(&'static str, String, String)> {
        let (before, during) = (&self.before, &self.during);
        if let (Some(before), Some(during)) = (before.p95, during.p95) {
            return Some(("p95", Latency(before).to_string(), Latency(during).to_string()));
        }
        let (before, during) = (before.error_ratio?, during.error_ratio?);
        Some(("failed", Percent(before).to_string(), Percent(during).to_string()))
    }
}

/// A moment in seconds since the epoch.
pub(crate) fn seconds(time: Time) -> f64 {
    since_epoch(time.0)
}

/// A moment in seconds since the epoch.
pub(crate) fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A length of time as people say it: `45s`, `12m 30s`, `3h 20m`.
pub(crate) fn length(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0).round() as u64 } else { 0 };
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m {s}s"),
        (h, 0, _) => format!("{h}h"),
        (h, m, _) => format!("{h}h {m}m"),
    }
}

/// The page of one incident, complete in itself. `home` is where its list stands.
pub(crate) fn page(told: &Told, scenes: &[Scene], home: &str) -> String {
    let mut html = head(&format!("{}: {}", moment(seconds(told.started_at)), told.title()));
    let _ = write_page(&mut html, told, scenes, home);
    html.push_str("</main></body></html>\n");
    html
}

/// How a page begins.
pub(crate) fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{}</title>\n<style>\n{STYLE}</style></head><body><main>\n",
        Text(title)
    )
}

fn write_page(html: &mut String, told: &Told, scenes: &[Scene], home: &str) -> fmt::Result {
    let (onset, detected) = (seconds(told.started_at), seconds(told.detected_at));
    writeln!(html, "<p class=\"dim\"><a href=\"{}\">All incidents</a> · {}</p>", Text(home), Text(&told.target))?;
    writeln!(html, "<h1>{}</h1>\n<p class=\"lead\">{}</p>", Text(&told.title()), Text(&told.summary))?;
    html.write_str("<dl class=\"facts\">")?;
    let mut fact = |name: &str, value: &str| write!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(value));
    fact("Onset", &moment(onset))?;
    fact("Detected", &format!("{} later", length(detected - onset)))?;
    match told.end() {
        Some(end) => fact("Over after", &format!("{} ({})", length(end - onset), clock(end)))?,
        None => fact("State", "still open")?,
    }
    fact("Requests affected", &told.requests_affected.to_string())?;
    if let Some(severity) = &told.severity {
        fact("Severity", severity)?;
    }
    html.write_str("</dl>\n")?;
    if let Some(held) = &told.held {
        writeln!(html, "<p>{}</p>", told_nobody(&held.reason, held.until))?;
    }
    write_causes(html, told)?;
    write_added_time(html, &told.added_time)?;
    if let Some(profile) = &told.profile {
        write!(html, "<p>{}", Text(&profile.summary))?;
        for link in &profile.links {
            write!(html, " <a href=\"{}\">{}</a>", Text(link), Text(link.rsplit('/').next().unwrap_or_default()))?;
        }
        html.write_str("</p>\n")?;
    }
    if !told.moved.is_empty() {
        html.write_str("<h2>What else moved</h2>\n<ul>")?;
        for moved in &told.moved {
            write!(html, "<li>{}</li>", Text(&moved.summary))?;
        }
        html.write_str("</ul>\n")?;
    }
    for scene in scenes {
        writeln!(html, "<section><h2>{}</h2>", Text(&scene.route))?;
        for route in told.routes.iter().filter(|route| format!("{} {}", route.method, route.route) == scene.route) {
            writeln!(html, "<p>{}.</p>", Text(&route.summary))?;
        }
        if let Some(picture) = scene.over_time() {
            writeln!(
                html,
                "<figure>{picture}<figcaption>Each row is a bucket of latency; the stronger its colour, the more requests \
                 per second, on a logarithmic scale. Times are UTC.</figcaption></figure>"
            )?;
        }
        if let Some(picture) = scene.distribution() {
            write_distribution(html, &picture)?;
        }
        html.write_str("</section>\n")?;
    }
    let drawn =
        |route: &&ToldRoute| scenes.iter().any(|scene| scene.route == format!("{} {}", route.method, route.route));
    let others: Vec<_> = told.routes.iter().filter(|route| !drawn(route)).collect();
    if !others.is_empty() {
        html.write_str(if scenes.is_empty() { "<h2>Affected</h2>\n" } else { "<h2>Also affected</h2>\n" })?;
        for (number, route) in others.into_iter().enumerate() {
            writeln!(html, "<p><strong>{}</strong>: {}.</p>", Text(&route.title()), Text(&route.summary))?;
            // What was counted then may no longer be in memory, but this stays with the incident.
            let kept = route.distribution.as_ref().filter(|_| number < MAX_KEPT);
            let name = format!("{} {}", route.method, route.route);
            let picture = kept.and_then(|kept| distribution::draw(&name, &kept.bounds, &kept.before, &kept.during));
            if let Some(picture) = picture {
                write_distribution(html, &picture)?;
            }
        }
    }
    Ok(())
}

/// That nobody is told of an incident, why, and how long yet.
pub(crate) fn told_nobody(reason: &str, until: Option<Time>) -> String {
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    let reason = reason.replace('_', " ");
    format!("<strong>Told to nobody:</strong> {}{until}. <a href=\"/api/v1/silences\">silences</a>", Text(&reason))
}

/// The most routes without a picture over time of which the distribution is shown.
const MAX_KEPT: usize = 4;

fn write_distribution(html: &mut String, picture: &str) -> fmt::Result {
    writeln!(
        html,
        "<figure>{picture}<figcaption>Share of the requests in each bucket, before the onset, and from there until it got \
         better.</figcaption></figure>"
    )
}

fn write_causes(html: &mut String, told: &Told) -> fmt::Result {
    html.write_str("<h2>Why it may be</h2>\n")?;
    if told.causes.is_empty() {
        return html
            .write_str("<p class=\"dim\">Unknown: nothing that the service measures of itself accounts for it.</p>\n");
    }
    html.write_str("<ol class=\"causes\">")?;
    for cause in &told.causes {
        let percent = Short((cause.strength * 100.0).clamp(0.0, 100.0)).to_string();
        writeln!(
            html,
            "<li><strong>{}</strong>{} <span class=\"meter\" role=\"img\" aria-label=\"strength {percent} %\">\
             <span style=\"width:{percent}%\"></span></span> <span class=\"dim\">{percent} %</span>\
             <br>{}<br><span class=\"dim\">{}</span></li>",
            Text(&cause.cause.replace('_', " ")),
            Text(&cause.subject.as_deref().map(|subject| format!(": {subject}")).unwrap_or_default()),
            Text(&cause.evidence),
            Text(&cause.advice),
        )?;
    }
    html.write_str("</ol>\n")
}

/// A smaller share of the time that requests lost is not worth a word.
const LEAST_SHARE: f64 = 0.01;

fn write_added_time(html: &mut String, parts: &[ToldTime]) -> fmt::Result {
    let name = |added: &ToldTime| {
        let subject = added.subject.as_deref().map(|subject| format!(" ({subject})")).unwrap_or_default();
        format!("{}{subject} {:.0} %", added.part.replace('_', " "), added.share.clamp(0.0, 1.0) * 100.0)
    };
    let names: Vec<_> = parts.iter().filter(|added| added.share >= LEAST_SHARE).map(name).collect();
    if names.is_empty() {
        return Ok(());
    }
    let lost = Latency(parts.iter().map(|added| added.seconds).sum());
    writeln!(html, "<p>Of {lost} that requests lost: {}.</p>", Text(&names.join(", ")))
}

/// The style of all pages with pictures, in light and dark.
pub(crate) const STYLE: &str = "\
:root { color-scheme: light dark; --fg: #1c2733; --dim: #5b6b7a; --bg: #fff; --panel: #f6f8fa; --edge: #d8dfe6; --bad: #b3261e;
  --h0: #e3eef9; --h1: #c9dff2; --h2: #a6cbe8; --h3: #7cb2db; --h4: #5396cb; --h5: #2f79b8; --h6: #175d9c; --h7: #0b3f72;
  --p50: #0a7d4f; --p95: #c25e00; --p99: #b3261e; --before: #7a8b9c; --during: #c25e00; --span: #c25e00; }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e9ee; --dim: #97a6b4; --bg: #12181e; --panel: #1a222a; --edge: #33404c; --bad: #ff8a80;
  --h0: #1b2f42; --h1: #1f4160; --h2: #23557f; --h3: #2a6ca1; --h4: #3a86c0; --h5: #5aa2d8; --h6: #8cc3ec; --h7: #cbe6fb;
  --p50: #5fd6a2; --p95: #ffb35c; --p99: #ff8a80; --before: #8496a7; --during: #ffb35c; --span: #ffb35c; } }
body { font: 15px/1.55 system-ui, sans-serif; margin: 0; color: var(--fg); background: var(--bg); }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .4rem 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; overflow-wrap: anywhere; }
a { color: inherit; } .dim, figcaption { color: var(--dim); } figcaption { font-size: .85rem; } .bad { color: var(--bad); font-weight: 600; }
.lead { overflow-wrap: anywhere; } .facts { display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin: 1rem 0; padding: .7rem 1rem; background: var(--panel); border: 1px solid var(--edge); border-radius: 8px; }
.facts dt { font-size: .8rem; color: var(--dim); } .facts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: .8rem 0 1.2rem; padding: .6rem .8rem; background: var(--panel); border: 1px solid var(--edge); border-radius: 8px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--edge); } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.causes li { margin: .5rem 0; } .meter { display: inline-block; width: 6rem; height: .55rem; border: 1px solid var(--edge); border-radius: 4px; overflow: hidden; background: var(--bg); } .meter > span { display: block; height: 100%; background: var(--during); }
.pic { display: block; width: 100%; min-width: 42rem; height: auto; font: 11px system-ui, sans-serif; } .pic text { fill: var(--dim); font-variant-numeric: tabular-nums; }
.pic .end { text-anchor: end; } .pic .mid { text-anchor: middle; } .pic .strong { fill: var(--fg); } .pic .small { font-size: 9px; }
.pic .ground { fill: var(--bg); } .pic .grid { stroke: var(--edge); stroke-opacity: .6; } .pic .axis, .pic .tick { stroke: var(--dim); }
.h0 { fill: var(--h0); } .h1 { fill: var(--h1); } .h2 { fill: var(--h2); } .h3 { fill: var(--h3); } .h4 { fill: var(--h4); } .h5 { fill: var(--h5); } .h6 { fill: var(--h6); } .h7 { fill: var(--h7); }
.pic .halo { fill: none; stroke: var(--bg); stroke-width: 4; stroke-opacity: .75; stroke-linejoin: round; } .pic .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.line.p50 { stroke: var(--p50); } .line.p95 { stroke: var(--p95); } .line.p99 { stroke: var(--p99); } .line.rate { stroke: var(--h5); }
.pic text.p50 { fill: var(--p50); } .pic text.p95 { fill: var(--p95); } .pic text.p99 { fill: var(--p99); } .pic text.p50, .pic text.p95, .pic text.p99 { font-weight: 700; }
.failed { fill: var(--bad); } .before { fill: var(--before); } .during { fill: var(--during); }
.span { fill: var(--span); fill-opacity: .12; } .pic .mark { stroke: var(--fg); stroke-dasharray: 4 3; stroke-opacity: .8; } .pic .mark.onset { stroke: var(--span); stroke-dasharray: none; stroke-width: 1.5; stroke-opacity: 1; }
.incident { fill: var(--during); } .watched { fill: var(--h1); }
@media print { figure, section { break-inside: avoid; } }
";
