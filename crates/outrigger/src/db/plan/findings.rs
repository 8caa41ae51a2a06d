//! What a plan suffers from. Pure: a plan and what the catalogue says of its tables in, findings out.

use super::columns::{compared, sorted};
use super::tree::{Node, Relation};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    MissingIndex,
    NestedLoop,
    RowEstimate,
    SequentialScan,
    SortOnDisk,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::MissingIndex, Self::NestedLoop, Self::RowEstimate, Self::SequentialScan, Self::SortOnDisk];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::MissingIndex => "missing_index",
            Self::NestedLoop => "nested_loop",
            Self::RowEstimate => "row_estimate",
            Self::SequentialScan => "sequential_scan",
            Self::SortOnDisk => "sort_on_disk",
        }
    }

    /// What to do, without any name in it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::MissingIndex => "create an index on these columns: CREATE INDEX CONCURRENTLY",
            Self::NestedLoop => {
                "the inner side runs once for each row of the outer: filter earlier, or ask for less at once"
            }
            Self::RowEstimate => {
                "the planner expects far more or fewer rows than there are: ANALYZE the table, or CREATE STATISTICS"
            }
            Self::SequentialScan => "the whole table is read for few of its rows: let an index serve the filter",
            Self::SortOnDisk => {
                "the sort does not fit into work_mem: index the order, sort fewer rows, or raise work_mem for it"
            }
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    /// The table, where it is one.
    pub(super) table: Option<String>,
    /// Columns to index, or that are sorted.
    pub(super) columns: Vec<String>,
    /// How many rows are read, joined, sorted or missed.
    pub(super) rows: f64,
}

/// What the catalogue says of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub(super) relation: Relation,
    /// As of its last `ANALYZE`.
    pub(super) rows: f64,
    /// The first column of each index.
    pub(super) indexed: Vec<String>,
}

/// What surrounds a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Catalog {
    pub(super) tables: Vec<Table>,
    /// Bytes that a sort may take in memory; 0 when unknown.
    pub(super) work_mem: f64,
    /// From how many rows on something is large.
    pub(super) many_rows: f64,
}

impl Catalog {
    fn table(&self, node: &Node) -> Option<&Table> {
        let relation = node.relation.as_ref()?;
        self.tables.iter().find(|table| table.relation == *relation)
    }

    fn large(&self, node: &Node) -> Option<&Table> {
        self.table(node).filter(|table| table.rows >= self.many_rows)
    }
}

/// Each kind once for each table and its columns.
pub(super) fn findings(plan: &Node, catalog: &Catalog) -> Vec<Finding> {
    let mut search = Search { catalog, found: Vec::new() };
    search.node(plan, Above::default());
    let mut found = search.found;
    found.sort_by(|a, b| (a.kind, &a.table, &a.columns).cmp(&(b.kind, &b.table, &b.columns)));
    found.dedup_by(|a, b| (a.kind, &a.table, &a.columns) == (b.kind, &b.table, &b.columns));
    found
}

/// What a node needs to know of those above it.
#[derive(Clone, Copy, Default)]
struct Above<'a> {
    /// No more rows than this are wanted of it.
    limit: Option<f64>,
    /// Its rows are sorted as this, and few of them are kept.
    order: &'a [String],
    /// Somewhere above, not all rows may be taken.
    stops_early: bool,
}

struct Search<'a> {
    catalog: &'a Catalog,
    found: Vec<Finding>,
}

impl<'a> Search<'a> {
    fn node(&mut self, node: &'a Node, above: Above<'a>) {
        let below = match node.kind.as_str() {
            "Limit" => Above { limit: Some(node.rows), order: &[], stops_early: true },
            "Sort" => {
                self.sort(node, above);
                let order = if above.limit.is_some() { node.sort_key.as_slice() } else { &[] };
                Above { limit: None, order, stops_early: above.stops_early }
            }
            "Gather" | "Gather Merge" | "Result" => above,
            "Seq Scan" => {
                self.sequential_scan(node, above);
                Above::default()
            }
            "Nested Loop" => {
                self.nested_loop(node);
                Above { stops_early: above.stops_early, ..Above::default() }
            }
            _ => Above { stops_early: above.stops_early, ..Above::default() },
        };
        let before = self.found.len();
        for child in &node.children {
            self.node(child, below);
        }
        // An estimate is wrong from where it goes wrong upwards: the lowest place is the cause.
        let blamed = self.found.iter().skip(before).any(|finding| finding.kind == Kind::RowEstimate);
        if !blamed {
            self.row_estimate(node, above);
        }
    }

    fn sequential_scan(&mut self, node: &Node, above: Above<'_>) {
        let Some(table) = self.catalog.large(node) else { return };
        let order = sorted(above.order, &node.alias);
        let Some(filter) = &node.filter else {
            // All rows are read and sorted for the first few.
            if let Some(first) = order.first()
                && !table.indexed.contains(first)
            {
                self.add(Kind::MissingIndex, Some(node), order, table.rows);
            }
            return;
        };
        // For a large part of the table, an index is no help.
        if node.rows * node.shares > table.rows * SELECTIVE {
            return;
        }
        self.add(Kind::SequentialScan, Some(node), Vec::new(), table.rows);
        let mut columns = compared(filter, &node.alias);
        if !columns.is_empty() && !columns.iter().any(|column| table.indexed.contains(column)) {
            columns.extend(order);
            columns.dedup();
            columns.truncate(INDEX_COLUMNS);
            self.add(Kind::MissingIndex, Some(node), columns, table.rows);
        }
    }

    fn sort(&mut self, node: &Node, above: Above<'_>) {
        let rows = above.limit.map_or(node.rows, |limit| limit.min(node.rows));
        let needed = rows * (align(node.width) + TUPLE_OVERHEAD);
        let expected = self.catalog.work_mem > 0.0 && needed > self.catalog.work_mem;
        if node.on_disk.unwrap_or(expected) {
            let table = single(node);
            let columns = table.map(|table| sorted(&node.sort_key, &table.alias)).unwrap_or_default();
            self.add(Kind::SortOnDisk, table, columns, node.actual_rows.unwrap_or(node.rows));
        }
    }

    fn nested_loop(&mut self, node: &Node) {
        let [outer, inner] = node.children.as_slice() else { return };
        let outer_rows = outer.rows * outer.shares;
        let scanned = single(inner).filter(|scan| scan.kind == "Seq Scan");
        let pairs = scanned.and_then(|scan| self.catalog.table(scan)).map(|table| table.rows * outer_rows);
        let many_pairs = pairs.is_some_and(|pairs| pairs >= self.catalog.many_rows * PAIRS);
        if outer_rows >= self.catalog.many_rows || many_pairs {
            self.add(Kind::NestedLoop, single(outer), Vec::new(), outer_rows);
        }
        if let (true, Some(scan), Some(condition)) = (many_pairs, scanned, &node.join_filter) {
            let columns = compared(condition, &scan.alias);
            let indexed =
                |column: &String| self.catalog.table(scan).is_some_and(|table| table.indexed.contains(column));
            if !columns.is_empty() && !columns.iter().any(indexed) {
                self.add(Kind::MissingIndex, Some(scan), columns, outer_rows);
            }
        }
    }

    fn row_estimate(&mut self, node: &Node, above: Above<'_>) {
        let Some(actual) = node.actual_rows.filter(|_| node.loops > 0.0) else { return };
        let (few, many) = if actual < node.rows { (actual, node.rows) } else { (node.rows, actual) };
        let may_have_stopped = above.stops_early && actual < node.rows;
        let missed = (many - few) * node.loops;
        if !may_have_stopped && many >= few.max(1.0) * ESTIMATE_FACTOR && missed >= ESTIMATE_ROWS {
            self.add(Kind::RowEstimate, single(node), Vec::new(), missed);
        }
    }

    fn add(&mut self, kind: Kind, node: Option<&Node>, columns: Vec<String>, rows: f64) {
        let table = node.and_then(|node| node.relation.as_ref()).map(|relation| relation.name.clone());
        self.found.push(Finding { kind, table, columns, rows });
    }
}

/// The one scan that a node's rows come from.
fn single(mut node: &Node) -> Option<&Node> {
    loop {
        match (&node.relation, node.children.as_slice()) {
            (Some(_), _) => return Some(node),
            (None, [child]) => node = child,
            _ => return None,
        }
    }
}

/// As the planner reckons, in `relation_byte_size` of costsize.c: rows are aligned to eight bytes.
fn align(width: f64) -> f64 {
    (width / 8.0).ceil() * 8.0
}

/// A row's header, aligned.
const TUPLE_OVERHEAD: f64 = 24.0;
/// The part of a table below which an index is worth its random reads.
const SELECTIVE: f64 = 0.25;
/// Columns that an index is proposed on.
const INDEX_COLUMNS: usize = 4;
/// How many comparisons, in units of what is many, a nested loop over a whole table may cost.
const PAIRS: f64 = 100.0;
/// An estimate is far off by this factor, if it misses this many rows.
const ESTIMATE_FACTOR: f64 = 10.0;
const ESTIMATE_ROWS: f64 = 1000.0;

#[cfg(test)]
mod tests;
