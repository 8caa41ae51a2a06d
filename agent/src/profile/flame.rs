//! Flame graphs, drawn by inferno.

use std::fmt::Write as _;
use std::io;

use inferno::flamegraph::{self, Direction, Options};

use super::compare::{Comparison, Pair};

/// The most bytes of a graph.
pub(crate) const MAX_BYTES: usize = 2 << 20;
/// The most bytes of the text that one is drawn from; the lightest stacks are left out.
const MAX_TEXT: usize = 16 << 20;
/// Boxes narrower than this, in per cent of the width, are left out; where the graph is too large all the same, wider ones.
const NARROWEST: [f64; 3] = [0.05, 0.5, 4.0];

/// The flame graph of what was used during the incident; `None` if that was nothing.
pub(crate) fn graph(comparison: &Comparison, subtitle: &str) -> Option<Vec<u8>> {
    draw(comparison, "CPU", subtitle, |text, pair| write!(text, " {}", micros(pair.during)))
}

/// The same boxes in the colour of what changed: red where more was used than before, blue where less. `None` if there is
/// nothing to compare with.
pub(crate) fn difference(comparison: &Comparison, subtitle: &str) -> Option<Vec<u8>> {
    if !comparison.has_before() {
        return None;
    }
    // Before and during are held against each other over the same time.
    let scale = comparison.seconds.during / comparison.seconds.before;
    let title = "CPU: red is more than usual, blue less";
    draw(comparison, title, subtitle, move |text, pair| {
        write!(text, " {} {}", micros(pair.before * scale), micros(pair.during))
    })
}

fn draw(
    comparison: &Comparison,
    title: &str,
    subtitle: &str,
    mut counts: impl FnMut(&mut String, Pair) -> std::fmt::Result,
) -> Option<Vec<u8>> {
    let names = |stack: &[u32]| -> Vec<&str> {
        stack.iter().filter_map(|at| comparison.names.get(*at as usize)).map(String::as_str).collect()
    };
    let mut stacks: Vec<_> = comparison.stacks.iter().filter(|(stack, _)| !stack.is_empty()).collect();
    stacks.sort_by(|a, b| b.1.during.total_cmp(&a.1.during));
    let mut room = MAX_TEXT;
    stacks.retain(|(stack, _)| {
        let length = stack.iter().filter_map(|at| comparison.names.get(*at as usize)).map(|name| name.len() + 1).sum();
        let left = room.checked_sub(length);
        room = left.unwrap_or(0);
        left.is_some()
    });
    // What begins alike has to stand together, frame by frame and not letter by letter, since neighbours are joined. A
    // chart is drawn from its last line to its first, and takes them as they come.
    stacks.sort_by_cached_key(|(stack, _)| std::cmp::Reverse(names(stack)));
    let mut lines = Vec::with_capacity(stacks.len());
    for (stack, pair) in stacks {
        let mut line = names(stack).join(";");
        guard_end(&mut line);
        counts(&mut line, *pair).ok()?;
        lines.push(line);
    }
    if lines.is_empty() {
        return None;
    }
    NARROWEST.into_iter().find_map(|narrowest| {
        let mut options = Options::default();
        options.title = title.to_owned();
        options.subtitle = Some(subtitle.to_owned());
        options.count_name = "ms".to_owned();
        options.factor = 1e-3;
        options.min_width = narrowest;
        // The root at the top: stacks of async code are deep, and what is wide stands near their roots.
        options.direction = Direction::Inverted;
        options.flame_chart = true;
        options.deterministic = true;
        let mut svg = Bounded(Vec::new());
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg).ok()?;
        Some(svg.0)
    })
}

/// A name that ends in a number after a space would be read as a count.
fn guard_end(line: &mut String) {
    let Some((rest, last)) = line.rsplit_once(' ') else { return };
    if last.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        *line = format!("{rest}_{last}");
    }
}

fn micros(nanos: f64) -> u64 {
    // Saturates, and a NaN becomes nought.
    (nanos / 1e3).round() as u64
}

/// Takes bytes up to [`MAX_BYTES`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_BYTES {
            return Err(io::Error::other("the graph is too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
