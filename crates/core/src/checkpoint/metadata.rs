//! The metadata of a completed checkpoint, and its file `_metadata`.
//!
//! The file is a head and a body. The head is 28 bytes: the magic `KVICKCP\n`, then big-endian the version (4 bytes), the
//! body's length (8 bytes) and the XXH3-64 of the body (8 bytes). The body is JSON: [`CheckpointMetadata`]. Unknown fields
//! are ignored, so a field may be added without a new version; a version is raised when an old reader would misread.

use super::message::SnapshotKind;
use super::state::{StateHandle, SubtaskState};
use crate::accumulator::Results;
use crate::ids::{JobId, VertexId};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// The name of the metadata's file within the directory of a checkpoint.
pub const METADATA_FILE: &str = "_metadata";

/// The version that this engine writes, and the newest that it reads.
pub const METADATA_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"KVICKCP\n";
/// First four bytes of Flink's own metadata (`Checkpoints.HEADER_MAGIC_NUMBER`).
const FLINK_MAGIC: &[u8; 4] = &0x4960_672d_u32.to_be_bytes();
const HEAD: usize = 28;

/// The state of one operator over all its subtasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorState {
    /// The operator's id: state is found by it.
    pub id: VertexId,
    /// The operator's name, for messages.
    pub name: String,
    /// Its `uid`, where the program gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// How many subtasks there were.
    pub parallelism: u32,
    /// How many key groups there are.
    pub max_parallelism: u32,
    /// Whether it had finished in every subtask.
    #[serde(default)]
    pub finished: bool,
    /// By subtask; those without state are left out.
    #[serde(default)]
    pub subtasks: BTreeMap<u32, SubtaskState>,
    /// By subtask that had finished, for the head of a chain: what it left for the result of the job.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub results: BTreeMap<u32, Results>,
}

impl OperatorState {
    /// `uid 'x' (name)`, or what there is of that.
    pub fn described(&self) -> String {
        match &self.uid {
            Some(uid) => format!("uid '{uid}' ({}, id {})", self.name, self.id),
            None => format!("'{}' (id {}, no uid)", self.name, self.id),
        }
    }

    /// Whether any subtask has state.
    pub fn has_state(&self) -> bool {
        self.subtasks.values().any(|s| !s.is_empty())
    }
}

/// All there is to know of a completed checkpoint or savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointMetadata {
    /// The job that took it.
    pub job_id: JobId,
    /// Its number there.
    pub checkpoint: u64,
    /// What it was taken for.
    pub kind: SnapshotKind,
    /// When it was triggered.
    pub timestamp: Millis,
    /// The engine that wrote it.
    pub engine_version: String,
    /// In the order of the job graph.
    pub operators: Vec<OperatorState>,
}

/// Bytes that are not the metadata of a checkpoint of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Flink wrote it.
    #[error(
        "this is a checkpoint or savepoint of Apache Flink; the state of Java objects cannot be read: start the job without it"
    )]
    Flink,
    /// Something else altogether.
    #[error("this is not the metadata of a checkpoint or savepoint: it does not begin with its signature")]
    NotMetadata,
    /// A later engine wrote it.
    #[error(
        "the metadata is of version {found}, this engine reads up to version {METADATA_VERSION}: use a newer engine"
    )]
    TooNew {
        /// Its version.
        found: u32,
    },
    /// It was not written to its end, or something follows it.
    #[error("the metadata is torn: it should have {expected} bytes, but has {found}")]
    Torn {
        /// As its head says.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// Its content has changed since it was written.
    #[error("the metadata is damaged: its checksum does not match")]
    Damaged,
    /// The body is whole, but it is no metadata.
    #[error("the metadata cannot be understood: {0}")]
    Body(String),
}

impl CheckpointMetadata {
    /// The content of [`METADATA_FILE`].
    ///
    /// # Errors
    /// [`MetadataError::Body`], should it be impossible to write it as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, MetadataError> {
        let body = serde_json::to_vec(self).map_err(|e| MetadataError::Body(e.to_string()))?;
        let mut bytes = Vec::with_capacity(HEAD + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&METADATA_VERSION.to_be_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&xxh3_64(&body).to_be_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Reads the content of [`METADATA_FILE`].
    ///
    /// # Errors
    /// The bytes are not what [`CheckpointMetadata::encode`] of this engine or an older one wrote.
    pub fn decode(bytes: &[u8]) -> Result<CheckpointMetadata, MetadataError> {
        let body = checked_body(bytes)?;
        serde_json::from_slice(body).map_err(|e| MetadataError::Body(e.to_string()))
    }

    /// How much state it has, in bytes.
    pub fn state_bytes(&self) -> u64 {
        self.subtasks().map(SubtaskState::bytes).sum()
    }

    /// Every file that other checkpoints may refer to as well.
    pub fn shared_files(&self) -> BTreeSet<&str> {
        self.subtasks().flat_map(SubtaskState::handles).filter_map(StateHandle::shared_file).collect()
    }

    fn subtasks(&self) -> impl Iterator<Item = &SubtaskState> {
        self.operators.iter().flat_map(|o| o.subtasks.values())
    }
}

fn checked_body(bytes: &[u8]) -> Result<&[u8], MetadataError> {
    if bytes.starts_with(FLINK_MAGIC) {
        return Err(MetadataError::Flink);
    }
    let rest = bytes.strip_prefix(MAGIC).ok_or(MetadataError::NotMetadata)?;
    let torn = |expected| MetadataError::Torn { expected, found: bytes.len() as u64 };
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(torn(HEAD as u64))?;
    let version = u32::from_be_bytes(*version);
    if version > METADATA_VERSION {
        return Err(MetadataError::TooNew { found: version });
    }
    let (length, rest) = rest.split_first_chunk::<8>().ok_or(torn(HEAD as u64))?;
    let (checksum, body) = rest.split_first_chunk::<8>().ok_or(torn(HEAD as u64))?;
    let length = u64::from_be_bytes(*length);
    if body.len() as u64 != length {
        return Err(torn(length.saturating_add(HEAD as u64)));
    }
    if xxh3_64(body) != u64::from_be_bytes(*checksum) {
        return Err(MetadataError::Damaged);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> CheckpointMetadata {
        let handle = StateHandle::Inline { bytes: vec![1, 2, 3].into() };
        let named = crate::checkpoint::NamedState {
            name: "offsets".into(),
            redistribution: crate::checkpoint::Redistribution::Split,
            handle,
            head: 0,
            elements: vec![crate::checkpoint::Piece { offset: 0, length: 3 }],
        };
        let state = SubtaskState { operator: vec![named], ..SubtaskState::default() };
        CheckpointMetadata {
            job_id: JobId(7),
            checkpoint: 3,
            kind: SnapshotKind::Checkpoint,
            timestamp: Millis(5),
            engine_version: "0.0.0".into(),
            operators: vec![OperatorState {
                id: VertexId(1),
                name: "Source".into(),
                uid: None,
                parallelism: 2,
                max_parallelism: 128,
                finished: false,
                subtasks: BTreeMap::from([(1, state)]),
                results: BTreeMap::new(),
            }],
        }
    }

    #[test]
    fn metadata_reads_back_what_was_written() {
        assert_eq!(CheckpointMetadata::decode(&metadata().encode().unwrap()), Ok(metadata()));
    }

    #[test]
    fn every_torn_or_changed_file_is_noticed() {
        let whole = metadata().encode().unwrap();
        for length in 0..whole.len() {
            let error = CheckpointMetadata::decode(&whole[..length]).unwrap_err();
            assert!(
                matches!(error, MetadataError::Torn { .. } | MetadataError::NotMetadata),
                "{length}: {error}"
            );
        }
        for position in 0..whole.len() {
            let mut changed = whole.clone();
            changed[position] ^= 0x10;
            assert!(CheckpointMetadata::decode(&changed).is_err(), "byte {position}");
        }
        let longer = [whole, vec![0]].concat();
        assert!(matches!(CheckpointMetadata::decode(&longer), Err(MetadataError::Torn { .. })));
    }

    #[test]
    fn what_others_wrote_is_named() {
        assert_eq!(CheckpointMetadata::decode(b"\x49\x60\x67\x2d\0\0\0\x03"), Err(MetadataError::Flink));
        assert_eq!(CheckpointMetadata::decode(b"%PDF-1.4"), Err(MetadataError::NotMetadata));
        let mut newer = metadata().encode().unwrap();
        newer[11] = 9;
        assert_eq!(CheckpointMetadata::decode(&newer), Err(MetadataError::TooNew { found: 9 }));
    }
}
