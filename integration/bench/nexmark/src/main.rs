//! The command line: makes the input, computes what results must be, checks what was written, and measures everything.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod measure;

use anyhow::{Context, Result};
use clap::Parser;
use nexmark::query::{Query, named};
use nexmark::{check, expect, files};
use std::path::PathBuf;

/// Nexmark: generator, expected results, checks and measurements.
#[derive(Debug, Parser)]
#[command(name = "nexmark")]
enum Command {
    /// Writes person/, auction/, bid/ and side/ under DIR.
    Generate {
        /// How many events.
        events: usize,
        /// The directory.
        dir: PathBuf,
        /// How many part files each table has: as many as there are to be readers.
        #[arg(long, default_value_t = 2)]
        parts: usize,
    },
    /// Computes a query's result and writes its rows, sorted, to OUT.
    Expect {
        /// `q0` to `q22`.
        query: String,
        /// The directory of the tables.
        dir: PathBuf,
        /// The file to write.
        out: PathBuf,
    },
    /// Compares the part files in OUTPUT with what the query's result must be.
    Check {
        /// `q0` to `q22`.
        query: String,
        /// The directory of the tables.
        dir: PathBuf,
        /// The directory of the result.
        output: PathBuf,
    },
    /// Checks and times every query on Kvick, Flink and Renoir, and prints the tables.
    Measure(measure::Options),
}

fn query(name: &str) -> Result<&'static Query> {
    named(name).with_context(|| format!("there is no query {name}"))
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Generate { events, dir, parts } => Ok(files::generate(events, parts, &dir)?),
        Command::Expect { query: name, dir, out } => {
            let lines = expect::expect(query(&name)?.name, &dir)?;
            Ok(std::fs::write(out, lines.iter().map(|line| format!("{line}\n")).collect::<String>())?)
        }
        Command::Check { query: name, dir, output } => {
            let query = query(&name)?;
            let expected = expect::expect(query.name, &dir)?;
            check::compare(query, &expected, &check::rows_of_files(query, &output)?)?;
            println!("{name}: {} rows, as expected", expected.len());
            Ok(())
        }
        Command::Measure(options) => measure::measure(options),
    }
}
