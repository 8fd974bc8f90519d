//! The table of all queries: times, ratios, and the geometric mean of the ratios.

use nexmark::query::Query;
use std::collections::BTreeMap;
use std::fmt;

/// What one system did with one query.
#[derive(Debug, Clone)]
pub enum Cell {
    /// It was run so often, ms each.
    Times(Vec<f64>),
    /// Its result was wrong, or it failed.
    Failed,
}

impl Cell {
    fn median(&self) -> Option<f64> {
        let Cell::Times(times) = self else { return None };
        median(times)
    }
}

/// The middle value; of an even number the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { (sorted[middle - 1] + upper) / 2.0 })
}

/// A query's row.
pub struct Row {
    query: &'static Query,
    rows_read: u64,
    cells: BTreeMap<&'static str, Cell>,
}

impl Row {
    /// A row without measurements; `rows_read` are those of the query's tables.
    pub fn new(query: &'static Query, rows_read: u64) -> Row {
        Row { query, rows_read, cells: BTreeMap::new() }
    }

    /// Adds what a system did, and tells it at once.
    pub fn add(&mut self, system: &'static str, cell: Cell) {
        eprintln!("nexmark: {}: {system}: {}", self.query.name, self.text(&cell));
        self.cells.insert(system, cell);
    }

    fn median(&self, system: &str) -> Option<f64> {
        self.cells.get(system)?.median()
    }

    /// How many times as fast Kvick is as another system.
    fn ratio(&self, system: &str) -> Option<f64> {
        Some(self.median(system)? / self.median("Kvick")?)
    }

    fn text(&self, cell: &Cell) -> String {
        let Cell::Times(times) = cell else { return "failed".to_string() };
        let (Some(least), Some(median)) = (times.iter().copied().reduce(f64::min), median(times)) else {
            return "–".to_string();
        };
        let rate = self.rows_read as f64 / median;
        format!("{:.2} / {:.2} s, {rate:.0} k/s", least / 1000.0, median / 1000.0)
    }

    fn cell(&self, system: &str) -> String {
        self.cells.get(system).map_or_else(|| "–".to_string(), |cell| self.text(cell))
    }
}

/// The table.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

const SYSTEMS: [&str; 3] = ["Kvick", "Flink", "Renoir"];

impl Report {
    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The geometric mean of the ratios to a system, and over how many queries.
    fn mean(&self, system: &str) -> Option<(f64, usize)> {
        let ratios: Vec<f64> = self.rows.iter().filter_map(|row| row.ratio(system)).collect();
        let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        (!ratios.is_empty()).then(|| ((sum / ratios.len() as f64).exp(), ratios.len()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took_part = |system: &&&str| self.rows.iter().any(|row| row.cells.contains_key(**system));
        let systems: Vec<&str> = SYSTEMS.iter().filter(took_part).copied().collect();
        let others: Vec<&str> = systems.iter().filter(|system| **system != "Kvick").copied().collect();
        writeln!(
            f,
            "Each cell: min / median of the runs, thousands of input rows a second of the median.\n"
        )?;
        let heads: Vec<String> = others.iter().map(|system| format!("× {system}")).collect();
        writeln!(f, "| query | about | {} | {} |", systems.join(" | "), heads.join(" | "))?;
        writeln!(f, "|---|---|{}", "---|".repeat(systems.len() + others.len()))?;
        for row in &self.rows {
            let cells: Vec<String> = systems.iter().map(|system| row.cell(system)).collect();
            let ratio =
                |system| row.ratio(system).map_or_else(|| "–".to_string(), |ratio| format!("{ratio:.1}"));
            let ratios: Vec<String> = others.iter().map(|system| ratio(system)).collect();
            writeln!(
                f,
                "| {} | {} | {} | {} |",
                row.query.name,
                row.query.about,
                cells.join(" | "),
                ratios.join(" | ")
            )?;
        }
        writeln!(f)?;
        for system in others {
            if let Some((mean, queries)) = self.mean(system) {
                let aim = match system {
                    "Flink" if mean >= 5.0 => " (aimed at: 5; met)",
                    "Flink" => " (aimed at: 5; missed)",
                    _ => "",
                };
                writeln!(f, "Geometric mean over {queries} queries: {mean:.2} × {system}{aim}.")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexmark::query::named;

    fn row(name: &str, kvick: Cell, flink: Cell) -> Row {
        let mut row = Row::new(named(name).unwrap(), 1000);
        row.add("Kvick", kvick);
        row.add("Flink", flink);
        row
    }

    #[test]
    fn the_mean_is_over_what_both_have_run() {
        let times = |values: &[f64]| Cell::Times(values.to_vec());
        let rows = vec![
            row("q0", times(&[10.0, 30.0, 20.0]), times(&[40.0])),
            row("q1", times(&[10.0]), times(&[80.0])),
            row("q2", Cell::Failed, times(&[1.0])),
        ];
        let (mean, queries) = Report { rows }.mean("Flink").unwrap();
        assert_eq!(queries, 2);
        assert!((mean - 4.0).abs() < 1e-9);
    }
}
