//! The labels of a sample, borrowed from the page.

use crate::cursor::{Class, Cursor};
use crate::escape::Escaped;
use crate::parse::Reason;

/// The most labels that one sample may have; a line with more is bad. It bounds the search for duplicates.
pub const MAX_LABELS: usize = 128;

/// The labels of a sample, checked but not copied: names are valid and distinct, values are still escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels<'a> {
    raw: &'a str,
    len: usize,
}

impl<'a> Labels<'a> {
    /// Reads labels from the text between the braces, as [`Labels::raw`] gives it.
    ///
    /// # Errors
    /// The text is not a list of labels, or one stands in it twice, or there are more than [`MAX_LABELS`].
    pub fn from_raw(raw: &'a str) -> Result<Self, Reason> {
        let mut cursor = Cursor::new(raw);
        let labels = read(&mut cursor)?;
        if cursor.rest().is_empty() { Ok(labels) } else { Err(Reason::Labels) }
    }

    /// The text between the braces as it stands on the page. Equal text means equal labels; the reverse does not
    /// hold, since order, spaces and escapes may differ.
    #[must_use]
    pub const fn raw(self) -> &'a str {
        self.raw
    }

    /// The number of labels.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The labels in the order of the page, as names and escaped values.
    #[must_use]
    pub const fn iter(self) -> LabelsIter<'a> {
        LabelsIter { cursor: Cursor::new(self.raw) }
    }

    /// The value of the label `name`.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Escaped<'a>> {
        self.iter().find(|(label, _)| *label == name).map(|(_, value)| value)
    }
}

impl<'a> IntoIterator for Labels<'a> {
    type Item = (&'a str, Escaped<'a>);
    type IntoIter = LabelsIter<'a>;

    fn into_iter(self) -> LabelsIter<'a> {
        self.iter()
    }
}

/// Iterates over [`Labels`].
#[derive(Clone, Debug)]
pub struct LabelsIter<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, Escaped<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        // The text was checked when the labels were made, so an error can only mean its end.
        let pair = pair(&mut self.cursor).ok()?;
        self.cursor.blanks();
        self.cursor.eat(b',');
        Some(pair)
    }
}

/// How far labels have been read. It follows from the text before it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Where the first label begins.
    start: usize,
    /// Where the next label begins.
    pub(crate) at: usize,
    /// The labels before it.
    len: usize,
    /// Their marks.
    seen: u64,
}

impl Progress {
    pub(crate) const fn begin(at: usize) -> Self {
        Self { start: at, at, len: 0, seen: 0 }
    }
}

/// Reads labels up to the closing brace, which is left, or up to the end of the text.
pub(crate) fn read<'a>(cursor: &mut Cursor<'a>) -> Result<Labels<'a>, Reason> {
    read_on(cursor, Progress::begin(cursor.position())).map(|(labels, _)| labels)
}

/// Reads labels from where `progress` says the cursor is; also says how far it was before the last one.
pub(crate) fn read_on<'a>(cursor: &mut Cursor<'a>, mut progress: Progress) -> Result<(Labels<'a>, Progress), Reason> {
    let mut before_last = progress;
    loop {
        cursor.blanks();
        let Progress { start, len, seen, .. } = progress;
        if matches!(cursor.peek(), Some(b'}') | None) {
            return Ok((Labels { raw: cursor.since(start), len }, before_last));
        }
        let label = cursor.position();
        before_last = Progress { at: label, ..progress };
        let (name, _) = pair(cursor)?;
        // A name whose mark is new cannot be a duplicate, so most lines never compare names.
        let mark = mark(name);
        if seen & mark != 0 {
            let before = Labels { raw: cursor.between(start, label), len };
            if before.get(name).is_some() {
                return Err(Reason::DuplicateLabel);
            }
        }
        if len == MAX_LABELS {
            return Err(Reason::TooManyLabels);
        }
        cursor.blanks();
        if !cursor.eat(b',') && !matches!(cursor.peek(), Some(b'}') | None) {
            return Err(Reason::Labels);
        }
        progress = Progress { start, at: cursor.position(), len: len + 1, seen: seen | mark };
    }
}

#[inline(always)]
fn pair<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, Escaped<'a>), Reason> {
    cursor.blanks();
    let name = if cursor.peek() == Some(b'"') { cursor.quoted_name()? } else { cursor.name(Class::Label) };
    if name.is_empty() {
        return Err(Reason::Labels);
    }
    cursor.blanks();
    if !cursor.eat(b'=') {
        return Err(Reason::Labels);
    }
    cursor.blanks();
    Ok((name, Escaped::new(cursor.quoted()?)))
}

/// One of 64 bits, drawn from the length and three bytes of a name.
fn mark(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let byte = |index: usize| bytes.get(index).copied().map_or(0, usize::from);
    let mixed = bytes.len() * 7 + byte(0) * 5 + byte(bytes.len() / 2) * 3 + byte(bytes.len().saturating_sub(1));
    1 << (mixed % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        for (raw, expected) in [
            ("", &[][..]),
            ("  ", &[]),
            (r#"a="1""#, &[("a", "1")]),
            (r#" a = "1" , b = "2" , "#, &[("a", "1"), ("b", "2")]),
            (r#"a="1",b="",_9="x,y={z}""#, &[("a", "1"), ("b", ""), ("_9", "x,y={z}")]),
            (r#"a="q\"uote\\",b="é""#, &[("a", "q\"uote\\"), ("b", "é")]),
            (r#""a.b"="1",c="2""#, &[("a.b", "1"), ("c", "2")]),
        ] {
            let labels = Labels::from_raw(raw).unwrap_or_else(|reason| panic!("{raw}: {reason}"));
            let read: Vec<_> = labels.iter().map(|(name, value)| (name, value.unescape())).collect();
            let read: Vec<_> = read.iter().map(|(name, value)| (*name, value.as_ref())).collect();
            assert_eq!(read, expected, "{raw}");
            assert_eq!(labels.len(), expected.len(), "{raw}");
        }
    }

    #[test]
    fn refuses() {
        for (raw, reason) in [
            (",", Reason::Labels),
            (r#"a="1",,b="2""#, Reason::Labels),
            (r#"a="1" b="2""#, Reason::Labels),
            (r#"a"#, Reason::Labels),
            (r#"a="#, Reason::Labels),
            (r#"a=1"#, Reason::Labels),
            (r#"a="1"#, Reason::Labels),
            (r#"a="1\"#, Reason::Labels),
            (r#"a="1\""#, Reason::Labels),
            (r#"a="1"}"#, Reason::Labels),
            (r#"9a="1""#, Reason::Labels),
            (r#"a:b="1""#, Reason::Labels),
            (r#"é="1""#, Reason::Labels),
            (r#"""="1""#, Reason::Name),
            (r#""a\"b"="1""#, Reason::Name),
            (r#"a="1",a="1""#, Reason::DuplicateLabel),
            (r#"a="1",b="2",c="3",a="4""#, Reason::DuplicateLabel),
            (r#"a="1","a"="2""#, Reason::DuplicateLabel),
        ] {
            assert_eq!(Labels::from_raw(raw), Err(reason), "{raw}");
        }
    }

    #[test]
    fn many_labels_are_bounded() {
        let many = |count: usize| (0..count).map(|index| format!("l{index}=\"\",")).collect::<String>();
        assert_eq!(Labels::from_raw(&many(MAX_LABELS)).unwrap().len(), MAX_LABELS);
        assert_eq!(Labels::from_raw(&many(MAX_LABELS + 1)), Err(Reason::TooManyLabels));
    }
}
