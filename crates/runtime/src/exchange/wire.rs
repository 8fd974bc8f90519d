//! The protocol between workers of one job: the handshake and the frames, as bytes.
//!
//! A consumer connects to the worker of a producer. It says `magic, version, job id, length of secret, secret`; the
//! answer is one byte, [`ACCEPTED`] or [`REFUSED`]. Then both sides send frames: `length of the rest: u32 | kind: u8 |
//! stream: u32 | body`, big endian. A stream is one channel on one connection, numbered by the consumer.

use super::channel::ChannelKey;
use crate::element::Event;
use kvick_core::failure::Failure;
use kvick_core::ids::JobId;
use std::io::{self, Read, Write};

/// The first bytes of a connection.
pub const MAGIC: [u8; 4] = *b"KVDX";
/// The version of this protocol.
pub const VERSION: u16 = 2;
/// The handshake was accepted.
pub const ACCEPTED: u8 = 1;
/// The handshake was refused.
pub const REFUSED: u8 = 0;
/// The longest frame, in bytes: a batch is cut at 32 KiB, but a single record may be large.
pub const MAX_FRAME: usize = 256 * 1024 * 1024;
const MAX_SECRET: usize = 4096;

/// What travels over a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// Consumer: open a channel, with the number of batches it has room for.
    Open {
        /// The stream's number.
        stream: u32,
        /// The channel.
        key: ChannelKey,
        /// Batches the producer may send.
        credit: u32,
    },
    /// Consumer: as many batches were read.
    Credit {
        /// The stream's number.
        stream: u32,
        /// Number of batches.
        batches: u32,
    },
    /// Consumer: nobody reads this stream any more.
    Close {
        /// The stream's number.
        stream: u32,
    },
    /// Producer: a batch.
    Data {
        /// The stream's number.
        stream: u32,
        /// As [`crate::codec`] wrote it.
        bytes: Vec<u8>,
    },
    /// Producer: a batch beyond the credit, which a barrier that overtakes pushes in front of it.
    Ahead {
        /// The stream's number.
        stream: u32,
        /// As [`crate::codec`] wrote it.
        bytes: Vec<u8>,
    },
    /// Producer: an event.
    Event {
        /// The stream's number.
        stream: u32,
        /// The event.
        event: Event,
    },
    /// Producer: nothing follows on this stream.
    End {
        /// The stream's number.
        stream: u32,
    },
    /// Producer: what was asked for cannot be had.
    Failed {
        /// The stream's number.
        stream: u32,
        /// Why.
        failure: Failure,
    },
}

/// A connection that does not follow the protocol.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other side speaks something else.
    #[error("the peer does not speak the exchange protocol version {VERSION}")]
    NotOurProtocol,
    /// The other side belongs to another job or does not know its secret.
    #[error("the peer does not belong to this job")]
    Stranger,
    /// A frame that makes no sense.
    #[error("bad frame of kind {kind} and length {length}")]
    BadFrame {
        /// Its kind.
        kind: u8,
        /// Its length.
        length: usize,
    },
}

impl Frame {
    /// Writes the frame.
    ///
    /// # Errors
    /// What the writer fails with.
    pub fn write(&self, writer: &mut impl Write) -> Result<(), WireError> {
        match self {
            Frame::Open { stream, key, credit } => {
                let mut body = credit.to_be_bytes().to_vec();
                body.extend(key.producer.vertex.0.to_be_bytes());
                for part in [key.producer.subtask, key.producer.attempt, key.output, key.consumer] {
                    body.extend(part.to_be_bytes());
                }
                put(writer, 1, *stream, &body)
            }
            Frame::Credit { stream, batches } => put(writer, 2, *stream, &batches.to_be_bytes()),
            Frame::Close { stream } => put(writer, 3, *stream, &[]),
            Frame::Data { stream, bytes } => put(writer, 4, *stream, bytes),
            Frame::Event { stream, event } => {
                let body =
                    postcard::to_allocvec(event).map_err(|_| WireError::BadFrame { kind: 5, length: 0 })?;
                put(writer, 5, *stream, &body)
            }
            Frame::End { stream } => put(writer, 6, *stream, &[]),
            Frame::Failed { stream, failure } => {
                // JSON, since a failure leaves out what it does not have, which compact formats cannot read.
                let body =
                    serde_json::to_vec(failure).map_err(|_| WireError::BadFrame { kind: 7, length: 0 })?;
                put(writer, 7, *stream, &body)
            }
            Frame::Ahead { stream, bytes } => put(writer, 8, *stream, bytes),
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// The end of the connection, or bytes that are no frame.
    pub fn read(reader: &mut impl Read) -> Result<Frame, WireError> {
        let length = read_u32(reader)? as usize;
        if !(5..=MAX_FRAME).contains(&length) {
            return Err(WireError::BadFrame { kind: 0, length });
        }
        let mut kind = [0];
        reader.read_exact(&mut kind)?;
        let stream = read_u32(reader)?;
        let mut body = vec![0; length - 5];
        reader.read_exact(&mut body)?;
        parse(kind[0], stream, body).ok_or(WireError::BadFrame { kind: kind[0], length })
    }
}

fn put(writer: &mut impl Write, kind: u8, stream: u32, body: &[u8]) -> Result<(), WireError> {
    let length = body.len() + 5;
    if length > MAX_FRAME {
        return Err(WireError::BadFrame { kind, length });
    }
    let mut head = [0; 9];
    head[..4].copy_from_slice(&(length as u32).to_be_bytes());
    head[4] = kind;
    head[5..].copy_from_slice(&stream.to_be_bytes());
    writer.write_all(&head)?;
    Ok(writer.write_all(body)?)
}

fn read_u32(reader: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn parse(kind: u8, stream: u32, body: Vec<u8>) -> Option<Frame> {
    Some(match kind {
        1 => parse_open(stream, &body)?,
        2 => Frame::Credit { stream, batches: u32::from_be_bytes(body.try_into().ok()?) },
        3 => Frame::Close { stream },
        4 => Frame::Data { stream, bytes: body },
        5 => Frame::Event { stream, event: postcard::from_bytes(&body).ok()? },
        6 => Frame::End { stream },
        7 => Frame::Failed { stream, failure: serde_json::from_slice(&body).ok()? },
        8 => Frame::Ahead { stream, bytes: body },
        _ => return None,
    })
}

fn parse_open(stream: u32, body: &[u8]) -> Option<Frame> {
    let mut rest = body;
    let credit = read_u32(&mut rest).ok()?;
    let mut vertex = [0; 16];
    rest.read_exact(&mut vertex).ok()?;
    let mut part = || read_u32(&mut rest).ok();
    let (subtask, attempt, output, consumer) = (part()?, part()?, part()?, part()?);
    let vertex = kvick_core::ids::VertexId(u128::from_be_bytes(vertex));
    let producer = kvick_core::ids::ExecutionId { vertex, subtask, attempt };
    Some(Frame::Open { stream, key: ChannelKey { producer, output, consumer }, credit })
}

/// The consumer's side of the handshake.
///
/// # Errors
/// The connection ended, or the producer's worker refused.
pub fn greet(connection: &mut (impl Read + Write), job: JobId, secret: &str) -> Result<(), WireError> {
    let mut hello = MAGIC.to_vec();
    hello.extend(VERSION.to_be_bytes());
    hello.extend(job.0.to_be_bytes());
    hello.extend((secret.len() as u32).to_be_bytes());
    hello.extend(secret.as_bytes());
    connection.write_all(&hello)?;
    connection.flush()?;
    let mut answer = [0];
    connection.read_exact(&mut answer)?;
    if answer[0] == ACCEPTED { Ok(()) } else { Err(WireError::Stranger) }
}

/// The producer's side of the handshake.
///
/// # Errors
/// The other side is no worker of this job.
pub fn welcome(connection: &mut (impl Read + Write), job: JobId, secret: &str) -> Result<(), WireError> {
    let mut head = [0; 22];
    connection.read_exact(&mut head)?;
    if head[..4] != MAGIC || head[4..6] != VERSION.to_be_bytes() {
        return Err(WireError::NotOurProtocol);
    }
    let length = read_u32(connection)? as usize;
    if length > MAX_SECRET {
        return Err(WireError::NotOurProtocol);
    }
    let mut presented = vec![0; length];
    connection.read_exact(&mut presented)?;
    let ours = head[6..] == job.0.to_be_bytes() && same_secret(&presented, secret.as_bytes());
    connection.write_all(&[if ours { ACCEPTED } else { REFUSED }])?;
    connection.flush()?;
    if ours { Ok(()) } else { Err(WireError::Stranger) }
}

/// Compares without telling by its duration how much was right.
fn same_secret(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
