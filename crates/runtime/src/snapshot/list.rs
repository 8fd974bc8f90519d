//! Operator state: named lists of elements, behind a head with their schema.

use super::format::Head;
use super::table::{EntryReader, head_of, written_schema};
use super::{PartWriter, SnapshotPart, StateReader, WrittenPart};
use crate::element::Data;
use crate::state::StateError;
use kvick_core::checkpoint::{NamedState, Piece, Redistribution};

/// Elements that are already bytes: operator state is small.
pub(super) struct ListPart {
    name: String,
    redistribution: Redistribution,
    bytes: Vec<u8>,
    head: u64,
    elements: Vec<Piece>,
}

impl ListPart {
    pub(super) fn of<V: Data>(
        name: &str,
        redistribution: Redistribution,
        elements: &[V],
    ) -> Result<ListPart, StateError> {
        // Lists are often empty; nothing need be said of what is not there.
        let mut bytes = if elements.is_empty() { Vec::new() } else { head_of::<V>(name)?.encode() };
        let (head, mut pieces) = (bytes.len() as u64, Vec::with_capacity(elements.len()));
        for element in elements {
            let offset = bytes.len() as u64;
            bytes = postcard::to_extend(element, bytes).map_err(|source| StateError::Encode {
                state: name.to_string(),
                type_name: std::any::type_name::<V>(),
                source,
            })?;
            pieces.push(Piece { offset, length: bytes.len() as u64 - offset });
        }
        Ok(ListPart { name: name.to_string(), redistribution, bytes, head, elements: pieces })
    }
}

impl SnapshotPart for ListPart {
    fn write(self: Box<Self>, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError> {
        out.write(&self.bytes)?;
        let ListPart { name, redistribution, head, elements, .. } = *self;
        let handle = out.finish()?;
        Ok(WrittenPart::Operator(NamedState { name, redistribution, handle, head, elements }))
    }
}

/// The elements of an operator state that this subtask was given.
///
/// # Errors
/// State that cannot be read, is damaged, or is of a type that has changed in a way that cannot be bridged.
pub fn restore_list<V: Data>(reader: &StateReader, states: &[NamedState]) -> Result<Vec<V>, StateError> {
    let mut all = Vec::new();
    for state in states {
        let bytes = reader.read(&state.handle)?;
        let entries = entries_of::<V>(&bytes, state)?;
        for piece in &state.elements {
            all.push(element(&bytes, *piece, state, &entries)?);
        }
    }
    Ok(all)
}

fn entries_of<V: Data>(bytes: &[u8], state: &NamedState) -> Result<EntryReader<V>, StateError> {
    if state.head == 0 {
        return EntryReader::new(&state.name, None);
    }
    let (head, _) = Head::read(&mut &*bytes, &state.name)?;
    EntryReader::new(&state.name, written_schema(head)?)
}

fn element<V: Data>(
    bytes: &[u8],
    piece: Piece,
    state: &NamedState,
    entries: &EntryReader<V>,
) -> Result<V, StateError> {
    let (start, end) = (piece.offset as usize, piece.offset.saturating_add(piece.length) as usize);
    let outside = || StateError::Damaged {
        place: format!("the list \"{}\"", state.name),
        reason: "an element lies outside of it".to_string(),
    };
    let entry = bytes.get(start..end).ok_or_else(outside)?;
    if state.head == 0 { entries.read_bare(entry) } else { entries.read(entry) }
}
