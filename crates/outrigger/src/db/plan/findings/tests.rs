use proptest::prelude::*;

use super::super::tree::parse;
use super::*;

/// What PostgreSQL 15 made of statements on tables of 200,000 orders and 50,000 users.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name, ".json"))
    };
}

const FIXTURES: [&str; 11] = [
    fixture!("hash_join"),
    fixture!("most_rows"),
    fixture!("nested_loop"),
    fixture!("nested_loop_scan"),
    fixture!("parallel_scan"),
    fixture!("primary_key"),
    fixture!("row_estimate"),
    fixture!("sequential_scan"),
    fixture!("sort_on_disk"),
    fixture!("sort_on_disk_run"),
    fixture!("top_n"),
];

fn catalog() -> Catalog {
    let table = |name: &str, rows| Table {
        relation: Relation { schema: "public".to_owned(), name: name.to_owned() },
        rows,
        indexed: vec!["id".to_owned()],
    };
    let tables = vec![table("orders", 200_000.0), table("users", 50_000.0)];
    Catalog { tables, work_mem: 4.0 * 1024.0 * 1024.0, many_rows: 10_000.0 }
}

#[track_caller]
fn check_with(catalog: &Catalog, plan: &str, expected: &[(Kind, Option<&str>, &str)]) {
    let found = findings(&parse(plan).expect("a plan"), catalog);
    let found: Vec<(Kind, Option<&str>, String)> =
        found.iter().map(|finding| (finding.kind, finding.table.as_deref(), finding.columns.join(" "))).collect();
    let expected: Vec<_> =
        expected.iter().map(|(kind, table, columns)| (*kind, *table, (*columns).to_owned())).collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn check(plan: &str, expected: &[(Kind, Option<&str>, &str)]) {
    check_with(&catalog(), plan, expected);
}

#[test]
fn plans_that_suffer_are_told_from_those_that_do_not() {
    const ORDERS: Option<&str> = Some("orders");
    check(fixture!("primary_key"), &[]);
    check(fixture!("most_rows"), &[]);
    // Two processes read 40 % of the table: each less than a quarter.
    check(fixture!("parallel_scan"), &[]);
    check(
        fixture!("sequential_scan"),
        &[(Kind::MissingIndex, ORDERS, "user_id total"), (Kind::SequentialScan, ORDERS, "")],
    );
    check(fixture!("hash_join"), &[(Kind::MissingIndex, ORDERS, "user_id"), (Kind::SequentialScan, ORDERS, "")]);
    check(fixture!("top_n"), &[(Kind::MissingIndex, ORDERS, "placed_at")]);
    check(fixture!("sort_on_disk"), &[(Kind::SortOnDisk, ORDERS, "total")]);
    check(fixture!("sort_on_disk_run"), &[(Kind::SortOnDisk, ORDERS, "total")]);
    check(fixture!("nested_loop"), &[(Kind::NestedLoop, ORDERS, "")]);
    check(fixture!("row_estimate"), &[(Kind::RowEstimate, ORDERS, ""), (Kind::SequentialScan, ORDERS, "")]);
}

#[test]
fn the_inner_side_of_a_nested_loop_lacks_its_index() {
    let mut catalog = catalog();
    let plan = fixture!("nested_loop_scan");
    // Whichever side the planner put inside, it is scanned for each row of the other.
    let found = findings(&parse(plan).expect("a plan"), &catalog);
    assert!(found.iter().any(|finding| finding.kind == Kind::NestedLoop), "{found:?}");
    // With all columns indexed, nothing can be proposed.
    for table in &mut catalog.tables {
        table.indexed.extend(["user_id", "age"].map(str::to_owned));
    }
    let found = findings(&parse(plan).expect("a plan"), &catalog);
    assert!(found.iter().all(|finding| finding.kind != Kind::MissingIndex), "{found:?}");
}

#[test]
fn what_the_catalogue_says_decides() {
    let mut catalog = catalog();
    catalog.tables[0].indexed.push("user_id".to_owned());
    check_with(&catalog, fixture!("sequential_scan"), &[(Kind::SequentialScan, Some("orders"), "")]);
    catalog.tables[0].indexed.push("placed_at".to_owned());
    check_with(&catalog, fixture!("top_n"), &[]);
    catalog.work_mem = 64.0 * 1024.0 * 1024.0;
    check_with(&catalog, fixture!("sort_on_disk"), &[]);
    // What happened counts more than what might.
    check_with(&catalog, fixture!("sort_on_disk_run"), &[(Kind::SortOnDisk, Some("orders"), "total")]);
    catalog.many_rows = 1e6;
    for plan in [fixture!("sequential_scan"), fixture!("nested_loop"), fixture!("hash_join")] {
        check_with(&catalog, plan, &[]);
    }
    check_with(&Catalog::default(), fixture!("sequential_scan"), &[]);
}

#[test]
fn what_is_no_plan_is_refused() {
    for text in
        ["", "[]", "{}", "[{}]", "[{\"Plan\": 1}]", "[{\"Plan\": {}}]", "null", "[{\"Plan\": {\"Node Type\": 1}}]"]
    {
        assert_eq!(parse(text), None, "{text}");
    }
    let node = |plans: &str| format!("{{\"Node Type\": \"Result\", \"Plans\": [{plans}]}}");
    let deep = (0..200).fold(String::new(), |inner, _| node(&inner));
    assert_eq!(parse(&format!("[{{\"Plan\": {deep}}}]")), None);
    let wide = node(&vec![node(""); 3000].join(","));
    assert_eq!(parse(&format!("[{{\"Plan\": {wide}}}]")), None);
    assert_eq!(parse(&format!("[{{\"Plan\": {}}}]{}", node(""), " ".repeat(2 << 20))), None);
    assert!(parse(&format!("[{{\"Plan\": {}}}]", node(&node("")))).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Pieces of plans in the wrong places: anything may come out but a panic.
    #[test]
    fn mangled_plans_do_no_harm(
        fixture in prop::sample::select(FIXTURES.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_u8, "[-\"{}\\[\\]:,a-z0-9.e]{0,6}"), 0..6),
    ) {
        let mut text = fixture.to_owned();
        for (start, end, kind, with) in edits {
            let (start, end) = (start.index(text.len()), end.index(text.len()));
            let range = start.min(end)..start.max(end).min(start.min(end) + 40);
            match kind {
                0 => text.insert_str(range.start, &with),
                1 => text.replace_range(range, &with),
                2 => {
                    let piece = text[range].to_owned();
                    text.insert_str(end, &piece);
                }
                // Numbers that no planner writes.
                _ => text = text.replacen("\"Plan Rows\": ", &format!("\"Plan Rows\": -{with}1e308, \"x\": "), 1),
            }
        }
        if let Some(plan) = parse(&text) {
            let found = findings(&plan, &catalog());
            prop_assert!(found.len() < 100);
            prop_assert!(plan.relations().len() < 100);
        }
    }
}
