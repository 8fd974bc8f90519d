//! Cuts the keyed state of a large table into several streams, so that whoever restores a part of the key groups does not read,
//! and verify, all of them.

use super::{PartWriter, WrittenPart};
use crate::state::StateError;
use kvick_core::checkpoint::{KeyGroups, KeyedData, KeyedState, Piece};

/// A stream that has this many bytes ends with the key group it is in.
const STREAM_BYTES: u64 = 16 << 20;

/// The streams of one table: each has a head and some key groups, all together have every group of the table.
pub(super) struct GroupStreams {
    kind: String,
    head: Vec<u8>,
    end: u32,
    /// The first group of the current stream.
    first: u32,
    /// The groups of the current stream so far.
    pieces: Vec<Piece>,
    done: Vec<KeyedState>,
}

impl GroupStreams {
    pub fn new(kind: String, head: Vec<u8>, groups: KeyGroups) -> GroupStreams {
        let (first, end) = (groups.start, groups.end);
        GroupStreams { kind, head, end, first, pieces: Vec::new(), done: Vec::new() }
    }

    /// Some entries of a group follow; groups come in rising order. Returns the position, for [`GroupStreams::leave`].
    pub fn enter(&mut self, group: u32, out: &mut PartWriter<'_>) -> Result<u64, StateError> {
        let is_new = group >= self.first + self.pieces.len() as u32;
        if is_new && out.position() >= STREAM_BYTES {
            self.cut(group, out)?;
        }
        if out.position() == 0 {
            out.write(&self.head)?;
        }
        self.fill(group + 1, out.position());
        Ok(out.position())
    }

    /// The entries of a group have been written.
    pub fn leave(&mut self, group: u32, before: u64, out: &PartWriter<'_>) {
        if let Some(piece) = self.pieces.get_mut((group - self.first) as usize) {
            piece.length += out.position() - before;
        }
    }

    /// Groups up to `end` of which nothing was written are empty, wherever.
    fn fill(&mut self, end: u32, offset: u64) {
        let count = (end - self.first) as usize;
        while self.pieces.len() < count {
            self.pieces.push(Piece { offset, length: 0 });
        }
    }

    /// The current stream ends before this group.
    fn cut(&mut self, group: u32, out: &mut PartWriter<'_>) -> Result<(), StateError> {
        self.fill(group, out.position());
        let groups = std::mem::take(&mut self.pieces);
        let data = KeyedData::Stream { handle: out.finish()?, groups };
        let key_groups = KeyGroups { start: self.first, end: group };
        self.done.push(KeyedState { kind: self.kind.clone(), key_groups, data });
        self.first = group;
        Ok(())
    }

    pub fn finish(mut self, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError> {
        self.cut(self.end, out)?;
        Ok(WrittenPart::KeyedStreams(self.done))
    }
}
