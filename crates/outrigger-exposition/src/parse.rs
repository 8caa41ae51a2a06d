//! A page, line by line, handed to a visitor.

use std::fmt;

use crate::comment::{self, Comment};
use crate::escape::Escaped;
use crate::format::Format;
use crate::model::Kind;
use crate::sample::{self, Sample, Start};
use crate::scan;

/// The longest line that is read, in bytes without its end; a longer one is bad.
pub const MAX_LINE: usize = 64 * 1024;

/// Receives what [`parse`] finds, in the order of the page. Everything but samples is ignored unless asked for.
pub trait Visitor {
    /// A `# TYPE` line.
    fn kind(&mut self, name: &str, kind: Kind) {
        let _ = (name, kind);
    }

    /// A `# HELP` line.
    fn help(&mut self, name: &str, help: Escaped<'_>) {
        let _ = (name, help);
    }

    /// A `# UNIT` line; the unit may be empty.
    fn unit(&mut self, name: &str, unit: &str) {
        let _ = (name, unit);
    }

    /// A line with a value.
    fn sample(&mut self, sample: &Sample<'_>);

    /// A line that could not be read and was skipped.
    fn bad_line(&mut self, error: &LineError<'_>) {
        let _ = error;
    }
}

/// How much a page held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Lines, blank ones and comments among them.
    pub lines: u64,
    /// Lines with a value, each handed to [`Visitor::sample`].
    pub samples: u64,
    /// Lines that were skipped, each handed to [`Visitor::bad_line`].
    pub bad_lines: u64,
    /// Whether `# EOF` was seen. An OpenMetrics page without it was cut off; a text page has none.
    pub eof: bool,
}

/// Reads `page` and hands what it finds to `visitor`, borrowed from the page, without allocating.
///
/// The parser is tolerant where a page can be meant in one way only: it takes carriage returns, any blanks, trailing
/// commas, a missing last line feed, `unknown` in text and `untyped` in OpenMetrics, exemplars and units in both, and
/// names in quotes. Timestamps are milliseconds in [`Format::Text`] and seconds in [`Format::OpenMetrics`], never
/// guessed. A line that breaks the rules is skipped and reported; so is everything after OpenMetrics' `# EOF`, each line
/// longer than [`MAX_LINE`], with more labels than [`MAX_LABELS`](crate::MAX_LABELS), or with a label twice.
///
/// ```
/// use outrigger_exposition::{Format, LineError, Sample, Visitor, parse};
///
/// #[derive(Default)]
/// struct Log(Vec<String>);
/// impl Visitor for Log {
///     fn sample(&mut self, sample: &Sample<'_>) {
///         let route = sample.labels.get("route").map(|value| value.unescape());
///         self.0.push(format!("{} {route:?} = {}", sample.name, sample.value));
///     }
///     fn bad_line(&mut self, error: &LineError<'_>) {
///         self.0.push(error.to_string());
///     }
/// }
///
/// let mut log = Log::default();
/// parse(b"up{route=\"/\"} 1\nup{route=oops} 1\n", Format::Text, &mut log);
/// assert_eq!(log.0, [
///     "up Some(\"/\") = 1",
///     "line 2: labels are not of the form {name=\"value\",...}: up{route=oops} 1",
/// ]);
/// ```
pub fn parse(page: &[u8], format: Format, visitor: &mut impl Visitor) -> Parsed {
    let mut parsed = Parsed::default();
    let mut rest = page;
    let mut start = None;
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        rest = after;
        parsed.lines += 1;
        if let Err(reason) = read_line(line, format, &mut start, &mut parsed, visitor) {
            parsed.bad_lines += 1;
            let start = line.get(..LineError::MAX_START).unwrap_or(line);
            visitor.bad_line(&LineError { line: parsed.lines, reason, start });
        }
    }
    parsed
}

fn read_line<'a>(
    line: &'a [u8],
    format: Format,
    start: &mut Option<Start<'a>>,
    parsed: &mut Parsed,
    visitor: &mut impl Visitor,
) -> Result<(), Reason> {
    if line.len() > MAX_LINE {
        return Err(Reason::TooLong);
    }
    let line = trim_start(line);
    let Some(&first) = line.first() else { return Ok(()) };
    if parsed.eof {
        return Err(Reason::AfterEof);
    }
    let line = std::str::from_utf8(line).map_err(|_| Reason::Utf8)?;
    if first != b'#' {
        let sample = sample::read(line, format, start)?;
        parsed.samples += 1;
        visitor.sample(&sample);
        return Ok(());
    }
    match comment::read(line, format)? {
        Comment::Help(name, help) => visitor.help(name, help),
        Comment::Kind(name, kind) => visitor.kind(name, kind),
        Comment::Unit(name, unit) => visitor.unit(name, unit),
        Comment::Eof => parsed.eof = true,
        Comment::Remark => {}
    }
    Ok(())
}

/// The first line without its end, and what follows it.
fn split_line(page: &[u8]) -> (&[u8], &[u8]) {
    let end = scan::find(page, b'\n').unwrap_or(page.len());
    let (mut line, after) = page.split_at(end);
    while let [shorter @ .., b'\r'] = line {
        line = shorter;
    }
    (line, after.get(1..).unwrap_or_default())
}

fn trim_start(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = line {
        line = rest;
    }
    line
}

/// A line that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError<'a> {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Reason,
    /// How the line begins, at most [`LineError::MAX_START`] bytes; not always valid UTF-8.
    pub start: &'a [u8],
}

impl LineError<'_> {
    /// The most bytes of a bad line that are reported.
    pub const MAX_START: usize = 120;
}

impl fmt::Display for LineError<'_> {
    /// Control characters and invalid UTF-8 are escaped: a page is a stranger's, and this text goes to logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: ", self.line, self.reason)?;
        for chunk in self.start.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    fmt::Write::write_char(f, character)?;
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

/// Why a line could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is longer than [`MAX_LINE`].
    TooLong,
    /// It is not UTF-8.
    Utf8,
    /// The metric's or label's name is missing or has characters that a name may not have.
    Name,
    /// The labels do not have the form `{name="value",...}`.
    Labels,
    /// A label stands twice.
    DuplicateLabel,
    /// There are more labels than [`MAX_LABELS`](crate::MAX_LABELS).
    TooManyLabels,
    /// The value is missing or is not a number.
    Value,
    /// The timestamp is not an integer (text) or a decimal number (OpenMetrics), or is out of range.
    Timestamp,
    /// The exemplar does not have the form `# {name="value"} value [timestamp]`.
    Exemplar,
    /// Something follows that does not belong to the line.
    Trailing,
    /// The word after `# TYPE name` is no kind of either format.
    Kind,
    /// `# UNIT` is not followed by a name and one word.
    Unit,
    /// The line comes after `# EOF`.
    AfterEof,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "longer than 64 KiB",
            Self::Utf8 => "not UTF-8",
            Self::Name => "a name is missing or has a character that names may not have",
            Self::Labels => "labels are not of the form {name=\"value\",...}",
            Self::DuplicateLabel => "a label stands twice",
            Self::TooManyLabels => "more than 128 labels",
            Self::Value => "the value is missing or not a number",
            Self::Timestamp => "the timestamp is not milliseconds (text) or seconds (OpenMetrics)",
            Self::Exemplar => "the exemplar is not of the form # {name=\"value\"} value [timestamp]",
            Self::Trailing => "text after the end of the sample",
            Self::Kind => "unknown metric type",
            Self::Unit => "the unit is not one word",
            Self::AfterEof => "comes after # EOF",
        })
    }
}

impl std::error::Error for Reason {}
