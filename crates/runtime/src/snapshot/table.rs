//! Tables as parts of a snapshot, and how single entries of one are read.

use super::format::{self, Head, MAP_KIND, TABLE_KIND};
use super::groups::GroupStreams;
use super::{OperatorSnapshot, PartWriter, SnapshotPart, WrittenPart};
use crate::element::{Data, Key, Namespace};
use crate::state::schema::{Migration, Schema, decode_with};
use crate::state::segment::Entry;
use crate::state::segments::{Segments, SharedSegments};
use crate::state::user_map::UserMap;
use crate::state::{MapTable, StateError, Table, schema_failed};
use kvick_core::checkpoint::KeyGroups;
use serde::de::DeserializeOwned;
use std::any::TypeId;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// Writes an entry as its bytes, or as several.
type Encode<K, N, V> = fn(&Entry<K, N, V>, &mut Vec<u8>, &mut Vec<u8>) -> Result<(), postcard::Error>;

struct TablePart<K, N, V> {
    kind: String,
    head: Head,
    groups: KeyGroups,
    segments: SharedSegments<K, N, V>,
    encode: Encode<K, N, V>,
}

fn encode_value<K: Key, N: Namespace, V: Data>(
    entry: &Entry<K, N, V>,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<(), postcard::Error> {
    let Some(value) = &entry.value else { return Ok(()) };
    format::put_entry(out, scratch, &(&entry.key, &entry.namespace, value))
}

fn encode_map<K: Key, N: Namespace, UK: Namespace, UV: Data>(
    entry: &Entry<K, N, UserMap<UK, UV>>,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<(), postcard::Error> {
    let mut entries = entry.value.iter().flat_map(UserMap::iter);
    entries.try_for_each(|(uk, uv)| format::put_entry(out, scratch, &(&entry.key, &entry.namespace, uk, uv)))
}

/// What a stream of entries says of itself.
///
/// # Errors
/// As [`schema_of`].
pub(super) fn head_of<E: DeserializeOwned + 'static>(name: &str) -> Result<Head, StateError> {
    let schema = serde_json::to_value(&*schema_of::<E>(name)?).ok();
    Ok(Head { name: name.to_string(), schema })
}

/// The schema of an entry. Finding it takes some readings of the type, so each is found once.
///
/// # Errors
/// Entries of this type could be written, but never read back.
pub(crate) fn schema_of<E: DeserializeOwned + 'static>(name: &str) -> Result<Arc<Schema>, StateError> {
    static FOUND: Mutex<BTreeMap<TypeId, Arc<Schema>>> = Mutex::new(BTreeMap::new());
    let mut found = crate::task::lock(&FOUND);
    if let Some(schema) = found.get(&TypeId::of::<E>()) {
        return Ok(Arc::clone(schema));
    }
    let failed = |source| schema_failed(name, source);
    let schema = Arc::new(Schema::of::<E>().map_err(failed)?);
    found.insert(TypeId::of::<E>(), Arc::clone(&schema));
    Ok(schema)
}

/// Reads entries that were written by a schema, perhaps an older program's.
pub(crate) struct EntryReader<E> {
    name: String,
    /// The schema by which to read, where it is not the program's own.
    written: Option<Schema>,
    types: PhantomData<fn() -> E>,
}

impl<E: DeserializeOwned + 'static> EntryReader<E> {
    /// A reader for entries of a state; without schema they were written as the program has them.
    ///
    /// # Errors
    /// The type has changed in a way that cannot be bridged.
    pub(crate) fn new(name: &str, written: Option<Schema>) -> Result<EntryReader<E>, StateError> {
        let failed = |source| schema_failed(name, source);
        let written = match written {
            Some(written) => {
                let current = schema_of::<E>(name)?;
                let migration = written.migration_to(&current).map_err(failed)?;
                (migration == Migration::Read).then_some(written)
            }
            None => None,
        };
        Ok(EntryReader { name: name.to_string(), written, types: PhantomData })
    }

    /// Whether entries were written just as the program would write them.
    pub(crate) fn reads_own(&self) -> bool {
        self.written.is_none()
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// The bytes are not what the schema says.
    pub(crate) fn read(&self, entry: &[u8]) -> Result<E, StateError> {
        let Some(written) = &self.written else { return decode(entry, &self.name) };
        let failed = |source| schema_failed(&self.name, source);
        decode_with(written, entry).map_err(failed)
    }

    /// Reads an entry of which no schema says anything: that bytes are left over is the only sign of another type.
    ///
    /// # Errors
    /// The bytes are not an entry, or more than one.
    pub(super) fn read_bare(&self, entry: &[u8]) -> Result<E, StateError> {
        let left_over = |rest: &[u8]| format!("{} bytes are left over: its type was another one", rest.len());
        match postcard::take_from_bytes(entry) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(decode_failed::<E>(&self.name, left_over(rest))),
            Err(error) => Err(decode_failed::<E>(&self.name, error.to_string())),
        }
    }
}

/// The schema in a head.
pub(super) fn written_schema(head: Head) -> Result<Option<Schema>, StateError> {
    let failed = |source| schema_failed(&head.name, source);
    head.schema.map(|schema| Schema::from_json(&schema.to_string()).map_err(failed)).transpose()
}

pub(super) fn hand_over<K: Key, N: Namespace, V: Data>(
    table: &mut Table<K, N, V>,
    snapshot: &mut OperatorSnapshot,
) -> Result<(), StateError> {
    let head = head_of::<(K, N, V)>(table.name())?;
    let kind = format!("{TABLE_KIND}{}", table.name());
    match table.inner() {
        // The backend hands over its store as a whole.
        crate::state::TableInner::Store(_) => {}
        crate::state::TableInner::Memory(segments) => share(segments, kind, head, encode_value, snapshot),
    }
    Ok(())
}

fn share<K: Key, N: Namespace, V: Clone + Send + Sync + 'static>(
    segments: &mut Segments<K, N, V>,
    kind: String,
    head: Head,
    encode: Encode<K, N, V>,
    snapshot: &mut OperatorSnapshot,
) {
    let (groups, segments) = (segments.key_groups(), segments.share());
    snapshot.add(Box::new(TablePart { kind, head, groups, segments, encode }));
}

pub(super) fn hand_over_map<K: Key, N: Namespace, UK: Namespace, UV: Data>(
    table: &mut MapTable<K, N, UK, UV>,
    snapshot: &mut OperatorSnapshot,
) -> Result<(), StateError> {
    let head = head_of::<(K, N, UK, UV)>(table.name())?;
    let kind = format!("{MAP_KIND}{}", table.name());
    match table.inner() {
        // The backend hands over its store as a whole.
        crate::state::MapInner::Store(_) => Ok(()),
        crate::state::MapInner::Memory(segments) => {
            share(segments, kind, head, encode_map, snapshot);
            Ok(())
        }
    }
}

impl<K: Key, N: Namespace, V: Send + Sync> SnapshotPart for TablePart<K, N, V> {
    fn write(self: Box<Self>, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError> {
        let TablePart { kind, head, groups, segments, encode } = *self;
        if segments.is_empty() {
            return Ok(WrittenPart::Nothing);
        }
        let failed = |source| StateError::Encode {
            state: head.name.clone(),
            type_name: std::any::type_name::<(K, N, V)>(),
            source,
        };
        let mut streams = GroupStreams::new(kind, head.encode(), groups);
        let mut scratch = Vec::new();
        // Each segment is let go of as soon as it is written: the operator need not copy it any more.
        for (group, segment) in segments {
            let before = streams.enter(group, out)?;
            for entry in segment.iter() {
                out.fill(|bytes| encode(entry, bytes, &mut scratch).map_err(failed))?;
            }
            streams.leave(group, before, out);
        }
        streams.finish(out)
    }
}

fn decode<E: DeserializeOwned>(entry: &[u8], name: &str) -> Result<E, StateError> {
    postcard::from_bytes(entry).map_err(|error| decode_failed::<E>(name, error.to_string()))
}

fn decode_failed<E>(name: &str, reason: String) -> StateError {
    StateError::Decode { state: name.to_string(), type_name: std::any::type_name::<E>(), reason }
}
