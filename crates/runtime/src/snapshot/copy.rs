//! Restored state that no table has claimed: it is kept, so that a program that asks for it later still finds it.

use super::{PartWriter, SnapshotPart, StateReader, WrittenPart};
use crate::state::StateError;
use kvick_core::checkpoint::{KeyedData, KeyedState, Piece};

struct CopyPart {
    state: KeyedState,
    reader: StateReader,
}

/// A part that copies the groups that are wanted of a stream. (Files of another backend are not streams; their backend
/// claims or refuses them.)
pub(crate) fn copy_part(state: KeyedState, reader: StateReader) -> Box<dyn SnapshotPart> {
    Box::new(CopyPart { state, reader })
}

impl SnapshotPart for CopyPart {
    fn write(self: Box<Self>, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError> {
        let CopyPart { state, reader } = *self;
        let KeyedData::Stream { handle, groups } = &state.data else {
            let reason = "its files belong to another state backend; restore it with that one".to_string();
            return Err(StateError::Unreadable { state: state.kind, reason });
        };
        let mut source = reader.open(handle)?;
        // The head lies before every group.
        let written = groups.iter().filter(|piece| piece.length > 0);
        let Some(first) = written.map(|piece| piece.offset).min() else { return Ok(WrittenPart::Nothing) };
        let head = read_head(&mut source, &state.kind, first)?;
        out.write(&head)?;
        let copied = copy_groups(&mut source, groups, out);
        source.finish()?;
        let data = KeyedData::Stream { groups: copied?, handle: out.finish()? };
        Ok(WrittenPart::Keyed(KeyedState { data, ..state }))
    }
}

fn read_head(
    source: &mut super::reader::HandleReader,
    name: &str,
    limit: u64,
) -> Result<Vec<u8>, StateError> {
    let (head, length) = super::format::Head::read(source, name)?;
    if length > limit {
        return Err(source.damaged("its head reaches into its key groups".to_string()));
    }
    Ok(head.encode())
}

fn copy_groups(
    source: &mut super::reader::HandleReader,
    groups: &[Piece],
    out: &mut PartWriter<'_>,
) -> Result<Vec<Piece>, StateError> {
    let (mut copied, mut buffer) = (Vec::with_capacity(groups.len()), Vec::new());
    for piece in groups {
        let offset = out.position();
        if piece.length > 0 {
            source.piece(piece.offset, piece.length, &mut buffer)?;
            out.write(&buffer)?;
        }
        copied.push(Piece { offset, length: piece.length });
    }
    Ok(copied)
}
