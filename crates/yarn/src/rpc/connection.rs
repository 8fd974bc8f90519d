//! One connection: calls go out through a writer task, answers come back through a reader task to whoever waits.
//! Owns the socket, call ids and waiters; opens no second connection and repeats no call.

use super::frame::{self, Frame, PING_CALL, SASL_CALL};
use super::handshake::{self, Established, Handshake};
use super::{Address, Identity, RemoteException, RpcError};
use crate::proto::common::{RequestHeader, RpcResponseHeader, RpcSasl, RpcStatus};
use crate::sasl;
use crate::sasl::layer::{Opener, Sealer};
use bytes::{Bytes, BytesMut};
use prost::Message;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
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

type Reply = Result<Bytes, RpcError>;

/// Who waits for what, until the connection has died.
enum Waiters {
    Open(HashMap<i32, oneshot::Sender<Reply>>),
    Dead(RpcError),
}

struct Shared {
    address: Address,
    waiters: Mutex<Waiters>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self, reason: impl ToString) -> RpcError {
        RpcError::Closed {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }

    /// Tells every waiter, and every later caller, why there will be no answer; the first reason stays.
    fn die(&self, error: RpcError) {
        let mut waiters = self.lock();
        if matches!(*waiters, Waiters::Dead(_)) {
            return;
        }
        if let Waiters::Open(waiting) =
            std::mem::replace(&mut *waiters, Waiters::Dead(error.clone()))
        {
            for (_, waiter) in waiting {
                let _ = waiter.send(Err(error.clone()));
            }
        }
    }

    fn expect(&self, call: i32) -> Result<oneshot::Receiver<Reply>, RpcError> {
        let (sender, receiver) = oneshot::channel();
        match &mut *self.lock() {
            Waiters::Open(waiting) => waiting.insert(call, sender),
            Waiters::Dead(error) => return Err(error.clone()),
        };
        Ok(receiver)
    }

    fn forget(&self, call: i32) -> Option<oneshot::Sender<Reply>> {
        match &mut *self.lock() {
            Waiters::Open(waiting) => waiting.remove(&call),
            Waiters::Dead(_) => None,
        }
    }

    fn has_waiters(&self) -> bool {
        matches!(&*self.lock(), Waiters::Open(waiting) if !waiting.is_empty())
    }
}

/// Forgets a call that nobody waits for any more (time-out, cancellation).
struct Forget<'a>(&'a Shared, i32);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.forget(self.1);
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
        let timed_out = |_| RpcError::ConnectTimeout {
            address: address.clone(),
            after: options.connect_timeout,
        };
        tokio::time::timeout(options.connect_timeout, opening)
            .await
            .map_err(timed_out)?
    }

    async fn open_patiently(
        address: &Address,
        protocol: &'static str,
        identity: &Identity,
        options: &Options,
    ) -> Result<Self, RpcError> {
        let refused = |source| RpcError::Connect {
            address: address.clone(),
            source: Arc::new(source),
        };
        let mut stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let random = sasl::random::<16>();
        let client_id = random.map_err(|source| RpcError::Authenticate {
            address: address.clone(),
            source,
        })?;
        let handshake = Handshake {
            stream: &mut stream,
            address,
            protocol,
            client_id: &client_id,
        };
        let established = handshake.run(identity).await?;
        Ok(Self::start(
            stream,
            established,
            address,
            protocol,
            client_id,
            options,
        ))
    }

    fn start(
        stream: TcpStream,
        established: Established,
        address: &Address,
        protocol: &'static str,
        client_id: [u8; 16],
        options: &Options,
    ) -> Self {
        let waiters = Mutex::new(Waiters::Open(HashMap::new()));
        let shared = Arc::new(Shared {
            address: address.clone(),
            waiters,
        });
        let (outgoing, queue) = mpsc::unbounded_channel();
        // The context is the first in the queue; nobody else has the sender yet.
        let _ = outgoing.send(established.first);
        let (read_half, write_half) = stream.into_split();
        let is_protected = established.layers.is_some();
        let (sealer, opener) = established.layers.map_or((None, None), |(sealer, opener)| {
            (Some(sealer), Some(opener))
        });
        let ping = Frame::new(&frame::header(PING_CALL, &client_id, -1, None)).finish();
        let writer = Writer {
            stream: write_half,
            sealer,
            queue,
            ping,
            every: options.ping_interval,
        };
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
        matches!(*self.shared.lock(), Waiters::Open(_))
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
        let timed_out = |_| RpcError::Timeout {
            address: address(),
            method: method.to_owned(),
            after,
        };
        let answer = tokio::time::timeout(after, answer)
            .await
            .map_err(timed_out)?;
        let mut body = answer.map_err(|_| self.shared.closed("it is being closed"))??;
        let malformed = |error: prost::DecodeError| RpcError::Malformed {
            address: address(),
            method: method.to_owned(),
            reason: error.to_string(),
        };
        frame::take(&mut body).map_err(malformed)
    }

    fn encode(&self, call: i32, method: &str, request: &impl Message, retry: i32) -> Bytes {
        let header = frame::header(
            call,
            &self.client_id,
            retry,
            self.options.caller_context.as_deref(),
        );
        let name = RequestHeader {
            method_name: method.to_owned(),
            declaring_class_protocol_name: self.protocol.to_owned(),
            client_protocol_version: 1,
        };
        Frame::new(&header).with(&name).with(request).finish()
    }
}

/// Sends what is queued, many frames in one write.
struct Writer {
    stream: OwnedWriteHalf,
    sealer: Option<Sealer>,
    queue: mpsc::UnboundedReceiver<Bytes>,
    ping: Bytes,
    every: Duration,
}

impl Writer {
    async fn run(mut self, shared: Arc<Shared>, preamble: Option<[u8; 7]>) {
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
struct Reader {
    stream: BufReader<OwnedReadHalf>,
    opener: Option<Opener>,
    plain: BytesMut,
    limit: usize,
}

impl Reader {
    async fn run(mut self, shared: Arc<Shared>) {
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
            let read = frame::read(&mut self.stream, self.limit)
                .await
                .map_err(|error| error.to_string())?;
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
        return Err(format!(
            "an unprotected answer to call {call} on a protected connection"
        ));
    }
    if body.is_empty() {
        return Ok(None);
    }
    let message: RpcSasl = frame::take(&mut body).map_err(|error| error.to_string())?;
    opener
        .open(message.token())
        .map(Some)
        .map_err(|error| error.to_string())
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
    let error = RpcError::Remote {
        address: shared.address.clone(),
        exception: Box::new(exception(&header)),
    };
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
    RemoteException::new(
        header.exception_class(),
        header.error_message(),
        fatal,
        header.error_code(),
    )
}
