//! Which columns of a table a condition compares, read from how a plan writes the condition.

use crate::db::dialect::Dialect;
use crate::db::lexer::{Lexeme, Lexer, is_one_of};

/// Columns that an index could serve, those that are compared for equality first.
pub(super) fn compared(condition: &str, alias: &str) -> Vec<String> {
    let lexemes: Vec<Lexeme<'_>> = Lexer::new(condition, Dialect::Postgres).take(LEXEMES).collect();
    let (mut equal, mut range) = (Vec::new(), Vec::new());
    for (at, column) in columns(&lexemes, alias) {
        let Some(operator) = operator_behind(&lexemes, at + 3).or_else(|| operator_before(&lexemes, at)) else {
            continue;
        };
        let group = match operator {
            "=" => &mut equal,
            "<" | ">" | "<=" | ">=" => &mut range,
            _ => continue,
        };
        if !group.contains(&column) {
            group.push(column);
        }
    }
    range.retain(|column| !equal.contains(column));
    equal.append(&mut range);
    equal
}

/// The columns of sort keys such as `o.placed_at DESC`; none if one of them is no column of this table.
pub(super) fn sorted(keys: &[String], alias: &str) -> Vec<String> {
    let column = |key: &String| {
        let lexemes: Vec<Lexeme<'_>> = Lexer::new(key, Dialect::Postgres).take(LEXEMES).collect();
        let (at, column) = columns(&lexemes, alias).next()?;
        let plain = at == 0 && lexemes.iter().skip(3).all(|lexeme| matches!(lexeme, Lexeme::Word(_)));
        plain.then_some(column)
    };
    keys.iter().map(column).collect::<Option<_>>().unwrap_or_default()
}

/// Each `alias.column`, and where it stands. In a function it is `function(column)`, which can be indexed too.
fn columns<'a>(lexemes: &'a [Lexeme<'a>], alias: &'a str) -> impl Iterator<Item = (usize, String)> + 'a {
    lexemes.windows(3).enumerate().filter_map(move |(at, window)| {
        let [owner, Lexeme::Dot, column] = window else { return None };
        if name(*owner)? != alias {
            return None;
        }
        let column = name(*column)?;
        let head = lexemes.get(..at)?;
        let opened = head.iter().rev().take_while(|lexeme| **lexeme == Lexeme::Open).count();
        match head.get(..at - opened)?.last() {
            Some(Lexeme::Word(word)) if opened > 0 && !is_one_of(word, KEYWORDS) => {
                // With another argument it is another function for each value.
                is_only_argument(lexemes, at + 3, opened).then(|| (at, format!("{word}({column})")))
            }
            Some(Lexeme::Comma) => None,
            _ => Some((at, column)),
        }
    })
}

/// Whether nothing but a cast stands between a column and the end of the call that it is in.
fn is_only_argument(lexemes: &[Lexeme<'_>], mut at: usize, opened: usize) -> bool {
    for _ in 1..opened {
        if lexemes.get(at) != Some(&Lexeme::Close) {
            return false;
        }
        at += 1;
        if lexemes.get(at) == Some(&Lexeme::Cast) {
            at = behind_type(lexemes, at + 1);
        }
    }
    lexemes.get(at) == Some(&Lexeme::Close)
}

fn name(lexeme: Lexeme<'_>) -> Option<String> {
    match lexeme {
        Lexeme::Word(word) => Some(word.to_owned()),
        Lexeme::Quoted(quoted) => Some(quoted.trim_matches('"').replace("\"\"", "\"")),
        _ => None,
    }
}

/// The operator that follows a column, past closing parentheses and casts.
fn operator_behind<'a>(lexemes: &[Lexeme<'a>], mut at: usize) -> Option<&'a str> {
    loop {
        match *lexemes.get(at)? {
            Lexeme::Close => at += 1,
            Lexeme::Cast => at = behind_type(lexemes, at + 1),
            Lexeme::Operator(operator) => return Some(operator),
            _ => return None,
        }
    }
}

/// Passes `character varying(20)[]`.
fn behind_type(lexemes: &[Lexeme<'_>], mut at: usize) -> usize {
    let is = |at: usize, wanted: Lexeme<'_>| lexemes.get(at) == Some(&wanted);
    while matches!(lexemes.get(at), Some(Lexeme::Word(_) | Lexeme::Quoted(_) | Lexeme::Dot)) {
        at += 1;
    }
    if is(at, Lexeme::Open) {
        while lexemes.get(at).is_some_and(|lexeme| *lexeme != Lexeme::Close) {
            at += 1;
        }
        at += 1;
    }
    while is(at, Lexeme::OpenBracket) && is(at + 1, Lexeme::CloseBracket) {
        at += 2;
    }
    at
}

/// The operator before a column that stands on the right, past opening parentheses and a function's name.
fn operator_before<'a>(lexemes: &[Lexeme<'a>], at: usize) -> Option<&'a str> {
    let before = lexemes.get(..at)?.iter().rev();
    let mut before = before.skip_while(|lexeme| match lexeme {
        Lexeme::Open => true,
        Lexeme::Word(word) => !is_one_of(word, KEYWORDS),
        _ => false,
    });
    match before.next()? {
        Lexeme::Operator(operator) => Some(operator),
        _ => None,
    }
}

/// Words before a parenthesis that are no function.
const KEYWORDS: &[&str] = &["AND", "OR", "NOT", "ANY", "ALL", "IN", "WHEN", "THEN", "ELSE", "CASE", "IS"];
/// Pieces of a condition that are read.
const LEXEMES: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_as_postgres_writes_conditions() {
        for (condition, expected) in [
            ("(o.user_id = $1)", "user_id"),
            ("((o.status)::text = 'open'::text)", "status"),
            ("((o.status <> 'x'::text) AND (o.total > $2) AND (o.user_id = $1))", "user_id total"),
            ("(o.user_id = u.id)", "user_id"),
            ("(u.id = o.user_id)", "user_id"),
            ("(lower(o.email) = lower($1))", "lower(email)"),
            ("(lower((o.email)::text) = $1)", "lower(email)"),
            ("(\"substring\"(o.email, 2) = $1)", ""),
            ("(date_trunc('day'::text, o.placed_at) = $1)", ""),
            ("((($1 = o.total)))", "total"),
            ("((o.total * '2'::numeric) > $1)", ""),
            ("(COALESCE(o.total, '0'::numeric) = $1)", ""),
            ("(o.status = ANY ('{open,late}'::text[]))", "status"),
            ("((o.code)::character varying(20)[] = $1)", "code"),
            ("(o.\"userId\" = $1)", "userId"),
            ("((o.placed_at >= $1) AND (o.placed_at < $2))", "placed_at"),
            ("((o.total + 1) = $1)", ""),
            ("((o.data ->> 'k'::text) = $1)", ""),
            ("(o.email ~~ 'a%'::text)", ""),
            ("(NOT o.deleted)", ""),
            ("(u.id = 'o.secret = o.secret')", ""),
            ("", ""),
        ] {
            assert_eq!(compared(condition, "o").join(" "), expected, "{condition}");
        }
        let keys = |keys: &[&str]| sorted(&keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>(), "o").join(" ");
        assert_eq!(keys(&["o.placed_at DESC", "o.id"]), "placed_at id");
        assert_eq!(keys(&["(lower(o.email))"]), "");
        assert_eq!(keys(&["o.placed_at", "u.id"]), "");
    }
}
