//! The two tasks of a connection: one writes what is queued, one reads and delivers answers.
//! Owns the two halves of the socket and the security layers; knows no methods.

use super::frame::{self, SASL_CALL};
use super::handshake;
use super::waiters::Shared;
use super::{RemoteException, RpcError};
use crate::proto::common::{RpcResponseHeader, RpcSasl, RpcStatus};
use crate::sasl::layer::{Opener, Sealer};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// Sends what is queued, many frames in one write.
pub(super) struct Writer {
    pub(super) stream: OwnedWriteHalf,
    pub(super) sealer: Option<Sealer>,
    pub(super) queue: mpsc::UnboundedReceiver<Bytes>,
    pub(super) ping: Bytes,
    pub(super) every: Duration,
}

impl Writer {
    pub(super) async fn run(mut self, shared: Arc<Shared>, preamble: Option<[u8; 7]>) {
        let mut buffer = BytesMut::new();
        buffer.extend_from_slice(preamble.as_ref().map_or(&[], |bytes| &bytes[..]));
        while self.gather(&mut buffer, &shared).await {
            if let Err(error) = self.stream.write_all(&buffer).await {
                return shared.die(shared.closed(error));
            }
            buffer.clear();
        }
    }

    /// Waits for something to send; `false` when the connection was dropped.
    async fn gather(&mut self, buffer: &mut BytesMut, shared: &Shared) -> bool {
        match tokio::time::timeout(self.every, self.queue.recv()).await {
            Ok(None) => return false,
            Ok(Some(frame)) => self.put(buffer, &frame),
            Err(_) if shared.has_waiters() => self.put(buffer, &self.ping.clone()),
            Err(_) => {}
        }
        while let Ok(frame) = self.queue.try_recv() {
            self.put(buffer, &frame);
        }
        true
    }

    fn put(&mut self, buffer: &mut BytesMut, frame: &Bytes) {
        match &mut self.sealer {
            Some(sealer) => buffer.extend_from_slice(&handshake::wrapped(sealer.seal(frame))),
            None => buffer.extend_from_slice(frame),
        }
    }
}

/// Receives answers and hands them to their waiters.
pub(super) struct Reader {
    pub(super) stream: BufReader<OwnedReadHalf>,
    pub(super) opener: Option<Opener>,
    pub(super) plain: BytesMut,
    pub(super) limit: usize,
}

impl Reader {
    pub(super) async fn run(mut self, shared: Arc<Shared>) {
        let error = loop {
            match self.next().await {
                Ok(frame) => {
                    if let Err(error) = deliver(&shared, frame) {
                        break error;
                    }
                }
                Err(reason) => break shared.closed(reason),
            }
        };
        shared.die(error);
    }

    /// The next frame in plain text.
    async fn next(&mut self) -> Result<Bytes, String> {
        loop {
            if let Some(frame) =
                frame::split(&mut self.plain, self.limit).map_err(|error| error.to_string())?
            {
                return Ok(frame);
            }
            let read = frame::read(&mut self.stream, self.limit).await.map_err(|error| error.to_string())?;
            let frame = read.ok_or("end of stream")?;
            match &mut self.opener {
                None => return Ok(frame),
                Some(opener) => match unwrap(opener, &frame)? {
                    Some(piece) => self.plain.extend_from_slice(&piece),
                    None => return Ok(frame),
                },
            }
        }
    }
}

/// The piece of plain stream that a frame protects; `None` if the frame is a bare (error) response.
fn unwrap(opener: &mut Opener, frame: &Bytes) -> Result<Option<Vec<u8>>, String> {
    let (call, _, mut body) = frame::response(frame.clone()).map_err(|error| error.to_string())?;
    if call != SASL_CALL {
        return Err(format!("an unprotected answer to call {call} on a protected connection"));
    }
    if body.is_empty() {
        return Ok(None);
    }
    let message: RpcSasl = frame::take(&mut body).map_err(|error| error.to_string())?;
    opener.open(message.token()).map(Some).map_err(|error| error.to_string())
}

/// Gives a response to its waiter; an error is the end of the connection.
fn deliver(shared: &Shared, frame: Bytes) -> Result<(), RpcError> {
    let (call, header, body) = frame::response(frame).map_err(|error| shared.closed(error))?;
    if header.status == RpcStatus::Success as i32 {
        if let Some(waiter) = shared.forget(call) {
            let _ = waiter.send(Ok(body));
        }
        return Ok(());
    }
    let error = RpcError::Remote { address: shared.address.clone(), exception: Box::new(exception(&header)) };
    if header.status == RpcStatus::Fatal as i32 || call < 0 {
        return Err(error);
    }
    if let Some(waiter) = shared.forget(call) {
        let _ = waiter.send(Err(error));
    }
    Ok(())
}

fn exception(header: &RpcResponseHeader) -> RemoteException {
    let fatal = header.status == RpcStatus::Fatal as i32;
    RemoteException::new(header.exception_class(), header.error_message(), fatal, header.error_code())
}
