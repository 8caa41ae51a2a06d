//! One route over time: a heat map of its latency with the quantiles on it, its requests and its failures below.

use std::fmt::Write as _;

use super::strip::Cell;
use super::svg::{Latency, Percent, Px, Short, Text, clock, line, moment, text, time_ticks};
use super::{distribution, heatmap, lines};

/// When an incident began, was noticed, and ended, in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) onset: f64,
    pub(crate) detected: f64,
    /// Absent while it is open.
    pub(crate) end: Option<f64>,
}

/// What is drawn: one route around an incident.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Method and template.
    pub(crate) route: String,
    /// Upper bounds of the buckets, in seconds.
    pub(crate) bounds: Vec<f64>,
    /// What was counted, oldest first.
    pub(crate) cells: Vec<Cell>,
    pub(crate) span: Span,
}

/// A panel of a picture: where it stands, in pixels, and which time it shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Frame {
    /// Where a moment stands; one that lies outside, at the edge.
    pub(super) fn x(&self, at: f64) -> f64 {
        let share = (at - self.from) / (self.to - self.from).max(f64::MIN_POSITIVE);
        self.left + (self.right - self.left) * share.clamp(0.0, 1.0)
    }

    /// Where a share of the height stands, 0 at the bottom.
    pub(super) fn y(&self, share: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * share.clamp(0.0, 1.0)
    }

    fn at(self, top: f64, height: f64) -> Self {
        Self { top, bottom: top + height, ..self }
    }
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 900.0;
const TOP: f64 = 34.0;
const HEAT_HEIGHT: f64 = 260.0;
const RATE_HEIGHT: f64 = 60.0;
const ERROR_HEIGHT: f64 = 44.0;
const GAP: f64 = 30.0;
/// Room for the words of a mark.
const MARK_WIDTH: f64 = 90.0;
/// The most columns of a picture. More could not be told apart.
const MAX_COLUMNS: usize = 240;
/// The most points of a line.
const MAX_POINTS: usize = 120;

impl Scene {
    /// The picture over time, as SVG to stand in a page that has [`super::incident::STYLE`]. Nothing without requests.
    pub(crate) fn over_time(&self) -> Option<String> {
        let (columns, points) = (thinned(&self.cells, MAX_COLUMNS), thinned(&self.cells, MAX_POINTS));
        let (from, to) = (columns.first()?.start(), columns.last()?.end);
        let rows = heatmap::Rows::of(&self.bounds, &self.cells)?;
        let heat = Frame { left: LEFT, right: RIGHT, top: TOP, bottom: TOP + HEAT_HEIGHT, from, to };
        let rate = heat.at(heat.bottom + GAP, RATE_HEIGHT);
        let errors = heat.at(rate.bottom + GAP, ERROR_HEIGHT);
        let height = errors.bottom + 30.0;

        let mut svg = String::new();
        let _ = writeln!(
            svg,
            "<svg class=\"pic\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\"><title>{}</title><desc>{}</desc>",
            Px(height),
            Text(&format!("Latency of {} over time", self.route)),
            Text(&self.words()),
        );
        heatmap::draw(&mut svg, &heat, &rows, &columns);
        lines::quantiles(&mut svg, &heat, &rows, &self.bounds, &points);
        lines::rate(&mut svg, &rate, &points);
        lines::errors(&mut svg, &errors, &points);
        for (at, words) in time_ticks(from, to, 9.0) {
            let x = heat.x(at);
            for frame in [&heat, &rate, &errors] {
                line(&mut svg, "tick", (x, frame.bottom), (x, frame.bottom + 4.0));
            }
            text(&mut svg, "mid", (x, errors.bottom + 17.0), &words);
        }
        self.draw_span(&mut svg, &[heat, rate, errors]);
        svg.push_str("</svg>\n");
        Some(svg)
    }

    /// The distribution before and during the incident, as SVG. Nothing unless there were requests in both.
    pub(crate) fn distribution(&self) -> Option<String> {
        let counts = |cell: Cell| cell.counts.iter().map(|count| *count as f64).collect::<Vec<_>>();
        distribution::draw(&self.route, &self.bounds, &counts(self.before()), &counts(self.during()))
    }

    fn before(&self) -> Cell {
        self.sum(|cell| cell.end <= self.span.onset)
    }

    /// From the onset until it got better. The end of an incident is noticed later than that, and what was calm again would
    /// only thin what was not: the last bad moment is where the sum of what was slow or failed, beyond the middle between
    /// usual and incident, is greatest (as in Page 1954, *Continuous Inspection Schemes*).
    fn during(&self) -> Cell {
        let before = self.before();
        let usual = outrigger_detect::quantile(&self.bounds, &before.counts, 0.95).unwrap_or(0.0);
        let slow_from = self.bounds.partition_point(|bound| *bound < usual) + 1;
        let bad = |cell: &Cell| {
            let slow = cell.counts.iter().skip(slow_from).map(|count| *count as f64).sum::<f64>();
            slow + cell.failed as f64
        };
        let share = |cell: &Cell| bad(cell) / (cell.requests() as f64).max(1.0);
        let is_within = |cell: &&Cell| {
            cell.start() >= self.span.onset - 1e-6 && self.span.end.is_none_or(|end| cell.end <= end + 1e-6)
        };
        let whole = self.sum(|cell| is_within(&cell));
        let middle = f64::midpoint(share(&before), share(&whole));
        let (mut sum, mut most, mut until) = (0.0, 0.0, f64::INFINITY);
        for cell in self.cells.iter().filter(is_within) {
            sum += bad(cell) - middle * cell.requests() as f64;
            if sum > most {
                (most, until) = (sum, cell.end);
            }
        }
        self.sum(|cell| is_within(&cell) && cell.end <= until)
    }

    fn sum(&self, belongs: impl Fn(&Cell) -> bool) -> Cell {
        let mut sum = Cell::default();
        self.cells.iter().filter(|cell| belongs(cell)).for_each(|cell| sum.add(cell));
        sum
    }

    /// What the picture shows, for those who do not see it.
    fn words(&self) -> String {
        let mut words = match (self.cells.first(), self.cells.last()) {
            (Some(first), Some(last)) => format!("From {} to {}.", moment(first.start()), moment(last.end)),
            _ => String::new(),
        };
        let parts = [("Before the incident", self.before()), ("During it", self.during())];
        for (name, part) in parts {
            let requests = part.requests();
            if requests == 0 {
                continue;
            }
            let quantile = |q| outrigger_detect::quantile(&self.bounds, &part.counts, q).unwrap_or(0.0);
            let _ = write!(
                words,
                " {name}: {} requests per second, p50 {}, p95 {}, p99 {}, {} failed.",
                Short(requests as f64 / part.seconds.max(f64::MIN_POSITIVE)),
                Latency(quantile(0.5)),
                Latency(quantile(0.95)),
                Latency(quantile(0.99)),
                Percent(part.failed as f64 / requests as f64),
            );
        }
        words
    }

    fn draw_span(&self, svg: &mut String, frames: &[Frame; 3]) {
        let [heat, _, errors] = frames;
        let (onset, end) = (heat.x(self.span.onset), heat.x(self.span.end.unwrap_or(heat.to)));
        let _ = writeln!(
            svg,
            "<rect class=\"span\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            Px(onset),
            Px(heat.top),
            Px((end - onset).max(1.0)),
            Px(errors.bottom - heat.top),
        );
        let is_shown = |at: f64| at >= heat.from && at <= heat.to;
        let mut marks = vec![(self.span.onset, "onset"), (self.span.detected, "detected")];
        marks.extend(self.span.end.map(|end| (end, "end")));
        for (at, name) in marks.into_iter().filter(|(at, _)| is_shown(*at)) {
            let x = heat.x(at);
            // The onset's words stand before its line, the notice's above the others': the three may be near one another.
            let level = if name == "detected" { 10.0 } else { 23.0 };
            let is_before = if name == "onset" { x > heat.left + MARK_WIDTH } else { x > heat.right - MARK_WIDTH };
            let (class, beside) = if is_before { ("end", x - 4.0) } else { ("start", x + 4.0) };
            line(svg, &format!("mark {name}"), (x, level + 3.0), (x, errors.bottom));
            text(svg, class, (beside, level), &format!("{name} {}", clock(at)));
        }
    }
}

/// The cells as at most so many, neighbours taken together.
fn thinned(cells: &[Cell], most: usize) -> Vec<Cell> {
    let together = cells.len().div_ceil(most).max(1);
    let sum = |cells: &[Cell]| {
        let mut sum = Cell::default();
        cells.iter().for_each(|cell| sum.add(cell));
        sum
    };
    cells.chunks(together).map(sum).collect()
}
