//! Compares what a system wrote with what the result must be.
//!
//! Two forms are read: files of plain rows, in which a later row replaces an earlier one with the same key; and what
//! Flink's `print` connector writes, a log of changes (`2> +I[1, 2]`, `-U[…]`, `+U[…]`, `-D[…]`).

use crate::files::for_each_line;
use crate::query::{Form, Query};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// Rows with how often each occurs.
pub type Rows = BTreeMap<String, i64>;

/// The rows of part files.
///
/// # Errors
/// The files cannot be read.
pub fn rows_of_files(query: &Query, directory: &Path) -> Result<Rows> {
    let mut lines = Vec::new();
    for_each_line::<anyhow::Error>(directory, |line| {
        lines.push(line.to_string());
        Ok(())
    })?;
    Ok(final_rows(query, lines))
}

/// Rows in which later ones replace earlier ones as the query's form says.
pub fn final_rows(query: &Query, lines: impl IntoIterator<Item = String>) -> Rows {
    let Form::Upsert(key) = query.form else { return counted(lines) };
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for line in lines {
        last.insert(columns(&line, key), line);
    }
    counted(last.into_values())
}

fn counted(lines: impl IntoIterator<Item = String>) -> Rows {
    let mut rows = Rows::new();
    for line in lines {
        *rows.entry(line).or_default() += 1;
    }
    rows
}

fn columns(line: &str, wanted: &[usize]) -> String {
    let fields: Vec<&str> = line.split(',').collect();
    wanted.iter().map(|at| fields.get(*at).copied().unwrap_or("")).collect::<Vec<_>>().join(",")
}

/// The rows that are left of a log of changes.
///
/// # Errors
/// A line is no change.
pub fn rows_of_changes<'a>(log: impl IntoIterator<Item = &'a str>) -> Result<Rows> {
    let mut rows = Rows::new();
    for line in log {
        let change = line.split_once("> ").map_or(line, |(_, change)| change);
        let (kind, row) = change.split_at_checked(2).with_context(|| format!("what is \"{line}\"?"))?;
        let row = row.strip_prefix('[').and_then(|row| row.strip_suffix(']'));
        let row = row.with_context(|| format!("what is \"{line}\"?"))?;
        let count = match kind {
            "+I" | "+U" => 1,
            "-U" | "-D" => -1,
            _ => bail!("what is \"{line}\"?"),
        };
        let row = row.split(", ").map(plain).collect::<Vec<_>>().join(",");
        *rows.entry(row).or_default() += count;
    }
    rows.retain(|_, count| *count != 0);
    Ok(rows)
}

/// Times as epoch milliseconds, everything else as it is.
fn plain(field: &str) -> String {
    let millis = if field.as_bytes().get(10) == Some(&b'T') { crate::time::parse(field) } else { None };
    millis.map_or_else(|| field.to_string(), |millis| millis.to_string())
}

/// Says where a result differs from what is expected, as far as the query determines it.
///
/// # Errors
/// It differs.
pub fn compare(query: &Query, expected: &[String], found: &Rows) -> Result<()> {
    let wanted = determined(query, &counted(expected.iter().cloned()));
    let found = determined(query, found);
    let missing: Vec<String> = difference(&wanted, &found);
    let unasked: Vec<String> = difference(&found, &wanted);
    ensure!(
        missing.is_empty() && unasked.is_empty(),
        "{}: {} rows expected; {} are missing, as {}; {} are wrong, as {}",
        query.name,
        expected.len(),
        missing.len(),
        first(&missing),
        unasked.len(),
        first(&unasked)
    );
    Ok(())
}

fn determined(query: &Query, rows: &Rows) -> Rows {
    if query.determined.is_empty() {
        return rows.clone();
    }
    let mut result = Rows::new();
    for (row, count) in rows {
        *result.entry(columns(row, query.determined)).or_default() += count;
    }
    result
}

/// The rows that are more often in `a` than in `b`.
fn difference(a: &Rows, b: &Rows) -> Vec<String> {
    let more = a.iter().filter(|(row, count)| b.get(*row).is_none_or(|other| other < count));
    more.map(|(row, _)| row.clone()).collect()
}

fn first(rows: &[String]) -> String {
    rows.first().map_or_else(|| "none".to_string(), |row| format!("\"{row}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::named;

    #[test]
    fn changes_leave_the_last_state() {
        let log = ["1> +I[10, 5]", "2> +I[11, 1]", "1> -U[10, 5]", "1> +U[10, 6]", "2> -D[11, 1]"];
        assert_eq!(rows_of_changes(log).unwrap(), Rows::from([("10,6".to_string(), 1)]));
        let log = ["+I[7, 2015-07-15T00:00:10]"];
        assert_eq!(rows_of_changes(log).unwrap(), Rows::from([("7,1436918410000".to_string(), 1)]));
        assert!(rows_of_changes(["some words"]).is_err());
    }

    #[test]
    fn of_upserts_the_last_one_counts() {
        let query = named("q4").unwrap();
        let rows = final_rows(query, ["10,1", "11,5", "10,2"].map(String::from));
        assert!(compare(query, &["10,2".to_string(), "11,5".to_string()], &rows).is_ok());
        assert!(compare(query, &["10,1".to_string(), "11,5".to_string()], &rows).is_err());
    }

    #[test]
    fn a_missing_and_a_doubled_row_are_found() {
        let query = named("q2").unwrap();
        let expected = ["1,2".to_string(), "1,2".to_string(), "3,4".to_string()];
        let found = |lines: &[&str]| counted(lines.iter().map(|line| line.to_string()));
        assert!(compare(query, &expected, &found(&["1,2", "3,4", "1,2"])).is_ok());
        assert!(compare(query, &expected, &found(&["1,2", "3,4"])).is_err());
        assert!(compare(query, &expected, &found(&["1,2", "1,2", "3,4", "3,4"])).is_err());
    }

    #[test]
    fn what_a_query_leaves_open_is_not_compared() {
        let query = named("q18").unwrap();
        let found = counted(["7,8,100,a,u,5,x".to_string()]);
        assert!(compare(query, &["7,8,999,b,v,5,y".to_string()], &found).is_ok());
        assert!(compare(query, &["7,8,100,a,u,6,x".to_string()], &found).is_err());
    }
}
