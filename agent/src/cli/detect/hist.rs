//! Cumulative bucket counters in, verdicts of the latency detector out.

use std::io::{Read, Write};

use outrigger_detect::{Interval, LatencyDetector, LatencySettings, Phase};

use super::csv::{Row, Rows};
use super::{DetectError, Words};

pub(super) fn run(input: impl Read, mut output: impl Write, words: &mut Words) -> Result<(), DetectError> {
    let mut rows = Rows::new("stdin", input);
    let Some(header) = rows.next()? else {
        return Err(DetectError::Input(
            "stdin: empty; begin with the header `timestamp,le_0.1,...,le_+Inf,sum`".to_owned(),
        ));
    };
    let layout = Layout::parse(header)?;
    let mut detector = LatencyDetector::new(LatencySettings::default());
    let (mut now, mut before) = (Scrape::default(), Scrape::default());
    let mut delta = Vec::with_capacity(layout.bounds.len() + 1);
    let mut open = false;
    loop {
        if rows.waits() {
            output.flush().map_err(DetectError::Output)?;
        }
        let Some(row) = rows.next()? else { return Ok(()) };
        let timestamp = now.read(row, &layout)?;
        let (mut score, mut alert) = (0.0, false);
        if !before.counters.is_empty() {
            let verdict = detector.observe(&now.since(&before, &layout.bounds, &mut delta));
            (score, alert) = (verdict.score, verdict.phase == Phase::Anomalous);
            match (verdict.shift, verdict.ended) {
                (Some(shift), _) if !open => words.say(timestamp, format_args!("{shift}")),
                (_, Some(ending)) => words.say(timestamp, format_args!("ended: {ending:?}")),
                _ => {}
            }
            open = alert;
        }
        writeln!(output, "{timestamp},{score:.4},{}", u8::from(alert)).map_err(DetectError::Output)?;
        std::mem::swap(&mut now, &mut before);
    }
}

/// What the columns mean.
struct Layout {
    bounds: Vec<f64>,
    has_sum: bool,
}

impl Layout {
    fn parse(header: Row<'_>) -> Result<Self, DetectError> {
        const SHAPE: &str = "the header is `timestamp,le_<bound>,...,le_+Inf,sum`, bounds in seconds";
        let mut layout = Self { bounds: Vec::new(), has_sum: false };
        let mut has_last = false;
        for field in header.fields() {
            let name = field.text;
            let wrong = |why: &str| field.mistake(&format!("`{}` {why}; {SHAPE}", field.short()));
            match name.strip_prefix("le_") {
                None if field.column == 1 && name.eq_ignore_ascii_case("timestamp") => {}
                _ if field.column == 1 => return Err(wrong("should be `timestamp`")),
                None if name == "sum" && has_last && !layout.has_sum => layout.has_sum = true,
                None => return Err(wrong("is no column of a histogram")),
                Some(_) if has_last => return Err(wrong("stands behind `le_+Inf`, which is the last bucket")),
                Some(bound) => match bound.parse::<f64>() {
                    Ok(f64::INFINITY) => has_last = true,
                    Ok(bound) if bound.is_nan() => return Err(wrong("has no bound")),
                    Ok(bound) if layout.bounds.last().is_some_and(|last| *last >= bound) => {
                        return Err(wrong("is not above the bound before it"));
                    }
                    Ok(bound) if bound.is_finite() => layout.bounds.push(bound),
                    _ => return Err(wrong("has no bound")),
                },
            }
        }
        if !has_last {
            return Err(header.mistake(&format!("there is no `le_+Inf`; {SHAPE}")));
        }
        if layout.bounds.len() > Interval::MAX_BOUNDS {
            let (found, most) = (layout.bounds.len(), Interval::MAX_BOUNDS);
            return Err(
                header.mistake(&format!("{found} bounds are more than the {most} that are judged; leave some out"))
            );
        }
        Ok(layout)
    }
}

/// One row: the counters as they stood.
#[derive(Default)]
struct Scrape {
    at: f64,
    counters: Vec<f64>,
    sum: f64,
}

impl Scrape {
    /// Takes a row over, and answers with its timestamp as it was written.
    fn read<'a>(&mut self, row: Row<'a>, layout: &Layout) -> Result<&'a str, DetectError> {
        let buckets = layout.bounds.len() + 1;
        let width = 1 + buckets + usize::from(layout.has_sum);
        let mut timestamp = "";
        self.counters.clear();
        self.sum = f64::NAN;
        let mut found = 0;
        for field in row.fields() {
            found = field.column;
            if found == 1 {
                timestamp = field.text;
                self.at = field.time()?;
            } else if found <= 1 + buckets {
                let count = field.number()?;
                if !(count.is_finite() && count >= 0.0) {
                    return Err(
                        field.mistake(&format!("`{}` is no count of requests; counters are 0 or more", field.text))
                    );
                }
                self.counters.push(count);
            } else if found <= width {
                // Without it the detector estimates from the buckets.
                self.sum = field.optional()?;
            }
        }
        if found == width {
            Ok(timestamp)
        } else {
            Err(row.mistake(&format!("{found} columns where the header has {width}; write one value for each")))
        }
    }

    /// The requests between two rows.
    fn since<'a>(&self, before: &Self, bounds: &'a [f64], delta: &'a mut Vec<u64>) -> Interval<'a> {
        let reset = self.counters.iter().zip(&before.counters).any(|(now, then)| now < then);
        let since = |now: f64, then: f64| if reset { now } else { now - then };
        let mut below = 0.0;
        delta.clear();
        for (now, then) in self.counters.iter().zip(&before.counters) {
            let within = since(*now, *then);
            delta.push((within - below).max(0.0) as u64);
            below = within;
        }
        let (sum, seconds) = (since(self.sum, before.sum), self.at - before.at);
        Interval { at: self.at, bounds, delta, sum, seconds, reset }
    }
}
