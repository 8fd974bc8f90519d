//! A channel between a producing and a consuming subtask, seen from the producer.
//!
//! Whoever comes first, producer or consumer, makes the channel; the producer waits until the consumer is connected,
//! within the process or over TCP. Owns the credit of a remote channel.

use super::blocking::Results;
use super::gate::{Gate, Packet, Room, Sent};
use super::wire::Frame;
use crate::error::{TaskError, TaskResult};
use crate::task::{TaskControl, TaskCounters, Wake, lock};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::ExecutionId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Which channel: a producing attempt, one of its outputs, and the consumer's subtask index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChannelKey {
    /// The producing attempt.
    pub producer: ExecutionId,
    /// Which of its outputs.
    pub output: u32,
    /// The consumer's subtask index.
    pub consumer: u32,
}

/// How long a task whose peer is gone waits to be cancelled before it fails itself: the peer's own failure says more.
pub(crate) const PEER_GRACE: Duration = Duration::from_secs(3);
const RECHECK: Duration = Duration::from_millis(500);

enum Link {
    Waiting,
    Local(Arc<Gate>, usize),
    /// Credit may be below 0: barriers push batches in front of them beyond it.
    Remote {
        stream: u32,
        frames: Sender<Frame>,
        credit: i64,
    },
    Closed(&'static str),
}

/// A channel, seen from the producer.
pub struct Channel {
    link: Mutex<Link>,
    changed: Condvar,
    /// A producer that found no credit and went on with something else.
    turned_away: Mutex<Option<Arc<TaskControl>>>,
}

impl Channel {
    fn new() -> Arc<Channel> {
        let (link, turned_away) = (Mutex::new(Link::Waiting), Mutex::default());
        Arc::new(Channel { link, changed: Condvar::new(), turned_away })
    }

    fn set(&self, link: Link) {
        *lock(&self.link) = link;
        self.news();
    }

    /// Lets whoever waits for the channel look at it again.
    fn news(&self) {
        self.changed.notify_all();
        let turned_away = lock(&self.turned_away).take();
        if let Some(producer) = turned_away {
            producer.nudge();
        }
    }

    /// A consumer in the same process reads this channel.
    pub fn connect_local(&self, gate: Arc<Gate>, channel: usize) {
        self.set(Link::Local(gate, channel));
    }

    /// A consumer in another process reads this channel.
    pub fn connect_remote(&self, stream: u32, frames: Sender<Frame>, credit: u32) {
        self.set(Link::Remote { stream, frames, credit: i64::from(credit) });
    }

    /// The consumer has read some batches.
    pub fn granted(&self, more: u32) {
        if let Link::Remote { credit, .. } = &mut *lock(&self.link) {
            *credit += i64::from(more);
        }
        self.news();
    }

    /// Tells the consumer why it will not get what it reads.
    pub fn fail(&self, failure: Failure) {
        match &*lock(&self.link) {
            Link::Local(gate, _) => gate.fail(failure),
            // A connection that is gone has already failed the consumer.
            Link::Remote { stream, frames, .. } => {
                drop(frames.send(Frame::Failed { stream: *stream, failure }))
            }
            Link::Waiting | Link::Closed(_) => {}
        }
    }

    /// The consumer or the connection to it is gone.
    pub fn close(&self, why: &'static str) {
        self.set(Link::Closed(why));
    }
}

impl Wake for Channel {
    fn wake(&self) {
        drop(lock(&self.link));
        self.changed.notify_all();
    }
}

/// The channels of a process, by key. The first to ask for a channel makes it.
#[derive(Default)]
pub struct ChannelTable {
    channels: Mutex<HashMap<ChannelKey, Arc<Channel>>>,
    results: Arc<Results>,
}

impl ChannelTable {
    /// The channel of that key.
    pub fn get(&self, key: ChannelKey) -> Arc<Channel> {
        Arc::clone(lock(&self.channels).entry(key).or_insert_with(Channel::new))
    }

    /// The channel of that key, for its consumer. Each attempt to read a kept result has a channel of its own.
    pub fn opened(&self, key: ChannelKey) -> Arc<Channel> {
        if self.results.are_read_by(&key) { Channel::new() } else { self.get(key) }
    }

    /// The consumer is connected: what was kept for it is sent.
    pub fn connected(&self, key: ChannelKey, channel: &Arc<Channel>) {
        if self.results.are_read_by(&key) {
            self.results.serve(key, channel);
        }
    }

    /// The results that are kept in this process.
    pub fn results(&self) -> Arc<Results> {
        Arc::clone(&self.results)
    }

    /// Forgets the channels of a producer that has ended.
    pub fn forget(&self, producer: ExecutionId) {
        lock(&self.channels).retain(|key, _| key.producer != producer);
    }

    /// Number of channels; for tests of clean-up.
    pub fn len(&self) -> usize {
        lock(&self.channels).len()
    }

    /// Whether there is no channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a consumer says that it has read batches of a remote channel.
pub struct CreditReturn {
    /// The stream's number on its connection.
    pub stream: u32,
    /// Frames to the producer.
    pub frames: Sender<Frame>,
}

impl CreditReturn {
    /// Grants the producer as many more batches.
    pub fn grant(&self, batches: u32) {
        // A connection that is gone has already failed the gate.
        let _ = self.frames.send(Frame::Credit { stream: self.stream, batches });
    }

    /// Tells the producer that nobody reads any more.
    pub fn close(&self) {
        let _ = self.frames.send(Frame::Close { stream: self.stream });
    }
}

/// The sending end of a channel, held by the producer's thread.
pub struct ChannelSender {
    channel: Arc<Channel>,
    control: Arc<TaskControl>,
    counters: Arc<TaskCounters>,
    local: Option<(Arc<Gate>, usize)>,
    /// Whether the consumer may be gone: no record follows, and it may have been released first.
    lenient: bool,
    /// How long it waits to be cancelled where the consumer is gone.
    grace: Duration,
}

impl ChannelSender {
    /// A sender for a task.
    pub fn new(
        channel: Arc<Channel>,
        control: Arc<TaskControl>,
        counters: Arc<TaskCounters>,
    ) -> ChannelSender {
        let wake: Arc<dyn Wake> = Arc::clone(&channel) as Arc<dyn Wake>;
        control.wakes(Arc::downgrade(&wake));
        ChannelSender { channel, control, counters, local: None, lenient: false, grace: PEER_GRACE }
    }

    /// The same for whoever is nobody's task: nobody would cancel it.
    #[must_use]
    pub fn without_grace(self) -> ChannelSender {
        ChannelSender { grace: Duration::ZERO, ..self }
    }

    /// From now on no record is sent: a consumer that is gone is no failure any more.
    pub fn no_more_records(&mut self) {
        self.lenient = true;
    }

    /// Waits for the consumer and tells whether it is in this process.
    ///
    /// # Errors
    /// The task was cancelled.
    pub fn is_local(&mut self) -> TaskResult<bool> {
        if self.local.is_some() {
            return Ok(true);
        }
        let mut link = lock(&self.channel.link);
        while matches!(*link, Link::Waiting) {
            self.control.check()?;
            link = wait(&self.channel.changed, link);
        }
        if let Link::Local(gate, index) = &*link {
            let wake: Arc<dyn Wake> = Arc::clone(gate) as Arc<dyn Wake>;
            self.control.wakes(Arc::downgrade(&wake));
            self.local = Some((Arc::clone(gate), *index));
        }
        Ok(self.local.is_some())
    }

    /// Sends a packet: a batch when there is room for it, anything else at once. A batch for another worker must be encoded.
    /// What is not to wait and finds no room is given back; the task is nudged once there is room.
    ///
    /// # Errors
    /// The task was cancelled, or the consumer or the connection is gone.
    pub fn send(&mut self, packet: Packet, room: Room) -> TaskResult<Option<Packet>> {
        if !self.is_local()? {
            return self.send_remote(packet, room);
        }
        let Some((gate, index)) = &self.local else { return Ok(None) };
        match gate.send(*index, packet, room, &self.control, &self.counters)? {
            Sent::Sent => Ok(None),
            Sent::Not(packet) => Ok(Some(packet)),
            Sent::Gone if self.lenient => Ok(None),
            Sent::Gone => Err(self.consumer_gone("its consumer ended before the stream did")),
        }
    }

    fn send_remote(&self, packet: Packet, room: Room) -> TaskResult<Option<Packet>> {
        let is_batch = matches!(packet, Packet::Encoded(_));
        let mut link = lock(&self.channel.link);
        let mut since = None;
        loop {
            match &mut *link {
                Link::Remote { stream, frames, credit }
                    if *credit > 0 || !is_batch || room == Room::Regardless =>
                {
                    let ahead = is_batch && *credit <= 0;
                    *credit -= i64::from(is_batch);
                    let sent = frames.send(frame(*stream, packet, ahead));
                    if let Some(since) = since {
                        self.counters.backpressured(Instant::elapsed(&since));
                    }
                    drop(link);
                    return match sent {
                        Err(_) if !self.lenient => {
                            Err(self.consumer_gone("the connection to its consumer was lost"))
                        }
                        _ => Ok(None),
                    };
                }
                Link::Closed(_) if self.lenient => return Ok(None),
                Link::Closed(why) => {
                    let why = *why;
                    drop(link);
                    return Err(self.consumer_gone(why));
                }
                _ if room == Room::IfAny => {
                    *lock(&self.channel.turned_away) = Some(Arc::clone(&self.control));
                    return Ok(Some(packet));
                }
                _ => {
                    self.control.check()?;
                    let _ = since.get_or_insert_with(Instant::now);
                    link = wait(&self.channel.changed, link);
                }
            }
        }
    }

    /// The task's control.
    pub fn control(&self) -> &TaskControl {
        &self.control
    }

    /// The task's counters.
    pub fn counters(&self) -> &TaskCounters {
        &self.counters
    }

    fn consumer_gone(&self, why: &str) -> TaskError {
        self.control.sleep_through(self.grace);
        match self.control.check() {
            Err(canceled) => canceled,
            Ok(()) => {
                TaskError::Failed(Failure::new(FailureKind::Error, format!("cannot send records: {why}")))
            }
        }
    }
}

/// A packet for another worker.
fn frame(stream: u32, packet: Packet, ahead: bool) -> Frame {
    match packet {
        Packet::Encoded(bytes) if ahead => Frame::Ahead { stream, bytes },
        Packet::Encoded(bytes) => Frame::Data { stream, bytes },
        Packet::Event(event) => Frame::Event { stream, event },
        Packet::End => Frame::End { stream },
        Packet::Batch(..) | Packet::Rest(..) => unreachable!("batches for other workers are encoded first"),
    }
}

fn wait<'a, T>(condvar: &Condvar, guard: std::sync::MutexGuard<'a, T>) -> std::sync::MutexGuard<'a, T> {
    condvar.wait_timeout(guard, RECHECK).unwrap_or_else(std::sync::PoisonError::into_inner).0
}
