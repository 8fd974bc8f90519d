//! One part of a snapshot: shared state that a writer thread turns into bytes.

use super::PartWriter;
use crate::state::StateError;
use kvick_core::checkpoint::{ChannelState, KeyedState, NamedState, SubtaskState};

/// State that was handed over and is not yet written.
pub trait SnapshotPart: Send {
    /// Writes it. Runs in a writer thread, beside the processing of records.
    ///
    /// # Errors
    /// Whatever keeps it from being written.
    fn write(self: Box<Self>, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError>;
}

/// What became of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenPart {
    /// Keyed state.
    Keyed(KeyedState),
    /// Keyed state in several streams of different key groups.
    KeyedStreams(Vec<KeyedState>),
    /// Operator state.
    Operator(NamedState),
    /// Records in flight.
    Channel(ChannelState),
    /// There was nothing to write.
    Nothing,
}

impl WrittenPart {
    /// Puts it where it belongs.
    pub fn into(self, state: &mut SubtaskState) {
        match self {
            WrittenPart::Keyed(keyed) => state.keyed.push(keyed),
            WrittenPart::KeyedStreams(streams) => state.keyed.extend(streams),
            WrittenPart::Operator(named) => state.operator.push(named),
            WrittenPart::Channel(channel) => state.channels.push(channel),
            WrittenPart::Nothing => {}
        }
    }
}
