//! WordCount over one generated file with parallelism 2, in batch and in streaming mode: Kvick and Flink in a session,
//! Renoir and a hand-written loop as plain programs. All read and write the same local file system.
//!
//! Every result is compared with the hand-written loop's; a wrong one ends the benchmark.

use crate::Bench;
use crate::report::{Aim, Row, Unit};
use crate::sample::Sample;
use crate::session::{Session, runtime};
use crate::system::{System, succeeded};
use anyhow::{Context, Result, ensure};
use kvick_integration::command::required;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// One task executor with a slot for each of the machine's cores.
const SESSION: &str = "-jm 1024 -tm 4096 -s 2";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Batch,
    Streaming,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Batch => "batch",
            Mode::Streaming => "streaming",
        }
    }

    /// What the project aims at.
    fn aim(self) -> Aim {
        match self {
            Mode::Batch => Aim::Peers(&[("Renoir", 2.0), ("by hand", 0.5), ("Flink", 20.0)]),
            Mode::Streaming => Aim::Peers(&[("Renoir", 1.0), ("Flink", 20.0)]),
        }
    }

    fn row(self, megabytes: u64) -> Row {
        let what = format!("WordCount, {megabytes} MB, 2 threads, {}", self.name());
        Row::new(&what, Unit::MegabytesPerSecond).aim(self.aim())
    }
}

/// The counted file, and what counting it must come to.
struct Text {
    dir: TempDir,
    size: f64,
    total: u64,
    counts: BTreeMap<String, u64>,
}

fn program(variable: &str) -> Command {
    Command::new(required(variable))
}

impl Text {
    fn generate(megabytes: u64) -> Result<Text> {
        // Not in /tmp, which may be memory: the benchmark's own directory.
        let dir = TempDir::new_in(required("KVICK_BENCH_DIR"))?;
        let text = dir.path().join("text");
        succeeded(program("KVICK_BENCH_WORDS").args(["generate", &megabytes.to_string()]).arg(&text))?;
        let expected = dir.path().join("expected");
        succeeded(program("KVICK_BENCH_WORDS").arg("count").arg(&text).arg(&expected))?;
        let counts = final_counts(&expected)?;
        let size = std::fs::metadata(&text)?.len() as f64;
        Ok(Text { total: counts.values().sum(), counts, size, dir })
    }

    fn input(&self) -> PathBuf {
        self.dir.path().join("text")
    }

    /// Gives `count` an empty place for its output; checks what it wrote, and answers MB/s of the time it tells.
    fn measure(&self, mode: Mode, count: impl FnOnce(&Path) -> Result<f64>) -> Result<f64> {
        let output = self.dir.path().join("output");
        let milliseconds = count(&output)?;
        self.check(mode, &output)?;
        if output.is_dir() {
            std::fs::remove_dir_all(&output)?
        } else {
            std::fs::remove_file(&output)?
        }
        Ok(self.size / 1000.0 / milliseconds.max(1.0))
    }

    fn check(&self, mode: Mode, output: &Path) -> Result<()> {
        if mode == Mode::Streaming {
            let (updates, counts) = updates(output)?;
            ensure!(updates == self.total, "{updates} updates were written for {} words", self.total);
            ensure!(counts == self.counts, "the last counts are wrong");
            return Ok(());
        }
        ensure!(final_counts(output)? == self.counts, "the counts are wrong");
        Ok(())
    }
}

/// Calls `record` for every line of a file, or of every file in a directory, as word and count.
fn records(path: &Path, record: &mut impl FnMut(&str, u64)) -> Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)?.flatten() {
            records(&entry.path(), record)?;
        }
        return Ok(());
    }
    // Hadoop's file system writes checksums beside local files.
    if path.extension().is_some_and(|extension| extension == "crc") {
        return Ok(());
    }
    let mut reader = BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let bare = line.trim_end().trim_matches(['(', ')']);
        let (word, count) = bare.split_once([',', ' ']).with_context(|| format!("what is \"{bare}\"?"))?;
        record(word, count.parse()?);
        line.clear();
    }
    Ok(())
}

/// The count of each word, which must be there once.
fn final_counts(path: &Path) -> Result<BTreeMap<String, u64>> {
    let (lines, counts) = updates(path)?;
    ensure!(lines == counts.len() as u64, "{lines} lines for {} words", counts.len());
    Ok(counts)
}

/// How many updates there are, and the highest of each word.
fn updates(path: &Path) -> Result<(u64, BTreeMap<String, u64>)> {
    let (mut updates, mut counts) = (0, BTreeMap::new());
    records(path, &mut |word, count| {
        updates += 1;
        match counts.get_mut(word) {
            Some(highest) => *highest = count.max(*highest),
            None => drop(counts.insert(word.to_string(), count)),
        }
    })?;
    Ok((updates, counts))
}

fn in_session(system: &System, text: &Text, mode: Mode, runs: usize) -> Result<Sample> {
    let (_session, _) = Session::start(system, SESSION)?;
    let input = format!("file://{}", text.input().display());
    let count = |output: &Path| {
        let output = format!("file://{}", output.display());
        let program = ["--input", &input, "--output", &output];
        let mut command = match mode {
            Mode::Batch => system.batch_wordcount("run -p 2", &program),
            Mode::Streaming => system.wordcount("run -p 2", &program),
        };
        runtime(&succeeded(&mut command)?.out)
    };
    // One small job first, so that no container has to be waited for.
    succeeded(&mut system.wordcount("run -p 2", &[]))?;
    (0..runs).map(|_| text.measure(mode, count)).collect()
}

fn renoir(text: &Text, mode: Mode) -> Result<f64> {
    let count = |output: &Path| {
        let mut command = program("KVICK_BENCH_RENOIR");
        command.args([mode.name(), "2"]).arg(text.input()).arg(output);
        runtime(&succeeded(&mut command)?.out)
    };
    text.measure(mode, count)
}

fn by_hand(text: &Text, mode: Mode) -> Result<f64> {
    let what = if mode == Mode::Batch { "count" } else { "stream" };
    let count = |output: &Path| {
        let mut command = program("KVICK_BENCH_WORDS");
        command.arg(what).arg(text.input()).arg(output);
        runtime(&succeeded(&mut command)?.out)
    };
    text.measure(mode, count)
}

/// Measures both modes on everything that counts words.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let text = Text::generate(bench.options.megabytes)?;
    for mode in [Mode::Batch, Mode::Streaming] {
        let mut row = mode.row(bench.options.megabytes);
        for (system, runs) in bench.systems() {
            row.add(system.name, in_session(system, &text, mode, runs)?);
        }
        let runs = 0..bench.options.runs;
        row.add("Renoir", runs.clone().map(|_| renoir(&text, mode)).collect::<Result<_>>()?);
        row.add("by hand", runs.map(|_| by_hand(&text, mode)).collect::<Result<_>>()?);
        bench.report.extend([row]);
    }
    Ok(())
}
