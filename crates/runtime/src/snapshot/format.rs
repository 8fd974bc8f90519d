//! How keyed state lies in a stream, the same for every backend.
//!
//! `head | group | group | …`. The head is the magic `KVTB`, one byte of version, the length of what follows (4 bytes, big
//! endian) and a [`Head`] as JSON. A group is entry after entry: the length of the rest as a varint, then key, namespace
//! and value (for maps: key, namespace, user key, value) as postcard writes a tuple of them. Where each group lies is said
//! by the handle ([`kvick_core::checkpoint::KeyedData::Stream`]), with offsets from the beginning of the head.

use crate::state::StateError;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

/// The first bytes of a stream.
pub const MAGIC: [u8; 4] = *b"KVTB";
/// The version that this engine writes, and the newest that it reads.
pub const VERSION: u8 = 1;
/// Before the name in [`kvick_core::checkpoint::KeyedState::kind`], for values.
pub const TABLE_KIND: &str = "table/1/";
/// Before the name in [`kvick_core::checkpoint::KeyedState::kind`], for maps.
pub const MAP_KIND: &str = "map/1/";
/// The longest head that is believed, in bytes.
const HEAD_LIMIT: usize = 16 << 20;

/// What a stream says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The state's name.
    pub name: String,
    /// The schema of an entry, as JSON; none where the type has none that could be written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
}

impl Head {
    /// The bytes before the first group.
    pub fn encode(&self) -> Vec<u8> {
        // Strings and JSON values alone: this cannot fail.
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// Reads the bytes before the first group; also tells how many they are.
    ///
    /// # Errors
    /// They are no head, are cut off, or of a newer version.
    pub fn read(from: &mut impl Read, name: &str) -> Result<(Head, u64), StateError> {
        let unreadable = |reason: String| StateError::Unreadable { state: name.to_string(), reason };
        let mut fixed = [0; 9];
        from.read_exact(&mut fixed).map_err(|error| cut_off(name, &error))?;
        if fixed[..4] != MAGIC {
            return Err(unreadable("it does not begin with the signature of state".to_string()));
        }
        if fixed[4] > VERSION {
            let version = fixed[4];
            return Err(unreadable(format!(
                "it is of version {version}, newer than this engine's {VERSION}"
            )));
        }
        let length = u32::from_be_bytes([fixed[5], fixed[6], fixed[7], fixed[8]]) as usize;
        if length > HEAD_LIMIT {
            return Err(unreadable(format!("its head claims {length} bytes")));
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).map_err(|error| cut_off(name, &error))?;
        let head = serde_json::from_slice(&body).map_err(|e| unreadable(e.to_string()))?;
        Ok((head, (fixed.len() + length) as u64))
    }
}

fn cut_off(name: &str, error: &io::Error) -> StateError {
    let place = format!("the head of \"{name}\"");
    StateError::Damaged { place, reason: format!("it cannot be read: {error}") }
}

/// Adds an entry with its length before it. `scratch` is kept from entry to entry.
///
/// # Errors
/// A part of the entry refuses to be serialised.
pub fn put_entry<E: Serialize>(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    entry: &E,
) -> Result<(), postcard::Error> {
    scratch.clear();
    *scratch = postcard::to_extend(entry, std::mem::take(scratch))?;
    put_varint(out, scratch.len() as u64);
    out.extend_from_slice(scratch);
    Ok(())
}

/// Adds a number in groups of seven bits, the lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number from the front of `bytes`.
fn take_varint(bytes: &mut &[u8]) -> io::Result<usize> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((first, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return usize::try_from(value).map_err(io::Error::other);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the length of an entry is cut off"))
}

/// Takes the next entry of a group; `None` at its end.
///
/// # Errors
/// The group ends within the entry.
pub fn take_entry<'a>(group: &mut &'a [u8]) -> io::Result<Option<&'a [u8]>> {
    if group.is_empty() {
        return Ok(None);
    }
    let length = take_varint(group)?;
    let Some((entry, rest)) = group.split_at_checked(length) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an entry reaches beyond its key group"));
    };
    *group = rest;
    Ok(Some(entry))
}
