//! A table in Markdown that reads as well where nothing renders it.

use bench_peers::Result;

/// What a figure counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Count,
    Bytes,
    Nanos,
    Millis,
}

impl Unit {
    fn show(self, value: f64) -> String {
        let scaled = |value: f64, unit: &str| format!("{} {unit}", short(value));
        match self {
            Self::Count => short(value),
            Self::Bytes if value >= 1e6 => scaled(value / 1e6, "MB"),
            Self::Bytes if value >= 1e4 => scaled(value / 1e3, "kB"),
            Self::Bytes => scaled(value, "B"),
            Self::Nanos => scaled(value, "ns"),
            Self::Millis => scaled(value, "ms"),
        }
    }
}

/// Three digits or whole numbers, thousands parted.
fn short(value: f64) -> String {
    let places = if value == 0.0 || value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.places$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut parted = String::new();
    for (position, digit) in whole.char_indices() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) && !parted.ends_with('-') {
            parted.push(',');
        }
        parted.push(digit);
    }
    if fraction.is_empty() { parted } else { format!("{parted}.{fraction}") }
}

fn nothing() -> String {
    "-".to_owned()
}

/// One row of figures: ours, then each peer's where it has one.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(peers: &[&str]) -> Self {
        let mut head = vec![String::new(), "**outrigger**".to_owned()];
        head.extend(peers.iter().map(|peer| (*peer).to_owned()));
        Self { rows: vec![head] }
    }

    /// Measures ours and theirs, and says on standard error how far it has come.
    pub(crate) fn row(
        &mut self,
        what: &str,
        unit: Unit,
        ours: Option<f64>,
        theirs: impl IntoIterator<Item = Option<f64>>,
    ) {
        // Of what takes no time, the clock still says something.
        let seen = |value: f64| if matches!(unit, Unit::Nanos) && value < 0.05 { 0.0 } else { value };
        let ours = ours.map(seen);
        let mut row = vec![what.to_owned(), ours.map_or_else(nothing, |ours| unit.show(ours))];
        row.extend(theirs.into_iter().map(|theirs| match theirs.map(seen) {
            None => nothing(),
            Some(theirs) => match ours {
                Some(ours) if theirs > 0.0 => format!("{} ({:.2})", unit.show(theirs), ours / theirs),
                _ => unit.show(theirs),
            },
        }));
        eprintln!("{}", row.join(" | "));
        self.rows.push(row);
    }

    pub(crate) fn print(&self) -> Result<()> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
            if number == 0 {
                let rule = widths.iter().enumerate().map(|(column, width)| {
                    if column == 0 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) }
                });
                println!("| {} |", rule.collect::<Vec<_>>().join(" | "));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, Unit, short};

    #[test]
    fn figures_are_three_digits_or_whole() {
        for (value, text) in [
            (0.0, "0"),
            (0.083, "0.08"),
            (3.0, "3"),
            (96.04, "96"),
            (96.06, "96.1"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1_234.0, "-1,234"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn a_ratio_stands_where_both_have_a_figure() {
        let mut table = Table::new(&["one", "two", "three"]);
        table.row("held", Unit::Bytes, Some(50_000.0), [Some(100_000.0), Some(0.0), None]);
        table.row("time", Unit::Nanos, None, [Some(2.5), None, None]);
        assert_eq!(table.rows[1], ["held", "50 kB", "100 kB (0.50)", "0 B", "-"]);
        assert_eq!(table.rows[2], ["time", "-", "2.5 ns", "-", "-"]);
    }
}
