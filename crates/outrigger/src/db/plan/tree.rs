//! A plan as `EXPLAIN (FORMAT JSON, VERBOSE)` writes it, reduced to what the findings need.

use serde_json::Value;

/// A node of a plan.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Node {
    /// `Seq Scan`, `Nested Loop`, ...
    pub(super) kind: String,
    pub(super) relation: Option<Relation>,
    /// The relation's name within the statement.
    pub(super) alias: String,
    pub(super) filter: Option<String>,
    pub(super) join_filter: Option<String>,
    pub(super) sort_key: Vec<String>,
    /// Rows that the planner expects, per loop and per worker.
    pub(super) rows: f64,
    /// How many of these make all rows: more than 1 where workers share them.
    pub(super) shares: f64,
    /// Bytes of a row that the planner expects.
    pub(super) width: f64,
    /// What `ANALYZE` saw; per loop.
    pub(super) actual_rows: Option<f64>,
    pub(super) loops: f64,
    /// Whether `ANALYZE` saw a sort on disk.
    pub(super) on_disk: Option<bool>,
    pub(super) children: Vec<Node>,
}

/// A table by its schema and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) name: String,
}

/// The plan's root; `None` for what is no plan, or a plan beyond the bounds.
///
/// The depth is bounded by the parser's own limit of 128 levels.
pub(super) fn parse(text: &str) -> Option<Node> {
    if text.len() > TEXT_LIMIT {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let plan = value.as_array()?.first()?.get("Plan")?;
    let mut left = NODE_LIMIT;
    node(plan, 1.0, &mut left)
}

fn node(value: &Value, processes: f64, left: &mut usize) -> Option<Node> {
    *left = left.checked_sub(1)?;
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| value.get(key).and_then(Value::as_f64).filter(|number| number.is_finite());
    let list = |key: &str| value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let kind = text("Node Type")?;
    let below = if kind.starts_with("Gather") { divisor(number("Workers Planned")) } else { processes };
    let children = list("Plans").iter().map(|child| node(child, below, left)).collect::<Option<Vec<_>>>()?;
    // A join's rows are shared as those of its outer side are.
    let aware = value.get("Parallel Aware").and_then(Value::as_bool).unwrap_or_default();
    let shared = aware || children.first().is_some_and(|outer| outer.shares > 1.0);
    let shares = if shared && !kind.starts_with("Gather") { processes } else { 1.0 };
    Some(Node {
        kind,
        relation: text("Relation Name").map(|name| Relation { schema: text("Schema").unwrap_or_default(), name }),
        alias: text("Alias").unwrap_or_default(),
        filter: text("Filter"),
        join_filter: text("Join Filter"),
        sort_key: list("Sort Key").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        rows: number("Plan Rows").unwrap_or_default(),
        shares,
        width: number("Plan Width").unwrap_or_default(),
        actual_rows: number("Actual Rows"),
        loops: number("Actual Loops").unwrap_or_default(),
        on_disk: text("Sort Space Type").map(|space| space == "Disk"),
        children,
    })
}

/// What the planner divides the rows by that processes share, in `get_parallel_divisor` of costsize.c: the more workers,
/// the less does the leader besides gathering.
fn divisor(workers: Option<f64>) -> f64 {
    let workers = workers.unwrap_or_default().max(0.0);
    (workers + (1.0 - 0.3 * workers).max(0.0)).max(1.0)
}

impl Node {
    /// The tables that are read.
    pub(super) fn relations(&self) -> Vec<&Relation> {
        let mut relations = Vec::new();
        self.visit(&mut |node| {
            if let Some(relation) = &node.relation
                && !relations.contains(&relation)
            {
                relations.push(relation);
            }
        });
        relations
    }

    fn visit<'a>(&'a self, visitor: &mut impl FnMut(&'a Self)) {
        visitor(self);
        for child in &self.children {
            child.visit(visitor);
        }
    }
}

/// Bytes of a plan. A join of twenty tables takes some 30 KiB.
const TEXT_LIMIT: usize = 1024 * 1024;
const NODE_LIMIT: usize = 2000;
