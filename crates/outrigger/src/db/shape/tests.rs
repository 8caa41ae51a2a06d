use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(dialect: Dialect, sql: &str, expected: &str) {
    assert_eq!(shape(sql, dialect), expected, "{dialect:?}: {sql}");
}

const ALL: [Dialect; 3] = [Dialect::Postgres, Dialect::MySql, Dialect::Other];

#[test]
fn statements_as_services_write_them() {
    let cases = [
        ("SELECT id FROM t WHERE id = 42", "SELECT id FROM t WHERE id = ?"),
        ("SELECT id FROM t WHERE id = $1", "SELECT id FROM t WHERE id = ?"),
        ("SELECT id FROM t WHERE id=?", "SELECT id FROM t WHERE id = ?"),
        ("SELECT id FROM t WHERE id = ?1", "SELECT id FROM t WHERE id = ?"),
        ("SELECT id FROM t WHERE id = :id", "SELECT id FROM t WHERE id = ?"),
        ("SELECT id FROM t WHERE id = @id", "SELECT id FROM t WHERE id = ?"),
        ("SELECT 'it''s', 1.5e-3, .5, 0xFF, -7, + 2", "SELECT ?, ?, ?, ?, ?, ?"),
        ("SELECT TRUE, NULL, false", "SELECT TRUE, NULL, false"),
        ("  SELECT a,b\n\tFROM t -- secret\n /* 'x' */ WHERE c  ", "SELECT a, b FROM t WHERE c"),
        ("SELECT * FROM t WHERE a IN (1, 2, 3)", "SELECT * FROM t WHERE a IN (?)"),
        ("SELECT * FROM t WHERE a IN ($1,$2) AND b IN (-1, - 2)", "SELECT * FROM t WHERE a IN (?) AND b IN (?)"),
        ("SELECT * FROM t WHERE (a, b) IN ((1, 2), (3, 4))", "SELECT * FROM t WHERE (a, b) IN ((?))"),
        ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, now()), (3, 'z')", "INSERT INTO t (a, b) VALUES (?)"),
        (
            "INSERT INTO t VALUES (1, now(), 2), (3, now(), 4) ON CONFLICT (a) DO NOTHING",
            "INSERT INTO t VALUES (?, now(), ?) ON CONFLICT (a) DO NOTHING",
        ),
        (
            "INSERT INTO t (a) VALUES (1), (2) ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)",
            "INSERT INTO t (a) VALUES (?) ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)",
        ),
        ("SELECT count(*), t.* FROM s . t", "SELECT count(*), t.* FROM s.t"),
        ("SELECT a-1, a - -1, a+b, -a, - -a FROM t", "SELECT a - ?, a - ?, a + b, -a, - -a FROM t"),
        ("SELECT a FROM t WHERE a BETWEEN -1 AND -2 LIMIT 10", "SELECT a FROM t WHERE a BETWEEN ? AND ? LIMIT ?"),
        ("SELECT a FROM t WHERE a>=1 AND b<>'x' OR NOT c", "SELECT a FROM t WHERE a >= ? AND b <> ? OR NOT c"),
        ("SELECT 1;", "SELECT ?;"),
        ("SELECT t1.a FROM t1", "SELECT t1.a FROM t1"),
        ("SELECT 'unclosed FROM t", "SELECT ?"),
        ("", ""),
        ("))((", ")) (("),
    ];
    for (sql, expected) in cases {
        for dialect in ALL {
            check(dialect, sql, expected);
        }
    }
}

#[test]
fn quoting_differs_between_databases() {
    use Dialect::{MySql, Other, Postgres};
    let cases = [
        (MySql, r#"SELECT "sec\"ret", `name` FROM `a`.`b`"#, "SELECT ?, `name` FROM `a`.`b`"),
        (MySql, r"SELECT 'sec\'ret', _utf8mb4'x', x'ff' # secret", "SELECT ?, ?, ?"),
        (MySql, "SELECT a--1 FROM t -- secret", "SELECT a - ? FROM t"),
        (MySql, "SELECT /* /* */ 'x' FROM t", "SELECT ? FROM t"),
        (Postgres, r"SELECT E'sec\'ret', 'back\', U&'x', B'01'", "SELECT ?, ?, U & ?, ?"),
        (Postgres, "SELECT $$sec'ret$$, $tag$sec$$ret$tag$, $1", "SELECT ?, ?, ?"),
        (Postgres, "SELECT /* /* */ secret */ \"Na me\" FROM \"T\"", "SELECT \"Na me\" FROM \"T\""),
        (Postgres, "SELECT a::int, '5'::bigint, b->>'k', c#>'{x}'", "SELECT a::int, ?::bigint, b ->> ?, c #> ?"),
        (Postgres, "SELECT ARRAY[1,2,3], a[1], a[1:2], a[lo:hi]", "SELECT ARRAY[?], a[?], a[? : ?], a[lo : hi]"),
        (Postgres, "SELECT a FROM t WHERE a = ANY ($1::int[])", "SELECT a FROM t WHERE a = ANY (?::int[])"),
        (Postgres, "SELECT a <@ b, a @> '{}'", "SELECT a <@ b, a @> ?"),
        (Other, "SELECT [na me] FROM [t] WHERE a = [1, 'secret']", "SELECT [na me] FROM [t] WHERE a = ?"),
        (
            Other,
            r#"SELECT "id", "name" FROM "t" WHERE "id" = "secret""#,
            r#"SELECT "id", "name" FROM "t" WHERE "id" = ?"#,
        ),
        (Other, r#"INSERT INTO "t" ("a", "b") VALUES ("secret", "x")"#, r#"INSERT INTO "t" ("a", "b") VALUES (?)"#),
        (Other, r#"SELECT f("secret") FROM t WHERE a IN ("x", "y")"#, "SELECT f(?) FROM t WHERE a IN (?)"),
    ];
    for (dialect, sql, expected) in cases {
        check(dialect, sql, expected);
    }
}

#[test]
fn what_is_read_and_written_is_bounded() {
    let long = format!("SELECT {} FROM t", "column_name, ".repeat(200));
    let text = shape(&long, Dialect::Postgres);
    assert!(text.len() <= LIMIT && text.len() > LIMIT - 30 && text.ends_with(" …"), "{} {text}", text.len());
    // A string that is cut at the edge of what is read leaves nothing behind.
    let far = format!("SELECT 1 /*{}*/ , 'secret'", "x".repeat(INPUT_LIMIT - 20));
    assert_eq!(shape(&far, Dialect::Postgres), "SELECT ?, …");
    // A statement whose text ends alike, but not its rest, has another hash.
    let other = long.replace("FROM t", "FROM u");
    assert_eq!(shape(&other, Dialect::Postgres), text);
    assert_ne!(known(&other, Dialect::Postgres).hash, known(&long, Dialect::Postgres).hash);
}

/// A literal, as SQL, and what must not be seen of it.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        "zqx[a-z ,;()$@:]{0,12}(''|--|/\\*)?[a-z]{0,4}".prop_map(|text| format!("'{text}'")),
        "-?77[0-9]{1,6}(\\.77[0-9]{0,3})?(e-?77)?",
        Just("0x77AB".to_owned()),
        Just("$1".to_owned()),
        Just("?".to_owned()),
        Just(":zqx".to_owned()),
        Just("@zqx".to_owned()),
    ]
}

/// A statement with room for values, and how many.
fn template() -> impl Strategy<Value = (&'static str, usize)> {
    prop::sample::select(vec![
        ("SELECT a FROM t WHERE b = {} AND c < {}", 2),
        ("SELECT a, {} FROM t WHERE lower(b) LIKE {} ORDER BY a LIMIT {}", 3),
        ("INSERT INTO t (a, b) VALUES ({}, {})", 2),
        ("UPDATE t SET a = a + {}, b = {} WHERE c BETWEEN {} AND {}", 4),
        ("DELETE FROM t WHERE a IN ({}, {}, {}) /* {} */ -- {}\n", 5),
        ("SELECT CASE WHEN a = {} THEN {} ELSE {} END FROM t", 3),
        ("WITH x AS (SELECT {}) SELECT f(a, {}) FROM x", 2),
    ])
}

fn fill(template: &str, values: &[String]) -> String {
    let mut parts = template.split("{}");
    let mut sql = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(values) {
        sql += value;
        sql += part;
    }
    sql
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_value_survives_and_values_make_no_difference(
        (template, count) in template(),
        one in prop::collection::vec(literal(), 5),
        two in prop::collection::vec(literal(), 5),
        dialect in prop::sample::select(ALL.to_vec()),
    ) {
        // A comment's end within a string within a comment ends the comment: not ours to tell apart.
        prop_assume!(!template.contains("/*") || one.iter().chain(&two).all(|value| !value.contains("/*")));
        let (one, two) = (fill(template, &one[..count]), fill(template, &two[..count]));
        let text = shape(&one, dialect);
        prop_assert!(!text.contains("zqx") && !text.contains("77"), "{one} gave {text}");
        prop_assert_eq!(&text, &shape(&two, dialect), "{} and {}", one, two);
        prop_assert_eq!(known(&one, dialect).hash, known(&two, dialect).hash);
    }

    #[test]
    fn the_shape_of_a_shape_is_itself(
        sql in prop_oneof![
            any::<String>(),
            "((SELECT|VALUES|IN|FROM|AND|E|[a-z]{1,3}|7|'|\"|`|\\[|\\]|\\$|\\$\\$|--|-|/\\*|\\*/|\\(|\\)|;|,|\\.|:|::|@|#|\\?|\\\\|=|<|…|é|\n) ?){0,60}",
            "(column_name, |\\(1, 2\\), |VALUES |-- x\n){100,900}",
        ],
        dialect in prop::sample::select(ALL.to_vec()),
    ) {
        let text = shape(&sql, dialect);
        prop_assert!(text.len() <= LIMIT);
        prop_assert_eq!(shape(&text, dialect), text.clone(), "of {:?}", sql);
    }

    #[test]
    fn space_and_comments_make_no_difference(
        (template, count) in template(),
        values in prop::collection::vec(literal(), 5),
        space in prop::sample::select(vec!["  ", "\n", "\t", " /* zqx */ ", " -- zqx\n"]),
        dialect in prop::sample::select(ALL.to_vec()),
    ) {
        prop_assume!(values.iter().all(|value| !value.contains(' ')));
        let sql = fill(template, &values[..count]);
        let spaced = if template.contains("/*") { sql.clone() } else { sql.replace(' ', space) };
        prop_assert_eq!(shape(&spaced, dialect), shape(&sql, dialect));
    }
}

#[test]
fn a_bracket_behind_a_name_in_brackets_is_none_of_it() {
    check(Dialect::Other, "[a] ] SELECT", "[a] ] SELECT");
}

#[test]
fn long_lists_make_a_batch_and_arguments_do_not() {
    let list = |piece: &str, count: usize| vec![piece; count].join(", ");
    let is_batch = |sql: &str| ALL.map(|dialect| known(sql, dialect).batch);
    for sql in [
        format!("SELECT * FROM t WHERE id IN ({})", list("?", 10)),
        format!("SELECT * FROM t WHERE id IN ({}) AND f(1, 2)", list("-1", 10)),
        format!("SELECT * FROM t WHERE (a, b) IN ({})", list("(1, 2)", 10)),
        format!("INSERT INTO t (a, b) VALUES {} ON CONFLICT (a) DO NOTHING", list("(1, now())", 10)),
    ] {
        assert_eq!(is_batch(&sql), [true; 3], "{sql}");
    }
    let array = format!("SELECT * FROM t WHERE id = ANY(ARRAY[{}])", list("1", 10));
    assert!(known(&array, Dialect::Postgres).batch);
    for sql in [
        format!("SELECT * FROM t WHERE id IN ({})", list("?", 9)),
        format!("SELECT * FROM t WHERE a IN ({0}) AND b IN ({0})", list("?", 6)),
        format!("SELECT * FROM t WHERE id = coalesce({})", list("?", 20)),
        format!("INSERT INTO t VALUES ({})", list("?", 20)),
        format!("SELECT {} FROM t", list("1", 20)),
    ] {
        assert_eq!(is_batch(&sql), [false; 3], "{sql}");
    }
}
