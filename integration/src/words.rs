//! Large texts, and what tools that know nothing of Kvick make of them.

use crate::command::{Ran, run};
use crate::text::sorted_lines;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

/// How large texts are, in units of 1,000,000 bytes: `KVICK_TEST_MEGABYTES`.
///
/// # Panics
/// If that is no number.
pub fn megabytes() -> usize {
    std::env::var("KVICK_TEST_MEGABYTES").map_or(20, |text| text.parse().expect("a number of megabytes"))
}

/// Numbers that look random: the multiplier and increment of Knuth's MMIX; the high bits are the good ones.
fn random() -> impl Iterator<Item = u64> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    std::iter::successors(Some(1), next)
}

/// Writes lines until there are so many bytes.
fn write_lines(path: &Path, bytes: usize, mut line: impl FnMut(u64) -> String) {
    let mut out = BufWriter::new(File::create(path).expect("no file"));
    let (mut written, mut random) = (0, random());
    while written < bytes {
        let line = line(random.next().unwrap_or_default());
        out.write_all(line.as_bytes()).expect("the file cannot be written");
        written += line.len();
    }
    out.flush().expect("the file cannot be written");
}

/// Lines of words of which some are frequent and most are rare, as many as [`megabytes`] says.
///
/// # Panics
/// If they cannot be written.
pub fn write_text(path: &Path) {
    write_lines(path, megabytes() * 1_000_000, |random| {
        let (rare, frequent) = ((random >> 33) % 10_000, (random >> 48) % 97);
        format!("the word{rare} of the w{frequent} and x{}\n", rare * frequent % 1009)
    });
}

/// Lines `KEY TEXT` with one of so many keys each, as many as make up these bytes; texts tell one file from another.
///
/// # Panics
/// If they cannot be written.
pub fn write_keyed(path: &Path, bytes: usize, keys: u64, text: &str) {
    write_lines(path, bytes, |random| format!("k{} {text}-{:016x}\n", (random >> 33) % keys, random));
}

/// What awk counts: `word count`, sorted.
pub fn counted_by_awk(path: &Path) -> Vec<String> {
    let program = "{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w, n[w] }";
    sorted_lines(&run(Command::new("awk").env("LC_ALL", "C").arg(program).arg(path)).ok().out)
}

/// Runs a script of the shell in a directory, with the byte as the unit of order.
pub fn shell(directory: &Path, script: &str) -> Ran {
    let mut command = Command::new("bash");
    run(command.args(["-o", "pipefail", "-ec", script]).env("LC_ALL", "C").current_dir(directory))
}
