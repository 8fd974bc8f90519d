//! Frames: a big-endian 32-bit length, then length-delimited protobuf messages.
//! Owns the bytes of requests and responses; knows neither sockets' lives nor calls' fates.

use crate::proto::common::{CallerContext, RpcKind, RpcOp, RpcRequestHeader, RpcResponseHeader};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Call id of the connection context (`RpcConstants.CONNECTION_CONTEXT_CALL_ID`).
pub const CONTEXT_CALL: i32 = -3;
/// Call id of a ping, which is not answered (`RpcConstants.PING_CALL_ID`).
pub const PING_CALL: i32 = -4;
/// Call id of SASL messages (`Server.AuthProtocol.SASL`).
pub const SASL_CALL: i32 = -33;

/// The seven bytes a connection begins with: "hrpc", version 9, service class 0, authentication.
pub fn preamble(sasl: bool) -> [u8; 7] {
    [b'h', b'r', b'p', b'c', 9, 0, if sasl { 0xdf } else { 0 }]
}

/// Header of a request; `retry` counts its repetitions (-1 for anything but calls).
pub fn header(call_id: i32, client_id: &[u8], retry: i32, context: Option<&str>) -> RpcRequestHeader {
    RpcRequestHeader {
        rpc_kind: Some(RpcKind::ProtocolBuffer as i32),
        rpc_op: Some(RpcOp::FinalPacket as i32),
        call_id,
        client_id: Bytes::copy_from_slice(client_id),
        retry_count: Some(retry),
        caller_context: context.map(|context| CallerContext { context: context.to_owned(), signature: None }),
    }
}

/// A frame under construction.
pub struct Frame(BytesMut);

impl Frame {
    /// A frame with its header.
    pub fn new(header: &RpcRequestHeader) -> Self {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_u32(0);
        Self(bytes).with(header)
    }

    /// One more message.
    #[must_use]
    pub fn with(mut self, message: &impl Message) -> Self {
        self.0.reserve(message.encoded_len() + 10);
        // A growing buffer has room for every message.
        let _ = message.encode_length_delimited(&mut self.0);
        self
    }

    /// The bytes, length first.
    pub fn finish(mut self) -> Bytes {
        let length = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0.freeze()
    }
}

/// Reads one frame without its length; `None` at the end of the stream. Memory grows with what arrives, not with what is announced.
///
/// # Errors
/// When the stream fails, ends inside a frame, or a frame is longer than `limit` bytes.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Option<Bytes>> {
    let mut prefix = [0; 4];
    if stream.read(&mut prefix[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut prefix[1..]).await?;
    let length = check_length(prefix, limit)?;
    let mut body = Vec::with_capacity(length.min(64 * 1024));
    stream.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(body.into()))
}

/// The length that `prefix` announces, if it can be one.
fn check_length(prefix: [u8; 4], limit: usize) -> io::Result<usize> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    if &prefix == b"HTTP" {
        return Err(invalid("it answers in HTTP: this is no Hadoop RPC port".into()));
    }
    let length = u32::from_be_bytes(prefix) as usize;
    if length > limit {
        return Err(invalid(format!(
            "a response of {length} bytes exceeds the limit of {limit} (ipc.maximum.response.length)"
        )));
    }
    Ok(length)
}

/// Takes one length-delimited message off the front of `bytes`.
///
/// # Errors
/// When there is no such message.
pub fn take<M: Message + Default>(bytes: &mut Bytes) -> Result<M, prost::DecodeError> {
    M::decode_length_delimited(bytes)
}

/// The header of a response, its call id as the signed number it means, and what follows.
///
/// # Errors
/// When it does not begin with a response header.
pub fn response(mut frame: Bytes) -> Result<(i32, RpcResponseHeader, Bytes), prost::DecodeError> {
    let header: RpcResponseHeader = take(&mut frame)?;
    Ok((header.call_id as i32, header, frame))
}

/// Takes whole frames (length included) off the front of a growing plain text.
///
/// # Errors
/// When a frame is longer than `limit`.
pub fn split(plain: &mut BytesMut, limit: usize) -> io::Result<Option<Bytes>> {
    if plain.len() < 4 {
        return Ok(None);
    }
    let length = check_length([plain[0], plain[1], plain[2], plain[3]], limit)?;
    if plain.len() < 4 + length {
        return Ok(None);
    }
    plain.advance(4);
    Ok(Some(plain.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::common::{IpcConnectionContext, RequestHeader, UserInformation};
    use crate::proto::yarn::{GetNewApplicationRequest, GetNewApplicationResponse};
    use proptest::prelude::*;

    const CLIENT: [u8; 16] =
        [0x78, 0x99, 0x7a, 0x52, 0xf2, 0xe8, 0x4e, 0x24, 0xbc, 0x77, 0xe0, 0x82, 0x14, 0x44, 0xaf, 0xdc];
    const PROTOCOL: &str = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB";

    /// The connection context that Hadoop 3.4.3 accepted.
    #[test]
    fn context_has_the_recorded_bytes() {
        let context = IpcConnectionContext {
            user_info: Some(UserInformation { effective_user: Some("alice".into()), real_user: None }),
            protocol: Some(PROTOCOL.into()),
        };
        let bytes = Frame::new(&header(CONTEXT_CALL, &CLIENT, -1, None)).with(&context).finish();
        let mut expected = vec![0, 0, 0, 0x5d, 0x1a, 8, 2, 0x10, 0, 0x18, 5, 0x22, 0x10];
        expected.extend(CLIENT);
        expected.extend([0x28, 1, 0x41, 0x12, 7, 0x0a, 5]);
        expected.extend(b"alice\x1a\x36");
        expected.extend(PROTOCOL.as_bytes());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_call_has_the_recorded_length_and_an_empty_message_is_one_byte() {
        let request = RequestHeader {
            method_name: "getNewApplication".into(),
            declaring_class_protocol_name: PROTOCOL.into(),
            client_protocol_version: 1,
        };
        let frame = Frame::new(&header(0, &CLIENT, 0, None))
            .with(&request)
            .with(&GetNewApplicationRequest {})
            .finish();
        assert_eq!(&frame[..4], [0, 0, 0, 0x6a]);
        assert_eq!(frame.last(), Some(&0));
    }

    /// What the ResourceManager answered.
    #[test]
    fn the_recorded_response_is_understood() {
        let mut frame = vec![0x1a, 8, 0, 0x10, 0, 0x18, 9, 0x3a, 0x10];
        frame.extend(CLIENT);
        frame.extend([
            0x40, 0, 0x38, 0x0a, 9, 8, 1, 0x10, 0xde, 0xef, 0x83, 0xe8, 0x9f, 0x34, 0x12, 0x2b, 8, 0x80,
            0x20, 0x10, 4,
        ]);
        frame.extend([0x1a, 0x14, 0x0a, 9]);
        frame
            .extend(b"memory-mb\x10\x80\x20\x1a\x02Mi\x20\x00\x1a\x0e\x0a\x06vcores\x10\x04\x1a\x00\x20\x00");
        assert_eq!(frame.len(), 0x54);
        let (call, header, mut body) = response(frame.into()).unwrap();
        let message: GetNewApplicationResponse = take(&mut body).unwrap();
        assert_eq!((call, header.status, body.len()), (0, 0, 0));
        assert_eq!(message.application_id.unwrap().cluster_timestamp(), 1_795_246_061_534);
        assert_eq!(message.maximum_capability.unwrap().memory(), 4096);
    }

    #[test]
    fn negative_call_ids_come_unsigned() {
        let frame =
            [&[0x0e, 8, 0xdf, 0xff, 0xff, 0xff, 0x0f, 0x10, 0, 0x18, 9, 0x3a, 0, 0x40, 1][..]].concat();
        assert_eq!(response(frame.into()).unwrap().0, SASL_CALL);
    }

    #[tokio::test]
    async fn an_announced_length_beyond_the_limit_is_refused_and_a_short_frame_too() {
        let error = read(&mut &[0xff, 0, 0, 0, 1][..], 1024).await.unwrap_err();
        assert!(error.to_string().contains("exceeds the limit"), "{error}");
        let error = read(&mut &[0, 0, 0, 9, 1][..], 1024).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let error = read(&mut &b"HTTP/1.1 400"[..], 1024).await.unwrap_err();
        assert!(error.to_string().contains("no Hadoop RPC port"), "{error}");
        assert!(read(&mut &[][..], 1024).await.unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_response_panics(bytes: Vec<u8>) {
            if let Ok((_, _, mut body)) = response(bytes.into()) {
                let _ = take::<GetNewApplicationResponse>(&mut body);
            }
        }

        #[test]
        fn frames_split_wherever_they_are_cut(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8), step in 1usize..50) {
            let stream: Vec<u8> = frames.iter().flat_map(|f| [&(f.len() as u32).to_be_bytes()[..], f].concat()).collect();
            let (mut plain, mut found) = (BytesMut::new(), Vec::new());
            for piece in stream.chunks(step) {
                plain.extend_from_slice(piece);
                while let Some(frame) = split(&mut plain, 1024).unwrap() {
                    found.push(frame.to_vec());
                }
            }
            prop_assert_eq!(found, frames);
        }
    }
}
