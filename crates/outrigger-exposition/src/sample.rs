//! One line with a value.

use crate::cursor::{Class, Cursor};
use crate::format::Format;
use crate::labels::{self, Labels, Progress};
use crate::number;
use crate::parse::Reason;

/// One line with a value, borrowed from the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The name as it stands on the line, with its suffix (`requests_total`, `latency_seconds_bucket`).
    pub name: &'a str,
    /// The labels, `le` and `quantile` among them.
    pub labels: Labels<'a>,
    /// The value.
    pub value: f64,
    /// The line's own timestamp in milliseconds since the Unix epoch; most pages have none.
    pub timestamp_ms: Option<i64>,
    /// The line's exemplar.
    pub exemplar: Option<ExemplarRef<'a>>,
}

/// An exemplar, borrowed from the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExemplarRef<'a> {
    /// What it refers to, such as `trace_id`.
    pub labels: Labels<'a>,
    /// The observation.
    pub value: f64,
    /// When it was observed, in milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
}

/// What the latest line with labels began with, up to its last label. The lines of a histogram differ only from there
/// on, so what begins alike is not read again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    text: &'a str,
    /// Where the name begins and ends in it.
    name: (usize, usize),
    labels: Progress,
}

/// Reads a line that is neither blank nor a comment. `start` is that of the line before, and becomes this one's.
pub(crate) fn read<'a>(line: &'a str, format: Format, start: &mut Option<Start<'a>>) -> Result<Sample<'a>, Reason> {
    let mut cursor = Cursor::new(line);
    let mut labels = Labels::default();
    let name = match start.filter(|start| line.starts_with(start.text)) {
        Some(Start { text, name, labels: progress }) => {
            cursor.skip(text.len());
            labels = braced(&mut cursor, name, progress, start)?;
            cursor.between(name.0, name.1)
        }
        None => {
            let mut name = cursor.name(Class::Metric);
            if !matches!(cursor.peek(), Some(b' ' | b'\t' | b'{')) {
                return Err(if name.is_empty() || cursor.peek().is_some() { Reason::Name } else { Reason::Value });
            }
            let mut place = (0, cursor.position());
            cursor.blanks();
            if cursor.eat(b'{') {
                if name.is_empty() {
                    (name, place) = name_in_braces(&mut cursor)?;
                }
                let progress = Progress::begin(cursor.position());
                labels = braced(&mut cursor, place, progress, start)?;
            }
            name
        }
    };
    if name.is_empty() {
        return Err(Reason::Name);
    }
    let value = value(&mut cursor)?;
    let parse_timestamp = match format {
        Format::Text => number::milliseconds,
        Format::OpenMetrics => number::seconds,
    };
    let timestamp_ms = timestamp(&mut cursor, parse_timestamp)?;
    let exemplar = if cursor.eat(b'#') { Some(exemplar(&mut cursor)?) } else { None };
    if cursor.peek().is_some() {
        return Err(Reason::Trailing);
    }
    Ok(Sample { name, labels, value, timestamp_ms, exemplar })
}

/// Reads the labels from `progress` on, and their brace.
fn braced<'a>(
    cursor: &mut Cursor<'a>,
    name: (usize, usize),
    progress: Progress,
    start: &mut Option<Start<'a>>,
) -> Result<Labels<'a>, Reason> {
    let (labels, progress) = labels::read_on(cursor, progress)?;
    if !cursor.eat(b'}') {
        return Err(Reason::Labels);
    }
    if !labels.is_empty() {
        *start = Some(Start { text: cursor.between(0, progress.at), name, labels: progress });
    }
    Ok(labels)
}

/// The metric's name where it stands first between the braces (`{"my.metric",label="x"} 1`), and its place on the line.
fn name_in_braces<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, (usize, usize)), Reason> {
    cursor.blanks();
    if cursor.peek() != Some(b'"') {
        return Err(Reason::Name);
    }
    let name = cursor.quoted_name()?;
    let end = cursor.position() - 1;
    cursor.blanks();
    let place = (end - name.len(), end);
    if cursor.eat(b',') || cursor.peek() == Some(b'}') { Ok((name, place)) } else { Err(Reason::Name) }
}

fn value(cursor: &mut Cursor<'_>) -> Result<f64, Reason> {
    cursor.blanks();
    number::float(cursor.word()).ok_or(Reason::Value)
}

/// The timestamp, if one stands here; steps over the blanks around it.
fn timestamp(cursor: &mut Cursor<'_>, parse: fn(&str) -> Option<i64>) -> Result<Option<i64>, Reason> {
    cursor.blanks();
    if matches!(cursor.peek(), Some(b'#') | None) {
        return Ok(None);
    }
    let timestamp = parse(cursor.word()).ok_or(Reason::Timestamp)?;
    cursor.blanks();
    Ok(Some(timestamp))
}

/// What follows the `#`: `{trace_id="x"} 0.3 1520879607.789`. Exemplars are OpenMetrics', so their timestamps are in
/// seconds even on a page that announces itself as text.
fn exemplar<'a>(cursor: &mut Cursor<'a>) -> Result<ExemplarRef<'a>, Reason> {
    let mut read = || {
        cursor.blanks();
        if !cursor.eat(b'{') {
            return Err(Reason::Exemplar);
        }
        let labels = labels::read(cursor)?;
        if !cursor.eat(b'}') {
            return Err(Reason::Labels);
        }
        let value = value(cursor)?;
        let timestamp_ms = timestamp(cursor, number::seconds)?;
        Ok(ExemplarRef { labels, value, timestamp_ms })
    };
    read().map_err(|_| Reason::Exemplar)
}
