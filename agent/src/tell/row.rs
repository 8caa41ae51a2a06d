//! Rows of rules and silences as people write them: in the file as `[[tell.route]]`, in the API as a JSON object.

/// One row: its cells, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    /// Its line in the file; 0 if it came another way.
    pub(crate) line: usize,
}

/// One cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) name: String,
    /// One value, or the items of a list.
    pub(crate) values: Vec<String>,
    pub(crate) line: usize,
}

impl Cell {
    /// The one value.
    pub(super) fn text(&self) -> Result<&str, String> {
        match self.values.as_slice() {
            [text] if !text.is_empty() => Ok(text),
            [_] => Err(self.wrong("is empty; leave it out, or write `*` for all")),
            _ => Err(self.wrong("is a list; write one value")),
        }
    }

    /// Says what is wrong with this cell.
    pub(super) fn wrong(&self, what: impl std::fmt::Display) -> String {
        format!("{}`{}` {what}", place(self.line), self.name)
    }

    /// Says that there is no such cell, and which one may have been meant.
    pub(super) fn unknown(&self, known: &[&'static str]) -> String {
        format!("{}unknown key `{}`; {}", place(self.line), self.name, nearest(&self.name, known))
    }
}

/// Where a line is, if there is one.
pub(super) fn place(line: usize) -> String {
    if line == 0 { String::new() } else { format!("line {line}: ") }
}

/// The name that was probably meant, or all of them.
pub(super) fn nearest(name: &str, known: &[&'static str]) -> String {
    let near = known
        .iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity > 0.8);
    near.map_or_else(|| format!("there are: {}", known.join(", ")), |(_, near)| format!("did you mean `{near}`?"))
}

/// An object of JSON as a row.
pub(crate) fn from_json(bytes: &[u8]) -> Result<Row, String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let cell = |(name, value): (String, serde_json::Value)| match value {
        serde_json::Value::String(text) => Ok(Cell { name, values: vec![text], line: 0 }),
        _ => Err(format!("`{name}` is no text; write it in quotes")),
    };
    Ok(Row { cells: object.into_iter().map(cell).collect::<Result<_, _>>()?, line: 0 })
}
