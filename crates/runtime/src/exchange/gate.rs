//! The input gate of a task: one bounded queue for each producer, and one consumer that takes from any of them.
//!
//! A queue holds as many batches as its channel has credit; a producer in the same process waits for room, one elsewhere
//! sends no more than it was granted. A channel can be blocked while others go on, which is how barriers are aligned.

use super::channel::CreditReturn;
use crate::element::Event;
use crate::error::{TaskError, TaskResult};
use crate::task::{TaskControl, TaskCounters, Wake, lock};
use kvick_core::failure::Failure;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What travels through a channel. The gate knows no record types.
pub enum Packet {
    /// A `Batch<T>` of the input's type, by ownership; with the number of its records.
    Batch(Box<dyn Any + Send>, usize),
    /// A batch as [`crate::codec`] wrote it.
    Encoded(Vec<u8>),
    /// An event.
    Event(Event),
    /// Nothing follows on this channel.
    End,
}

/// Long enough not to burn time, short enough that a lost wake-up would not be noticed.
const RECHECK: Duration = Duration::from_millis(500);

struct Channel {
    queue: VecDeque<Packet>,
    batches: u32,
    blocked: bool,
    credit_return: Option<CreditReturn>,
}

struct GateState {
    channels: Vec<Channel>,
    /// One entry for each queued packet of a channel that is not blocked, in order of arrival.
    ready: VecDeque<usize>,
    failure: Option<Failure>,
    closed: bool,
}

/// The input gate of one task.
pub struct Gate {
    state: Mutex<GateState>,
    arrived: Condvar,
    rooms: Vec<Condvar>,
    credit: u32,
    inputs: Vec<usize>,
}

impl Gate {
    /// A gate whose channel `i` belongs to input `inputs[i]` and may hold `credit` batches.
    pub fn new(inputs: Vec<usize>, credit: u32) -> Arc<Gate> {
        let channel =
            |_: &usize| Channel { queue: VecDeque::new(), batches: 0, blocked: false, credit_return: None };
        let channels = inputs.iter().map(channel).collect();
        let rooms = inputs.iter().map(|_| Condvar::new()).collect();
        let state = GateState { channels, ready: VecDeque::new(), failure: None, closed: false };
        Arc::new(Gate {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            rooms,
            credit: credit.max(1),
            inputs,
        })
    }

    /// How many batches a channel may hold.
    pub fn credit(&self) -> u32 {
        self.credit
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.inputs.len()
    }

    /// The input that a channel belongs to.
    pub fn input_of(&self, channel: usize) -> usize {
        self.inputs[channel]
    }

    /// Names whom to thank for the batches of a channel that comes from another worker.
    pub fn returns_credit(&self, channel: usize, credit_return: CreditReturn) {
        lock(&self.state).channels[channel].credit_return = Some(credit_return);
    }

    /// Puts a packet in; waits while a batch finds no room.
    ///
    /// # Errors
    /// The producer was cancelled while it waited. `Ok(false)` when the consumer is gone.
    pub fn send(
        &self,
        channel: usize,
        packet: Packet,
        producer: &TaskControl,
        counters: &TaskCounters,
    ) -> TaskResult<bool> {
        let mut state = lock(&self.state);
        if is_batch(&packet) && state.channels[channel].batches >= self.credit && !state.closed {
            let since = Instant::now();
            while state.channels[channel].batches >= self.credit && !state.closed {
                producer.check()?;
                let waited = self.rooms[channel].wait_timeout(state, RECHECK);
                state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            }
            counters.backpressured(since.elapsed());
        }
        if state.closed {
            return Ok(false);
        }
        self.put(&mut state, channel, packet);
        Ok(true)
    }

    /// Puts a packet in that another worker sent within its credit.
    ///
    /// # Errors
    /// The sender had no credit left.
    pub fn receive(&self, channel: usize, packet: Packet) -> Result<(), CreditExceeded> {
        let mut state = lock(&self.state);
        if is_batch(&packet) && state.channels[channel].batches >= self.credit {
            return Err(CreditExceeded { credit: self.credit });
        }
        if !state.closed {
            self.put(&mut state, channel, packet);
        }
        Ok(())
    }

    fn put(&self, state: &mut GateState, channel: usize, packet: Packet) {
        let target = &mut state.channels[channel];
        target.batches += u32::from(is_batch(&packet));
        target.queue.push_back(packet);
        if !target.blocked {
            state.ready.push_back(channel);
            self.arrived.notify_one();
        }
    }

    /// Lets the consumer fail: a producer or the connection to it was lost.
    pub fn fail(&self, failure: Failure) {
        lock(&self.state).failure.get_or_insert(failure);
        self.arrived.notify_all();
    }

    /// The next packet of any channel that is not blocked; `None` when the deadline has passed or the consumer has mail.
    ///
    /// # Errors
    /// The consumer was cancelled, or a producer was lost.
    pub fn next(
        &self,
        deadline: Option<Instant>,
        consumer: &TaskControl,
        counters: &TaskCounters,
    ) -> TaskResult<Option<(usize, Packet)>> {
        let mut state = lock(&self.state);
        let mut waiting_since = None;
        let result = loop {
            if consumer.is_canceled() {
                break Err(TaskError::Canceled);
            }
            if consumer.has_mail() {
                break Ok(None);
            }
            if let Some(channel) = state.ready.pop_front() {
                break Ok(self.take(&mut state, channel).map(|packet| (channel, packet)));
            }
            if let Some(failure) = state.failure.clone() {
                break Err(TaskError::Failed(failure));
            }
            let now = Instant::now();
            let _ = waiting_since.get_or_insert(now);
            let span = match deadline {
                Some(at) if at <= now => break Ok(None),
                Some(at) => RECHECK.min(at - now),
                None => RECHECK,
            };
            let waited = self.arrived.wait_timeout(state, span);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        };
        if let Some(since) = waiting_since {
            counters.idle(since.elapsed());
        }
        result
    }

    fn take(&self, state: &mut GateState, channel: usize) -> Option<Packet> {
        let source = &mut state.channels[channel];
        let packet = source.queue.pop_front()?;
        if is_batch(&packet) {
            source.batches -= 1;
            match &source.credit_return {
                Some(credit_return) => credit_return.grant(1),
                None => self.rooms[channel].notify_one(),
            }
        }
        Some(packet)
    }

    /// Lets a channel wait: its packets stay queued until [`Gate::unblock_all`].
    pub fn block(&self, channel: usize) {
        let mut state = lock(&self.state);
        state.channels[channel].blocked = true;
        state.ready.retain(|ready| *ready != channel);
    }

    /// Lets all blocked channels go on.
    pub fn unblock_all(&self) {
        let mut state = lock(&self.state);
        let GateState { channels, ready, .. } = &mut *state;
        for (index, channel) in channels.iter_mut().enumerate().filter(|(_, c)| c.blocked) {
            channel.blocked = false;
            ready.extend(std::iter::repeat_n(index, channel.queue.len()));
        }
    }

    /// The consumer has ended: producers that still send learn that nobody reads.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.ready.clear();
        for channel in &mut state.channels {
            channel.queue.clear();
            if let Some(credit_return) = channel.credit_return.take() {
                credit_return.close();
            }
        }
        drop(state);
        self.wake();
    }
}

fn is_batch(packet: &Packet) -> bool {
    matches!(packet, Packet::Batch(..) | Packet::Encoded(_))
}

impl Wake for Gate {
    fn wake(&self) {
        // Whoever has looked at its flag but does not wait yet holds the lock: taking it makes the wake-up seen.
        drop(lock(&self.state));
        self.arrived.notify_all();
        self.rooms.iter().for_each(Condvar::notify_all);
    }
}

/// Another worker sent more batches than it was granted.
#[derive(Debug, thiserror::Error)]
#[error("a producer sent more batches than its credit of {credit}")]
pub struct CreditExceeded {
    credit: u32,
}
