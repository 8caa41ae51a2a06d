//! One line with a value.

use crate::cursor::{Class, Cursor};
use crate::format::Format;
use crate::labels::{self, Labels};
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

/// Reads a line that is neither blank nor a comment.
pub(crate) fn read(line: &str, format: Format) -> Result<Sample<'_>, Reason> {
    let mut cursor = Cursor::new(line);
    let mut name = cursor.name(Class::Metric);
    if !matches!(cursor.peek(), Some(b' ' | b'\t' | b'{')) {
        return Err(if name.is_empty() || cursor.peek().is_some() { Reason::Name } else { Reason::Value });
    }
    cursor.blanks();
    let mut labels = Labels::default();
    if cursor.eat(b'{') {
        if name.is_empty() {
            name = name_in_braces(&mut cursor)?;
        }
        labels = braced(&mut cursor)?;
    }
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

/// The metric's name where it stands first between the braces: `{"my.metric",label="x"} 1`.
fn name_in_braces<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Reason> {
    cursor.blanks();
    if cursor.peek() != Some(b'"') {
        return Err(Reason::Name);
    }
    let name = cursor.quoted_name()?;
    cursor.blanks();
    if cursor.eat(b',') || cursor.peek() == Some(b'}') { Ok(name) } else { Err(Reason::Name) }
}

fn braced<'a>(cursor: &mut Cursor<'a>) -> Result<Labels<'a>, Reason> {
    let labels = labels::read(cursor)?;
    if cursor.eat(b'}') { Ok(labels) } else { Err(Reason::Labels) }
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
        let labels = braced(cursor)?;
        let value = value(cursor)?;
        let timestamp_ms = timestamp(cursor, number::seconds)?;
        Ok(ExemplarRef { labels, value, timestamp_ms })
    };
    read().map_err(|_| Reason::Exemplar)
}
