//! Whether a statement may be explained: one SELECT that changes and locks nothing.

use crate::db::dialect::Dialect;
use crate::db::lexer::{Lexeme, Lexer, is_one_of};

/// The statement without its last semicolon, if it is a single plain SELECT.
///
/// Suspicion is enough: a column that is called like one of the words costs an explanation, no more. The read-only
/// transaction stands behind this.
pub(super) fn plain_select(sql: &str) -> Option<&str> {
    let sql = sql.trim().trim_end_matches(';');
    let mut lexemes = Lexer::new(sql, Dialect::Postgres);
    let first = lexemes.find(|lexeme| *lexeme != Lexeme::Open)?;
    let starts_well = matches!(first, Lexeme::Word(word) if is_one_of(word, &["SELECT", "WITH"]));
    let ends_well = lexemes.all(|lexeme| match lexeme {
        Lexeme::Word(word) => !is_one_of(word, SUSPICIOUS),
        lexeme => lexeme != Lexeme::End,
    });
    (starts_well && ends_well).then_some(sql)
}

/// Whether it may even be run again: it has no parameters, whose values are not kept, and calls nothing that acts on the
/// server in spite of a read-only transaction.
pub(super) fn may_run(sql: &str) -> bool {
    let mut lexemes = Lexer::new(sql, Dialect::Postgres).peekable();
    while let Some(lexeme) = lexemes.next() {
        let name = match lexeme {
            Lexeme::Word(word) => word.to_ascii_lowercase(),
            Lexeme::Quoted(quoted) => quoted.trim_matches('"').to_owned(),
            _ => continue,
        };
        let acts = ["pg_", "lo_", "dblink"].iter().any(|prefix| name.starts_with(prefix))
            || is_one_of(&name, &["nextval", "setval", "set_config", "query_to_xml"]);
        if acts && lexemes.peek() == Some(&Lexeme::Open) {
            return false;
        }
    }
    true
}

const SUSPICIOUS: &[&str] = &[
    "INSERT", "UPDATE", "DELETE", "MERGE", "INTO", "SHARE", "LOCK", "CREATE", "ALTER", "DROP", "COPY", "CALL",
    "EXECUTE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_select_without_effects_is_let_through() {
        for sql in [
            "SELECT * FROM t WHERE id = $1",
            "  select 1 ; ",
            "(SELECT 1) UNION (SELECT 2)",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "SELECT 'DELETE; FROM t', \"update\", substring(a FOR 3) FROM t -- ; DROP",
            "SELECT E'it\\'; DROP TABLE t' FROM t",
            "SELECT $$ ; DELETE $$",
        ] {
            assert!(plain_select(sql).is_some(), "{sql}");
        }
        for sql in [
            "",
            "UPDATE t SET a = 1",
            "SELECT 1; DROP TABLE t",
            "SELECT 1; SELECT 2",
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
            "SELECT * FROM t FOR UPDATE",
            "SELECT * FROM t FOR NO KEY UPDATE SKIP LOCKED",
            "SELECT * FROM t FOR KEY SHARE",
            "SELECT * INTO u FROM t",
            "EXPLAIN ANALYZE SELECT 1",
            "VALUES (1)",
            "'SELECT'",
        ] {
            assert!(plain_select(sql).is_none(), "{sql}");
        }
        assert_eq!(plain_select(" SELECT 1; "), Some("SELECT 1"));
    }

    #[test]
    fn functions_that_act_are_not_run_again() {
        assert!(may_run("SELECT lower(a), pg_ FROM pg_class WHERE b = 'pg_sleep(1)'"));
        for sql in
            ["SELECT pg_sleep(1)", "SELECT PG_TERMINATE_BACKEND (1)", "SELECT \"nextval\"('s')", "SELECT lo_create(1)"]
        {
            assert!(!may_run(sql), "{sql}");
        }
    }
}
