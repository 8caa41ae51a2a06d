//! Recorded figures of components and their call graph in, suspects out.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use outrigger_detect::{Component, Observation, rank_components};

use super::csv::Rows;
use super::{DetectError, Words, plain};

#[derive(Args)]
pub(crate) struct Explain {
    /// CSV of normal operation: three header rows (component, metric, statistic), then a row for each interval
    pub(super) normal: PathBuf,
    /// CSV of the incident, with the same headers
    pub(super) case: PathBuf,
    /// CSV of the call graph: callees in the header row, one row for each caller, 1 where it calls
    pub(super) graph: PathBuf,
    /// The component that complains
    pub(super) target: String,
    /// What it complains of: latency or availability
    pub(super) metric: Metric,
    /// Say on stderr what each suspect added
    #[arg(long)]
    pub(super) words: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Metric {
    Latency,
    Availability,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Availability => "availability",
        }
    }

    /// A recorded value as a cost per request: seconds, or the share that failed.
    fn cost(self, value: f64) -> f64 {
        match self {
            Self::Latency => value,
            Self::Availability => 1.0 - value / 100.0,
        }
    }
}

/// What is taken for the cost of a request, the best first: only averages add up, the others stand in for them.
const STATISTICS: [&str; 5] = ["Average", "p50", "p90", "p95", "p99"];

pub(super) fn run(explain: &Explain, mut output: impl Write) -> Result<(), DetectError> {
    let (normal, case) = (Table::read(open(&explain.normal)?)?, Table::read(open(&explain.case)?)?);
    let graph = read_graph(open(&explain.graph)?)?;
    let names: Vec<_> = case.nodes().collect();
    let index: HashMap<_, _> = names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
    let Some(target) = index.get(explain.target.as_str()) else {
        let nearest = names.iter().max_by(|one, other| {
            let likeness = |name: &str| strsim::jaro_winkler(name, &explain.target);
            likeness(one).total_cmp(&likeness(other))
        });
        let hint = nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        let (target, file) = (&explain.target, explain.case.display());
        return Err(DetectError::Input(format!("{file}: there is no component `{target}`{hint}")));
    };
    let components: Vec<_> = names
        .iter()
        .map(|name| {
            let statistic = STATISTICS.into_iter().find(|statistic| {
                let has = |table: &Table| !table.column(name, explain.metric.name(), statistic).is_empty();
                has(&normal) && has(&case)
            });
            let figures = |table: &Table| {
                statistic.map_or(Vec::new(), |statistic| table.observations(name, explain.metric, statistic))
            };
            let callees = graph.get(*name).into_iter().flatten();
            let callees = callees.filter_map(|callee| index.get(callee.as_str()).copied()).collect();
            Component { callees, before: figures(&normal), during: figures(&case) }
        })
        .collect();
    let unit = match explain.metric {
        Metric::Latency => "s",
        Metric::Availability => " failed requests",
    };
    let mut words = Words(explain.words);
    for suspect in rank_components(&components, *target) {
        let name = names.get(suspect.component).copied().unwrap_or_default();
        writeln!(output, "{}", plain(name)).map_err(DetectError::Output)?;
        let (added, own, deviation) = (suspect.added, suspect.own, suspect.deviation);
        words.say(
            name,
            format_args!("added {added:.3}{unit} per interval, {own:.3}{unit} of its own, {deviation:.1} sigma"),
        );
    }
    Ok(())
}

/// The columns of one recording, by component, metric and statistic.
pub(super) struct Table {
    columns: BTreeMap<[String; 3], Vec<f64>>,
}

impl Table {
    pub(super) fn read(mut rows: Rows<impl Read>) -> Result<Self, DetectError> {
        let mut headers = [const { Vec::new() }; 3];
        for (header, what) in headers.iter_mut().zip(["components", "metrics", "statistics"]) {
            let row = rows.expect(&format!("the header row of the {what}"))?;
            header.extend(row.fields().skip(1).map(|field| field.text.to_owned()));
        }
        let [nodes, metrics, statistics] = headers;
        let mut values = vec![Vec::new(); nodes.len()];
        let mut first = true;
        while let Some(row) = rows.next()? {
            let mut fields = row.fields();
            // A fourth header may say what the first column is.
            let is_header = fields.next().is_some_and(|field| first && field.text.starts_with("unix"));
            first = false;
            if is_header {
                continue;
            }
            let mut columns = values.iter_mut();
            for field in fields {
                let Some(column) = columns.next() else {
                    return Err(field.mistake("there is no header above it; give the first three rows as many columns"));
                };
                column.push(field.optional()?);
            }
            // What a short row leaves out is not known.
            columns.for_each(|column| column.push(f64::NAN));
        }
        let names = nodes.into_iter().zip(metrics).zip(statistics);
        Ok(Self { columns: names.map(|((node, metric), statistic)| [node, metric, statistic]).zip(values).collect() })
    }

    fn nodes(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        self.columns.keys().filter_map(move |[node, ..]| (last.replace(node) != Some(node)).then_some(node.as_str()))
    }

    fn column(&self, node: &str, metric: &str, statistic: &str) -> &[f64] {
        self.columns.get(&[node, metric, statistic].map(str::to_owned)).map_or(&[], Vec::as_slice)
    }

    fn observations(&self, node: &str, metric: Metric, statistic: &str) -> Vec<Observation> {
        let requests = self.column(node, "requests", "Sum");
        let costs = self.column(node, metric.name(), statistic).iter().enumerate();
        costs
            .map(|(row, value)| {
                // Without counts all components count the same.
                let requests = if requests.is_empty() { 1.0 } else { requests.get(row).copied().unwrap_or(f64::NAN) };
                Observation { requests, cost: metric.cost(*value) }
            })
            .collect()
    }
}

/// Whom each component calls.
pub(super) fn read_graph(mut rows: Rows<impl Read>) -> Result<HashMap<String, Vec<String>>, DetectError> {
    let header = rows.expect("the header row of the callees")?;
    let names: Vec<_> = header.fields().skip(1).map(|field| field.text.to_owned()).collect();
    let mut graph = HashMap::new();
    while let Some(row) = rows.next()? {
        let mut fields = row.fields();
        let Some(caller) = fields.next() else { continue };
        let mut callees = Vec::new();
        for (field, name) in fields.zip(&names) {
            if field.optional()?.abs() > 0.0 {
                callees.push(name.clone());
            }
        }
        graph.insert(caller.text.to_owned(), callees);
    }
    Ok(graph)
}

fn open(path: &Path) -> Result<Rows<File>, DetectError> {
    let source = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok(Rows::new(&source, file)),
        Err(error) => Err(DetectError::Read(source, error)),
    }
}
