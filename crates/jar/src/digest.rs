//! SHA-256 of bytes and files, in pieces: a program of a hundred megabytes is never in memory as a whole.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{self, Read, Write};

/// Bytes that are in memory at a time.
const PIECE: usize = 64 * 1024;

/// Which side of a copy failed.
pub(crate) enum CopyFault {
    /// The source.
    Read(io::Error),
    /// The target.
    Write(io::Error),
}

/// SHA-256 of some bytes, as 64 hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

/// SHA-256 of everything that a source still has, as 64 hexadecimal digits.
///
/// # Errors
/// If it cannot be read.
pub fn sha256_of(mut from: impl Read) -> io::Result<String> {
    copy_hashing(&mut from, &mut io::sink()).map_err(|fault| match fault {
        CopyFault::Read(error) | CopyFault::Write(error) => error,
    })
}

/// Copies everything and returns the SHA-256 of it.
pub(crate) fn copy_hashing(from: &mut impl Read, to: &mut impl Write) -> Result<String, CopyFault> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).map_err(CopyFault::Read)? {
            0 => break,
            length => {
                digest.update(&piece[..length]);
                to.write_all(&piece[..length]).map_err(CopyFault::Write)?;
            }
        }
    }
    to.flush().map_err(CopyFault::Write)?;
    Ok(hex(digest.finalize().as_slice()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
