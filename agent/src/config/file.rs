//! The TOML file: from text to entries of the key table, each with its line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS};
use super::value::Value;
use super::{ConfigFile, Origin, Problem};
use crate::tell::{Cell, Row};

/// One key that stands in the file.
pub(crate) struct Entry {
    /// The key's place in [`KEYS`].
    pub(crate) key: usize,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// The entries of `file` in the order of its text; what is not understood goes to `problems`.
pub(crate) fn entries(file: &ConfigFile, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut reader = Reader { file, entries: Vec::new(), problems };
    match DeTable::parse(&file.text) {
        Ok(table) => reader.table("", table.get_ref()),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            reader.problem(start, error.message().to_owned());
        }
    }
    reader.entries
}

struct Reader<'a> {
    file: &'a ConfigFile,
    entries: Vec<Entry>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        // The parser's map is sorted by name; people read from top to bottom.
        let mut items: Vec<_> = table.iter().collect();
        items.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in items {
            self.item(&format!("{prefix}{}", name.get_ref()), name.span().start, value);
        }
    }

    fn item(&mut self, path: &str, start: usize, value: &Spanned<DeValue<'_>>) {
        if let Some(key) = KEYS.iter().position(|key| key.name == path) {
            match self.read(value.get_ref()) {
                Some(value) => {
                    let origin = self.origin(start);
                    self.entries.push(Entry { key, value, origin });
                }
                None => self.problem(start, format!("{path}: the value is nested too deeply; write plain values")),
            }
            return;
        }
        let prefix = format!("{path}.");
        let is_section = KEYS.iter().any(|key| key.name.starts_with(&prefix));
        match value.get_ref() {
            DeValue::Table(table) if is_section => self.table(&prefix, table),
            _ if is_section => {
                self.problem(start, format!("`{path}` is a table; write [{path}] and its keys below it"))
            }
            _ => self.problem(start, keys::unknown(path)),
        }
    }

    fn read(&self, value: &DeValue<'_>) -> Option<Value> {
        match value {
            DeValue::Array(items) if !items.is_empty() && items.iter().all(|item| item.get_ref().is_table()) => {
                items.iter().map(|item| self.row(item)).collect::<Option<Vec<_>>>().map(Value::Rows)
            }
            DeValue::Array(items) => {
                items.iter().map(|item| scalar(item.get_ref())).collect::<Option<Vec<_>>>().map(Value::List)
            }
            DeValue::Table(table) => {
                let pairs =
                    table.iter().map(|(name, value)| Some((name.get_ref().to_string(), scalar(value.get_ref())?)));
                pairs.collect::<Option<Vec<_>>>().map(Value::Table)
            }
            other => scalar(other).map(Value::Text),
        }
    }

    fn row(&self, item: &Spanned<DeValue<'_>>) -> Option<Row> {
        let mut cells = Vec::new();
        for (name, value) in item.get_ref().as_table()? {
            let values = match value.get_ref() {
                DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect::<Option<Vec<_>>>()?,
                other => vec![scalar(other)?],
            };
            cells.push(Cell { name: name.get_ref().to_string(), values, line: self.line(name.span().start) });
        }
        Some(Row { cells, line: self.line(item.span().start) })
    }

    fn line(&self, start: usize) -> usize {
        1 + self.file.text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count()
    }

    fn origin(&self, start: usize) -> Origin {
        Origin::File { path: self.file.path.clone(), line: self.line(start) }
    }

    fn problem(&mut self, start: usize, message: String) {
        let origin = self.origin(start);
        self.problems.push(Problem { origin, key: None, message });
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
