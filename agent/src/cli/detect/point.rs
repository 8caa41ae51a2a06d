//! Values in, verdicts of the point detector out.

use std::io::{Read, Write};

use outrigger_detect::{PointDetector, PointSettings};

use super::csv::{Row, Rows};
use super::{DetectError, Words};

pub(super) fn run(input: impl Read, mut output: impl Write, words: &mut Words) -> Result<(), DetectError> {
    let mut rows = Rows::new("stdin", input);
    let Some(header) = rows.next()? else {
        return Err(DetectError::Input("stdin: empty; begin with the header `timestamp,value`".to_owned()));
    };
    check(header)?;
    let mut detector = PointDetector::new(PointSettings::default());
    loop {
        if rows.waits() {
            output.flush().map_err(DetectError::Output)?;
        }
        let Some(row) = rows.next()? else { return Ok(()) };
        let (timestamp, at, value) = read(row)?;
        let verdict = detector.observe(at, value);
        if let (true, Some(unusual)) = (verdict.alert, &verdict.unusual) {
            words.say(timestamp, format_args!("{unusual}"));
        }
        let alert = u8::from(verdict.alert);
        writeln!(output, "{timestamp},{:.4},{alert}", verdict.news()).map_err(DetectError::Output)?;
    }
}

fn check(header: Row<'_>) -> Result<(), DetectError> {
    let mut names = header.fields().map(|field| field.text.to_ascii_lowercase());
    if names.next().as_deref() == Some("timestamp")
        && names.next().as_deref() == Some("value")
        && names.next().is_none()
    {
        return Ok(());
    }
    Err(header.mistake("the header is `timestamp,value`; give these two columns in this order"))
}

fn read(row: Row<'_>) -> Result<(&str, f64, f64), DetectError> {
    let mut fields = row.fields();
    match (fields.next(), fields.next(), fields.next()) {
        // A value that is absent is a row that is passed over.
        (Some(timestamp), Some(value), None) => Ok((timestamp.text, timestamp.time()?, value.optional()?)),
        (_, None, _) => Err(row.mistake("there is no value; write `timestamp,value`")),
        (_, _, Some(field)) => Err(field.mistake("there are two columns only, `timestamp,value`")),
        (None, ..) => Err(row.mistake("the row is empty; write `timestamp,value`")),
    }
}
