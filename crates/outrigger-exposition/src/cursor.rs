//! A place in a line, and the small steps that both formats are made of.
//!
//! Every byte of a page goes through here: what runs for each label is inlined by force, which saves a tenth of the
//! instructions of a line (callgrind).

use crate::parse::Reason;
use crate::scan;

/// A place in a line. All slices it hands out end at ASCII bytes, so they are never cut inside a character.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Steps over bytes that are known to be there.
    pub(crate) const fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it comes next.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Steps over spaces and tabs; says whether there were any.
    #[inline]
    pub(crate) fn blanks(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > start
    }

    /// Everything up to the next blank or the end of the line; may be empty.
    pub(crate) fn word(&mut self) -> &'a str {
        let start = self.at;
        while !matches!(self.peek(), Some(b' ' | b'\t') | None) {
            self.at += 1;
        }
        self.since(start)
    }

    /// A name of letters, digits and underscores, and of colons when it is a metric's; empty when none stands here.
    #[inline(always)]
    pub(crate) fn name(&mut self, class: Class) -> &'a str {
        let start = self.at;
        let bytes = self.bytes();
        if !bytes.first().is_some_and(u8::is_ascii_digit) {
            self.at += bytes.iter().position(|&byte| !class.has(byte)).unwrap_or(bytes.len());
        }
        self.since(start)
    }

    /// The content of a quoted string, its escapes untouched.
    #[inline(always)]
    pub(crate) fn quoted(&mut self) -> Result<&'a str, Reason> {
        if !self.eat(b'"') {
            return Err(Reason::Labels);
        }
        let start = self.at;
        loop {
            self.at += scan::find_either(self.bytes(), b'"', b'\\').ok_or(Reason::Labels)?;
            if self.peek() == Some(b'"') {
                break;
            }
            // Whatever is escaped cannot end the string; this may be the middle of its character.
            self.at += 2;
        }
        let content = self.since(start);
        self.at += 1;
        Ok(content)
    }

    /// A name of any characters in quotes, as Prometheus 3 writes names outside the classic alphabet. One with a
    /// backslash is refused: it would have to be copied to be read, and nobody names a metric so.
    pub(crate) fn quoted_name(&mut self) -> Result<&'a str, Reason> {
        let name = self.quoted()?;
        if name.is_empty() || name.contains('\\') { Err(Reason::Name) } else { Ok(name) }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.between(start, self.at)
    }

    #[inline]
    pub(crate) fn between(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or("")
    }
}

/// Which bytes a name may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Class {
    /// A metric's name, with colons.
    Metric = 1,
    /// A label's name.
    Label = 2,
}

impl Class {
    pub(crate) fn has(self, byte: u8) -> bool {
        CLASSES[usize::from(byte)] & self as u8 != 0
    }

    /// Whether `name` needs no quotes.
    pub(crate) fn is_plain(self, name: &str) -> bool {
        let mut cursor = Cursor::new(name);
        !cursor.name(self).is_empty() && cursor.rest().is_empty()
    }
}

/// One look-up a byte instead of five comparisons.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        let value = byte as u8;
        if value.is_ascii_alphanumeric() || value == b'_' {
            classes[byte] = Class::Metric as u8 | Class::Label as u8;
        }
        if value == b':' {
            classes[byte] = Class::Metric as u8;
        }
        byte += 1;
    }
    classes
};
