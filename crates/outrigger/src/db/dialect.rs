//! How databases differ in what they quote, and whether one is known well enough to tell values from names.

use super::lexer;

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
            [b'$', next, ..] => !lexer::is_word(before) && !next.is_ascii_digit(),
            _ => false,
        };
        if doubtful {
            return false;
        }
        (before, bytes) = (*byte, rest);
    }
    true
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
