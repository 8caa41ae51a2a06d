//! The verb and the table of a SQL statement, by a scanner that reads words and skips what is quoted.
//!
//! It is no parser: it finds the first word, and the name after the keyword that introduces a table for that word
//! (`FROM`, `INTO`, `UPDATE`, `TABLE`), at the same depth of parentheses. It borrows from the statement, reads at most
//! [`SCAN_LIMIT`] bytes, and returns nothing that is not a plain identifier. Schemas are left out.

#[cfg(test)]
mod corpus;

use outrigger_semconv::label;

use super::dialect::{self, Dialect};
use super::lexer::{Lexeme, Lexer, is_one_of};

/// What a statement says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scanned<'a> {
    /// The verb in capitals, out of [`VERBS`], or `_other`.
    pub(super) operation: &'static str,
    /// The first table, or `None` where the statement names none that can be told.
    pub(super) collection: Option<&'a str>,
}

pub(super) fn scan<'a>(sql: &'a str, system: &str) -> Scanned<'a> {
    let end = sql.floor_char_boundary(SCAN_LIMIT);
    let text = sql.get(..end).unwrap_or_default();
    let mut tokens = Tokens::new(text, end < sql.len(), Dialect::of(system));
    let mut ctes = CteNames::default();
    let Some(operation) = verb(&mut tokens, &mut ctes) else {
        return Scanned { operation: label::OTHER, collection: None };
    };
    let understood = dialect::is_understood(text, system);
    let collection = match table(&mut tokens, operation).filter(|_| understood) {
        Some(name) if ctes.contain(name) => None,
        Some(name) if is_plain(name) => Some(name),
        Some(_) => Some(label::OTHER),
        None => None,
    };
    Scanned { operation, collection }
}

/// The few kinds of lexeme that tell a verb and a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
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

#[derive(Clone, Debug)]
struct Tokens<'a> {
    lexer: Lexer<'a>,
    depth: i32,
    /// The statement goes on behind the text.
    truncated: bool,
    dialect: Dialect,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str, truncated: bool, dialect: Dialect) -> Self {
        Self { lexer: Lexer::new(text, dialect), depth: 0, truncated, dialect }
    }

    /// Parentheses open at this point.
    fn depth(&self) -> i32 {
        self.depth
    }

    /// Whether the last token touches the edge of what is read, so that it may be cut.
    fn is_cut(&self) -> bool {
        self.truncated && self.lexer.is_at_end()
    }

    /// What stands in quotes that can be a name's: a shape takes it for a value where it may be one.
    fn quoted(&self) -> Option<&'a str> {
        let raw = self.lexer.raw();
        let inner = |open: char, close: char| raw.strip_prefix(open)?.strip_suffix(close);
        match self.dialect {
            Dialect::MySql => inner('`', '`'),
            Dialect::Postgres => inner('"', '"').or_else(|| inner('`', '`')),
            Dialect::Other => inner('"', '"').or_else(|| inner('`', '`')).or_else(|| inner('[', ']')),
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        Some(match self.lexer.next()? {
            Lexeme::Word(word) => Token::Word(word),
            Lexeme::Quoted(_) | Lexeme::Value => self.quoted().map_or(Token::Other, Token::Quoted),
            Lexeme::Open => {
                self.depth = self.depth.saturating_add(1);
                Token::Open
            }
            Lexeme::Close => {
                self.depth = self.depth.saturating_sub(1);
                Token::Close
            }
            Lexeme::Dot => Token::Dot,
            Lexeme::Comma => Token::Comma,
            Lexeme::End => Token::End,
            _ => Token::Other,
        })
    }
}

/// The first word, past parentheses and a `WITH` list.
fn verb<'a>(tokens: &mut Tokens<'a>, ctes: &mut CteNames<'a>) -> Option<&'static str> {
    loop {
        match tokens.next()? {
            Token::Open | Token::End => {}
            Token::Word(word) if word.eq_ignore_ascii_case("WITH") => return verb_after_with(tokens, ctes),
            Token::Word(word) => return VERBS.iter().find(|verb| verb.eq_ignore_ascii_case(word)).copied(),
            _ => return None,
        }
    }
}

/// Passes `name [(columns)] AS [[NOT] MATERIALIZED] (query), ...` and remembers the names.
fn verb_after_with<'a>(tokens: &mut Tokens<'a>, ctes: &mut CteNames<'a>) -> Option<&'static str> {
    let depth = tokens.depth();
    let mut name_follows = true;
    loop {
        let token = tokens.next()?;
        if tokens.depth() > depth {
            continue;
        }
        match token {
            Token::Word(word) if name_follows && word.eq_ignore_ascii_case("RECURSIVE") => {}
            Token::Word(name) | Token::Quoted(name) if name_follows => {
                ctes.remember(name);
                name_follows = false;
            }
            Token::Word(word) => {
                if let Some(verb) = AFTER_WITH.iter().find(|verb| verb.eq_ignore_ascii_case(word)) {
                    return Some(verb);
                }
            }
            Token::Comma => name_follows = true,
            Token::End => return None,
            _ => {}
        }
    }
}

/// The table that the rest of the statement names first.
fn table<'a>(tokens: &mut Tokens<'a>, verb: &str) -> Option<&'a str> {
    match verb {
        "SELECT" | "DELETE" => {
            pass_from(tokens)?;
            // A name with parentheses is a function.
            name(tokens, &["ONLY", "LATERAL"]).filter(|_| tokens.clone().next() != Some(Token::Open))
        }
        "INSERT" | "REPLACE" | "MERGE" => {
            pass_word(tokens, "INTO", &["VALUES", "SELECT", "SET"])?;
            name(tokens, &[])
        }
        "UPDATE" => name(tokens, &["ONLY", "LOW_PRIORITY", "IGNORE", "OR", "ABORT", "FAIL", "REPLACE", "ROLLBACK"]),
        "TRUNCATE" => name(tokens, &["TABLE", "ONLY"]),
        "COPY" => name(tokens, &[]),
        "CREATE" | "ALTER" | "DROP" => {
            pass_word(tokens, "TABLE", &["AS", "ON", "BEGIN"])?;
            name(tokens, &["IF", "NOT", "EXISTS", "ONLY"])
        }
        _ => None,
    }
}

/// Passes the `FROM` that introduces a table, but not the one of `a IS [NOT] DISTINCT FROM b`.
fn pass_from(tokens: &mut Tokens<'_>) -> Option<()> {
    let depth = tokens.depth();
    let (mut before, mut last) = ("", "");
    loop {
        let token = tokens.next()?;
        if tokens.depth() < depth || token == Token::End {
            return None;
        }
        if tokens.depth() > depth {
            continue;
        }
        let word = if let Token::Word(word) = token { word } else { "" };
        if word.eq_ignore_ascii_case("FROM") {
            let compares = before.eq_ignore_ascii_case("IS") || before.eq_ignore_ascii_case("NOT");
            if !(compares && last.eq_ignore_ascii_case("DISTINCT")) {
                return Some(());
            }
        }
        (before, last) = (last, word);
    }
}

/// Passes a word at this depth; gives up at the end of the statement or at one of `stop`.
fn pass_word(tokens: &mut Tokens<'_>, wanted: &str, stop: &[&str]) -> Option<()> {
    let depth = tokens.depth();
    loop {
        let token = tokens.next()?;
        if tokens.depth() < depth || token == Token::End {
            return None;
        }
        if let (Token::Word(word), true) = (token, tokens.depth() == depth) {
            if word.eq_ignore_ascii_case(wanted) {
                return Some(());
            }
            if is_one_of(word, stop) {
                return None;
            }
        }
    }
}

/// A name after words that may be skipped: the last part of `schema.table`.
fn name<'a>(tokens: &mut Tokens<'a>, skipped: &[&str]) -> Option<&'a str> {
    let mut part = loop {
        match tokens.next()? {
            Token::Word(word) if is_one_of(word, skipped) => {}
            Token::Word(part) | Token::Quoted(part) => break part,
            _ => return None,
        }
    };
    loop {
        // What stands at the edge of the part that is read may go on behind it.
        if tokens.is_cut() {
            return None;
        }
        let mut ahead = tokens.clone();
        if ahead.next() != Some(Token::Dot) {
            return Some(part);
        }
        *tokens = ahead;
        part = match tokens.next()? {
            Token::Word(part) | Token::Quoted(part) => part,
            _ => return None,
        };
    }
}

/// Whether a name can be a label's value: short, and without anything that needs escaping.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_LIMIT
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))
}

/// The names of a `WITH` list. Past eight, every name may be one.
#[derive(Default)]
struct CteNames<'a> {
    names: [&'a str; 8],
    count: usize,
}

impl<'a> CteNames<'a> {
    fn remember(&mut self, name: &'a str) {
        if let Some(slot) = self.names.get_mut(self.count) {
            *slot = name;
        }
        self.count += 1;
    }

    fn contain(&self, name: &str) -> bool {
        self.count > self.names.len() || self.names.iter().take(self.count).any(|cte| cte.eq_ignore_ascii_case(name))
    }
}

/// Bytes of a statement that are read.
pub(super) const SCAN_LIMIT: usize = 8192;
/// Bytes that a table's name may have: what the databases allow (PostgreSQL 63, MySQL 64 characters).
const NAME_LIMIT: usize = 64;

/// The verbs that count under their own name, the frequent ones first.
const VERBS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "REPLACE",
    "MERGE",
    "SAVEPOINT",
    "RELEASE",
    "SET",
    "SHOW",
    "PRAGMA",
    "CALL",
    "VALUES",
    "TABLE",
    "CREATE",
    "ALTER",
    "DROP",
    "TRUNCATE",
    "COPY",
    "EXPLAIN",
    "ANALYZE",
    "VACUUM",
    "LOCK",
    "GRANT",
    "REVOKE",
    "COMMENT",
    "DECLARE",
    "FETCH",
    "CLOSE",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "LISTEN",
    "NOTIFY",
    "UNLISTEN",
    "REFRESH",
    "REINDEX",
    "CLUSTER",
    "DO",
    "USE",
    "ATTACH",
    "DETACH",
    "START",
    "DISCARD",
    "RESET",
    "OPTIMIZE",
    "DESCRIBE",
];

/// The verbs that a `WITH` list can stand before.
const AFTER_WITH: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "VALUES", "TABLE"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(system: &str, sql: &str, operation: &str, collection: Option<&str>) {
        let scanned = scan(sql, system);
        assert_eq!((scanned.operation, scanned.collection), (operation, collection), "{system}: {sql}");
    }

    #[test]
    fn statements_as_services_write_them() {
        let cases = [
            ("SELECT id, name FROM products WHERE id = $1", "SELECT", Some("products")),
            ("select count(*) from products", "SELECT", Some("products")),
            ("  \n\t-- newest first\nSELECT * FROM orders ORDER BY id DESC", "SELECT", Some("orders")),
            ("SELECT * FROM public.orders o JOIN users u ON u.id = o.user_id", "SELECT", Some("orders")),
            ("SELECT * FROM \"shop\".\"order-items\"", "SELECT", Some("order-items")),
            ("SELECT * FROM \"Order\"", "SELECT", Some("Order")),
            ("SELECT * FROM a, b", "SELECT", Some("a")),
            ("SELECT * FROM ONLY parents", "SELECT", Some("parents")),
            ("SELECT 'FROM nowhere', \"FROM\" FROM somewhere", "SELECT", Some("somewhere")),
            ("SELECT 'it''s FROM x' FROM y", "SELECT", Some("y")),
            ("SELECT EXTRACT(YEAR FROM placed_at) FROM orders", "SELECT", Some("orders")),
            ("SELECT a IS DISTINCT FROM b, c IS NOT DISTINCT FROM d FROM t", "SELECT", Some("t")),
            ("SELECT DISTINCT name FROM t", "SELECT", Some("t")),
            ("SELECT * FROM (SELECT * FROM inner_table) AS t", "SELECT", None),
            ("SELECT * FROM generate_series(1, 10)", "SELECT", None),
            ("SELECT (SELECT max(id) FROM inner_table) FROM outer_table", "SELECT", Some("outer_table")),
            ("(SELECT a FROM t1) UNION (SELECT a FROM t2)", "SELECT", Some("t1")),
            ("SELECT 1; SELECT * FROM t", "SELECT", None),
            ("INSERT INTO orders (id) VALUES ($1)", "INSERT", Some("orders")),
            ("INSERT INTO orders SELECT * FROM carts", "INSERT", Some("orders")),
            ("INSERT OR REPLACE INTO carts VALUES (1)", "INSERT", Some("carts")),
            ("REPLACE INTO carts VALUES (1)", "REPLACE", Some("carts")),
            ("MERGE INTO stock USING arrivals ON true WHEN MATCHED THEN DO NOTHING", "MERGE", Some("stock")),
            ("UPDATE products SET name = $1", "UPDATE", Some("products")),
            ("UPDATE OR IGNORE products SET name = 'FROM x'", "UPDATE", Some("products")),
            ("UPDATE ONLY shop.products SET n = 1 FROM other", "UPDATE", Some("products")),
            ("DELETE FROM carts WHERE id = 1", "DELETE", Some("carts")),
            ("WITH recent AS (SELECT * FROM orders) SELECT * FROM recent", "SELECT", None),
            (
                "WITH RECURSIVE a(n) AS (VALUES (1)), b AS MATERIALIZED (SELECT 1) SELECT * FROM t, a",
                "SELECT",
                Some("t"),
            ),
            ("WITH gone AS (DELETE FROM carts RETURNING *) INSERT INTO old SELECT * FROM gone", "INSERT", Some("old")),
            ("TRUNCATE TABLE carts", "TRUNCATE", Some("carts")),
            ("COPY products FROM STDIN", "COPY", Some("products")),
            ("COPY (SELECT * FROM products) TO STDOUT", "COPY", None),
            ("CREATE TEMP TABLE IF NOT EXISTS t (id int)", "CREATE", Some("t")),
            ("CREATE INDEX i ON t (id)", "CREATE", None),
            ("CREATE VIEW v AS TABLE t", "CREATE", None),
            ("DROP TABLE IF EXISTS t", "DROP", Some("t")),
            ("PRAGMA journal_mode = WAL", "PRAGMA", None),
            ("BEGIN", "BEGIN", None),
            ("EXPLAIN SELECT * FROM t", "EXPLAIN", None),
            ("FROBNICATE t", "_other", None),
            ("", "_other", None),
            (";;  SELECT 1", "SELECT", None),
            ("SELECT * FROM", "SELECT", None),
            ("SELECT * FROM a.", "SELECT", None),
            ("SELECT * FROM \"sp ace\"", "SELECT", Some("_other")),
            ("SELECT * FROM \"quo\"\"te\"", "SELECT", Some("_other")),
            ("SELECT * FROM \"unclosed", "SELECT", None),
            ("SELECT 'unclosed FROM t", "SELECT", None),
            ("SELECT * FROM прoдукты", "SELECT", Some("прoдукты")),
            ("SELECT )) FROM t", "SELECT", None),
        ];
        for (sql, operation, collection) in cases {
            check("sqlite", sql, operation, collection);
            check("postgresql", sql, operation, collection);
        }
    }

    #[test]
    fn quoting_differs_between_databases() {
        let cases = [
            ("mysql", "SELECT \"FROM x\", `name` FROM `shop`.`products`", Some("products")),
            ("mysql", r"SELECT 'it\'s FROM x' FROM y", Some("y")),
            ("postgresql", r"SELECT E'it\'s FROM x' FROM y", Some("y")),
            ("postgresql", r"SELECT 'back\' FROM y", Some("y")),
            ("postgresql", "SELECT $$FROM x$$, $tag$FROM $$ x$tag$, $1 FROM y", Some("y")),
            ("postgresql", "SELECT a[1] FROM y", Some("y")),
            ("postgresql", "/* comments /* nest */ FROM x */ SELECT * FROM y", Some("y")),
            ("sqlite", "/* comments /* do not */ SELECT * FROM y", Some("y")),
            ("mysql", "SELECT 1--1 FROM y", Some("y")),
            ("sqlite", "WITH \"a\" AS (SELECT 1), \"b\" AS (SELECT 2) SELECT * FROM \"b\"", None),
            ("sqlite", "WITH \"a\" AS (SELECT 1) SELECT * FROM \"y\"", Some("y")),
            ("sqlite", "SELECT [FROM x] FROM [products]", Some("products")),
            ("sqlite", "SELECT $1, :name, @p, ?2 FROM y", Some("y")),
        ];
        for (system, sql, collection) in cases {
            check(system, sql, "SELECT", collection);
        }
    }

    #[test]
    fn what_is_read_has_a_bound_and_a_name_at_its_edge_is_not_trusted() {
        let far = format!("SELECT {} FROM t", "a,".repeat(SCAN_LIMIT));
        check("sqlite", &far, "SELECT", None);
        let start = "SELECT * FROM ";
        let name = "t".repeat(SCAN_LIMIT - start.len() + 1);
        check("sqlite", &format!("{start}{name}"), "SELECT", None);
        check("sqlite", &format!("{start}{}", "t".repeat(NAME_LIMIT + 1)), "SELECT", Some("_other"));
        check("sqlite", &format!("{start}{}", "t".repeat(NAME_LIMIT)), "SELECT", Some(&"t".repeat(NAME_LIMIT)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn anything_at_all_gives_a_known_verb_and_a_plain_name(
            sql in prop_oneof![
                any::<String>(),
                // Made of what the scanner looks for.
                "((SELECT|INSERT INTO|UPDATE|DELETE|WITH|FROM|AS|TABLE|[a-z]{1,3}|'|\"|`|\\[|\\$|\\$\\$|--|/\\*|\\*/|\\(|\\)|;|,|\\.|\\\\|é|\n) ?){0,40}",
            ],
            system in prop_oneof!["postgresql", "mysql", "sqlite", "other_sql"],
        ) {
            let scanned = scan(&sql, &system);
            prop_assert!(VERBS.contains(&scanned.operation) || scanned.operation == label::OTHER);
            if let Some(name) = scanned.collection {
                prop_assert!(name == label::OTHER || (is_plain(name) && sql.contains(name)), "{name:?}");
            }
        }

        #[test]
        fn a_table_is_found_whatever_stands_in_strings_and_comments(
            noise in "[a-z ';,()]{0,20}",
            table in "[a-z][a-z0-9_]{0,20}",
        ) {
            let quoted = noise.replace('\'', "''");
            // A leading underscore keeps the generated name from being a keyword.
            let sql = format!("SELECT '{quoted}', f('{quoted}') /* {noise} */ FROM _{table} -- {noise}\n WHERE x = '{quoted}'");
            for system in ["postgresql", "sqlite"] {
                let expected = format!("_{table}");
                prop_assert_eq!(scan(&sql, system).collection, Some(expected.as_str()));
            }
        }
    }
}
