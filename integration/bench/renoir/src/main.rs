//! WordCount on Renoir, a stream processor without fault tolerance, for comparison:
//!
//!     renoir-wordcount batch|streaming PARALLELISM INPUT OUTPUT
//!
//! In batch mode each word is written once with its count, in streaming mode at every update. Words are cut as in the
//! WordCount examples. Each parallel instance writes a file of its own into the directory OUTPUT, in the examples' formats.

use renoir::prelude::*;
use std::fs::File;
use std::io::{BufWriter, Error, Result, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The allocator that Kvick's jobs have, so that what is compared is not the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [mode, parallelism, input, output] = words.as_slice() else {
        return Err(Error::other("usage: renoir-wordcount batch|streaming PARALLELISM INPUT OUTPUT"));
    };
    let parallelism =
        parallelism.parse().map_err(|_| Error::other(format!("{parallelism} is no parallelism")))?;
    std::fs::create_dir_all(output)?;
    let begin = Instant::now();
    match *mode {
        "batch" => batch(parallelism, input, output.into())?,
        "streaming" => streaming(parallelism, input, output.into())?,
        other => return Err(Error::other(format!("the mode is batch or streaming, not {other}"))),
    }
    println!("Job Runtime: {} ms", begin.elapsed().as_millis());
    Ok(())
}

fn context(parallelism: u64) -> Result<StreamContext> {
    let config = RuntimeConfig::local(parallelism).map_err(|error| Error::other(error.to_string()))?;
    Ok(StreamContext::new(config))
}

/// The words of a line, in lower case.
fn tokenize(mut line: String) -> Vec<String> {
    line.make_ascii_lowercase();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
    line.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(str::to_string).collect()
}

/// Writes to a file that is opened at the first record; each clone of it has a file of its own.
struct Sink {
    directory: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Clone for Sink {
    fn clone(&self) -> Sink {
        Sink { directory: self.directory.clone(), file: None }
    }
}

impl Sink {
    fn into(directory: PathBuf) -> Sink {
        Sink { directory, file: None }
    }

    fn open(&self) -> BufWriter<File> {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let path = self.directory.join(format!("part-{}", FILES.fetch_add(1, Ordering::Relaxed)));
        BufWriter::with_capacity(1 << 16, File::create(path).expect("the output cannot be created"))
    }

    fn write(&mut self, record: std::fmt::Arguments<'_>) {
        if self.file.is_none() {
            self.file = Some(self.open());
        }
        if let Some(file) = &mut self.file {
            file.write_fmt(record).expect("the output cannot be written");
        }
    }
}

/// Counts within each instance before anything is sent to another, as Renoir's own example does at its best.
fn batch(parallelism: u64, input: &str, output: PathBuf) -> Result<()> {
    let env = context(parallelism)?;
    let mut sink = Sink::into(output);
    env.stream_file(input)
        .batch_mode(BatchMode::fixed(1024))
        .flat_map(tokenize)
        .group_by_count(|word: &String| word.clone())
        .for_each(move |(word, count)| sink.write(format_args!("{word} {count}\n")));
    env.execute_blocking();
    Ok(())
}

/// Sends every word to the instance that counts it; that one writes each new count.
fn streaming(parallelism: u64, input: &str, output: PathBuf) -> Result<()> {
    let env = context(parallelism)?;
    let mut sink = Sink::into(output);
    let mut count = 0u64;
    env.stream_file(input)
        .batch_mode(BatchMode::fixed(1024))
        .flat_map(tokenize)
        .group_by(|word| word.clone())
        .rich_map(move |_| {
            count += 1;
            count
        })
        .for_each(move |(word, count)| sink.write(format_args!("({word},{count})\n")));
    env.execute_blocking();
    Ok(())
}
