//! The distribution before and during an incident: a pair of bars for each bucket.

use std::fmt::Write as _;

use super::svg::{Latency, Percent, Px, Text, text};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 150.0;
/// Room for the percentage behind the longest bar.
const RIGHT: f64 = 860.0;
const BAR: f64 = 9.0;
const ROW: f64 = 26.0;
const TOP: f64 = 30.0;
/// The most rows; a finer histogram is shown with neighbours taken together.
const MAX_ROWS: usize = 24;

/// A smaller share is not worth a row.
const LEAST: f64 = 5e-5;

/// Draws both distributions, given as counts or shares by bucket. Nothing if either is empty.
pub(super) fn draw(route: &str, bounds: &[f64], before: &[f64], during: &[f64]) -> Option<String> {
    // What was kept in files may be anything.
    let of = |counts: &[f64], bucket: usize| counts.get(bucket).copied().filter(|count| *count > 0.0).unwrap_or(0.0);
    let total = |counts: &[f64]| (0..=bounds.len()).map(|bucket| of(counts, bucket)).sum::<f64>();
    let (all_before, all_during) = (total(before), total(during));
    if !(all_before > 0.0 && all_during > 0.0 && all_before.is_finite() && all_during.is_finite()) {
        return None;
    }
    let is_used = |bucket: &usize| (of(before, *bucket) / all_before).max(of(during, *bucket) / all_during) >= LEAST;
    let first = (0..=bounds.len()).find(is_used)?;
    let last = (0..=bounds.len()).rev().find(is_used)?;
    let together = (last + 1 - first).div_ceil(MAX_ROWS);
    let rows: Vec<_> = (first..=last)
        .step_by(together)
        .map(|low| {
            let high = (low + together - 1).min(last);
            let share = |counts, all: f64| (low..=high).map(|bucket| of(counts, bucket)).sum::<f64>() / all;
            (low, high, share(before, all_before), share(during, all_during))
        })
        .collect();
    let longest = rows.iter().map(|(_, _, before, during)| before.max(*during)).fold(f64::MIN_POSITIVE, f64::max);

    let mut svg = String::new();
    let height = TOP + ROW * rows.len() as f64 + 6.0;
    let words = rows.iter().fold(String::new(), |mut words, (low, high, before, during)| {
        // Writing to a String cannot fail, here and below.
        let _ =
            write!(words, "{}: {} before, {} during. ", range(bounds, *low, *high), Percent(*before), Percent(*during));
        words
    });
    let _ = writeln!(
        svg,
        "<svg class=\"pic\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\"><title>{}</title><desc>{}</desc>",
        Px(height),
        Text(&format!("Latency of {route} before and during the incident, as shares of the requests")),
        Text(words.trim_end()),
    );
    for (x, class, name) in [(LEFT, "before", "before"), (LEFT + 90.0, "during", "during the incident")] {
        let _ = writeln!(svg, "<rect class=\"{class}\" x=\"{x}\" y=\"6\" width=\"10\" height=\"10\" rx=\"2\"/>");
        text(&mut svg, "start", (x + 16.0, 15.0), name);
    }
    for (row, (low, high, before, during)) in rows.iter().enumerate() {
        let top = TOP + ROW * row as f64;
        text(&mut svg, "end", (LEFT - 8.0, top + BAR + 4.0), &range(bounds, *low, *high));
        for (y, class, share) in [(top, "before", before), (top + BAR + 1.0, "during", during)] {
            let width = (RIGHT - LEFT) * share / longest;
            if *share > 0.0 {
                let (width, y) = (Px(width.max(1.0)), Px(y));
                let _ = writeln!(
                    svg,
                    "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" rx=\"1.5\"/>"
                );
            }
            text(&mut svg, "small", (LEFT + width + 5.0, y + BAR - 1.0), &Percent(*share).to_string());
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The latencies of the buckets from one to another, in words.
fn range(bounds: &[f64], low: usize, high: usize) -> String {
    let below = low.checked_sub(1).and_then(|bucket| bounds.get(bucket));
    match (below, bounds.get(high)) {
        (None, Some(upper)) => format!("up to {}", Latency(*upper)),
        (Some(lower), Some(upper)) => format!("{} to {}", Latency(*lower), Latency(*upper)),
        (Some(lower), None) => format!("over {}", Latency(*lower)),
        (None, None) => "all".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_distributions_are_shown_and_said() {
        let svg = draw("GET /<b>", &[0.1, 0.2, 0.4], &[0.0, 90.0, 10.0, 0.0], &[0.0, 0.5, 0.25, 0.25]).unwrap();
        assert!(svg.contains("GET /&lt;b&gt;") && !svg.contains("<b>"), "{svg}");
        assert!(svg.contains("200 ms to 400 ms: 10 % before, 25 % during."), "{svg}");
        assert!(svg.contains("over 400 ms: 0 % before, 25 % during."), "{svg}");
        assert!(!svg.contains("up to 100 ms"), "nobody was that fast: {svg}");
    }

    #[test]
    fn nothing_to_compare_is_no_picture() {
        assert_eq!(draw("", &[0.1], &[0.0, f64::NAN], &[1.0, 0.0]), None);
        assert_eq!(draw("", &[0.1], &[1.0, 0.0], &[]), None);
    }

    #[test]
    fn many_buckets_are_taken_together() {
        let bounds: Vec<f64> = (1..=160).map(|n| f64::from(n) * 0.01).collect();
        let svg = draw("", &bounds, &[1.0; 161], &[1.0; 161]).unwrap();
        assert!(svg.matches("class=\"small\"").count() <= 2 * MAX_ROWS, "{svg}");
    }
}
