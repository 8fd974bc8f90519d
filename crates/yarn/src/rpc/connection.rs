//! One connection: calls go out through a writer task, answers come back through a reader task to whoever waits.
//! Owns the socket, call ids and waiters; opens no second connection and repeats no call.

use super::frame::{self, Frame, PING_CALL};
use super::handshake::{Established, Handshake};
use super::pumps::{Reader, Writer};
use super::waiters::{Forget, Shared};
use super::{Address, Identity, RpcError};
use crate::proto::common::RequestHeader;
use crate::sasl;
use bytes::{Bytes, BytesMut};
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Times and limits of a connection.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a TCP connection and the handshake may take (`ipc.client.connect.timeout`).
    pub connect_timeout: Duration,
    /// How long an answer may take (`ipc.client.rpc-timeout.ms`).
    pub call_timeout: Duration,
    /// How long a connection with waiting calls may be silent before a ping (`ipc.ping.interval`).
    pub ping_interval: Duration,
    /// Longest accepted response, bytes (`ipc.maximum.response.length`).
    pub max_response: usize,
    /// Who calls, for the servers' audit logs.
    pub caller_context: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(120),
            ping_interval: Duration::from_secs(60),
            max_response: 128 << 20,
            caller_context: None,
        }
    }
}

/// A connection to one server for one protocol under one identity. Dropping it closes it.
pub struct Connection {
    shared: Arc<Shared>,
    protocol: &'static str,
    client_id: [u8; 16],
    next_call: AtomicI32,
    outgoing: mpsc::UnboundedSender<Bytes>,
    options: Options,
    is_protected: bool,
    reader: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Connection {
    /// Connects and authenticates.
    ///
    /// # Errors
    /// When the server cannot be reached in time or refuses the identity.
    pub async fn open(
        address: &Address,
        protocol: &'static str,
        identity: &Identity,
        options: &Options,
    ) -> Result<Self, RpcError> {
        let opening = Self::open_patiently(address, protocol, identity, options);
        let timed_out =
            |_| RpcError::ConnectTimeout { address: address.clone(), after: options.connect_timeout };
        tokio::time::timeout(options.connect_timeout, opening).await.map_err(timed_out)?
    }

    async fn open_patiently(
        address: &Address,
        protocol: &'static str,
        identity: &Identity,
        options: &Options,
    ) -> Result<Self, RpcError> {
        let refused = |source| RpcError::Connect { address: address.clone(), source: Arc::new(source) };
        let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let random = sasl::random::<16>();
        let client_id =
            random.map_err(|source| RpcError::Authenticate { address: address.clone(), source })?;
        let handshake = Handshake { stream: &mut stream, address, protocol, client_id: &client_id };
        let established = handshake.run(identity).await?;
        Ok(Self::start(stream, established, address, protocol, client_id, options))
    }

    fn start(
        stream: TcpStream,
        established: Established,
        address: &Address,
        protocol: &'static str,
        client_id: [u8; 16],
        options: &Options,
    ) -> Self {
        let shared = Arc::new(Shared::new(address.clone()));
        let (outgoing, queue) = mpsc::unbounded_channel();
        // The context is the first in the queue; nobody else has the sender yet.
        let _ = outgoing.send(established.first);
        let (read_half, write_half) = stream.into_split();
        let is_protected = established.layers.is_some();
        let (sealer, opener) =
            established.layers.map_or((None, None), |(sealer, opener)| (Some(sealer), Some(opener)));
        let ping = Frame::new(&frame::header(PING_CALL, &client_id, -1, None)).finish();
        let writer = Writer { stream: write_half, sealer, queue, ping, every: options.ping_interval };
        tokio::spawn(writer.run(shared.clone(), established.preamble));
        let reader = Reader {
            stream: BufReader::new(read_half),
            opener,
            plain: BytesMut::new(),
            limit: options.max_response,
        };
        let reader = tokio::spawn(reader.run(shared.clone()));
        Self {
            shared,
            protocol,
            client_id,
            next_call: AtomicI32::new(0),
            outgoing,
            options: options.clone(),
            is_protected,
            reader,
        }
    }

    /// The server.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// Whether what goes over the connection is protected against alteration, and perhaps reading.
    pub fn is_protected(&self) -> bool {
        self.is_protected
    }

    /// Whether calls can still be made.
    pub fn is_alive(&self) -> bool {
        self.shared.is_alive()
    }

    /// Calls a method; `retry` counts how often the same call was made before, on any connection.
    ///
    /// # Errors
    /// When the server throws, does not answer within the options' time, or the connection ends.
    pub async fn call<Q: Message, R: Message + Default>(
        &self,
        method: &str,
        request: &Q,
        retry: i32,
    ) -> Result<R, RpcError> {
        let call = self.next_call.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let answer = self.shared.expect(call)?;
        let _forget = Forget(&self.shared, call);
        self.outgoing
            .send(self.encode(call, method, request, retry))
            .map_err(|_| self.shared.closed("it is being closed"))?;
        let after = self.options.call_timeout;
        let address = || self.shared.address.clone();
        let timed_out = |_| RpcError::Timeout { address: address(), method: method.to_owned(), after };
        let answer = tokio::time::timeout(after, answer).await.map_err(timed_out)?;
        let mut body = answer.map_err(|_| self.shared.closed("it is being closed"))??;
        let malformed = |error: prost::DecodeError| RpcError::Malformed {
            address: address(),
            method: method.to_owned(),
            reason: error.to_string(),
        };
        frame::take(&mut body).map_err(malformed)
    }

    fn encode(&self, call: i32, method: &str, request: &impl Message, retry: i32) -> Bytes {
        let header = frame::header(call, &self.client_id, retry, self.options.caller_context.as_deref());
        let name = RequestHeader {
            method_name: method.to_owned(),
            declaring_class_protocol_name: self.protocol.to_owned(),
            client_protocol_version: 1,
        };
        Frame::new(&header).with(&name).with(request).finish()
    }
}
