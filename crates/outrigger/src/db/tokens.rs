//! SQL cut into the few kinds of token that tell a verb and a table; quotes and comments are passed over.

/// What the scanner can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword or a bare name.
    Word(&'a str),
    /// A quoted name, as it stands between its quotes.
    Quoted(&'a str),
    Open,
    Close,
    Dot,
    Comma,
    /// The semicolon.
    End,
    /// A string, a number, an operator.
    Other,
}

/// Where databases quote differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    MySql,
    Other,
}

impl Dialect {
    pub(super) fn of(system: &str) -> Self {
        match system {
            "postgresql" | "cockroachdb" | "yugabytedb" => Self::Postgres,
            "mysql" | "mariadb" | "tidb" => Self::MySql,
            _ => Self::Other,
        }
    }
}

/// Whether it can be told what is a value in a statement.
///
/// A system whose ways of quoting are not known may have some that are read wrongly here, so that what follows is taken
/// for names: backslashes that escape, `$$..$$`, Oracle's `q'[..]'`, quotes in threes, comments by `#` and `//`.
pub(super) fn is_understood(text: &str, system: &str) -> bool {
    if system == "sqlite" || Dialect::of(system) != Dialect::Other {
        return true;
    }
    let mut before = 0;
    let mut bytes = text.as_bytes();
    while let [byte, rest @ ..] = bytes {
        let doubtful = match bytes {
            [b'\\' | b'#', ..] | [b'/', b'/', ..] | [b'\'', b'\'', b'\'', ..] | [b'"', b'"', b'"', ..] => true,
            [b'q' | b'Q', b'\'', ..] => true,
            [b'$', next, ..] => !is_word(before) && !next.is_ascii_digit(),
            _ => false,
        };
        if doubtful {
            return false;
        }
        (before, bytes) = (*byte, rest);
    }
    true
}

#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    depth: i32,
    /// The statement goes on behind `text`.
    truncated: bool,
    dialect: Dialect,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, truncated: bool, dialect: Dialect) -> Self {
        Self { text, at: 0, depth: 0, truncated, dialect }
    }

    /// Parentheses open at this point.
    pub(super) fn depth(&self) -> i32 {
        self.depth
    }

    /// Whether the last token touches the edge of what is read, so that it may be cut.
    pub(super) fn is_cut(&self) -> bool {
        self.truncated && self.at >= self.text.len()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Moves past bytes as long as they are wanted. All bytes that stop it are ASCII, so it stays on a char boundary.
    fn pass_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn pass_line_comment(&mut self) {
        self.pass_while(|byte| byte != b'\n');
    }

    /// Passes a block comment. They nest in PostgreSQL; where they do not, an opened inner one is rare.
    fn pass_block_comment(&mut self) {
        let mut open = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    open += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    open -= 1;
                    self.at += 2;
                    if open == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return,
            }
        }
    }

    /// Passes a quoted piece whose opening quote is at this point, and returns what stands between the quotes; `None`
    /// when it is not closed. A doubled closing quote does not close it.
    fn quoted(&mut self, close: u8, backslash: bool) -> Option<&'a str> {
        self.at += 1;
        let start = self.at;
        loop {
            let byte = self.peek(0)?;
            if byte == b'\\' && backslash {
                self.at += 2;
            } else if byte != close {
                self.at += 1;
            } else if self.peek(1) == Some(close) {
                self.at += 2;
            } else {
                let content = self.text.get(start..self.at);
                self.at += 1;
                return content;
            }
        }
    }

    /// Passes `$tag$ ... $tag$`, or a parameter such as `$1`.
    fn pass_dollar(&mut self) {
        let start = self.at;
        self.at += 1;
        if self.dialect == Dialect::Postgres && !self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.pass_while(|byte| is_word(byte) && byte != b'$');
            if self.peek(0) == Some(b'$') {
                self.at += 1;
                let tag = self.text.get(start..self.at).unwrap_or_default();
                let rest = self.text.get(self.at..).unwrap_or_default();
                self.at = rest.find(tag).map_or(self.text.len(), |end| self.at + end + tag.len());
                return;
            }
        }
        self.pass_while(is_word);
    }

    fn word(&mut self) -> Token<'a> {
        let start = self.at;
        self.pass_while(is_word);
        let word = self.text.get(start..self.at).unwrap_or_default();
        if self.dialect == Dialect::Postgres && word.eq_ignore_ascii_case("E") && self.peek(0) == Some(b'\'') {
            self.quoted(b'\'', true);
            return Token::Other;
        }
        Token::Word(word)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let byte = self.peek(0)?;
            match (byte, self.peek(1)) {
                (b'-', Some(b'-')) => self.pass_line_comment(),
                (b'/', Some(b'*')) => self.pass_block_comment(),
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
        let byte = self.peek(0)?;
        let simple = match byte {
            b'(' => {
                self.depth = self.depth.saturating_add(1);
                Token::Open
            }
            b')' => {
                self.depth = self.depth.saturating_sub(1);
                Token::Close
            }
            b'.' => Token::Dot,
            b',' => Token::Comma,
            b';' => Token::End,
            b'\'' => {
                self.quoted(b'\'', self.dialect == Dialect::MySql)?;
                return Some(Token::Other);
            }
            b'"' if self.dialect == Dialect::MySql => {
                self.quoted(b'"', true)?;
                return Some(Token::Other);
            }
            b'"' | b'`' => return self.quoted(byte, false).map(Token::Quoted),
            b'[' if self.dialect == Dialect::Other => return self.quoted(b']', false).map(Token::Quoted),
            b'$' => {
                self.pass_dollar();
                return Some(Token::Other);
            }
            b'0'..=b'9' => {
                self.pass_while(|byte| is_word(byte) || byte == b'.');
                return Some(Token::Other);
            }
            _ if is_word(byte) => return Some(self.word()),
            _ => Token::Other,
        };
        self.at += 1;
        Some(simple)
    }
}

/// Letters, digits, underscore and dollar sign, and every byte of a character that is not ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::is_understood;

    #[test]
    fn what_may_be_quoted_in_other_ways_is_not_understood() {
        for sql in [
            r"SELECT 'it\'s' FROM t",
            "SELECT $$secret$$",
            "SELECT $tag$secret$tag$",
            "SELECT q'[it's secret]' FROM dual",
            "SELECT '''it's secret'''",
            "SELECT 1 # don't",
            "SELECT 1 // don't",
        ] {
            assert!(!is_understood(sql, "oracle.db"), "{sql}");
            assert!(
                ["postgresql", "cockroachdb", "mariadb", "tidb", "sqlite"]
                    .map(|system| is_understood(sql, system))
                    .iter()
                    .all(|known| *known)
            );
        }
        for sql in ["SELECT 'a', 'it''s', \"b\" FROM t WHERE c = $1 / 2", "SELECT * FROM v$session WHERE q = 'x'", ""] {
            assert!(is_understood(sql, "oracle.db"), "{sql}");
        }
    }
}
