//! SHA-256 as the cache writes it. Knows nothing of the cache.

use std::fmt::Write as _;
use std::io::Read;

use sha2::{Digest, Sha256};

use crate::error::{FsError, Result};
use crate::local::LocalFileSystem;
use crate::path::FsPath;

/// How much of a file is hashed at a time.
const PIECE: usize = 1 << 20;

pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Lower-case hexadecimal.
    pub(super) fn finish(self) -> String {
        self.0.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

pub(super) async fn of_file(path: &FsPath) -> Result<String> {
    let own = path.clone();
    let failed = |error: tokio::task::JoinError| FsError::Other {
        operation: "hash",
        path: path.to_string(),
        reason: error.to_string(),
    };
    tokio::task::spawn_blocking(move || hash_now(&own)).await.map_err(failed)?
}

fn hash_now(path: &FsPath) -> Result<String> {
    let (mut file, _) = LocalFileSystem::open_now(path)?;
    let (mut hasher, mut piece) = (Hasher::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece).map_err(|error| FsError::from_io("read", path, &error))? {
            0 => return Ok(hasher.finish()),
            count => hasher.add(&piece[..count]),
        }
    }
}
