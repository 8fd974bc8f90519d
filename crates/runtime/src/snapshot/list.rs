//! Operator state: named lists of elements.

use super::{PartWriter, SnapshotPart, StateReader, WrittenPart};
use crate::element::Data;
use crate::state::StateError;
use kvick_core::checkpoint::{NamedState, Piece, Redistribution};

/// Elements that are already bytes: operator state is small.
pub(super) struct ListPart {
    name: String,
    redistribution: Redistribution,
    bytes: Vec<u8>,
    elements: Vec<Piece>,
}

impl ListPart {
    pub(super) fn of<V: Data>(
        name: &str,
        redistribution: Redistribution,
        elements: &[V],
    ) -> Result<ListPart, StateError> {
        let (mut bytes, mut pieces) = (Vec::new(), Vec::with_capacity(elements.len()));
        for element in elements {
            let offset = bytes.len() as u64;
            bytes = postcard::to_extend(element, bytes).map_err(|source| StateError::Encode {
                state: name.to_string(),
                type_name: std::any::type_name::<V>(),
                source,
            })?;
            pieces.push(Piece { offset, length: bytes.len() as u64 - offset });
        }
        Ok(ListPart { name: name.to_string(), redistribution, bytes, elements: pieces })
    }
}

impl SnapshotPart for ListPart {
    fn write(self: Box<Self>, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError> {
        out.write(&self.bytes)?;
        let (name, redistribution, elements) = (self.name, self.redistribution, self.elements);
        Ok(WrittenPart::Operator(NamedState { name, redistribution, handle: out.finish()?, elements }))
    }
}

/// The elements of an operator state that this subtask was given.
///
/// # Errors
/// State that cannot be read, is damaged, or is of another type.
pub fn restore_list<V: Data>(reader: &StateReader, states: &[NamedState]) -> Result<Vec<V>, StateError> {
    let mut all = Vec::new();
    for state in states {
        let bytes = reader.read(&state.handle)?;
        for piece in &state.elements {
            all.push(element(&bytes, *piece, &state.name)?);
        }
    }
    Ok(all)
}

fn element<V: Data>(bytes: &[u8], piece: Piece, name: &str) -> Result<V, StateError> {
    let failed = |reason: String| StateError::Decode {
        state: name.to_string(),
        type_name: std::any::type_name::<V>(),
        reason,
    };
    let (start, end) = (piece.offset as usize, piece.offset.saturating_add(piece.length) as usize);
    let part = bytes.get(start..end).ok_or_else(|| failed("an element lies outside of the state".into()))?;
    postcard::from_bytes(part).map_err(|error| failed(error.to_string()))
}
