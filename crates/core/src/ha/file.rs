//! The form in which records lie in a file or a node: a head that proves that the rest is whole, and JSON.
//!
//! The head is 36 bytes: the magic `KVICKHA\n`, then big-endian the version (4 bytes), the epoch of the writer (8 bytes),
//! the body's length (8 bytes) and the XXH3-64 of epoch and body (8 bytes). Unknown fields of the body are ignored, so a
//! field may be added without a new version; a version is raised when an old reader would misread.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The version that this engine writes, and the newest that it reads.
pub const FILE_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"KVICKHA\n";
const HEAD: usize = 36;

/// Bytes that are no whole record file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It was not written to its end, or something follows it.
    #[error("it is torn: {found} bytes are there, {expected} should be")]
    Torn {
        /// As its head says; the head's own length where not even that is whole.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// It begins with something else.
    #[error("it does not begin with the signature of a record")]
    Foreign,
    /// A later engine wrote it.
    #[error("it is of version {0}, this engine reads up to version {FILE_VERSION}: use a newer engine")]
    TooNew(u32),
    /// Its content has changed since it was written.
    #[error("it is damaged: its checksum does not match")]
    Damaged,
    /// The body is whole, but it is no such record; or it cannot be written as JSON.
    #[error("its content cannot be understood: {0}")]
    Body(String),
}

/// What is in a record file, with the epoch of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFile<T> {
    /// The writer's YARN attempt.
    pub epoch: u64,
    /// What it wrote.
    pub body: T,
}

impl<T: Serialize> RecordFile<T> {
    /// The bytes of the file.
    ///
    /// # Errors
    /// [`FileError::Body`], should it be impossible to write it as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, FileError> {
        let body = serde_json::to_vec(&self.body).map_err(|error| FileError::Body(error.to_string()))?;
        let mut bytes = Vec::with_capacity(HEAD + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FILE_VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&xxh3_64_with_seed(&body, self.epoch).to_be_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }
}

impl<T: DeserializeOwned> RecordFile<T> {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<RecordFile<T>, FileError> {
        let found = bytes.len() as u64;
        let Some((head, body)) = bytes.split_at_checked(HEAD) else {
            return Err(FileError::Torn { expected: HEAD as u64, found });
        };
        if !head.starts_with(MAGIC) {
            return Err(FileError::Foreign);
        }
        let version = number(&head[8..12]) as u32;
        if version == 0 {
            return Err(FileError::Foreign);
        }
        if version > FILE_VERSION {
            return Err(FileError::TooNew(version));
        }
        let (epoch, length, checksum) = (number(&head[12..20]), number(&head[20..28]), number(&head[28..36]));
        if length != body.len() as u64 {
            return Err(FileError::Torn { expected: length.saturating_add(HEAD as u64), found });
        }
        if checksum != xxh3_64_with_seed(body, epoch) {
            return Err(FileError::Damaged);
        }
        let body = serde_json::from_slice(body).map_err(|error| FileError::Body(error.to_string()))?;
        Ok(RecordFile { epoch, body })
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_written_and_any_other_bytes_are_refused() {
        let file = RecordFile { epoch: 3, body: vec!["a".to_string(), "b".to_string()] };
        let bytes = file.encode().unwrap();
        assert_eq!(RecordFile::decode(&bytes), Ok(file));
        type Read = RecordFile<Vec<String>>;
        for cut in 0..bytes.len() {
            let error = Read::decode(&bytes[..cut]).unwrap_err();
            assert!(matches!(error, FileError::Torn { found, .. } if found == cut as u64), "{cut}: {error}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Read::decode(&changed).is_err(), "byte {at}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(Read::decode(&longer), Err(FileError::Torn { .. })));
        assert!(matches!(RecordFile::<u64>::decode(&bytes), Err(FileError::Body(_))));
    }
}
