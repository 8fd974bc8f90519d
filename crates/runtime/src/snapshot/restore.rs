//! Tables filled from a snapshot: key group after key group, the parts of a large table side by side.

use super::StateReader;
use super::format::{self, Head};
use super::reader::HandleReader;
use super::table::{EntryReader, written_schema};
use crate::element::{Data, Key, Namespace};
use crate::parallel::in_parallel;
use crate::state::segments::Segments;
use crate::state::store::Changes;
use crate::state::store::keys;
use crate::state::store::table::Access;
use crate::state::user_map::UserMap;
use crate::state::{Keyed, MapInner, MapTable, StateError, Table, TableInner};
use kvick_core::checkpoint::{KeyedData, KeyedState, Piece};
use serde::de::DeserializeOwned;
use std::ops::Range;

/// The most parts of a table that are read at once.
const THREADS: usize = 4;
/// Bytes of changes of a store gathered before they are done.
const BATCH: usize = 1 << 20;

/// Fills a table with what was restored of it.
pub(crate) fn restore_table<K: Key, N: Namespace, V: Data>(
    table: &mut Table<K, N, V>,
    parts: &[KeyedState],
    reader: &StateReader,
    max_parallelism: u32,
) -> Result<(), StateError> {
    let name = table.name().to_string();
    let source = Parts { parts, reader, name: &name, maps: false };
    match table.inner() {
        TableInner::Memory(segments) => source.into_memory(segments, put_value),
        TableInner::Store(stored) => {
            let left = source.into_store::<K, N, (K, N, V)>(stored.access())?;
            left.each(|(key, namespace, value): (K, N, V)| {
                stored.put(&Keyed::new(key, max_parallelism), &namespace, &value)
            })
        }
    }
}

/// Fills a table of maps with what was restored of it.
pub(crate) fn restore_map_table<K: Key, N: Namespace, UK: Namespace, UV: Data>(
    table: &mut MapTable<K, N, UK, UV>,
    parts: &[KeyedState],
    reader: &StateReader,
    max_parallelism: u32,
) -> Result<(), StateError> {
    let name = table.name().to_string();
    let source = Parts { parts, reader, name: &name, maps: true };
    match table.inner() {
        MapInner::Memory(segments) => source.into_memory(segments, put_in_map),
        MapInner::Store(stored) => {
            let left = source.into_store::<K, (N, UK), (K, N, UK, UV)>(stored.access())?;
            left.each(|(key, namespace, user_key, value): (K, N, UK, UV)| {
                stored.put(&Keyed::new(key, max_parallelism), &namespace, &user_key, &value)
            })
        }
    }
}

/// Puts an entry into a table in memory; `room` is how many a segment of it will have.
type Put<K, N, V, E> = fn(&mut Segments<K, N, V>, entry: E, room: usize) -> Result<(), StateError>;

fn put_value<K: Key, N: Namespace, V: Data>(
    table: &mut Segments<K, N, V>,
    (key, namespace, value): (K, N, V),
    room: usize,
) -> Result<(), StateError> {
    let key = table.keyed(key);
    table.load(key, namespace, value, room, |known, value| *known = value, |value| value)
}

fn put_in_map<K: Key, N: Namespace, UK: Namespace, UV: Data>(
    table: &mut Segments<K, N, UserMap<UK, UV>>,
    (key, namespace, user_key, value): (K, N, UK, UV),
    room: usize,
) -> Result<(), StateError> {
    let key = table.keyed(key);
    let first = |(key, value)| {
        let mut map = UserMap::new();
        map.insert(key, value);
        map
    };
    table.load(key, namespace, (user_key, value), room, |map, (key, value)| map.insert(key, value), first)
}

/// What was restored of one table.
#[derive(Clone, Copy)]
struct Parts<'a> {
    parts: &'a [KeyedState],
    reader: &'a StateReader,
    name: &'a str,
    /// Whether several entries make one of the table's.
    maps: bool,
}

impl<'a> Parts<'a> {
    /// Fills a table in memory. Parts of different key groups are read side by side, each into a table of its own.
    fn into_memory<K: Key, N: Namespace, V: Clone + Send + Sync, E: DeserializeOwned + 'static>(
        self,
        table: &mut Segments<K, N, V>,
        put: Put<K, N, V, E>,
    ) -> Result<(), StateError> {
        let ranges = match self.apart(table.groups()) {
            Some(ranges) if table.len() == 0 => ranges,
            _ => return self.parts.iter().try_for_each(|part| self.load(part, table, put)),
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(THREADS));
        let parts: Vec<_> = self.parts.iter().zip(ranges).collect();
        let filled = in_parallel(&parts, threads, |(part, groups)| {
            let mut own = table.empty_for(groups.clone());
            self.load(part, &mut own, put).map(|()| own)
        })?;
        filled.into_iter().for_each(|own| table.absorb(own));
        Ok(())
    }

    /// The key groups of several parts that have none in common, all of which belong to `groups`.
    fn apart(self, groups: &Range<u32>) -> Option<Vec<Range<u32>>> {
        let ranges: Vec<_> = self.parts.iter().map(|p| p.key_groups.start..p.key_groups.end).collect();
        let mut sorted = ranges.clone();
        sorted.sort_by_key(|range| range.start);
        let within = sorted.first()?.start >= groups.start && sorted.last()?.end <= groups.end;
        let apart = sorted.windows(2).all(|pair| pair[0].end <= pair[1].start);
        (within && apart && ranges.len() > 1).then_some(ranges)
    }

    fn load<K: Key, N: Namespace, V: Clone, E: DeserializeOwned + 'static>(
        self,
        part: &KeyedState,
        table: &mut Segments<K, N, V>,
        put: Put<K, N, V, E>,
    ) -> Result<(), StateError> {
        let mut room = None;
        self.groups(part, |entries, _, bytes, whole| {
            let lay_out = || if self.maps { 0 } else { table.lay_out(estimate(bytes, whole)) };
            let room = *room.get_or_insert_with(lay_out);
            each_entry(bytes, |entry| put(table, entries.read(entry)?, room))
        })
    }

    /// Visits the key groups of a part that are not empty: with what reads entries, the group, its bytes, and how many bytes
    /// all groups have.
    fn groups<E: DeserializeOwned + 'static>(
        self,
        part: &KeyedState,
        visit: impl FnMut(&EntryReader<E>, u32, &[u8], u64) -> Result<(), Stop>,
    ) -> Result<(), StateError> {
        let KeyedData::Stream { handle, groups } = &part.data else {
            let reason = "it consists of files, which tables cannot be filled from".to_string();
            return Err(StateError::Unreadable { state: part.kind.clone(), reason });
        };
        let mut source = self.reader.open(handle)?;
        let visited = visit_groups(&mut source, self.name, part.key_groups.start, groups, visit);
        // Damage explains whatever could not be understood.
        source.finish()?;
        visited
    }

    /// Fills a table in a store with the entries as they were written. Returns the parts whose entries were written by another
    /// schema, and must be read one by one. `P` is what of an entry follows its key `K` and belongs to the key in the store.
    fn into_store<K: Key, P: DeserializeOwned, E: DeserializeOwned + 'static>(
        self,
        access: &Access,
    ) -> Result<Left<'a>, StateError> {
        let mut left = Left { source: self, parts: Vec::new() };
        for part in self.parts {
            let mut foreign = false;
            let mut stored = Stored { access, changes: Changes::default(), keys: Vec::new() };
            self.groups::<E>(part, |entries, group, bytes, _| {
                foreign |= !entries.reads_own();
                if foreign { Ok(()) } else { stored.group::<K, P>(group, bytes) }
            })?;
            stored.done()?;
            if foreign {
                left.parts.push(part);
            }
        }
        Ok(left)
    }
}

/// Why the visit of a group ended.
enum Stop {
    /// Its bytes are not entries.
    Broken(std::io::Error),
    /// Something else.
    Failed(Box<StateError>),
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Stop {
        Stop::Failed(Box::new(error))
    }
}

fn visit_groups<E: DeserializeOwned + 'static>(
    source: &mut HandleReader,
    name: &str,
    first: u32,
    groups: &[Piece],
    mut visit: impl FnMut(&EntryReader<E>, u32, &[u8], u64) -> Result<(), Stop>,
) -> Result<(), StateError> {
    let (head, _) = Head::read(source, name)?;
    let reader = EntryReader::<E>::new(name, written_schema(head)?)?;
    let whole = groups.iter().map(|piece| piece.length).sum();
    let mut bytes = Vec::new();
    for (group, piece) in (first..).zip(groups).filter(|(_, piece)| piece.length > 0) {
        source.piece(piece.offset, piece.length, &mut bytes)?;
        visit(&reader, group, &bytes, whole).map_err(|stop| match stop {
            Stop::Broken(error) => source.failed(&error),
            Stop::Failed(error) => *error,
        })?;
    }
    Ok(())
}

fn each_entry<'a>(
    mut group: &'a [u8],
    mut visit: impl FnMut(&'a [u8]) -> Result<(), StateError>,
) -> Result<(), Stop> {
    while let Some(entry) = format::take_entry(&mut group).map_err(Stop::Broken)? {
        visit(entry)?;
    }
    Ok(())
}

/// About how many entries `whole` bytes are, by those of one group.
fn estimate(group: &[u8], whole: u64) -> usize {
    let mut entries = 0_u64;
    // What is broken is found when it is read.
    let _ = each_entry(group, |_| {
        entries += 1;
        Ok(())
    });
    usize::try_from(whole.saturating_mul(entries) / (group.len() as u64).max(1)).unwrap_or(0)
}

/// Parts whose entries are read one by one.
struct Left<'a> {
    source: Parts<'a>,
    parts: Vec<&'a KeyedState>,
}

impl Left<'_> {
    fn each<E: DeserializeOwned + 'static>(
        self,
        mut put: impl FnMut(E) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        self.parts.iter().try_for_each(|part| {
            self.source.groups::<E>(part, |entries, _, bytes, _| {
                each_entry(bytes, |entry| put(entries.read(entry)?))
            })
        })
    }
}

/// Entries on their way into a store.
struct Stored<'a> {
    access: &'a Access,
    changes: Changes,
    /// The keys of a group, one after the other.
    keys: Vec<u8>,
}

impl Stored<'_> {
    /// A store takes keys much faster in their order; a table in memory was written in another.
    fn group<K: DeserializeOwned, P: DeserializeOwned>(
        &mut self,
        group: u32,
        bytes: &[u8],
    ) -> Result<(), Stop> {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        let mut entries = Vec::new();
        each_entry(bytes, |entry| {
            let start = keys.len();
            let value = self.key::<K, P>(group, entry, &mut keys)?;
            entries.push((start..keys.len(), value));
            Ok(())
        })?;
        if !entries.is_sorted_by(|(a, _), (b, _)| keys[a.clone()] <= keys[b.clone()]) {
            entries.sort_unstable_by(|(a, _), (b, _)| keys[a.clone()].cmp(&keys[b.clone()]));
        }
        for (key, value) in entries {
            self.changes.put(&keys[key], value);
            if self.changes.len() >= BATCH {
                self.done()?;
            }
        }
        self.keys = keys;
        Ok(())
    }

    /// Adds an entry's key to `keys` and returns its value. Only the key is read, to see where it ends: key and value are stored
    /// as they were written.
    fn key<'e, K: DeserializeOwned, P: DeserializeOwned>(
        &self,
        group: u32,
        entry: &'e [u8],
        keys: &mut Vec<u8>,
    ) -> Result<&'e [u8], StateError> {
        let failed = |error: postcard::Error| StateError::Decode {
            state: self.access.name.clone(),
            type_name: std::any::type_name::<(K, P)>(),
            reason: error.to_string(),
        };
        let (_, behind_key) = postcard::take_from_bytes::<K>(entry).map_err(failed)?;
        let (_, value) = postcard::take_from_bytes::<P>(behind_key).map_err(failed)?;
        keys::begin(keys, self.access.column, group);
        format::put_varint(keys, (entry.len() - behind_key.len()) as u64);
        keys.extend_from_slice(&entry[..entry.len() - value.len()]);
        Ok(value)
    }

    fn done(&mut self) -> Result<(), StateError> {
        self.access.store.write(&self.changes)?;
        self.changes.clear();
        Ok(())
    }
}
