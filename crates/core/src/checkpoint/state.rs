//! What a snapshot consists of: handles to state, by operator and subtask. The bytes behind a handle are the runtime's.
//!
//! The same shapes describe what a subtask hands over and what it is given back: [`super::restore`] only selects.

use super::key_groups::KeyGroups;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Bytes that travel within messages and metadata, as base64 text there. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct InlineBytes(pub Arc<[u8]>);

impl From<Vec<u8>> for InlineBytes {
    fn from(bytes: Vec<u8>) -> Self {
        InlineBytes(bytes.into())
    }
}

impl fmt::Debug for InlineBytes {
    /// Only how many: traces would drown in state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for InlineBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for InlineBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(InlineBytes(bytes.into()))
    }
}

/// Where a file with state lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFile {
    /// By name within the directory of its checkpoint, wherever that is moved to.
    Own(String),
    /// By its whole path: a file that several checkpoints may refer to.
    Shared(String),
}

/// A piece of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StateHandle {
    /// The bytes themselves.
    Inline {
        /// The bytes.
        bytes: InlineBytes,
    },
    /// A part of a file.
    File {
        /// Which file.
        file: StateFile,
        /// Where in it the state begins.
        #[serde(default)]
        offset: u64,
        /// How long it is, in bytes.
        length: u64,
        /// XXH3-64 of these bytes; verified when they are read.
        checksum: u64,
    },
}

impl StateHandle {
    /// How much state this is, in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            StateHandle::Inline { bytes } => bytes.0.len() as u64,
            StateHandle::File { length, .. } => *length,
        }
    }

    /// The path of the file, if other checkpoints may refer to it too.
    pub fn shared_file(&self) -> Option<&str> {
        match self {
            StateHandle::File { file: StateFile::Shared(path), .. } => Some(path),
            _ => None,
        }
    }
}

/// A part of what a handle refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Where it begins, in bytes from the handle's beginning.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// How keyed state is laid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum KeyedData {
    /// One stream, key group after key group.
    Stream {
        /// The stream, perhaps with a head before the first group (schemas).
        handle: StateHandle,
        /// For each group of the range, in order, where it is. Length 0: nothing of that group.
        groups: Vec<Piece>,
    },
    /// Files of a state backend, each of which may hold any of the groups.
    Files {
        /// By the backend's own names.
        files: BTreeMap<String, StateHandle>,
    },
}

/// Keyed state of one operator in one subtask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedState {
    /// What it is, in the runtime's words: which backend wrote it in which version, or timers. Parts that differ in this
    /// are read independently of each other.
    pub kind: String,
    /// The groups it holds; when restored, the groups that are wanted of it.
    pub key_groups: KeyGroups,
    /// Where they are.
    pub data: KeyedData,
}

impl KeyedState {
    /// The part of it that lies in a range; `None` where nothing does.
    pub fn narrowed(&self, wanted: KeyGroups) -> Option<KeyedState> {
        let key_groups = self.key_groups.intersection(wanted)?;
        let data = match &self.data {
            KeyedData::Stream { handle, groups } => {
                let first = (key_groups.start - self.key_groups.start) as usize;
                let groups = groups.iter().skip(first).take(key_groups.len()).copied().collect();
                KeyedData::Stream { handle: handle.clone(), groups }
            }
            files @ KeyedData::Files { .. } => files.clone(),
        };
        Some(KeyedState { kind: self.kind.clone(), key_groups, data })
    }

    fn handles(&self) -> Box<dyn Iterator<Item = &StateHandle> + '_> {
        match &self.data {
            KeyedData::Stream { handle, .. } => Box::new(std::iter::once(handle)),
            KeyedData::Files { files } => Box::new(files.values()),
        }
    }
}

/// Who gets operator state back when a job is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redistribution {
    /// Its elements are dealt out evenly (`ListState`).
    Split,
    /// Every subtask gets all elements of all subtasks (`UnionListState`).
    Union,
    /// All subtasks had the same; every subtask gets it once (`BroadcastState`).
    Broadcast,
}

/// An operator state of one subtask: elements in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedState {
    /// The state's name.
    pub name: String,
    /// Who gets it back.
    pub redistribution: Redistribution,
    /// Where the elements are.
    pub handle: StateHandle,
    /// How many bytes before the elements say what they are, in the runtime's words; 0 where nothing was said.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub head: u64,
    /// Each element, from the handle's beginning.
    pub elements: Vec<Piece>,
}

/// Which end of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelSide {
    /// Received, not yet processed.
    Input,
    /// Emitted, not yet sent.
    Output,
}

/// Records in flight, which an unaligned barrier has overtaken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// Of an input or an output.
    pub side: ChannelSide,
    /// The index of the input or output.
    pub port: u32,
    /// The subtask at the other end.
    pub channel: u32,
    /// The records.
    pub handle: StateHandle,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// All state of one operator in one subtask.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubtaskState {
    /// By key group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keyed: Vec<KeyedState>,
    /// By name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operator: Vec<NamedState>,
    /// Records in flight. Inputs belong to the first operator of a chain, outputs to the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelState>,
}

impl SubtaskState {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.keyed.is_empty() && self.operator.is_empty() && self.channels.is_empty()
    }

    /// Every handle.
    pub fn handles(&self) -> impl Iterator<Item = &StateHandle> {
        let keyed = self.keyed.iter().flat_map(KeyedState::handles);
        let operator = self.operator.iter().map(|state| &state.handle);
        keyed.chain(operator).chain(self.channels.iter().map(|channel| &channel.handle))
    }

    /// How much state this is, in bytes; what is inline counts too.
    pub fn bytes(&self) -> u64 {
        self.handles().map(StateHandle::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_stream_keeps_the_places_of_its_groups() {
        let handle = StateHandle::Inline { bytes: vec![0; 40].into() };
        let groups = (0..4).map(|g| Piece { offset: g * 10, length: 10 }).collect();
        let state = KeyedState {
            kind: "test".into(),
            key_groups: KeyGroups { start: 4, end: 8 },
            data: KeyedData::Stream { handle, groups },
        };
        let part = state.narrowed(KeyGroups { start: 6, end: 20 }).unwrap();
        assert_eq!(part.key_groups, KeyGroups { start: 6, end: 8 });
        let KeyedData::Stream { groups, .. } = part.data else { panic!("not a stream") };
        assert_eq!(groups.iter().map(|p| p.offset).collect::<Vec<_>>(), [20, 30]);
        assert_eq!(state.narrowed(KeyGroups { start: 8, end: 9 }), None);
    }

    #[test]
    fn state_survives_its_text_form() {
        let bytes = StateHandle::Inline { bytes: vec![0, 1, 255].into() };
        let text = serde_json::to_string(&bytes).unwrap();
        assert_eq!(text, r#"{"type":"inline","bytes":"AAH/"}"#);
        assert_eq!(serde_json::from_str::<StateHandle>(&text).unwrap(), bytes);
    }
}
