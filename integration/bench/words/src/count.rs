//! Each thread counts its half; the sums are added up and written once.

use crate::split::{lines, words};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Error, Result, Write};

type Counts = HashMap<Box<[u8]>, u64, RandomState>;

fn half(path: &str, part: u64) -> Result<Counts> {
    let mut counts = Counts::default();
    lines(path, part, 2, |line| {
        for word in words(line) {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(counts.insert(word.into(), 1)),
            }
        }
        Ok(())
    })?;
    Ok(counts)
}

/// Counts the words of `input`; writes `word count` lines.
pub fn count(input: &str, output: &str) -> Result<()> {
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| half(input, 1));
        (half(input, 0), second.join().unwrap_or_else(|_| Err(Error::other("a thread died"))))
    });
    let mut counts = first?;
    for (word, count) in second? {
        *counts.entry(word).or_default() += count;
    }
    let mut out = BufWriter::new(File::create(output)?);
    for (word, count) in &counts {
        out.write_all(word)?;
        writeln!(out, " {count}")?;
    }
    out.flush()
}
