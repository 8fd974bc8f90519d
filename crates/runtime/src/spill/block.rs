//! Blocks in temporary files: `length of the body: u32 | xxh3 of the body: u64 | body`, little endian.

use super::{SpillError, read_failed, write_failed};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes in front of a block's body.
pub(crate) const HEAD: usize = 12;
/// A block is closed when it has grown to this many bytes.
pub(crate) const TARGET: usize = 64 * 1024;

/// What stands in front of a body.
pub(crate) fn head(body: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&xxh3_64(body).to_le_bytes());
    head
}

/// Writes a block.
pub(crate) fn write(file: &mut impl Write, path: &Path, body: &[u8]) -> Result<(), SpillError> {
    let written = file.write_all(&head(body)).and_then(|()| file.write_all(body));
    written.map_err(|error| write_failed(path, error))
}

/// Reads the block that begins at byte `at` into `body`; `false` at the end of the file.
pub(crate) fn read(
    file: &mut impl Read,
    path: &Path,
    at: u64,
    body: &mut Vec<u8>,
) -> Result<bool, SpillError> {
    let damaged = || SpillError::Damaged { path: path.to_path_buf(), at };
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => damaged(),
        _ => read_failed(path, error),
    };
    let mut head = [0; HEAD];
    let first = file.read(&mut head).map_err(failed)?;
    if first == 0 {
        return Ok(false);
    }
    file.read_exact(&mut head[first..]).map_err(failed)?;
    let (length, checksum) = head.split_at(4);
    let length = u32::from_le_bytes(length.try_into().map_err(|_| damaged())?);
    body.clear();
    // Not `resize`: a damaged length must not reserve memory that the file cannot fill.
    let read = file.take(u64::from(length)).read_to_end(body).map_err(failed)?;
    if read != length as usize || xxh3_64(body).to_le_bytes() != checksum {
        return Err(damaged());
    }
    Ok(true)
}
