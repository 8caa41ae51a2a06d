//! The scanner beside a parser, on statements as services write them and on generated ones.

use std::collections::HashSet;

use proptest::prelude::*;
use sqlparser::ast::{
    CopySource, FromTable, ObjectName, ObjectType, Query, SetExpr, Statement, TableFactor, TableObject, TableWithJoins,
};
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use super::{SCAN_LIMIT, Scanned, VERBS, is_plain, scan};

const CORPUS: &str = include_str!("corpus.sql");

/// The statements with their databases.
fn corpus() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut system = "";
    CORPUS.lines().filter_map(move |line| match line.strip_prefix("-- ") {
        Some(name) if dialect(name).is_some() => {
            system = name;
            None
        }
        Some(_) => None,
        None => Some((system, line)),
    })
}

fn dialect(system: &str) -> Option<Box<dyn Dialect>> {
    Some(match system {
        "postgresql" => Box::new(PostgreSqlDialect {}),
        "mysql" => Box::new(MySqlDialect {}),
        "sqlite" => Box::new(SQLiteDialect {}),
        _ => return None,
    })
}

/// What a parser makes of a statement; `None` where it cannot read it, or where this reader does not know the kind.
fn parsed(system: &str, sql: &str) -> Option<(String, Option<String>)> {
    let statements = Parser::parse_sql(&*dialect(system)?, sql).ok()?;
    let [statement] = statements.as_slice() else { return None };
    let (verb, table) = of_statement(statement, &mut HashSet::new())?;
    // Two things that this parser reads otherwise: SQLite's REPLACE is its synonym INSERT OR REPLACE, and ONLY is a table.
    let verb = if sql.starts_with("REPLACE") { "REPLACE".to_owned() } else { verb };
    (table.as_deref() != Some("ONLY")).then_some((verb, table))
}

fn of_statement(statement: &Statement, ctes: &mut HashSet<String>) -> Option<(String, Option<String>)> {
    let (verb, table) = match statement {
        Statement::Query(query) => return of_query(query, ctes),
        Statement::Insert(insert) => {
            let verb = if insert.replace_into { "REPLACE" } else { "INSERT" };
            let TableObject::TableName(name) = &insert.table else { return None };
            (verb, Some(last(name)?))
        }
        Statement::Update(update) => ("UPDATE", of_tables(std::slice::from_ref(&update.table), ctes)),
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
            ("DELETE", of_tables(tables, ctes))
        }
        Statement::Merge(merge) => ("MERGE", of_factor(&merge.table, ctes)),
        Statement::Truncate(truncate) => ("TRUNCATE", Some(last(&truncate.table_names.first()?.name)?)),
        Statement::CreateTable(create) => ("CREATE", Some(last(&create.name)?)),
        Statement::CreateVirtualTable { name, .. } => ("CREATE", Some(last(name)?)),
        Statement::CreateIndex(_) | Statement::CreateView(_) => ("CREATE", None),
        Statement::AlterTable(alter) => ("ALTER", Some(last(&alter.name)?)),
        Statement::Drop { object_type: ObjectType::Table, names, .. } => ("DROP", Some(last(names.first()?)?)),
        Statement::Drop { .. } => ("DROP", None),
        Statement::Copy { source: CopySource::Table { table_name, .. }, .. } => ("COPY", Some(last(table_name)?)),
        Statement::Copy { .. } => ("COPY", None),
        _ => return None,
    };
    Some((verb.to_owned(), table))
}

fn of_query(query: &Query, ctes: &mut HashSet<String>) -> Option<(String, Option<String>)> {
    for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
        ctes.insert(cte.alias.name.value.to_lowercase());
    }
    match &*query.body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => of_statement(statement, ctes),
        SetExpr::Values(_) => Some(("VALUES".to_owned(), None)),
        SetExpr::Table(_) => Some(("TABLE".to_owned(), None)),
        body => Some(("SELECT".to_owned(), of_body(body, ctes).flatten())),
    }
}

/// `None` for a query without a `FROM`: the next part of a union may have one.
fn of_body(body: &SetExpr, ctes: &mut HashSet<String>) -> Option<Option<String>> {
    match body {
        SetExpr::Select(select) if select.from.is_empty() => None,
        SetExpr::Select(select) => Some(of_tables(&select.from, ctes)),
        SetExpr::Query(query) => of_body(&query.body, ctes),
        SetExpr::SetOperation { left, right, .. } => of_body(left, ctes).or_else(|| of_body(right, ctes)),
        _ => Some(None),
    }
}

fn of_tables(tables: &[TableWithJoins], ctes: &HashSet<String>) -> Option<String> {
    of_factor(&tables.first()?.relation, ctes)
}

fn of_factor(factor: &TableFactor, ctes: &HashSet<String>) -> Option<String> {
    match factor {
        TableFactor::Table { name, args: None, .. } => {
            let single = name.0.len() == 1;
            last(name).filter(|name| !(single && ctes.contains(&name.to_lowercase())))
        }
        _ => None,
    }
}

fn last(name: &ObjectName) -> Option<String> {
    Some(name.0.last()?.as_ident()?.value.clone())
}

/// How the scanner would write the parser's answer.
fn as_label(table: Option<String>) -> Option<String> {
    table.map(|name| if is_plain(&name) { name } else { "_other".to_owned() })
}

#[test]
fn the_scanner_agrees_with_a_parser_on_what_services_write() {
    let (mut statements, mut agreed, mut differ) = (0, 0, Vec::new());
    for (system, sql) in corpus() {
        statements += 1;
        let Scanned { operation, collection } = scan(sql, system);
        assert!(VERBS.contains(&operation), "{system}: {sql}");
        let Some((verb, table)) = parsed(system, sql) else { continue };
        agreed += 1;
        let expected = (verb, as_label(table));
        if expected != (operation.to_owned(), collection.map(str::to_owned)) {
            differ.push(format!("{system}: {sql}\n  {operation} {collection:?} where a parser says {expected:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(statements >= 150, "{statements} statements");
    assert!(agreed >= 120, "a parser reads {agreed} of {statements} statements");
}

fn name() -> impl Strategy<Value = String> {
    // A trailing digit keeps a generated name from being a keyword.
    "[a-z][a-z_]{0,10}[0-9]"
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        name(),
        (0..1000_u32).prop_map(|n| n.to_string()),
        "[a-z ,()]{0,12}".prop_map(|text| format!("'{text} FROM x'")),
        Just("count(*)".to_owned()),
        name().prop_map(|column| format!("EXTRACT(YEAR FROM {column})")),
        (name(), name()).prop_map(|(column, table)| format!("(SELECT max({column}) FROM {table})")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} + {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} IS DISTINCT FROM {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("coalesce({a}, {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("CASE WHEN {a} = 1 THEN {b} ELSE 0 END")),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let from = prop_oneof![
        name(),
        (name(), name()).prop_map(|(schema, table)| format!("{schema}.{table}")),
        (name(), name()).prop_map(|(table, alias)| format!("{table} AS {alias}")),
        (name(), name()).prop_map(|(a, b)| format!("{a} JOIN {b} ON true")),
        (name(), name()).prop_map(|(a, b)| format!("(SELECT * FROM {a}) AS {b}")),
    ];
    let select = (expression(), from, expression())
        .prop_map(|(what, from, condition)| format!("SELECT {what} FROM {from} WHERE {condition} = 1"))
        .boxed();
    prop_oneof![
        select.clone(),
        (select.clone(), select.clone()).prop_map(|(a, b)| format!("{a} UNION ALL {b}")),
        (name(), select.clone(), select.clone()).prop_map(|(cte, a, b)| format!("WITH {cte} AS ({a}) {b}")),
        (name(), select.clone()).prop_map(|(cte, a)| format!("WITH {cte} AS ({a}) SELECT * FROM {cte}")),
        (name(), name(), expression())
            .prop_map(|(table, column, value)| { format!("INSERT INTO {table} ({column}) VALUES ({value})") }),
        (name(), select.clone()).prop_map(|(table, select)| format!("INSERT INTO {table} {select}")),
        (name(), name(), expression(), expression()).prop_map(|(table, column, value, condition)| format!(
            "UPDATE {table} SET {column} = {value} WHERE {condition} = 1"
        )),
        (name(), expression()).prop_map(|(table, condition)| format!("DELETE FROM {table} WHERE {condition} = 1")),
        (name(), name()).prop_map(|(table, column)| format!("CREATE TABLE IF NOT EXISTS {table} ({column} int)")),
        name().prop_map(|table| format!("DROP TABLE IF EXISTS {table}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_scanner_agrees_with_a_parser_on_generated_statements(
        sql in statement(),
        system in prop_oneof![Just("postgresql"), Just("mysql"), Just("sqlite")],
    ) {
        if let Some((verb, table)) = parsed(system, &sql) {
            let Scanned { operation, collection } = scan(&sql, system);
            prop_assert_eq!((operation, collection.map(str::to_owned)), (verb.as_str(), as_label(table)), "{}: {}", system, sql);
        }
    }
}

/// Whatever comes, the scanner reads at most its limit once: ten times the text costs no more.
#[test]
fn hostile_statements_are_read_no_further_than_others() {
    let pieces =
        ["(", "'", "\"", "`", "[", "/*", "--", "$$", "$a$", "SELECT ", "WITH a AS (", "FROM ", "a.", ",", "\\", "é"];
    for system in ["postgresql", "mysql", "mariadb", "sqlite", "other_sql"] {
        for piece in pieces {
            for start in ["", "SELECT ", "SELECT * FROM ", "WITH x AS (", "INSERT INTO "] {
                let hostile = format!("{start}{}", piece.repeat(100 * SCAN_LIMIT));
                let Scanned { operation, collection } = scan(&hostile, system);
                let cut = &hostile[..hostile.floor_char_boundary(SCAN_LIMIT)];
                // What stands behind the limit decides nothing but that a name at the edge is not trusted.
                let as_cut = scan(cut, system);
                assert_eq!(operation, as_cut.operation, "{system}: {start}{piece}");
                assert!(collection.is_none() || collection == as_cut.collection, "{system}: {start}{piece}");
            }
        }
    }
}
