//! Reading a part of a file, cut at line ends, and cutting it into words.

use std::fs::File;
use std::io::{BufRead, BufReader, Result, Seek, SeekFrom};

/// Calls `line` for each line that begins within part `part` of `parts` of a file, in lower case and without its end.
pub fn lines(path: &str, part: u64, parts: u64, mut line: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let size = std::fs::metadata(path)?.len();
    let (mut at, end) = (size * part / parts, size * (part + 1) / parts);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut text = Vec::new();
    if at > 0 {
        // The line that the cut goes through belongs to the part before; one that begins exactly here does not.
        reader.seek(SeekFrom::Start(at - 1))?;
        at += reader.read_until(b'\n', &mut text)? as u64 - 1;
    }
    while at < end {
        text.clear();
        let read = reader.read_until(b'\n', &mut text)?;
        at += read as u64;
        text.make_ascii_lowercase();
        line(text.strip_suffix(b"\n").unwrap_or(&text))?;
        if read == 0 {
            break;
        }
    }
    Ok(())
}

/// The words of a line that is in lower case.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
