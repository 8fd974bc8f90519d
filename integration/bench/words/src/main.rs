//! What the throughput benchmark counts, and the least that counting it can cost:
//!
//!     words generate MEGABYTES FILE       a text over a vocabulary of 10,000 words, the same at every run
//!     words count INPUT OUTPUT            two threads, a half of the file each, one sum at the end: `word count`
//!     words stream INPUT OUTPUT           two threads, every update written: `(word,count)`
//!
//! A word is a run of ASCII letters, digits and underscores, in lower case, as in the WordCount examples. Nothing here
//! knows Kvick: no fault tolerance, no parallelism beyond two threads, no input but a local file.

mod count;
mod generate;
mod split;
mod stream;

use std::io::{Error, Result};
use std::time::Instant;

/// The allocator that Kvick's jobs have, so that what is compared is not the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let begin = Instant::now();
    match words.as_slice() {
        ["generate", megabytes, file] => generate::generate(number(megabytes)?, file),
        ["count", input, output] => timed(begin, count::count(input, output)),
        ["stream", input, output] => timed(begin, stream::stream(input, output)),
        _ => Err(Error::other(
            "usage: words generate MEGABYTES FILE | count INPUT OUTPUT | stream INPUT OUTPUT",
        )),
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::other(format!("{text} is not a number of megabytes")))
}

/// Prints the time in the words in which the `flink` command prints it.
fn timed(begin: Instant, outcome: Result<()>) -> Result<()> {
    outcome?;
    println!("Job Runtime: {} ms", begin.elapsed().as_millis());
    Ok(())
}
