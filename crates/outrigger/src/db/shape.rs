//! The shape of a statement: what is the same each time that a place in the program asks, and none of its values.
//!
//! Literals and placeholders of every dialect become `?`, lists of them collapse (`IN (?)`, `VALUES (?)`), comments go,
//! whitespace is made even. `TRUE`, `FALSE` and `NULL` stay. Two statements that differ in their values, in the length
//! of their lists or in their comments have one shape. At most [`INPUT_LIMIT`] bytes are read and [`LIMIT`] written, an
//! ellipsis standing for the rest; the time is linear.
//!
//! What is a value depends on the server's settings in a few corners, and the defaults are assumed: strings without
//! backslash escapes in PostgreSQL, with them in MySQL. In SQLite, text in double quotes that stands where a name would
//! is taken for a name.

use super::dialect::Dialect;
use super::lexer::{Lexeme, Lexer};

/// The shape as text, for logs.
pub(super) fn shape(sql: &str, dialect: Dialect) -> String {
    let mut text = Text(String::with_capacity(sql.len().min(LIMIT)));
    write(sql, dialect, &mut text);
    text.0
}

/// What tells statements apart by their shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The same for statements of one shape.
    pub(super) hash: u64,
    /// One of its lists, of values behind `IN` or within brackets, or of rows, has [`BATCH`] elements or more.
    pub(super) batch: bool,
}

/// Without allocation. It covers all of what is read, also what the text has no room for.
pub(super) fn known(sql: &str, dialect: Dialect) -> Known {
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    let batch = write(sql, dialect, &mut hash);
    Known { hash: hash.0, batch }
}

/// Where a shape goes.
trait Sink {
    /// Takes the next piece; false when it has no room for it and wants no more.
    fn push(&mut self, spaced: bool, piece: &str) -> bool;
}

/// At most [`LIMIT`] bytes.
struct Text(String);

impl Sink for Text {
    fn push(&mut self, spaced: bool, piece: &str) -> bool {
        let limit = if piece == ELLIPSIS { LIMIT } else { LIMIT - ELLIPSIS.len() - 1 };
        let room = self.0.len() + usize::from(spaced) + piece.len() <= limit;
        if room {
            self.0.extend(spaced.then_some(' '));
            self.0.push_str(piece);
        }
        room
    }
}

/// FNV-1a, 64 bits: nobody chooses shapes to collide, and a collision costs a wrong count.
struct Hash(u64);

impl Sink for Hash {
    fn push(&mut self, spaced: bool, piece: &str) -> bool {
        for byte in spaced.then_some(b' ').into_iter().chain(piece.bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        true
    }
}

/// Returns whether it is a batch.
fn write(sql: &str, dialect: Dialect, sink: &mut impl Sink) -> bool {
    let end = sql.floor_char_boundary(INPUT_LIMIT);
    let mut lexer = Lexer::new(sql.get(..end).unwrap_or_default(), dialect);
    let mut writer =
        Writer { sink, last: None, depth: 0, comma: false, sign: None, rows: Rows::Elsewhere, list: List::default() };
    let truncated = end < sql.len();
    while let Some(lexeme) = lexer.next() {
        // What touches the edge may be cut.
        if truncated && lexer.is_at_end() {
            break;
        }
        if !writer.take(lexeme, lexer.spaced()) {
            return writer.list.longest >= BATCH;
        }
    }
    if truncated {
        writer.emit(Lexeme::Word(ELLIPSIS), true);
    } else {
        writer.flush();
    }
    writer.list.longest >= BATCH
}

/// Lexemes in, pieces out. Held back is only what the next lexeme decides.
struct Writer<'a, 's, S> {
    sink: &'s mut S,
    /// The last one written.
    last: Option<Last<'a>>,
    /// Parentheses and brackets that are open.
    depth: usize,
    /// A comma is held back: it goes when another value, or another row, follows.
    comma: bool,
    /// A sign of one operand is held back: it goes when its operand is a value.
    sign: Option<Lexeme<'a>>,
    rows: Rows,
    list: List,
}

/// How long lists are that say which rows are meant, or which are new. The arguments of a function are none.
#[derive(Default)]
struct List {
    /// The depth within the one that is open.
    depth: Option<usize>,
    length: usize,
    longest: usize,
}

impl List {
    fn opens(&mut self, depth: usize) {
        (self.depth, self.length) = (Some(depth), 1);
    }

    /// Another element, of the list at this depth.
    fn another(&mut self, depth: usize) {
        if self.depth == Some(depth) {
            self.length += 1;
            self.longest = self.longest.max(self.length);
        }
    }
}

#[derive(Clone, Copy)]
struct Last<'a> {
    lexeme: Lexeme<'a>,
    /// A sign of one operand.
    unary: bool,
    /// It was written behind the word `IN`, and opens its list.
    opens_in: bool,
}

/// Where in a list of rows we are. The number is the depth outside the rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    Elsewhere,
    /// A row must follow.
    Announced(usize),
    /// In the one that is kept.
    First(usize),
    Behind(usize),
    /// In one that is left out.
    Another(usize),
}

impl<'a, S: Sink> Writer<'a, '_, S> {
    /// Takes one lexeme; false when the sink is full.
    fn take(&mut self, lexeme: Lexeme<'a>, spaced: bool) -> bool {
        let depth = self.depth;
        match lexeme {
            Lexeme::Open | Lexeme::OpenBracket => self.depth += 1,
            Lexeme::Close | Lexeme::CloseBracket => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.skips_row(lexeme, depth) {
            return true;
        }
        match lexeme {
            Lexeme::Comma if !self.comma && self.sign.is_none() && (self.ends_value(depth) || self.is_behind_row()) => {
                self.comma = true;
                true
            }
            Lexeme::Sign(_) if self.sign.is_none() && (self.comma || !self.follows_operand()) => {
                self.sign = Some(lexeme);
                true
            }
            Lexeme::Value if self.comma && self.ends_value(depth) => {
                self.list.another(depth);
                (self.comma, self.sign) = (false, None);
                true
            }
            Lexeme::Value => {
                if self.last.is_some_and(|last| last.opens_in || last.lexeme == Lexeme::OpenBracket) {
                    self.list.opens(depth);
                }
                self.sign = None;
                self.flush() && self.emit(lexeme, spaced)
            }
            _ => self.flush() && self.emit(lexeme, spaced),
        }
    }

    /// Follows lists of rows; true for what belongs to a row that is left out.
    fn skips_row(&mut self, lexeme: Lexeme<'a>, depth: usize) -> bool {
        let opens = lexeme == Lexeme::Open;
        self.rows = match self.rows {
            Rows::Another(outside) if self.depth > outside => return true,
            Rows::Another(outside) => {
                self.rows = Rows::Behind(outside);
                return true;
            }
            Rows::Behind(outside) if opens && self.comma => {
                (self.comma, self.rows) = (false, Rows::Another(outside));
                self.list.another(outside);
                return true;
            }
            Rows::Behind(_) if lexeme == Lexeme::Comma && !self.comma => return false,
            Rows::Announced(outside) if opens => Rows::First(outside),
            Rows::First(outside) if self.depth <= outside => {
                self.list.opens(outside);
                Rows::Behind(self.depth)
            }
            Rows::First(outside) => Rows::First(outside),
            Rows::Announced(_) | Rows::Behind(_) | Rows::Elsewhere => Rows::Elsewhere,
        };
        match lexeme {
            Lexeme::Word(word) if word.eq_ignore_ascii_case("VALUES") => self.rows = Rows::Announced(self.depth),
            // `IN ((1, 2), (3, 4))`
            Lexeme::Open if self.last.is_some_and(|last| last.opens_in) => self.rows = Rows::First(depth),
            _ => {}
        }
        false
    }

    fn is_behind_row(&self) -> bool {
        matches!(self.rows, Rows::Behind(_))
    }

    fn follows_operand(&self) -> bool {
        self.last.is_some_and(|last| last.lexeme.is_operand())
    }

    /// Whether a value of a list was written last.
    fn ends_value(&self, depth: usize) -> bool {
        depth > 0 && self.last.is_some_and(|last| last.lexeme == Lexeme::Value)
    }

    /// Writes what was held back.
    fn flush(&mut self) -> bool {
        let comma = !std::mem::take(&mut self.comma) || self.emit(Lexeme::Comma, false);
        comma && self.sign.take().is_none_or(|sign| self.emit(sign, true))
    }

    fn emit(&mut self, lexeme: Lexeme<'a>, spaced: bool) -> bool {
        let unary = matches!(lexeme, Lexeme::Sign(_)) && !self.follows_operand();
        if !self.sink.push(self.needs_space(lexeme, spaced), text(lexeme)) {
            let ellipsis = Lexeme::Word(ELLIPSIS);
            self.sink.push(self.needs_space(ellipsis, true), ELLIPSIS);
            return false;
        }
        let is_in = |last: Last<'_>| matches!(last.lexeme, Lexeme::Word(word) if word.eq_ignore_ascii_case("IN"));
        let opens_in = lexeme == Lexeme::Open && self.last.is_some_and(is_in);
        self.last = Some(Last { lexeme, unary, opens_in });
        true
    }

    fn needs_space(&self, next: Lexeme<'a>, spaced: bool) -> bool {
        let Some(last) = self.last else { return false };
        match (last.lexeme, next) {
            (Lexeme::Open | Lexeme::OpenBracket | Lexeme::Dot | Lexeme::Cast, _) => false,
            (Lexeme::Operator(_), Lexeme::Cast) => true,
            // Two brackets in a row would be one within a name.
            (Lexeme::Quoted(_), Lexeme::CloseBracket) => true,
            (
                _,
                Lexeme::Close
                | Lexeme::OpenBracket
                | Lexeme::CloseBracket
                | Lexeme::Comma
                | Lexeme::Dot
                | Lexeme::Cast
                | Lexeme::End,
            ) => false,
            // `count(*)` and `IN (1)` are both as they were.
            (Lexeme::Word(_) | Lexeme::Quoted(_), Lexeme::Open) => spaced,
            // Two in a row would begin a comment.
            (Lexeme::Sign(_), next) if last.unary => matches!(next, Lexeme::Sign(_) | Lexeme::Operator(_)),
            _ => true,
        }
    }
}

fn text(lexeme: Lexeme<'_>) -> &str {
    match lexeme {
        Lexeme::Word(text) | Lexeme::Quoted(text) | Lexeme::Sign(text) | Lexeme::Operator(text) => text,
        Lexeme::Value => "?",
        Lexeme::Open => "(",
        Lexeme::Close => ")",
        Lexeme::OpenBracket => "[",
        Lexeme::CloseBracket => "]",
        Lexeme::Comma => ",",
        Lexeme::Dot => ".",
        Lexeme::End => ";",
        Lexeme::Cast => "::",
    }
}

/// Elements from which on a list stands for many: more than a program has constants of one kind.
const BATCH: usize = 10;
/// Bytes of a statement that are read.
pub(super) const INPUT_LIMIT: usize = 8 * 1024;
/// Bytes of a shape.
pub(super) const LIMIT: usize = 1024;
const ELLIPSIS: &str = "…";

#[cfg(test)]
mod tests;
