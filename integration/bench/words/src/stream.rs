//! Two threads that share the running counts, each writing every update that it makes to a file of its own.

use crate::split::{lines, words};
use foldhash::fast::{FixedState, RandomState};
use std::collections::HashMap;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufWriter, Error, Result, Write};
use std::sync::{Mutex, PoisonError};

/// Enough that two threads seldom want the same lock.
const SHARDS: u64 = 256;

type Shard = Mutex<HashMap<Box<[u8]>, u64, RandomState>>;

fn add(shards: &[Shard], word: &[u8]) -> u64 {
    let shard = FixedState::default().hash_one(word) % SHARDS;
    let mut counts = shards[shard as usize].lock().unwrap_or_else(PoisonError::into_inner);
    match counts.get_mut(word) {
        Some(count) => {
            *count += 1;
            *count
        }
        None => {
            counts.insert(word.into(), 1);
            1
        }
    }
}

fn half(shards: &[Shard], input: &str, output: &str, part: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(format!("{output}/part-{part}"))?);
    lines(input, part, 2, |line| {
        for word in words(line) {
            let count = add(shards, word);
            out.write_all(b"(")?;
            out.write_all(word)?;
            writeln!(out, ",{count})")?;
        }
        Ok(())
    })?;
    out.flush()
}

/// Writes `(word,count)` at every word of `input`, into files in the directory `output`.
pub fn stream(input: &str, output: &str) -> Result<()> {
    std::fs::create_dir_all(output)?;
    let shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| half(&shards, input, output, 1));
        half(&shards, input, output, 0)?;
        second.join().unwrap_or_else(|_| Err(Error::other("a thread died")))
    })
}
