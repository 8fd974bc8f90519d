//! TCP between the workers of one job: one connection for each pair of workers and direction, many channels on it.
//!
//! A consumer's worker connects to the producer's. Each connection has a thread that reads and one that writes; neither
//! waits for a task, because credit bounds what is under way.

use super::channel::{Channel, ChannelKey, ChannelTable, CreditReturn, PEER_GRACE};
use super::gate::{Gate, Packet, Room};
use super::wire::{self, Frame, WireError};
use crate::task::lock;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::JobId;
use std::collections::{HashMap, HashSet};
use std::io::{BufReader, BufWriter, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const BUFFER: usize = 256 * 1024;

/// What makes a connection one of this job.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The job.
    pub job: JobId,
    /// Known to its workers alone.
    pub secret: String,
}

/// A worker that cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be resolved or does not answer.
    #[error("cannot connect to the worker of a producer at {address}: {source}")]
    Connect {
        /// `host:port`.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The other side refused us.
    #[error("the worker of a producer at {address} refused the connection: {source}")]
    Refused {
        /// `host:port`.
        address: String,
        /// Why.
        source: WireError,
    },
}

/// Accepts connections from consumers' workers until the process ends.
pub fn serve(listener: TcpListener, membership: Membership, table: Arc<ChannelTable>) {
    spawn("exchange-accept", move || {
        for connection in listener.incoming() {
            match connection {
                Ok(stream) => {
                    let (membership, table) = (membership.clone(), Arc::clone(&table));
                    spawn("exchange-serve", move || {
                        if let Err(error) = serve_connection(&stream, &membership, &table) {
                            crate::log::warn(&format!("exchange connection from a consumer ended: {error}"));
                        }
                    });
                }
                // For example too many open files: do not spin.
                Err(error) => {
                    crate::log::warn(&format!("cannot accept an exchange connection: {error}"));
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    });
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_string()).spawn(work) {
        crate::log::warn(&format!("cannot start the thread {name}: {error}"));
    }
}

fn serve_connection(
    stream: &TcpStream,
    membership: &Membership,
    table: &ChannelTable,
) -> Result<(), WireError> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
    wire::welcome(&mut &*stream, membership.job, &membership.secret)?;
    stream.set_read_timeout(None)?;
    let frames = start_writer(stream.try_clone()?);
    let mut streams: HashMap<u32, Arc<Channel>> = HashMap::new();
    let result = serve_frames(stream, &frames, table, &mut streams);
    for channel in streams.values() {
        channel.close("the connection to the worker of its consumer was lost");
    }
    match result {
        Err(WireError::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
        other => other,
    }
}

fn serve_frames(
    stream: &TcpStream,
    frames: &Sender<Frame>,
    table: &ChannelTable,
    streams: &mut HashMap<u32, Arc<Channel>>,
) -> Result<(), WireError> {
    let mut reader = BufReader::new(stream);
    loop {
        match Frame::read(&mut reader)? {
            Frame::Open { stream, key, credit } => {
                let channel = table.opened(key);
                channel.connect_remote(stream, frames.clone(), credit);
                table.connected(key, &channel);
                streams.insert(stream, channel);
            }
            Frame::Credit { stream, batches } => {
                if let Some(channel) = streams.get(&stream) {
                    channel.granted(batches);
                }
            }
            Frame::Close { stream } => {
                if let Some(channel) = streams.remove(&stream) {
                    channel.close("its consumer ended before the stream did");
                }
            }
            _ => return Err(WireError::BadFrame { kind: 0, length: 0 }),
        }
    }
}

/// Starts the thread that writes to a connection; it ends when the connection does or nobody can send to it any more.
fn start_writer(stream: TcpStream) -> Sender<Frame> {
    let (sender, receiver) = channel();
    spawn("exchange-write", move || {
        if write_frames(&stream, &receiver).is_err() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    sender
}

fn write_frames(stream: &TcpStream, frames: &Receiver<Frame>) -> Result<(), WireError> {
    let mut writer = BufWriter::with_capacity(BUFFER, stream);
    while let Ok(frame) = frames.recv() {
        frame.write(&mut writer)?;
        loop {
            match frames.try_recv() {
                Ok(frame) => frame.write(&mut writer)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(writer.flush()?),
            }
        }
        writer.flush()?;
    }
    Ok(())
}

#[derive(Default)]
struct Streams {
    next: u32,
    open: HashMap<u32, (Arc<Gate>, usize)>,
    /// Those that read a result that is kept.
    kept: HashSet<u32>,
    lost: bool,
}

struct Connection {
    frames: Sender<Frame>,
    streams: Arc<Mutex<Streams>>,
}

/// The connections of this worker to the workers of producers.
pub struct Connections {
    membership: Membership,
    open: Mutex<HashMap<String, Arc<Connection>>>,
}

impl Connections {
    /// No connection yet.
    pub fn new(membership: Membership) -> Connections {
        Connections { membership, open: Mutex::new(HashMap::new()) }
    }

    /// Opens a channel to a producer at an address and lets its packets flow into a gate. `kept`: the producer has finished, and
    /// its result is read.
    ///
    /// # Errors
    /// The address cannot be reached, or refuses us.
    pub fn open(
        &self,
        address: &str,
        key: ChannelKey,
        gate: &Arc<Gate>,
        index: usize,
        kept: bool,
    ) -> Result<(), ConnectError> {
        let connection = self.connection(address)?;
        let mut streams = lock(&connection.streams);
        let stream = streams.next;
        streams.next += 1;
        streams.open.insert(stream, (Arc::clone(gate), index));
        if kept {
            streams.kept.insert(stream);
        }
        gate.returns_credit(index, CreditReturn { stream, frames: connection.frames.clone() });
        let opened = connection.frames.send(Frame::Open { stream, key, credit: gate.credit() });
        if opened.is_err() || streams.lost {
            gate.fail(connection_lost(address));
        }
        Ok(())
    }

    fn connection(&self, address: &str) -> Result<Arc<Connection>, ConnectError> {
        // Held while connecting, so that the tasks of a worker share one connection.
        let mut open = lock(&self.open);
        if let Some(connection) = open.get(address).filter(|c| !lock(&c.streams).lost) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(connect(address, &self.membership)?);
        open.insert(address.to_string(), Arc::clone(&connection));
        Ok(connection)
    }
}

fn connect(address: &str, membership: &Membership) -> Result<Connection, ConnectError> {
    let failed = |source| ConnectError::Connect { address: address.to_string(), source };
    let stream = connect_any(address).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT)).map_err(failed)?;
    wire::greet(&mut &stream, membership.job, &membership.secret)
        .map_err(|source| ConnectError::Refused { address: address.to_string(), source })?;
    stream.set_read_timeout(None).map_err(failed)?;
    let frames = start_writer(stream.try_clone().map_err(failed)?);
    let streams = Arc::new(Mutex::new(Streams::default()));
    let (shared, address) = (Arc::clone(&streams), address.to_string());
    spawn("exchange-read", move || read_frames(&stream, &shared, &address));
    Ok(Connection { frames, streams })
}

fn connect_any(address: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name resolves to no address");
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn read_frames(stream: &TcpStream, streams: &Mutex<Streams>, address: &str) {
    let mut reader = BufReader::with_capacity(BUFFER, stream);
    let failure = loop {
        match Frame::read(&mut reader) {
            Ok(frame) => {
                if let Err(failure) = deliver(frame, streams) {
                    break failure;
                }
            }
            Err(error) => break crate::error::failure_of(&error),
        }
    };
    let _ = stream.shutdown(Shutdown::Both);
    let failure = failure.wrapped(FailureKind::Error, connection_lost(address).message);
    let mut guard = lock(streams);
    guard.lost = true;
    let Streams { open, kept, .. } = &mut *guard;
    open.extract_if(|stream, _| !kept.contains(stream)).for_each(|(_, (gate, _))| gate.fail(failure.clone()));
    let readers: Vec<Arc<Gate>> = open.drain().map(|(_, (gate, _))| gate).collect();
    drop(guard);
    if !readers.is_empty() {
        // They stand and fall alone. If the worker is gone they are about to be cancelled, and its own failure says more.
        thread::sleep(PEER_GRACE);
        readers.iter().for_each(|gate| gate.fail(failure.clone()));
    }
}

fn connection_lost(address: &str) -> Failure {
    Failure::new(
        FailureKind::Error,
        format!("the connection to the worker of a producer at {address} was lost"),
    )
}

fn deliver(frame: Frame, streams: &Mutex<Streams>) -> Result<(), Failure> {
    let (stream, packet, room) = match frame {
        Frame::Data { stream, bytes } => (stream, Packet::Encoded(bytes), Room::IfAny),
        Frame::Ahead { stream, bytes } => (stream, Packet::Encoded(bytes), Room::Regardless),
        Frame::Event { stream, event } => (stream, Packet::Event(event), Room::IfAny),
        Frame::End { stream } => (stream, Packet::End, Room::IfAny),
        Frame::Failed { stream, failure } => {
            let reader = lock(streams).open.remove(&stream);
            reader.into_iter().for_each(|(gate, _)| gate.fail(failure.clone()));
            return Ok(());
        }
        _ => {
            return Err(Failure::new(FailureKind::Error, "a producer sent a frame that only consumers send"));
        }
    };
    let target = match &packet {
        Packet::End => lock(streams).open.remove(&stream),
        _ => lock(streams).open.get(&stream).cloned(),
    };
    match target {
        Some((gate, index)) => {
            gate.receive(index, packet, room).map_err(|error| crate::error::failure_of(&error))
        }
        None => Ok(()),
    }
}
