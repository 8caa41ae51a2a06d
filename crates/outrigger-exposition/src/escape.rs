//! Label values and help as they stand on the page, and what they mean.

use std::borrow::Cow;

/// A piece of text as it stands on the page, still with its escapes.
///
/// `\\` means a backslash, `\n` a line feed and, where quotes are escaped, `\"` a double quote. A backslash before
/// anything else stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Escaped<'a> {
    raw: &'a str,
    /// Whether `\"` is an escape: always but in the help of text 0.0.4.
    quotes: bool,
}

impl<'a> Escaped<'a> {
    pub(crate) const fn new(raw: &'a str) -> Self {
        Self { raw, quotes: true }
    }

    pub(crate) const fn without_quotes(raw: &'a str) -> Self {
        Self { raw, quotes: false }
    }

    /// The text as it stands on the page.
    #[must_use]
    pub const fn raw(self) -> &'a str {
        self.raw
    }

    /// The text that is meant; borrowed when nothing was escaped.
    #[must_use]
    pub fn unescape(self) -> Cow<'a, str> {
        let Some((before, after)) = self.raw.split_once('\\') else { return Cow::Borrowed(self.raw) };
        let mut text = String::with_capacity(self.raw.len());
        text.push_str(before);
        let mut rest = after;
        // Here `rest` always begins right after a backslash.
        loop {
            let mut tail = rest.chars();
            rest = match tail.next() {
                Some('\\') => push(&mut text, '\\', tail.as_str()),
                Some('n') => push(&mut text, '\n', tail.as_str()),
                Some('"') if self.quotes => push(&mut text, '"', tail.as_str()),
                _ => push(&mut text, '\\', rest),
            };
            let Some((plain, after)) = rest.split_once('\\') else { break };
            text.push_str(plain);
            rest = after;
        }
        text.push_str(rest);
        Cow::Owned(text)
    }
}

impl PartialEq<str> for Escaped<'_> {
    /// Compares what is meant, not how it is spelled.
    fn eq(&self, other: &str) -> bool {
        self.unescape() == other
    }
}

impl PartialEq<&str> for Escaped<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

fn push<'a>(text: &mut String, character: char, rest: &'a str) -> &'a str {
    text.push(character);
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescapes() {
        for (raw, meant) in [
            ("", ""),
            ("plain", "plain"),
            (r"a\\b", r"a\b"),
            (r"a\nb", "a\nb"),
            (r#"say \"hi\""#, r#"say "hi""#),
            (r"\\n", r"\n"),
            (r"\\\n", "\\\n"),
            (r"\x", r"\x"),
            (r"end\", r"end\"),
            (r"\é\\", r"\é\"),
        ] {
            assert_eq!(Escaped::new(raw).unescape(), meant, "{raw}");
            assert_eq!(Escaped::new(raw), meant);
        }
        assert_eq!(Escaped::without_quotes(r#"\"\n"#).unescape(), "\\\"\n");
        assert!(matches!(Escaped::new("plain").unescape(), Cow::Borrowed("plain")));
    }
}
