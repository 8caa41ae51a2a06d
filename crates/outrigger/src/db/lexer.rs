//! SQL cut into lexemes, with every value, whatever its spelling, as one kind that does not hold it.

use super::dialect::Dialect;

/// A piece of a statement. Borrowed text is never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lexeme<'a> {
    /// A keyword or a bare name.
    Word(&'a str),
    /// A quoted name, with its quotes.
    Quoted(&'a str),
    /// A literal or a placeholder.
    Value,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Comma,
    Dot,
    /// The semicolon.
    End,
    /// A plus or minus, of one operand or of two.
    Sign(&'a str),
    /// `::`
    Cast,
    Operator(&'a str),
}

/// Reads each byte once, save for the few that it looks ahead.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where the last lexeme begins.
    start: usize,
    /// Whitespace or a comment stood before the last lexeme.
    spaced: bool,
    /// The last two, the older one first: what tells a name in double quotes from a string.
    before: [Option<Lexeme<'a>>; 2],
    dialect: Dialect,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self { text, at: 0, start: 0, spaced: false, before: [None; 2], dialect }
    }

    pub(super) fn spaced(&self) -> bool {
        self.spaced
    }

    /// Whether the last lexeme touches the end of the text.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// The last lexeme as it stands in the text, values too.
    pub(super) fn raw(&self) -> &'a str {
        self.since(self.start)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Moves past bytes as long as they are wanted. What stops it is ASCII, so it stays on a char boundary.
    fn pass_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn pass_space(&mut self) {
        let start = self.at;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'-'), Some(b'-')) if self.dialect != Dialect::MySql || self.is_mysql_comment() => {
                    self.pass_while(|byte| byte != b'\n');
                }
                (Some(b'#'), _) if self.dialect == Dialect::MySql => self.pass_while(|byte| byte != b'\n'),
                (Some(b'/'), Some(b'*')) => self.pass_block_comment(),
                (Some(byte), _) if byte.is_ascii_whitespace() || byte.is_ascii_control() => self.at += 1,
                _ => break,
            }
        }
        self.spaced = self.at > start;
    }

    /// There, `a--1` subtracts: a comment needs whitespace behind its dashes.
    fn is_mysql_comment(&self) -> bool {
        self.peek(2).is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    }

    /// They nest in PostgreSQL only.
    fn pass_block_comment(&mut self) {
        let mut open = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) if open == 0 || self.dialect == Dialect::Postgres => {
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

    /// Passes a quoted piece whose opening quote is at this point; false when it is not closed.
    fn pass_quoted(&mut self, close: u8, backslash: bool) -> bool {
        self.at += 1;
        loop {
            match self.peek(0) {
                None => {
                    self.at = self.text.len();
                    return false;
                }
                Some(b'\\') if backslash => self.at += 2,
                Some(byte) if byte != close => self.at += 1,
                Some(_) if self.peek(1) == Some(close) => self.at += 2,
                Some(_) => {
                    self.at += 1;
                    return true;
                }
            }
        }
    }

    fn string(&mut self, close: u8, backslash: bool) -> Lexeme<'a> {
        self.pass_quoted(close, backslash);
        Lexeme::Value
    }

    /// A name in quotes; one that is not closed might be anything.
    fn name(&mut self, close: u8) -> Lexeme<'a> {
        let start = self.at;
        if self.pass_quoted(close, false) { Lexeme::Quoted(self.since(start)) } else { Lexeme::Value }
    }

    /// SQLite takes a name in double quotes for a string where it knows no such column. What stands where only a name
    /// can is one; all else is a value.
    fn name_or_string(&mut self) -> Lexeme<'a> {
        let name = self.name(b'"');
        let rest = self.text.get(self.at..).unwrap_or_default();
        let followed = rest.starts_with('.') || rest.trim_ascii_start().starts_with(['=', '<', '>', '!']);
        let introduced = match self.before {
            [_, Some(Lexeme::Dot)] => true,
            [_, Some(Lexeme::Word(word))] => is_one_of(word, BEFORE_NAMES),
            // The next name of a list, or the first one of a list of columns.
            [Some(Lexeme::Quoted(_)), Some(Lexeme::Comma | Lexeme::Open)] => true,
            _ => false,
        };
        if followed || introduced { name } else { Lexeme::Value }
    }

    /// `[name]`, unless what it holds looks like a list of values.
    fn bracketed(&mut self) -> Lexeme<'a> {
        let name = self.name(b']');
        let Lexeme::Quoted(text) = name else { return name };
        let inner = text.get(1..).unwrap_or_default();
        let plain = inner.starts_with(|c: char| c.is_alphabetic() || c == '_') && !inner.contains(['\'', '"', ',']);
        if plain { name } else { Lexeme::Value }
    }

    /// `$tag$ ... $tag$`, or a parameter such as `$1`.
    fn dollar(&mut self) -> Lexeme<'a> {
        let start = self.at;
        self.at += 1;
        if self.dialect == Dialect::Postgres && !self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.pass_while(|byte| is_word(byte) && byte != b'$');
            if self.peek(0) == Some(b'$') {
                self.at += 1;
                let tag = self.since(start);
                let rest = self.text.get(self.at..).unwrap_or_default();
                self.at = rest.find(tag).map_or(self.text.len(), |end| self.at + end + tag.len());
                return Lexeme::Value;
            }
        }
        self.pass_while(is_word);
        Lexeme::Value
    }

    fn number(&mut self) -> Lexeme<'a> {
        let is_hex = self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X'));
        loop {
            self.pass_while(|byte| is_word(byte) || byte == b'.');
            let before = self.at.checked_sub(1).and_then(|at| self.text.as_bytes().get(at)).copied();
            let exponent = !is_hex
                && matches!(before, Some(b'e' | b'E'))
                && matches!(self.peek(0), Some(b'+' | b'-'))
                && self.peek(1).is_some_and(|byte| byte.is_ascii_digit());
            if !exponent {
                return Lexeme::Value;
            }
            self.at += 1;
        }
    }

    fn word(&mut self) -> Lexeme<'a> {
        let start = self.at;
        self.pass_while(is_word);
        let word = self.since(start);
        if self.peek(0) == Some(b'\'') {
            // `E'..'`, `X'..'`, `_utf8'..'`: the prefix belongs to the value.
            let escapes = self.dialect == Dialect::Postgres && word.eq_ignore_ascii_case("E");
            let charset = self.dialect == Dialect::MySql && word.starts_with('_');
            if escapes || charset || is_one_of(word, &["E", "N", "X", "B"]) {
                return self.string(b'\'', escapes || self.dialect == Dialect::MySql);
            }
        }
        Lexeme::Word(word)
    }

    /// `:name` and `@name`; PostgreSQL's slices are no names.
    fn is_named_placeholder(&self, byte: u8) -> bool {
        let start = |ahead| self.peek(ahead).is_some_and(|byte| is_word(byte) && !byte.is_ascii_digit());
        match byte {
            b':' => {
                self.dialect != Dialect::Postgres && self.peek(1).is_some_and(is_word) || start(1) && !self.is_slice()
            }
            b'@' => start(1) || self.peek(1) == Some(b'@') && start(2),
            _ => false,
        }
    }

    fn is_slice(&self) -> bool {
        let operand = Lexeme::is_operand;
        self.dialect == Dialect::Postgres && self.before[1].is_some_and(operand) && !self.spaced
    }

    fn operator(&mut self) -> Lexeme<'a> {
        let start = self.at;
        match (self.peek(0), self.peek(1)) {
            (Some(b':'), Some(b':')) => {
                self.at += 2;
                return Lexeme::Cast;
            }
            (Some(b'-'), Some(b'>')) => self.at += 2,
            (Some(b'+' | b'-'), _) => {
                self.at += 1;
                return Lexeme::Sign(self.since(start));
            }
            _ => self.at += 1,
        }
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => break,
                (Some(b'#'), _) if self.dialect == Dialect::MySql => break,
                (Some(b'@'), _) if self.dialect == Dialect::Postgres => self.at += 1,
                (Some(byte), _) if is_operator(byte) => self.at += 1,
                _ => break,
            }
        }
        Lexeme::Operator(self.since(start))
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Lexeme<'a>;

    fn next(&mut self) -> Option<Lexeme<'a>> {
        self.pass_space();
        self.start = self.at;
        let byte = self.peek(0)?;
        let simple = match byte {
            b'(' => Some(Lexeme::Open),
            b')' => Some(Lexeme::Close),
            b',' => Some(Lexeme::Comma),
            b';' => Some(Lexeme::End),
            b'[' if self.dialect != Dialect::Other => Some(Lexeme::OpenBracket),
            b']' => Some(Lexeme::CloseBracket),
            b'.' if !self.peek(1).is_some_and(|next| next.is_ascii_digit()) || self.follows_name() => Some(Lexeme::Dot),
            _ => None,
        };
        let lexeme = match (simple, byte) {
            (Some(simple), _) => {
                self.at += 1;
                simple
            }
            (None, b'\'') => self.string(b'\'', self.dialect == Dialect::MySql),
            (None, b'"') => match self.dialect {
                Dialect::Postgres => self.name(b'"'),
                Dialect::MySql => self.string(b'"', true),
                Dialect::Other => self.name_or_string(),
            },
            (None, b'`') => self.name(b'`'),
            (None, b'[') => self.bracketed(),
            (None, b'$') => self.dollar(),
            (None, b'?') => {
                self.at += 1;
                self.pass_while(|byte| byte.is_ascii_digit());
                Lexeme::Value
            }
            (None, b'0'..=b'9' | b'.') => self.number(),
            (None, _) if self.is_named_placeholder(byte) => {
                self.pass_while(|byte| matches!(byte, b':' | b'@'));
                self.pass_while(is_word);
                Lexeme::Value
            }
            (None, _) if is_word(byte) => self.word(),
            (None, _) => self.operator(),
        };
        self.before = [self.before[1], Some(lexeme)];
        Some(lexeme)
    }
}

impl Lexer<'_> {
    fn follows_name(&self) -> bool {
        !self.spaced && matches!(self.before[1], Some(Lexeme::Word(_) | Lexeme::Quoted(_) | Lexeme::Close))
    }
}

impl Lexeme<'_> {
    /// Whether a sign behind it has two operands.
    pub(super) fn is_operand(self) -> bool {
        match self {
            Self::Word(word) => !is_one_of(word, BEFORE_OPERANDS),
            Self::Quoted(_) | Self::Value | Self::Close | Self::CloseBracket => true,
            _ => false,
        }
    }
}

pub(super) fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|listed| listed.eq_ignore_ascii_case(word))
}

/// Letters, digits, underscore and dollar sign, and every byte of a character that is not ASCII.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

fn is_operator(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'=' | b'!' | b'~' | b'|' | b'&' | b'^' | b'%' | b'*' | b'/' | b'#')
}

/// A name in double quotes behind one of these is a name in SQLite too.
const BEFORE_NAMES: &[&str] = &[
    "FROM", "JOIN", "INTO", "UPDATE", "TABLE", "AS", "BY", "ON", "SET", "SELECT", "DISTINCT", "ONLY", "EXISTS",
    "INDEX", "WHERE",
];

/// Keywords that an operand follows: `AND -1` has a sign, `total -1` a difference.
const BEFORE_OPERANDS: &[&str] = &[
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "LIKE",
    "ILIKE",
    "IS",
    "LIMIT",
    "OFFSET",
    "THEN",
    "ELSE",
    "WHEN",
    "CASE",
    "SELECT",
    "WHERE",
    "ON",
    "BY",
    "SET",
    "VALUES",
    "HAVING",
    "RETURNING",
    "DISTINCT",
    "DEFAULT",
    "INTERVAL",
    "FETCH",
    "ALL",
    "ANY",
    "SOME",
    "UNION",
    "ESCAPE",
    "FROM",
    "TO",
];
