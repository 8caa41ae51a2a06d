//! Lines that begin with `#`: help, type, unit, end of file, and remarks.

use crate::cursor::{Class, Cursor};
use crate::escape::Escaped;
use crate::format::Format;
use crate::model::Kind;
use crate::parse::Reason;

/// What a line that begins with `#` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Comment<'a> {
    Help(&'a str, Escaped<'a>),
    Kind(&'a str, Kind),
    Unit(&'a str, &'a str),
    Eof,
    Remark,
}

/// Reads a line that begins with `#`.
pub(crate) fn read(line: &str, format: Format) -> Result<Comment<'_>, Reason> {
    let mut cursor = Cursor::new(line);
    cursor.eat(b'#');
    if !cursor.blanks() {
        return Ok(Comment::Remark);
    }
    match cursor.word() {
        "HELP" => {
            let name = name(&mut cursor)?;
            // Exactly one blank separates; more of them belong to the help.
            let text = cursor.rest().strip_prefix([' ', '\t']).unwrap_or("");
            Ok(Comment::Help(
                name,
                match format {
                    Format::Text => Escaped::without_quotes(text),
                    Format::OpenMetrics => Escaped::new(text),
                },
            ))
        }
        "TYPE" => {
            let name = name(&mut cursor)?;
            let kind = Kind::from_word(last_word(&mut cursor).ok_or(Reason::Kind)?).ok_or(Reason::Kind)?;
            Ok(Comment::Kind(name, kind))
        }
        "UNIT" => match (unit(&mut cursor), format) {
            // Text 0.0.4 has no units: what does not read as one is a remark that happens to begin like one.
            (Err(_), Format::Text) => Ok(Comment::Remark),
            (comment, _) => comment,
        },
        "EOF" if format == Format::OpenMetrics && cursor.rest().trim().is_empty() => Ok(Comment::Eof),
        _ => Ok(Comment::Remark),
    }
}

fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Reason> {
    cursor.blanks();
    let name = if cursor.peek() == Some(b'"') { cursor.quoted_name()? } else { cursor.name(Class::Metric) };
    let ends = matches!(cursor.peek(), Some(b' ' | b'\t') | None);
    if name.is_empty() || !ends { Err(Reason::Name) } else { Ok(name) }
}

fn unit<'a>(cursor: &mut Cursor<'a>) -> Result<Comment<'a>, Reason> {
    let name = name(cursor)?;
    let unit = last_word(cursor).unwrap_or("");
    // An empty unit is how OpenMetrics says that there is none.
    if cursor.peek().is_some() || !unit.is_empty() && !unit.bytes().all(|byte| Class::Metric.has(byte)) {
        return Err(Reason::Unit);
    }
    Ok(Comment::Unit(name, unit))
}

/// The one word that is left on the line; `None` when there are more, and empty when there is none.
fn last_word<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    cursor.blanks();
    let word = cursor.word();
    cursor.blanks();
    cursor.peek().is_none().then_some(word)
}
