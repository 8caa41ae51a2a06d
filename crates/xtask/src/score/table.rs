//! The figures as Markdown, each beside what it is measured against.

use super::cost::Cost;
use serde_json::Value;
use std::fmt::Write as _;

/// Whether more or less of it is better.
#[derive(Clone, Copy)]
enum Better {
    More,
    Less,
}

/// One line of the table.
struct Line<'a> {
    name: &'a str,
    value: Option<f64>,
    /// Printed with the value, such as another threshold's.
    beside: String,
    reference: Option<f64>,
    goal: Option<(f64, Better)>,
    /// The middle 90 % on the held-out streams.
    held_out: Option<(f64, f64)>,
}

impl<'a> Line<'a> {
    fn new(name: &'a str, value: Option<f64>) -> Self {
        Self { name, value, beside: String::new(), reference: None, goal: None, held_out: None }
    }

    fn against(mut self, reference: Option<f64>, goal: Option<(f64, Better)>) -> Self {
        (self.reference, self.goal) = (reference, goal);
        self
    }

    /// The end of the interval that speaks against us; without one, the value.
    fn worst(&self) -> Option<f64> {
        match (self.held_out, self.goal) {
            (Some((low, _)), Some((_, Better::More))) => Some(low),
            (Some((_, high)), Some((_, Better::Less))) => Some(high),
            _ => self.value,
        }
    }

    fn met(&self) -> &'static str {
        match (self.goal, self.worst()) {
            (Some((goal, Better::More)), Some(worst)) if worst >= goal => "yes",
            (Some((goal, Better::Less)), Some(worst)) if worst <= goal => "yes",
            (Some(_), _) => "**no**",
            (None, _) => "",
        }
    }

    fn write(&self, text: &mut String) {
        let or_dash = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        let goal = self.goal.map_or_else(String::new, |(goal, better)| match better {
            Better::More => format!(">= {}", figure(goal)),
            Better::Less => format!("<= {}", figure(goal)),
        });
        let interval =
            self.held_out.map_or_else(String::new, |(low, high)| format!("{} to {}", figure(low), figure(high)));
        let (value, reference) = (or_dash(self.value), self.reference.map_or_else(String::new, figure));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {value}{} | {reference} | {goal} | {interval} | {} |",
            self.name,
            self.beside,
            self.met()
        );
    }
}

/// Three figures that count.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub(super) fn markdown(figures: &Value, cost: &Cost, date: &str, streams: u32, seed_from: u32) -> String {
    let mut text = String::new();
    let last = seed_from.saturating_add(streams.saturating_sub(1));
    let seeds = if streams > 0 {
        format!("{streams} held-out streams (seeds {seed_from} to {last})")
    } else {
        "no held-out streams".into()
    };
    let _ = writeln!(
        text,
        "# What the detectors find\n\n\
         Made by `cargo score` on {date} with the default settings, one set of parameters for everything, and\n\
         {seeds}.\n\
         The labelled data and its scorer are no part of this repository. \"Held-out\" is the middle 90 % of 2000 bootstrap\n\
         samples over streams that nothing was tuned on; where there is one, its worse end is held against the goal.\n\
         NAB counts the alerts that were given; the best threshold in brackets is chosen afterwards for the scores as they\n\
         are, without the hold that keeps an alert from being repeated. Only the held-out column is of data that nobody had\n\
         looked at: settings were chosen with the rest in sight, so those figures may flatter.\n\n\
         | | figure | reference | goal | held-out, 90 % | met |\n|---|---|---|---|---|---|"
    );
    for line in lines(figures, cost) {
        line.write(&mut text);
    }
    for (name, set) in ["synth", "held_out", "replay", "ms-latency", "nab"].map(|name| (name, &figures[name])) {
        if set["causal"] == false {
            let _ = writeln!(text, "\n**{name}: a verdict depended on later rows.**");
        }
    }
    by_kind(&mut text, "Kinds of incidents, kept synthetic streams", &figures["synth"]);
    by_kind(&mut text, "Kinds of incidents, held-out streams", &figures["held_out"]);
    causes(&mut text, &figures["petshop"]);
    text
}

fn lines<'a>(figures: &Value, cost: &Cost) -> Vec<Line<'a>> {
    use Better::{Less, More};
    let mut lines = Vec::new();
    let synth = [
        ("synthetic: recall", "recall", Some(0.854), Some((0.92, More))),
        ("synthetic: precision", "precision", None, Some((0.95, More))),
        ("synthetic: false alarms per day", "false_per_day", Some(0.095), Some((0.05, Less))),
        ("synthetic: median delay, s", "delay_median", Some(36.0), None),
        ("synthetic: median delay, scrape intervals", "delay_median_intervals", None, Some((2.0, Less))),
        ("synthetic: 90th percentile of the delay, s", "delay_p90", Some(3000.0), Some((900.0, Less))),
        ("synthetic: alarm hours outside incidents per day", "hours_outside_per_day", Some(1.3), Some((0.3, Less))),
    ];
    for (name, key, reference, goal) in synth {
        let mut line = Line::new(name, figures["synth"]["total"][key].as_f64()).against(reference, goal);
        let interval = &figures["held_out"]["interval"][key];
        line.held_out = interval[0].as_f64().zip(interval[1].as_f64());
        if let Some(value) = figures["held_out"]["total"][key].as_f64() {
            line.beside = format!(" (held-out {})", figure(value));
        }
        lines.push(line);
    }
    let replay = &figures["replay"]["report"];
    lines.push(
        Line::new("replay: recall of the detectable", replay["recall_detectable"].as_f64())
            .against(Some(0.68), Some((0.80, More))),
    );
    lines.push(
        Line::new("replay: false alarms per day", replay["false_alarms_per_day_per_series"].as_f64())
            .against(Some(0.21), Some((0.12, Less))),
    );
    lines.push(
        Line::new("ms-latency: F1", figures["ms-latency"]["report"]["f1"].as_f64())
            .against(Some(0.38), Some((0.48, More))),
    );
    let nab = [
        ("NAB: standard", "standard", 69.1, 72.0),
        ("NAB: low-FP", "reward_low_FP", 60.7, 64.0),
        ("NAB: low-FN", "reward_low_FN", 75.9, 77.0),
    ];
    for (name, key, reference, goal) in nab {
        let mut line =
            Line::new(name, figures["nab"]["shipped"][key].as_f64()).against(Some(reference), Some((goal, More)));
        if let Some(best) = figures["nab"]["best"][key].as_f64() {
            line.beside = format!(" (best threshold {})", figure(best));
        }
        lines.push(line);
    }
    for (name, key, reference, goal) in [("first", "top1", 0.36, 0.50), ("among three", "top3", 0.79, 0.85)] {
        let name =
            if name == "first" { "petshop, latency: cause first" } else { "petshop, latency: cause among three" };
        let value = figures["petshop"]["latency"][key].as_f64();
        lines.push(Line::new(name, value).against(Some(reference), Some((goal, More))));
    }
    lines.push(Line::new("cost per histogram and tick, us", Some(cost.micros)).against(None, Some((3.0, Less))));
    let bytes = cost.bytes.map(|bytes| bytes as f64);
    lines.push(Line::new("state per histogram, bytes", bytes).against(None, Some((4096.0, Less))));
    lines
}

fn by_kind(text: &mut String, title: &str, set: &Value) {
    let Some(kinds) = set["report"]["by_kind"].as_object() else { return };
    let _ = writeln!(
        text,
        "\n## {title}\n\n\
         \"Within reach\" is what one would find who knew exactly how latency spreads before and during each incident: those\n\
         with 12 nats of evidence (one false alarm in e^12 intervals), as soon as these are there if they come evenly.\n\n\
         | kind | incidents | recall | within reach | median delay, s | within reach | its p90 |\n|---|---|---|---|---|---|---|"
    );
    let all = [("all", &set["total"])].into_iter().filter(|(_, of)| of.is_object());
    for (kind, of) in kinds.iter().map(|(kind, of)| (kind.as_str(), of)).chain(all) {
        let number = |of: &Value, key: &str| of[key].as_f64().map_or_else(|| "-".to_owned(), figure);
        let (delay, incidents) = match kind {
            "all" => ("delay_median", &set["report"]["events"]),
            _ => ("delay_s_median", &of["n"]),
        };
        let reach = &set["reach"][kind];
        let _ = writeln!(
            text,
            "| {kind} | {incidents} | {} | {} | {} | {} | {} |",
            number(of, "recall"),
            number(reach, "recall"),
            number(of, delay),
            number(reach, "delay_median"),
            number(reach, "delay_p90")
        );
    }
}

fn causes(text: &mut String, petshop: &Value) {
    let Some(groups) = petshop.as_object() else { return };
    let _ = writeln!(
        text,
        "\n## Causes named by `outrigger detect explain`\n\n\
         The last column is the lowest share of first places that is left when any one case is taken away.\n\n\
         | cases | number | first | among three | first, without one |\n|---|---|---|---|---|"
    );
    for (group, of) in groups {
        let number = |key: &str| of[key].as_f64().map_or_else(|| "-".to_owned(), figure);
        let _ = writeln!(
            text,
            "| {group} | {} | {} | {} | {} |",
            of["cases"],
            number("top1"),
            number("top3"),
            number("top1_without_one")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worse_end_of_the_interval_is_held_against_the_goal() {
        let figures = json!({
            "synth": {"total": {"recall": 0.95, "false_per_day": 0.04}, "causal": true},
            "held_out": {"interval": {"recall": [0.91, 0.96], "false_per_day": [0.01, 0.049]}},
            "petshop": {"latency": {"cases": 14, "top1": 1.0, "top3": 1.0, "top1_without_one": 1.0}},
        });
        let text = markdown(&figures, &Cost { micros: 1.5, bytes: Some(4000) }, "2026-01-01", 200, 700_000);
        assert!(text.contains("| synthetic: recall | 0.950 | 0.854 | >= 0.920 | 0.910 to 0.960 | **no** |"), "{text}");
        assert!(text.contains("| synthetic: false alarms per day | 0.040 | 0.095 | <= 0.050 | 0.010 to 0.049 | yes |"));
        // What was not measured is not met.
        assert!(text.contains("| NAB: standard | - | 69.1 | >= 72.0 |  | **no** |"), "{text}");
        assert!(text.contains("seeds 700000 to 700199") && !text.contains("later rows"), "{text}");
    }
}
