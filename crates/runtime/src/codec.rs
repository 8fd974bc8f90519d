//! How a batch is written for another worker: compact, short-lived, both ends run the same program.
//!
//! `varint number of records | 0 or 1: timestamps follow | the records (postcard) | the timestamps (postcard)`.

use crate::element::{Batch, Data};

/// Frames are cut when they have grown to this many bytes.
pub const FRAME_TARGET: usize = 32 * 1024;

/// A record that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The record's type refuses to be serialised.
    #[error("cannot serialise a record of type {type_name} for another worker: {source}")]
    Encode {
        /// The record's type.
        type_name: &'static str,
        /// Why.
        source: postcard::Error,
    },
    /// The bytes are not what the record's type expects: `Serialize` and `Deserialize` do not fit together.
    #[error("cannot deserialise a record of type {type_name} from another worker: {source}")]
    Decode {
        /// The record's type.
        type_name: &'static str,
        /// Why.
        source: postcard::Error,
    },
}

fn encode_error<T>(source: postcard::Error) -> CodecError {
    CodecError::Encode { type_name: std::any::type_name::<T>(), source }
}

fn decode_error<T>(source: postcard::Error) -> CodecError {
    CodecError::Decode { type_name: std::any::type_name::<T>(), source }
}

/// Writes all records of a batch as frames of about [`FRAME_TARGET`] bytes and empties the batch.
///
/// # Errors
/// A record that refuses to be serialised.
pub fn encode<T: Data>(batch: &mut Batch<T>, emit: impl FnMut(Vec<u8>, usize)) -> Result<(), CodecError> {
    let encoded = encode_shared(batch, emit);
    batch.clear();
    encoded
}

/// [`encode`], with the batch left as it is.
///
/// # Errors
/// A record that refuses to be serialised.
pub fn encode_shared<T: Data>(
    batch: &Batch<T>,
    mut emit: impl FnMut(Vec<u8>, usize),
) -> Result<(), CodecError> {
    let timestamps = batch.timestamps.as_ref();
    let mut body = Vec::with_capacity(FRAME_TARGET + 1024);
    let mut first = 0;
    let count = batch.records.len();
    for (index, record) in batch.records.iter().enumerate() {
        body = postcard::to_extend(record, body).map_err(encode_error::<T>)?;
        if body.len() >= FRAME_TARGET || index + 1 == count {
            let stamps = timestamps.map(|all| &all[first..=index]);
            emit(frame::<T>(&body, index + 1 - first, stamps)?, index + 1 - first);
            body.clear();
            first = index + 1;
        }
    }
    Ok(())
}

fn frame<T>(body: &[u8], records: usize, timestamps: Option<&[i64]>) -> Result<Vec<u8>, CodecError> {
    let head = Vec::with_capacity(body.len() + 16);
    let mut head = postcard::to_extend(&records, head).map_err(encode_error::<T>)?;
    head.push(u8::from(timestamps.is_some()));
    head.extend_from_slice(body);
    if let Some(stamps) = timestamps {
        head = postcard::to_extend(stamps, head).map_err(encode_error::<T>)?;
    }
    Ok(head)
}

/// Reads a frame and adds its records to a batch.
///
/// # Errors
/// Bytes that do not fit the record's type.
pub fn decode<T: Data>(frame: &[u8], batch: &mut Batch<T>) -> Result<(), CodecError> {
    decode_by(frame, batch, |rest| postcard::take_from_bytes(rest).map_err(decode_error::<T>))
}

/// [`decode`], where `take` reads a record from the front of the bytes and returns what follows it.
///
/// # Errors
/// Bytes that are no frame, and whatever `take` fails with.
pub(crate) fn decode_by<T, E: From<CodecError>>(
    frame: &[u8],
    batch: &mut Batch<T>,
    mut take: impl FnMut(&[u8]) -> Result<(T, &[u8]), E>,
) -> Result<(), E> {
    let (count, rest) = postcard::take_from_bytes::<usize>(frame).map_err(decode_error::<T>)?;
    let (stamped, mut rest) = postcard::take_from_bytes::<bool>(rest).map_err(decode_error::<T>)?;
    // A record takes at least no byte at all; do not let a bad count reserve memory.
    batch.records.reserve(count.min(frame.len()));
    for _ in 0..count {
        let (record, after) = take(rest)?;
        batch.records.push(record);
        rest = after;
    }
    if stamped {
        let stamps: Vec<i64> = postcard::from_bytes(rest).map_err(decode_error::<T>)?;
        batch.timestamps.get_or_insert_with(Vec::new).extend(stamps);
    }
    Ok(())
}
