//! How records in flight are kept in an unaligned checkpoint: what one channel held, in order, as bytes.
//!
//! `head | element | element | …`. The head is the magic `KVCH`, one byte of version, the length of the rest (4 bytes, big
//! endian) and the name of the records' type as UTF-8. An element is one byte of kind, its length (4 bytes, big endian) and
//! its body: a batch as [`crate::codec`] writes it, or a watermark or a change of idleness as postcard writes an [`Event`].
//! Like the exchange itself, and unlike state, this is for the program that wrote it.

use super::gate::Packet;
use crate::codec;
use crate::element::{Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use crate::snapshot::{PartWriter, SnapshotPart, StateReader, WrittenPart};
use crate::state::StateError;
use kvick_core::checkpoint::{ChannelSide, ChannelState, StateHandle};

const MAGIC: [u8; 4] = *b"KVCH";
const VERSION: u8 = 1;
const BATCH: u8 = 1;
const EVENT: u8 = 2;
/// What a channel may have in the metadata itself, in bytes: there are as many channels as pairs of subtasks.
const INLINE: u64 = 256;
/// What messages call it.
const WHAT: &str = "records in flight";

/// Adds a packet to what is kept of a channel. Barriers and ends are not kept: they are sent anew.
pub(crate) fn record<T: Data>(packet: &Packet, log: &mut Vec<u8>) -> TaskResult {
    let failed = |reason: &dyn std::fmt::Display| {
        TaskError::failed(format!("cannot keep records in flight for a checkpoint: {reason}"))
    };
    match packet {
        Packet::Batch(batch, _) | Packet::Rest(batch, _) => {
            let batch =
                batch.downcast_ref::<Batch<T>>().ok_or_else(|| failed(&"they are of another type"))?;
            codec::encode_shared(batch, |bytes, _| put::<T>(log, BATCH, &bytes)).map_err(|e| failed(&e))
        }
        Packet::Encoded(bytes) => {
            put::<T>(log, BATCH, bytes);
            Ok(())
        }
        Packet::Event(event @ (Event::Watermark(_) | Event::Idle | Event::Active)) => {
            let bytes = postcard::to_allocvec(event).map_err(|error| failed(&error))?;
            put::<T>(log, EVENT, &bytes);
            Ok(())
        }
        Packet::Event(_) | Packet::End => Ok(()),
    }
}

fn put<T>(log: &mut Vec<u8>, kind: u8, body: &[u8]) {
    if log.is_empty() {
        let name = std::any::type_name::<T>().as_bytes();
        log.extend(MAGIC);
        log.push(VERSION);
        log.extend((name.len() as u32).to_be_bytes());
        log.extend(name);
    }
    log.push(kind);
    log.extend((body.len() as u32).to_be_bytes());
    log.extend(body);
}

/// What was kept of one channel, as a part of a snapshot.
pub(crate) struct ChannelPart {
    /// The input's index.
    pub input: u32,
    /// The producer's subtask.
    pub producer: u32,
    /// As [`record`] wrote it.
    pub log: Vec<u8>,
}

impl SnapshotPart for ChannelPart {
    fn write(self: Box<Self>, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError> {
        out.inline_at_most(INLINE);
        out.write(&self.log)?;
        let (side, handle) = (ChannelSide::Input, out.finish()?);
        Ok(WrittenPart::Channel(ChannelState { side, port: self.input, channel: self.producer, handle }))
    }
}

/// What was in flight behind an output when the job's checkpoint was taken.
pub struct Restored {
    /// Reads the checkpoint.
    pub reader: StateReader,
    /// Whether the parallelism has changed: all consumers are to be told when everything old was sent.
    pub repartitioned: bool,
    /// Each channel with the index of its lane; without one its records are partitioned anew.
    pub logs: Vec<(Option<usize>, StateHandle)>,
}

/// One element of what a channel held.
pub(super) enum Kept {
    /// A batch, encoded.
    Batch(Vec<u8>),
    /// A watermark or a change of idleness.
    Event(Event),
}

/// Reads what a channel of records of type `T` held.
///
/// # Errors
/// Bytes that are no such thing, or records of another type.
pub(super) fn read<T>(bytes: &[u8]) -> Result<Vec<Kept>, StateError> {
    let mut rest = head::<T>(bytes)?;
    let mut all = Vec::new();
    while let Some((kind, body)) = take_element(&mut rest)? {
        all.push(match kind {
            BATCH => Kept::Batch(body.to_vec()),
            EVENT => Kept::Event(postcard::from_bytes(body).map_err(|e| unreadable(e.to_string()))?),
            other => return Err(unreadable(format!("an element is of kind {other}"))),
        });
    }
    Ok(all)
}

fn unreadable(reason: String) -> StateError {
    StateError::Unreadable { state: WHAT.to_string(), reason }
}

fn head<T>(bytes: &[u8]) -> Result<&[u8], StateError> {
    let cut_off = || unreadable("their head is cut off".to_string());
    let (fixed, rest) = bytes.split_at_checked(9).ok_or_else(cut_off)?;
    if fixed[..4] != MAGIC {
        return Err(unreadable("they do not begin with their signature".to_string()));
    }
    if fixed[4] > VERSION {
        return Err(unreadable(format!(
            "they are of version {}, newer than this engine's {VERSION}",
            fixed[4]
        )));
    }
    let length = u32::from_be_bytes([fixed[5], fixed[6], fixed[7], fixed[8]]) as usize;
    let (name, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    let expected = std::any::type_name::<T>();
    if name != expected.as_bytes() {
        let found = String::from_utf8_lossy(name);
        return Err(unreadable(format!(
            "they are of type {found}, the program now sends {expected}; a program whose streams have changed can be started \
             from a savepoint, which holds no records in flight"
        )));
    }
    Ok(rest)
}

fn take_element<'a>(rest: &mut &'a [u8]) -> Result<Option<(u8, &'a [u8])>, StateError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let cut_off = || unreadable("they are cut off".to_string());
    let (fixed, after) = rest.split_at_checked(5).ok_or_else(cut_off)?;
    let length = u32::from_be_bytes([fixed[1], fixed[2], fixed[3], fixed[4]]) as usize;
    let (body, after) = after.split_at_checked(length).ok_or_else(cut_off)?;
    *rest = after;
    Ok(Some((fixed[0], body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(packets: &[Packet]) -> Vec<u8> {
        let mut log = Vec::new();
        packets.iter().for_each(|packet| record::<u64>(packet, &mut log).unwrap());
        log
    }

    #[test]
    fn what_a_channel_held_is_read_as_it_was_without_barriers_and_ends() {
        let batch = |records: Vec<u64>| Batch { timestamps: Some(vec![7; records.len()]), records };
        let mut frames = Vec::new();
        codec::encode(&mut batch(vec![3]), |bytes, _| frames.push(bytes)).unwrap();
        let log = log_of(&[
            Packet::Rest(Box::new(batch(vec![1, 2])), 2),
            Packet::Event(Event::Watermark(9)),
            Packet::Encoded(frames.remove(0)),
            Packet::Event(Event::Idle),
            Packet::Event(Event::EndOfData),
            Packet::End,
        ]);
        let (mut records, mut events) = (Batch::<u64>::new(), Vec::new());
        for element in read::<u64>(&log).unwrap() {
            match element {
                Kept::Batch(bytes) => codec::decode(&bytes, &mut records).unwrap(),
                Kept::Event(event) => events.push((records.len(), event)),
            }
        }
        assert_eq!(records, batch(vec![1, 2, 3]));
        assert_eq!(events, [(2, Event::Watermark(9)), (3, Event::Idle)]);
        assert!(log_of(&[Packet::End]).is_empty(), "nothing is kept of a channel without records");
    }

    #[test]
    fn another_type_is_named_and_no_bytes_cause_a_panic() {
        let log = log_of(&[Packet::Batch(Box::new(Batch::of(vec![1_u64])), 1)]);
        let error = read::<String>(&log).err().unwrap().to_string();
        assert!(error.contains("u64") && error.contains("String") && error.contains("savepoint"), "{error}");
        for length in 0..log.len() {
            assert!(read::<u64>(&log[..length]).is_err() || length == 9 + "u64".len(), "{length} bytes");
        }
    }
}
