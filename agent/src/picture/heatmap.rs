//! The heat map: time to the right, a row for each bucket, the darker the more requests per second.

use std::fmt::Write as _;

use super::scene::Frame;
use super::strip::Cell;
use super::svg::{Latency, Px, line, text};

/// The buckets that are shown, the fastest at the bottom.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows {
    /// The lowest bucket that is shown, and how many are.
    first: usize,
    pub(super) count: usize,
    /// Where each row begins and ends, in seconds; the last end is infinite if the `+Inf` bucket is shown.
    edges: Vec<f64>,
}

/// Shades besides "none".
const SHADES: usize = 8;
/// Rows narrower than this have no room for a label each, in pixels.
const LABEL_HEIGHT: f64 = 13.0;

impl Rows {
    /// The rows from the lowest bucket that was ever used to the highest, and one more on either side.
    pub(super) fn of(bounds: &[f64], cells: &[Cell]) -> Option<Self> {
        let is_used =
            |bucket: &usize| cells.iter().any(|cell| cell.counts.get(*bucket).is_some_and(|count| *count > 0));
        let used = || (0..=bounds.len()).filter(is_used);
        let first = used().next()?.saturating_sub(1);
        let last = used().next_back()?.saturating_add(1).min(bounds.len());
        let edge = |bucket: usize| if bucket == 0 { Some(0.0) } else { bounds.get(bucket - 1).copied() };
        let edges = (first..=last + 1).map(|bucket| edge(bucket).unwrap_or(f64::INFINITY)).collect();
        Some(Self { first, count: last + 1 - first, edges })
    }

    /// Where a latency stands as a share of the height: within its row in proportion.
    pub(super) fn share(&self, latency: f64) -> f64 {
        let row = self.edges.partition_point(|edge| *edge <= latency).saturating_sub(1).min(self.count - 1);
        let edge = |at: usize| self.edges.get(at).copied().unwrap_or(f64::INFINITY);
        let (low, high) = (edge(row), edge(row + 1));
        let within =
            if high.is_finite() && high > low { ((latency - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        (row as f64 + within) / self.count as f64
    }
}

/// Draws the map, its axis and its frame.
pub(super) fn draw(svg: &mut String, frame: &Frame, rows: &Rows, columns: &[Cell]) {
    let per_second = |cell: &Cell, row: usize| {
        let count = cell.counts.get(rows.first + row).copied().unwrap_or(0);
        count as f64 / cell.seconds.max(f64::MIN_POSITIVE)
    };
    let values = || columns.iter().flat_map(|cell| (0..rows.count).map(move |row| per_second(cell, row)));
    let (least, most) = values()
        .filter(|value| *value > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(a, b), value| (a.min(value), b.max(value)));
    // One path for each shade: all its rectangles.
    let mut paths = vec![String::new(); SHADES];
    for row in 0..rows.count {
        let (top, bottom) = (frame.y((row + 1) as f64 / rows.count as f64), frame.y(row as f64 / rows.count as f64));
        let mut run: Option<(usize, f64, f64)> = None;
        let mut close = |run: &mut Option<(usize, f64, f64)>| {
            if let Some((shade, from, to)) = run.take()
                && let Some(path) = paths.get_mut(shade)
            {
                let _ = write!(path, "M{} {}H{}V{}H{}z", Px(from), Px(top), Px(to), Px(bottom), Px(from));
            }
        };
        for cell in columns {
            let Some(shade) = shade(per_second(cell, row), least, most) else {
                close(&mut run);
                continue;
            };
            let (from, to) = (frame.x(cell.start()), frame.x(cell.end));
            match &mut run {
                Some((of_run, _, until)) if *of_run == shade && from - *until < 0.1 => *until = to,
                _ => {
                    close(&mut run);
                    run = Some((shade, from, to));
                }
            }
        }
        close(&mut run);
    }
    let _ = writeln!(
        svg,
        "<rect class=\"ground\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
        Px(frame.left),
        Px(frame.top),
        Px(frame.right - frame.left),
        Px(frame.bottom - frame.top),
    );
    for (shade, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let _ = writeln!(svg, "<path class=\"h{shade}\" d=\"{path}\"/>");
    }
    draw_axis(svg, frame, rows);
}

/// Which shade a number of requests per second has, by its logarithm; `None` without any.
fn shade(value: f64, least: f64, most: f64) -> Option<usize> {
    if value <= 0.0 {
        return None;
    }
    let share = if most > least { (value / least).ln() / (most / least).ln() } else { 1.0 };
    Some(((share * SHADES as f64) as usize).min(SHADES - 1))
}

fn draw_axis(svg: &mut String, frame: &Frame, rows: &Rows) {
    let height = (frame.bottom - frame.top) / rows.count as f64;
    let every = (LABEL_HEIGHT / height).ceil().max(1.0) as usize;
    for (row, edge) in rows.edges.iter().enumerate().skip(1).take(rows.count - 1) {
        if row % every == 0 {
            let y = frame.y(row as f64 / rows.count as f64);
            line(svg, "grid", (frame.left, y), (frame.right, y));
            text(svg, "end", (frame.left - 6.0, y + 4.0), &Latency(*edge).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(counts: &[u64]) -> Cell {
        Cell { end: 5.0, seconds: 5.0, counts: counts.to_vec(), failed: 0 }
    }

    #[test]
    fn rows_are_those_that_were_used_and_one_on_either_side() {
        let bounds = [0.1, 0.2, 0.4, 0.8];
        let rows = Rows::of(&bounds, &[cell(&[0, 0, 1, 0, 0]), cell(&[0, 0, 0, 2, 0])]).unwrap();
        assert_eq!((rows.first, rows.count), (1, 4));
        assert_eq!(rows.edges, [0.1, 0.2, 0.4, 0.8, f64::INFINITY]);
        assert_eq!(rows.share(0.3), 1.5 / 4.0);
        assert_eq!((rows.share(0.0), rows.share(7.0)), (0.0, 0.75), "what lies outside stands at the edge");
        assert_eq!(Rows::of(&bounds, &[cell(&[0; 5])]), None);
    }

    #[test]
    fn shades_follow_the_logarithm() {
        assert_eq!(shade(0.0, 1.0, 100.0), None);
        assert_eq!(shade(1.0, 1.0, 100.0), Some(0));
        assert_eq!(shade(10.0, 1.0, 100.0), Some(SHADES / 2));
        assert_eq!(shade(100.0, 1.0, 100.0), Some(SHADES - 1));
        assert_eq!(shade(3.0, 3.0, 3.0), Some(SHADES - 1), "one value alone is the most");
    }
}
