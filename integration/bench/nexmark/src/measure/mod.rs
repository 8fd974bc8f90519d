//! The measurement: the same queries over the same files on Kvick, Flink and Renoir, one after the other.
//!
//! First each system's results over a small input are compared with what they must be; a query whose result is wrong is
//! told and not timed on that system. Then all are timed over the large input, with nothing kept of the results. What
//! a checkpoint a second costs, and how late records are at half of the possible load, is Kvick's alone.

mod flink;
mod program;
mod report;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use flink::{Cluster, Target};
use nexmark::query::{Form, QUERIES, Query};
use nexmark::{check, expect, files};
use program::{Program, figure};
use report::{Cell, Report, Row, median};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Every query on every system.
    Queries,
    /// Kvick with and without a checkpoint a second.
    Checkpoints,
    /// Kvick's latency at half load.
    Latency,
}

/// What is measured, and how often.
#[derive(Debug, Parser)]
pub struct Options {
    /// Events of the input that is timed; one in fifty is a person, three are auctions, the others bids.
    #[arg(long, default_value_t = 2_000_000)]
    events: usize,
    /// Events of the input over which results are checked.
    #[arg(long, default_value_t = 120_000)]
    check_events: usize,
    /// Events for the measurement with checkpoints: enough for several seconds.
    #[arg(long, default_value_t = 10_000_000)]
    checkpoint_events: usize,
    /// How often each query is timed on Kvick and Renoir.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How often each query is timed on Flink, after a run over the small input has warmed it up.
    #[arg(long, default_value_t = 1)]
    flink_runs: usize,
    /// Readers, and subtasks of everything.
    #[arg(long, default_value_t = 2)]
    parallelism: usize,
    /// Only these queries.
    #[arg(long, value_delimiter = ',')]
    queries: Vec<String>,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Only compare results, and time nothing.
    #[arg(long)]
    check_only: bool,
    /// The program with Kvick's queries.
    #[arg(long, env = "NEXMARK_KVICK")]
    kvick: PathBuf,
    /// The program with Renoir's queries; without it, Renoir takes no part.
    #[arg(long, env = "NEXMARK_RENOIR")]
    renoir: Option<PathBuf>,
    /// A Flink distribution; without it, Flink takes no part.
    #[arg(long, env = "FLINK_HOME")]
    flink_home: Option<PathBuf>,
    /// The directory of the SQL scripts.
    #[arg(long, env = "NEXMARK_SQL")]
    sql: PathBuf,
    /// Where inputs and Flink's files are kept while measuring. Not in memory.
    #[arg(long, env = "NEXMARK_WORK")]
    work: PathBuf,
}

impl Options {
    fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    fn chosen(&self) -> Vec<&'static Query> {
        let chosen = |query: &&Query| self.queries.is_empty() || self.queries.iter().any(|q| q == query.name);
        QUERIES.iter().filter(chosen).collect()
    }
}

/// The systems, the inputs, and the queries whose results were wrong.
struct Bench {
    options: Options,
    work: TempDir,
    programs: Vec<Program>,
    flink: Option<Cluster>,
    wrong: BTreeSet<(&'static str, &'static str)>,
}

impl Bench {
    fn prepare(options: Options) -> Result<Bench> {
        std::fs::create_dir_all(&options.work)?;
        let work = TempDir::new_in(&options.work)?;
        let mut programs = vec![Program::new("Kvick", options.kvick.clone(), options.parallelism)];
        programs.extend(options.renoir.clone().map(|path| Program::new("Renoir", path, options.parallelism)));
        let start = |home: &PathBuf| {
            Cluster::start(home, &options.sql, &work.path().join("flink"), options.parallelism)
        };
        let wanted = options.has(Part::Queries);
        let flink = options.flink_home.as_ref().filter(|_| wanted).map(start).transpose()?;
        Ok(Bench { work, programs, flink, wrong: BTreeSet::new(), options })
    }

    /// A directory of generated tables.
    fn input(&self, events: usize) -> Result<PathBuf> {
        let directory = self.work.path().join(format!("events-{events}"));
        if !directory.exists() {
            eprintln!("nexmark: generating {events} events");
            files::generate(events, self.options.parallelism, &directory)?;
        }
        Ok(directory)
    }

    fn judge(&mut self, system: &'static str, query: &'static Query, outcome: Result<()>) {
        match outcome {
            Ok(()) => eprintln!("nexmark: {}: {system}: as expected", query.name),
            Err(error) => {
                eprintln!("nexmark: {}: {system}: WRONG: {error:#}", query.name);
                self.wrong.insert((system, query.name));
            }
        }
    }

    /// Compares every system's results over the small input.
    fn check(&mut self) -> Result<()> {
        let tables = self.input(self.options.check_events)?;
        let mut expected = BTreeMap::new();
        for query in self.options.chosen() {
            if query.form != Form::Clock {
                expected.insert(query.name, expect::expect(query.name, &tables)?);
            }
        }
        self.check_flink(&tables, &expected)?;
        for at in 0..self.programs.len() {
            let has = self.programs[at].queries()?;
            for query in self.options.chosen() {
                if has.iter().any(|name| name == query.name) {
                    let outcome = check_program(&self.programs[at], query, &tables, &expected);
                    self.judge(self.programs[at].name, query, outcome);
                }
            }
        }
        Ok(())
    }

    fn check_flink(&mut self, tables: &Path, expected: &BTreeMap<&str, Vec<String>>) -> Result<()> {
        let Some(flink) = &self.flink else { return Ok(()) };
        let queries = self.options.chosen();
        flink.run(tables, &queries, "", &Target::Print)?;
        flink.ended()?;
        let mut printed = flink.printed()?;
        let mut outcomes = Vec::new();
        for query in queries {
            let changes = printed.remove(query.name).unwrap_or_default();
            let rows = check::rows_of_changes(changes.iter().map(String::as_str));
            let compared = |rows| match expected.get(query.name) {
                Some(expected) => check::compare(query, expected, &rows),
                None => Ok(()),
            };
            outcomes.push((query, rows.and_then(compared)));
        }
        outcomes.into_iter().for_each(|(query, outcome)| self.judge("Flink", query, outcome));
        Ok(())
    }

    /// Times every query on every system that computes it rightly.
    fn time(&self) -> Result<Report> {
        let tables = self.input(self.options.events)?;
        let sizes = sizes(&tables)?;
        let flink = self.time_flink(&tables)?;
        let mut report = Report::default();
        for query in self.options.chosen() {
            let read = query.reads.iter().filter_map(|table| sizes.get(table)).sum();
            let mut row = Row::new(query, read);
            for program in &self.programs {
                if program.queries()?.iter().any(|name| name == query.name) {
                    row.add(program.name, self.time_program(program, query, &tables));
                }
            }
            if let Some(cell) = flink.get(query.name) {
                row.add("Flink", cell.clone());
            }
            report.add(row);
        }
        Ok(report)
    }

    fn time_program(&self, program: &Program, query: &Query, tables: &Path) -> Cell {
        if self.wrong.contains(&(program.name, query.name)) {
            return Cell::Failed;
        }
        let times = (0..self.options.runs).map(|_| {
            // Only query 10 writes: files, whatever it is told.
            let files = TempDir::new_in(&self.options.work)?;
            files::load(tables)?;
            program.time(query.name, tables, &["--files", &files.path().display().to_string()])
        });
        times.collect::<Result<Vec<f64>>>().map_or_else(
            |error| {
                eprintln!("nexmark: {}: {}: {error:#}", query.name, program.name);
                Cell::Failed
            },
            Cell::Times,
        )
    }

    fn time_flink(&self, tables: &Path) -> Result<BTreeMap<String, Cell>> {
        let Some(flink) = &self.flink else { return Ok(BTreeMap::new()) };
        let right = |query: &&Query| !self.wrong.contains(&("Flink", query.name));
        let queries: Vec<&Query> = self.options.chosen().into_iter().filter(right).collect();
        for run in 0..self.options.flink_runs {
            let files = TempDir::new_in(&self.options.work)?;
            files::load(tables)?;
            flink.run(tables, &queries, &format!(" timed {run}"), &Target::Discard(files.path()))?;
        }
        let mut cells: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for job in flink.ended()? {
            if let Some((query, _)) = job.name.split_once(" timed ") {
                cells.entry(query.to_string()).or_default().push(job.millis);
            }
        }
        let wrong = self.wrong.iter().filter(|(system, _)| *system == "Flink");
        let failed = wrong.map(|(_, query)| (query.to_string(), Cell::Failed));
        Ok(cells.into_iter().map(|(query, times)| (query, Cell::Times(times))).chain(failed).collect())
    }

    /// Times two queries with state with and without a checkpoint a second to the local file system, in turn, up to the last
    /// row: behind it a job with checkpoints waits for the last one of them, however much or little it has read.
    fn checkpoints(&self) -> Result<()> {
        let tables = self.input(self.options.checkpoint_events)?;
        let kvick = &self.programs[0];
        println!("\n| with state | without | a checkpoint each second | checkpoints | slower by | aim |");
        println!("|---|---|---|---|---|---|");
        for query in ["q5", "q17"] {
            let (mut without, mut with, mut taken) = (Vec::new(), Vec::new(), 0.0);
            for _ in 0..self.options.runs {
                files::load(&tables)?;
                without.push(figure(&kvick.run(query, &tables, &[])?, "Last row")?);
                let files = TempDir::new_in(&self.options.work)?;
                let directory = files.path().display().to_string();
                files::load(&tables)?;
                let output = kvick.run(query, &tables, &["--checkpoints", &directory])?;
                with.push(figure(&output, "Last row")?);
                taken = figure(&output, "Checkpoints")?;
            }
            let (without, with) = (median(&without).unwrap_or(0.0), median(&with).unwrap_or(0.0));
            let slower = (with / without - 1.0) * 100.0;
            let met = if slower <= 5.0 { "met" } else { "missed" };
            let (without, with) = (without / 1000.0, with / 1000.0);
            println!("| {query} | {without:.2} s | {with:.2} s | {taken} | {slower:.1} % | ≤ 5 % ({met}) |");
        }
        Ok(())
    }

    /// Measures how late records of a keyed job are at half of what it can take in, with buffers sent at once.
    fn latency(&self) -> Result<()> {
        let (kvick, nothing) = (&self.programs[0], Path::new("."));
        let most = figure(&kvick.run("throughput", nothing, &[])?, "Records a second")?;
        let rate = format!("{:.0}", most / 2.0);
        let output = kvick.run("latency", nothing, &["--rate", &rate])?;
        let p99 = figure(&output, "p99")?;
        println!(
            "\nA keyed job without windows, buffer time-out 0: {most:.0} records a second at most; at half of that"
        );
        println!(
            "p50 {} ms, p99 {p99} ms, p99.9 {} ms, longest {} ms (aim: p99 ≤ 5 ms, {}).",
            figure(&output, "p50")?,
            figure(&output, "p99.9")?,
            figure(&output, "max")?,
            if p99 <= 5.0 { "met" } else { "missed" }
        );
        Ok(())
    }
}

/// The number of rows of each table.
fn sizes(tables: &Path) -> Result<BTreeMap<&'static str, u64>> {
    let mut sizes = BTreeMap::new();
    for table in ["person", "auction", "bid"] {
        let mut rows = 0;
        files::for_each_line::<anyhow::Error>(&tables.join(table), |_| {
            rows += 1;
            Ok(())
        })?;
        sizes.insert(table, rows);
    }
    Ok(sizes)
}

fn check_program(
    program: &Program,
    query: &Query,
    tables: &Path,
    expected: &BTreeMap<&str, Vec<String>>,
) -> Result<()> {
    let output = TempDir::new()?;
    let directory = output.path().join("rows");
    program.run(query.name, tables, &["--output", &directory.display().to_string()])?;
    match expected.get(query.name) {
        Some(expected) => check::compare(query, expected, &check::rows_of_files(query, &directory)?),
        None => Ok(()),
    }
}

/// Measures what the options ask for and prints the tables.
///
/// # Errors
/// Something could not be run, or a result was wrong (told at the end, after all else).
pub fn measure(options: Options) -> Result<()> {
    let mut bench = Bench::prepare(options)?;
    if bench.options.has(Part::Queries) {
        bench.check().context("checking the results")?;
        if !bench.options.check_only {
            println!("{}", bench.time()?);
        }
    }
    if bench.options.has(Part::Checkpoints) && !bench.options.check_only {
        bench.checkpoints().context("measuring with checkpoints")?;
    }
    if bench.options.has(Part::Latency) && !bench.options.check_only {
        bench.latency().context("measuring the latency")?;
    }
    match bench.wrong.len() {
        0 => Ok(()),
        wrong => bail!("{wrong} results were wrong: see above"),
    }
}
