//! The tables as files: a directory for each, with as many part files as there are to be readers.
//!
//! Rows are dealt out in turn, so each part is (nearly) in the order of event time and all advance alike: a reader that has
//! one part to itself, as Flink's has, sees no late rows.

use crate::generator::{Event, Generator};
use crate::text::Line;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Result, Write};
use std::path::{Path, PathBuf};

/// The seed of all measurements.
const SEED: u64 = 20_150_715;

/// How many keys the side input of query 13 has.
pub const SIDE_KEYS: u64 = 10_000;

/// The value of a key of the side input.
pub fn side_value(key: u64) -> String {
    format!("side-{key}")
}

struct Table {
    parts: Vec<BufWriter<File>>,
    rows: usize,
}

impl Table {
    fn create(directory: &Path, parts: usize) -> Result<Table> {
        std::fs::create_dir_all(directory)?;
        let part = |index| File::create(directory.join(format!("part-{index}.csv")));
        let parts = (0..parts)
            .map(|index| Ok(BufWriter::with_capacity(1 << 20, part(index)?)))
            .collect::<Result<_>>();
        Ok(Table { parts: parts?, rows: 0 })
    }

    fn add(&mut self, row: &impl Line) -> Result<()> {
        let part = self.rows % self.parts.len();
        self.rows += 1;
        writeln!(self.parts[part], "{}", row.line())
    }

    fn finish(self) -> Result<()> {
        self.parts.into_iter().try_for_each(|mut part| part.flush())
    }
}

/// Writes the first `events` events to `person/`, `auction/` and `bid/` under a directory, and the side input to `side/`.
///
/// # Errors
/// The file system's.
pub fn generate(events: usize, parts: usize, directory: &Path) -> Result<()> {
    let table = |name: &str| Table::create(&directory.join(name), parts.max(1));
    let (mut persons, mut auctions, mut bids) = (table("person")?, table("auction")?, table("bid")?);
    for event in Generator::new(SEED).take(events) {
        match event {
            Event::Person(person) => persons.add(&person)?,
            Event::Auction(auction) => auctions.add(&auction)?,
            Event::Bid(bid) => bids.add(&bid)?,
        }
    }
    let mut side = Table::create(&directory.join("side"), 1)?;
    (0..SIDE_KEYS).try_for_each(|key| side.add(&(key, side_value(key))))?;
    [persons, auctions, bids, side].into_iter().try_for_each(Table::finish)
}

/// The part files of a directory, and of those in it, by name; hidden files, checksums and in-progress files are left out.
///
/// # Errors
/// The file system's.
pub fn parts(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() { found.extend(parts(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

/// Reads every part below a directory once, so that the system has them in memory: no disk is to be measured.
///
/// # Errors
/// The file system's.
pub fn load(directory: &Path) -> Result<()> {
    for path in parts(directory)? {
        std::io::copy(&mut File::open(path)?, &mut std::io::sink())?;
    }
    Ok(())
}

/// Calls `each` for every line of every part of a table, part after part.
///
/// # Errors
/// The file system's, or what `each` fails with.
pub fn for_each_line<E: From<std::io::Error>>(
    directory: &Path,
    mut each: impl FnMut(&str) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut line = String::new();
    for path in parts(directory)? {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        while reader.read_line(&mut line)? > 0 {
            each(line.strip_suffix('\n').unwrap_or(&line))?;
            line.clear();
        }
    }
    Ok(())
}
