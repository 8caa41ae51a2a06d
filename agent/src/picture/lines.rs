//! Lines over time: quantiles, requests per second, the share that failed.

use std::fmt::Write as _;

use super::heatmap::Rows;
use super::scene::Frame;
use super::strip::Cell;
use super::svg::{Percent, Px, Short, line, round_up, text};

/// The quantiles that are drawn, with the class of their line.
const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")];
/// Two names nearer than this would cover one another, in pixels.
const NAME_HEIGHT: f64 = 12.0;

/// Draws the median, p95 and p99 onto a heat map.
pub(super) fn quantiles(svg: &mut String, frame: &Frame, rows: &Rows, bounds: &[f64], cells: &[Cell]) {
    let mut names: Vec<f64> = Vec::new();
    for (q, class) in QUANTILES {
        let y = |cell: &Cell| Some(frame.y(rows.share(outrigger_detect::quantile(bounds, &cell.counts, q)?)));
        let Some(last) = draw(svg, class, frame, cells, y) else { continue };
        // From the lowest quantile to the highest, each at least a name above the one before.
        let below = names.last().copied().unwrap_or(f64::INFINITY);
        let at = (last + 4.0).min(below - NAME_HEIGHT);
        names.push(at);
        text(svg, &format!("start {class}"), (frame.right + 6.0, at), class);
    }
}

/// Draws requests per second.
pub(super) fn rate(svg: &mut String, frame: &Frame, cells: &[Cell]) {
    let rate = |cell: &Cell| cell.requests() as f64 / cell.seconds.max(f64::MIN_POSITIVE);
    let top = round_up(cells.iter().map(rate).fold(0.0, f64::max));
    panel(svg, frame, "requests per second", &Short(top).to_string());
    draw(svg, "rate", frame, cells, |cell| Some(frame.y(rate(cell) / top)));
}

/// Draws the share of failed requests as columns.
pub(super) fn errors(svg: &mut String, frame: &Frame, cells: &[Cell]) {
    let share = |cell: &Cell| match cell.requests() {
        0 => 0.0,
        requests => cell.failed as f64 / requests as f64,
    };
    // A hundredth at least, so that single failures do not fill the panel.
    let top = round_up(cells.iter().map(share).fold(0.01, f64::max)).min(1.0);
    panel(svg, frame, "failed requests", &Percent(top).to_string());
    let mut path = String::new();
    for cell in cells.iter().filter(|cell| cell.failed > 0) {
        let (from, to, y) = (frame.x(cell.start()), frame.x(cell.end), frame.y(share(cell) / top));
        let _ = write!(path, "M{} {}V{}H{}V{}z", Px(from), Px(frame.bottom), Px(y), Px(to), Px(frame.bottom));
    }
    if !path.is_empty() {
        let _ = writeln!(svg, "<path class=\"failed\" d=\"{path}\"/>");
    }
}

/// The ground of a panel: its base line, what it shows, and where its axis ends.
fn panel(svg: &mut String, frame: &Frame, what: &str, top: &str) {
    line(svg, "axis", (frame.left, frame.bottom), (frame.right, frame.bottom));
    line(svg, "grid", (frame.left, frame.top), (frame.right, frame.top));
    text(svg, "start strong", (frame.left, frame.top - 6.0), what);
    text(svg, "end", (frame.left - 6.0, frame.top + 4.0), top);
    text(svg, "end", (frame.left - 6.0, frame.bottom + 4.0), "0");
}

/// Draws a line through the middle of each cell, broken where there is nothing. Answers where it ends.
fn draw(svg: &mut String, class: &str, frame: &Frame, cells: &[Cell], y: impl Fn(&Cell) -> Option<f64>) -> Option<f64> {
    let mut path = String::new();
    let (mut is_drawing, mut last) = (false, None);
    for cell in cells {
        let Some(y) = y(cell) else {
            is_drawing = false;
            continue;
        };
        let command = if is_drawing { 'L' } else { 'M' };
        let (from, to) = (frame.x(cell.start()), frame.x(cell.end));
        if is_drawing {
            let _ = write!(path, "{command}{} {}", Px(f64::midpoint(from, to)), Px(y));
        } else {
            // A line of a single cell must be seen too.
            let _ = write!(path, "{command}{} {}H{}", Px(from), Px(y), Px(f64::midpoint(from, to)));
        }
        (is_drawing, last) = (true, Some(y));
    }
    if !path.is_empty() {
        let _ = writeln!(svg, "<path class=\"halo\" d=\"{path}\"/><path class=\"line {class}\" d=\"{path}\"/>");
    }
    last
}
