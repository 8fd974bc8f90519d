//! A channel between a producing and a consuming subtask, seen from the producer.
//!
//! Whoever comes first, producer or consumer, makes the channel; the producer waits until the consumer is connected,
//! within the process or over TCP. Owns the credit of a remote channel.

use super::blocking::Results;
use super::gate::{Gate, Packet};
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
    Remote { stream: u32, frames: Sender<Frame>, credit: u32 },
    Closed(&'static str),
}

/// A channel, seen from the producer.
pub struct Channel {
    link: Mutex<Link>,
    changed: Condvar,
}

impl Channel {
    fn new() -> Arc<Channel> {
        Arc::new(Channel { link: Mutex::new(Link::Waiting), changed: Condvar::new() })
    }

    fn set(&self, link: Link) {
        *lock(&self.link) = link;
        self.changed.notify_all();
    }

    /// A consumer in the same process reads this channel.
    pub fn connect_local(&self, gate: Arc<Gate>, channel: usize) {
        self.set(Link::Local(gate, channel));
    }

    /// A consumer in another process reads this channel.
    pub fn connect_remote(&self, stream: u32, frames: Sender<Frame>, credit: u32) {
        self.set(Link::Remote { stream, frames, credit });
    }

    /// The consumer has read some batches.
    pub fn granted(&self, more: u32) {
        if let Link::Remote { credit, .. } = &mut *lock(&self.link) {
            *credit = credit.saturating_add(more);
        }
        self.changed.notify_all();
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

    /// Hands a packet to a consumer in this process.
    ///
    /// # Errors
    /// The task was cancelled or the consumer is gone.
    pub fn send_local(&self, packet: Packet) -> TaskResult {
        let Some((gate, index)) = &self.local else {
            return Err(TaskError::failed("a channel was used before its consumer was connected"));
        };
        if gate.send(*index, packet, &self.control, &self.counters)? || self.lenient {
            return Ok(());
        }
        Err(self.consumer_gone("its consumer ended before the stream did"))
    }

    /// Sends a frame to another worker: a batch once there is credit, anything else at once.
    ///
    /// # Errors
    /// The task was cancelled, or the consumer or the connection is gone.
    pub fn send_remote(&self, frame: impl FnOnce(u32) -> Frame, needs_credit: bool) -> TaskResult {
        let mut link = lock(&self.channel.link);
        let mut since = None;
        loop {
            match &mut *link {
                Link::Remote { stream, frames, credit } if *credit > 0 || !needs_credit => {
                    *credit -= u32::from(needs_credit);
                    let sent = frames.send(frame(*stream));
                    if let Some(since) = since {
                        self.counters.backpressured(Instant::elapsed(&since));
                    }
                    drop(link);
                    return sent
                        .or_else(|error| if self.lenient { Ok(()) } else { Err(error) })
                        .map_err(|_| self.consumer_gone("the connection to its consumer was lost"));
                }
                Link::Closed(_) if self.lenient => return Ok(()),
                Link::Closed(why) => {
                    let why = *why;
                    drop(link);
                    return Err(self.consumer_gone(why));
                }
                _ => {
                    self.control.check()?;
                    let _ = since.get_or_insert_with(Instant::now);
                    link = wait(&self.channel.changed, link);
                }
            }
        }
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

fn wait<'a, T>(condvar: &Condvar, guard: std::sync::MutexGuard<'a, T>) -> std::sync::MutexGuard<'a, T> {
    condvar.wait_timeout(guard, RECHECK).unwrap_or_else(std::sync::PoisonError::into_inner).0
}
