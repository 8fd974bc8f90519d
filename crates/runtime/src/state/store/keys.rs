//! How keys lie in a store: `column (2 bytes) | key group (2 bytes) | length of the key (varint) | key | namespace [| user key]`,
//! numbers big endian where their order matters, parts as postcard writes them.
//!
//! All entries of a table are together, and in it all of a key group, all of a key, all of a namespace. What postcard writes
//! of one value never begins with what it writes of another of the same type, so that prefixes are unambiguous. Behind the
//! length, key and value are exactly an entry of the canonical form ([`crate::snapshot::format`]).

use crate::snapshot::format::put_varint;
use crate::state::{Keyed, StateError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Range;

/// A table's number within its store.
pub(crate) type Column = u16;

/// The bytes before a key group.
const HEAD: usize = 4;

/// Starts a key behind what is in `out`: column and key group.
pub(crate) fn begin(out: &mut Vec<u8>, column: Column, group: u32) {
    out.extend(column.to_be_bytes());
    out.extend((group as u16).to_be_bytes());
}

/// Where the groups of a column begin and end. There are at most 32768 groups, so that the end fits in two bytes.
pub(crate) fn range(column: Column, groups: &Range<u32>) -> (Vec<u8>, Vec<u8>) {
    let (mut from, mut to) = (Vec::new(), Vec::new());
    begin(&mut from, column, groups.start);
    begin(&mut to, column, groups.end);
    (from, to)
}

/// All keys of a column.
pub(crate) fn whole(column: Column) -> (Vec<u8>, Vec<u8>) {
    range(column, &(0..u32::from(u16::MAX)))
}

/// The first key behind all that begin with `prefix`.
pub(crate) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// The group of a stored key.
pub(crate) fn group_of(stored: &[u8]) -> u32 {
    stored.get(2..HEAD).map_or(0, |group| u32::from(u16::from_be_bytes([group[0], group[1]])))
}

/// Builds keys of one table, without allocating for each.
#[derive(Debug, Default)]
pub(crate) struct KeyBuffer {
    bytes: Vec<u8>,
    scratch: Vec<u8>,
}

impl KeyBuffer {
    /// The key of an entry, or what the keys of its map begin with.
    pub fn key<K: Serialize, N: Serialize>(
        &mut self,
        column: Column,
        key: &Keyed<K>,
        namespace: &N,
    ) -> Result<&[u8], postcard::Error> {
        self.bytes.clear();
        begin(&mut self.bytes, column, key.group);
        self.scratch.clear();
        extend(&mut self.scratch, &key.key)?;
        put_varint(&mut self.bytes, self.scratch.len() as u64);
        self.bytes.extend_from_slice(&self.scratch);
        extend(&mut self.bytes, namespace)?;
        Ok(&self.bytes)
    }

    /// The same with the key of a map's entry behind it.
    pub fn user_key<K: Serialize, N: Serialize, UK: Serialize>(
        &mut self,
        column: Column,
        key: &Keyed<K>,
        namespace: &N,
        user_key: &UK,
    ) -> Result<&[u8], postcard::Error> {
        self.key(column, key, namespace)?;
        extend(&mut self.bytes, user_key)?;
        Ok(&self.bytes)
    }
}

/// Adds what postcard writes of a value.
pub(crate) fn extend<T: Serialize>(out: &mut Vec<u8>, value: &T) -> Result<(), postcard::Error> {
    *out = postcard::to_extend(value, std::mem::take(out))?;
    Ok(())
}

/// The part of a stored key behind the length: what the canonical form has.
pub(crate) fn canonical(stored: &[u8]) -> Option<&[u8]> {
    let rest = stored.get(HEAD..)?;
    let length = rest.iter().position(|byte| byte & 0x80 == 0)?;
    rest.get(length + 1..)
}

/// Reads a stored key as the parts behind the length: `(key, namespace)`, or with a user key.
pub(crate) fn decode<P: DeserializeOwned>(stored: &[u8], state: &str) -> Result<P, StateError> {
    let parts = canonical(stored).unwrap_or_default();
    value(parts, state)
}

/// Reads a value.
pub(crate) fn value<T: DeserializeOwned>(bytes: &[u8], state: &str) -> Result<T, StateError> {
    postcard::from_bytes(bytes).map_err(|error| StateError::Decode {
        state: state.to_string(),
        type_name: std::any::type_name::<T>(),
        reason: error.to_string(),
    })
}

/// A value that refuses to be written.
pub(crate) fn encode_error<T>(state: &str, source: postcard::Error) -> StateError {
    StateError::Encode { state: state.to_string(), type_name: std::any::type_name::<T>(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_group_lie_together_and_prefixes_end() {
        let mut buffer = KeyBuffer::default();
        let keyed = Keyed { key: "abc".to_string(), hash: 0, group: 258 };
        let stored = buffer.user_key(7, &keyed, &9u64, &true).unwrap().to_vec();
        assert_eq!(stored, [0, 7, 1, 2, 4, 3, b'a', b'b', b'c', 9, 1]);
        assert_eq!(group_of(&stored), 258);
        assert_eq!(decode::<(String, u64, bool)>(&stored, "s").unwrap(), ("abc".to_string(), 9, true));
        let (from, to) = range(7, &(258..259));
        assert!(from <= stored && stored < to);
        let (from, to) = range(7, &(0..258));
        assert!(from < stored && stored >= to);
        assert_eq!(behind(&[1, 255, 255]), [2]);
        assert_eq!(behind(&[1, 2]), [1, 3]);
    }
}
