//! Comma-separated rows, read one at a time, with a place for every mistake.

use std::io::{BufRead as _, BufReader, Read};
use std::time::UNIX_EPOCH;

use super::DetectError;

/// The longest line that is read, in bytes: thousands of columns.
const LONGEST: u64 = 1 << 20;

/// The rows of one stream. Lines without anything are passed over.
pub(super) struct Rows<R> {
    source: String,
    input: BufReader<R>,
    number: u64,
    line: Vec<u8>,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(source: &str, input: R) -> Self {
        Self { source: source.to_owned(), input: BufReader::with_capacity(1 << 16, input), number: 0, line: Vec::new() }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, DetectError> {
        loop {
            self.line.clear();
            let read = self.input.by_ref().take(LONGEST).read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| DetectError::Read(self.source.clone(), error))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 == LONGEST {
                let (source, number) = (&self.source, self.number);
                return Err(DetectError::Input(format!(
                    "{source}:{number}: the line is longer than 1 MiB; is this CSV?"
                )));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        match std::str::from_utf8(&self.line) {
            // What some spreadsheets begin a file with says nothing.
            Ok(line) => {
                let line = line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
                Ok(Some(Row { source: &self.source, number: self.number, line }))
            }
            Err(error) => {
                let (source, number, column) = (&self.source, self.number, error.valid_up_to() + 1);
                let message =
                    format!("{source}:{number}: byte {column} of the line is not UTF-8; save the file as UTF-8");
                Err(DetectError::Input(message))
            }
        }
    }

    /// The row that must be there.
    pub(super) fn expect(&mut self, what: &str) -> Result<Row<'_>, DetectError> {
        let missing = format!("{}:{}: the input ends where {what} should follow", self.source, self.number + 1);
        self.next()?.ok_or(DetectError::Input(missing))
    }

    /// Whether the next row has still to arrive: the moment to hand out what is finished.
    pub(super) fn waits(&self) -> bool {
        !self.input.buffer().contains(&b'\n')
    }
}

/// One line.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    source: &'a str,
    number: u64,
    line: &'a str,
}

impl<'a> Row<'a> {
    /// The fields in order, without the blanks and quotes around them. A comma inside quotes separates nothing.
    pub(super) fn fields(self) -> impl Iterator<Item = Field<'a>> {
        let mut rest = Some(self.line);
        (1..).map_while(move |column| {
            let line = rest?;
            let quoted = line.trim_start().strip_prefix('"').and_then(|inner| inner.split_once('"'));
            let (text, after) = match quoted {
                // Whatever stands between the closing quote and the comma belongs to nobody.
                Some((text, after)) => (text, after.split_once(',').map(|(_, after)| after)),
                None => line.split_once(',').map_or((line, None), |(text, after)| (text, Some(after))),
            };
            rest = after;
            Some(Field { row: self, column, text: text.trim() })
        })
    }

    /// A mistake of the line as a whole.
    pub(super) fn mistake(self, message: &str) -> DetectError {
        DetectError::Input(format!("{}:{}: {message}", self.source, self.number))
    }
}

/// One value.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    row: Row<'a>,
    /// Counted from 1.
    pub(super) column: usize,
    pub(super) text: &'a str,
}

impl Field<'_> {
    pub(super) fn mistake(self, message: &str) -> DetectError {
        let (Row { source, number, .. }, column) = (self.row, self.column);
        DetectError::Input(format!("{source}:{number}: column {column}: {message}"))
    }

    /// A number, infinities and NaN included.
    pub(super) fn number(self) -> Result<f64, DetectError> {
        self.text.parse().map_err(|_| self.mistake(&format!("`{}` is no number; write one such as 12.5", self.short())))
    }

    /// A number, or NaN where nothing stands.
    pub(super) fn optional(self) -> Result<f64, DetectError> {
        if self.text.is_empty() { Ok(f64::NAN) } else { self.number() }
    }

    /// UNIX seconds of a moment.
    pub(super) fn time(self) -> Result<f64, DetectError> {
        if let Ok(seconds) = self.text.parse::<f64>()
            && seconds.is_finite()
        {
            return Ok(seconds);
        }
        // Dates without seconds are common.
        let text = if self.text.len() == 16 { format!("{}:00", self.text) } else { self.text.to_owned() };
        let date = humantime::parse_rfc3339_weak(&text).ok();
        match date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) {
            Some(since) => Ok(since.as_secs_f64()),
            None => Err(self.mistake(&format!(
                "`{}` is no time; write UNIX seconds such as 1767225600 or a date of UTC such as 2026-01-01 00:00:00",
                self.short()
            ))),
        }
    }

    /// The text, cut where it would fill a screen.
    pub(super) fn short(&self) -> &str {
        self.text.char_indices().nth(60).map_or(self.text, |(end, _)| self.text.get(..end).unwrap_or_default())
    }
}
