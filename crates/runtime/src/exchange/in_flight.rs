//! How records in flight are kept in an unaligned checkpoint: what one channel held, in order, as bytes.
//!
//! `head | element | element | …`. The head is the magic `KVCH`, one byte of version, the length of the rest (4 bytes, big
//! endian) and the name of the records' type as UTF-8. An element is one byte of kind, its length (4 bytes, big endian) and
//! its body: a batch as [`crate::codec`] writes it, a watermark or a change of idleness as postcard writes an [`Event`], and
//! before the first batch the schema of its records.

use super::gate::Packet;
use crate::codec::{self, CodecError};
use crate::element::{Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use crate::snapshot::{PartWriter, SnapshotPart, StateReader, WrittenPart, schema_of};
use crate::state::schema::{Migration, Schema, SchemaError, take_with};
use crate::state::{StateError, schema_failed};
use kvick_core::checkpoint::{ChannelSide, ChannelState, StateHandle};

const MAGIC: [u8; 4] = *b"KVCH";
/// Version 1 had no schemas.
const VERSION: u8 = 2;
const BATCH: u8 = 1;
const EVENT: u8 = 2;
const SCHEMA: u8 = 3;
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
            put_schema::<T>(log);
            codec::encode_shared(batch, |bytes, _| put::<T>(log, BATCH, &bytes)).map_err(|e| failed(&e))
        }
        Packet::Encoded(bytes) => {
            put_schema::<T>(log);
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

/// Says what the records are, before the first of them. A type without schema cannot cross an exchange.
fn put_schema<T: Data>(log: &mut Vec<u8>) {
    if has_schema(log) {
        return;
    }
    if let Ok(schema) = schema_of::<T>(WHAT) {
        put::<T>(log, SCHEMA, schema.to_json().as_bytes());
    }
}

/// What lies before a schema is few: no batch does.
fn has_schema(log: &[u8]) -> bool {
    let Ok((_, mut rest)) = named(log) else { return false };
    while let Ok(Some((kind, _))) = take_element(&mut rest) {
        if kind != EVENT {
            return kind == SCHEMA;
        }
    }
    false
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
pub(super) fn read<T: Data>(bytes: &[u8]) -> Result<Vec<Kept>, StateError> {
    let mut rest = head::<T>(bytes)?;
    let (mut all, mut written) = (Vec::new(), None);
    while let Some((kind, body)) = take_element(&mut rest)? {
        match kind {
            SCHEMA => written = other_schema::<T>(body)?,
            BATCH => match &written {
                Some(written) => all.extend(rewritten::<T>(body, written)?),
                None => all.push(Kept::Batch(body.to_vec())),
            },
            EVENT => {
                all.push(Kept::Event(postcard::from_bytes(body).map_err(|e| unreadable(e.to_string()))?))
            }
            other => return Err(unreadable(format!("an element is of kind {other}"))),
        }
    }
    Ok(all)
}

/// The schema of the records that were kept, where it is not the program's own.
fn other_schema<T: Data>(json: &[u8]) -> Result<Option<Schema>, StateError> {
    let failed = |source| schema_failed(WHAT, source);
    let written = Schema::from_json(&String::from_utf8_lossy(json)).map_err(failed)?;
    let migration = written.migration_to(&*schema_of::<T>(WHAT)?).map_err(failed)?;
    Ok((migration == Migration::Read).then_some(written))
}

/// Why a batch cannot be read.
enum Unread {
    Frame(CodecError),
    Record(SchemaError),
}

impl From<CodecError> for Unread {
    fn from(error: CodecError) -> Unread {
        Unread::Frame(error)
    }
}

/// A batch as the present program would have written it.
fn rewritten<T: Data>(frame: &[u8], written: &Schema) -> Result<Vec<Kept>, StateError> {
    let (mut batch, mut frames) = (Batch::<T>::new(), Vec::new());
    let decoded =
        codec::decode_by(frame, &mut batch, |rest| take_with(written, rest).map_err(Unread::Record));
    decoded.map_err(|error| match error {
        Unread::Frame(error) => unreadable(error.to_string()),
        Unread::Record(source) => schema_failed(WHAT, source),
    })?;
    codec::encode(&mut batch, |bytes, _| frames.push(Kept::Batch(bytes)))
        .map_err(|e| unreadable(e.to_string()))?;
    Ok(frames)
}

fn unreadable(reason: String) -> StateError {
    StateError::Unreadable { state: WHAT.to_string(), reason }
}

/// The name in a head, and what follows it.
fn named(bytes: &[u8]) -> Result<(&[u8], &[u8]), StateError> {
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
    rest.split_at_checked(length).ok_or_else(cut_off)
}

fn head<T>(bytes: &[u8]) -> Result<&[u8], StateError> {
    let (name, rest) = named(bytes)?;
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
        let head = 9 + "u64".len();
        let with_schema = head + 5 + schema_of::<u64>(WHAT).unwrap().to_json().len();
        for length in 0..log.len() {
            let whole = length == head || length == with_schema;
            assert!(read::<u64>(&log[..length]).is_err() || whole, "{length} bytes");
        }
    }

    mod old {
        #[derive(Clone, serde::Serialize, serde::Deserialize)]
        pub struct Order {
            pub id: u32,
            pub amount: u32,
        }
    }

    /// The next program's; a name as long as the other.
    mod new {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct Order {
            #[serde(default)]
            pub note: String,
            pub amount: u64,
            pub id: u32,
        }
    }

    mod odd {
        #[derive(Clone, serde::Serialize, serde::Deserialize)]
        pub struct Order {
            pub id: bool,
            pub amount: u32,
        }
    }

    /// What was kept of old orders, after a watermark, by a program that has another type of this name.
    fn kept_for<T>() -> Vec<u8> {
        let orders = (0..3).map(|id| old::Order { id, amount: 100 + id }).collect();
        let mut log = Vec::new();
        let batch = Batch { timestamps: Some(vec![1, 2, 3]), records: orders };
        record::<old::Order>(&Packet::Event(Event::Watermark(9)), &mut log).unwrap();
        for _ in 0..2 {
            record::<old::Order>(&Packet::Batch(Box::new(batch.clone()), 3), &mut log).unwrap();
        }
        let name = std::any::type_name::<T>();
        log[9..9 + name.len()].copy_from_slice(name.as_bytes());
        log
    }

    #[test]
    fn records_whose_fields_have_changed_are_sent_as_the_program_has_them() {
        let mut records = Batch::<new::Order>::new();
        let mut all = read::<new::Order>(&kept_for::<new::Order>()).unwrap().into_iter();
        assert!(matches!(all.next(), Some(Kept::Event(Event::Watermark(9)))));
        for element in all {
            let Kept::Batch(bytes) = element else { panic!("no batch") };
            codec::decode(&bytes, &mut records).unwrap();
        }
        let order = |id| new::Order { note: String::new(), amount: 100 + u64::from(id), id };
        assert_eq!(records.records, [order(0), order(1), order(2), order(0), order(1), order(2)]);
        assert_eq!(records.timestamps, Some(vec![1, 2, 3, 1, 2, 3]));
    }

    #[test]
    fn records_of_another_layout_are_refused_with_both_schemas() {
        let error = read::<odd::Order>(&kept_for::<odd::Order>()).err().unwrap();
        assert!(error.is_incompatible(), "{error}");
        let said = error.to_string();
        assert!(said.contains("id: u32") && said.contains("id: bool"), "{said}");
    }

    #[test]
    fn what_was_kept_before_there_were_schemas_is_read_by_the_name_of_its_type() {
        let log = log_of(&[Packet::Batch(Box::new(Batch::of(vec![1_u64])), 1)]);
        let head = 9 + "u64".len();
        let schema = 5 + schema_of::<u64>(WHAT).unwrap().to_json().len();
        let mut first = [&log[..head], &log[head + schema..]].concat();
        first[4] = 1;
        assert!(matches!(read::<u64>(&first).unwrap().as_slice(), [Kept::Batch(_)]));
    }
}
