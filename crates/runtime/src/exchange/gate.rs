//! The input gate of a task: one bounded queue for each producer, and one consumer that takes from any of them.
//!
//! A queue holds as many batches as its channel has credit; a producer in the same process waits for room, one elsewhere
//! sends no more than it was granted. A channel can be blocked while others go on, which is how barriers are aligned. A
//! barrier that may overtake is announced when it is put in: the consumer hears of it before it gets the next packet, and
//! can look at what lies before it. Such a barrier may push what its producer holds back in front of it, beyond all credit.

use super::channel::CreditReturn;
use crate::element::{Barrier, Event};
use crate::error::{TaskError, TaskResult};
use crate::task::{TaskControl, TaskCounters, Wake, lock};
use kvick_core::failure::Failure;
use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What travels through a channel. The gate knows no record types.
pub enum Packet {
    /// A `Batch<T>` of the input's type, by ownership; with the number of its records.
    Batch(Box<dyn Any + Send>, usize),
    /// A batch as [`crate::codec`] wrote it.
    Encoded(Vec<u8>),
    /// What is left of a batch that the consumer took and put back: a `Batch<T>`, with the number of its records.
    Rest(Box<dyn Any + Send>, usize),
    /// An event.
    Event(Event),
    /// Nothing follows on this channel.
    End,
}

/// What to do with a packet for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Wait for room.
    Wait,
    /// Do not send it.
    IfAny,
    /// Send it all the same.
    Regardless,
}

/// Something that the consumer hears of at once, wherever in its channel it is.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A barrier that may overtake has arrived.
    Barrier(Arc<Barrier>),
    /// The end has arrived.
    End,
}

/// What a consumer gets.
pub enum Next {
    /// A packet of a channel.
    Packet(usize, Packet),
    /// Notices, by channel, in order of arrival.
    Notices(Vec<(usize, Notice)>),
    /// Nothing: the deadline has passed, or the consumer has mail.
    Nothing,
}

/// What was taken, and who is to be woken for the room that it leaves.
struct Taken {
    next: Next,
    /// A channel whose producer waits.
    room: Option<usize>,
    /// A producer that was turned away.
    turned_away: Option<Arc<TaskControl>>,
}

impl Taken {
    fn of(next: Next) -> Taken {
        Taken { next, room: None, turned_away: None }
    }
}

/// How long a consumer wants to wait, and for what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// Until then.
    pub deadline: Option<Instant>,
    /// It cannot take packets for now: its own outputs have no room.
    pub notices_only: bool,
}

/// Long enough not to burn time, short enough that a lost wake-up would not be noticed.
const RECHECK: Duration = Duration::from_millis(500);

struct Channel {
    queue: VecDeque<Packet>,
    batches: u32,
    blocked: bool,
    credit_return: Option<CreditReturn>,
    /// A producer in this process that found no room and went on with something else.
    turned_away: Option<Arc<TaskControl>>,
    /// Whether one waits for room.
    awaited: bool,
    /// Batches taken for which no credit was returned yet.
    owed: u32,
}

struct GateState {
    channels: Vec<Channel>,
    /// One entry for each queued packet of a channel that is not blocked, in order of arrival.
    ready: VecDeque<usize>,
    notices: Vec<(usize, Notice)>,
    /// Whether the consumer waits: nobody else need be woken, and waking costs a call of the system.
    waits: bool,
    failure: Option<Failure>,
    closed: bool,
}

/// The input gate of one task.
pub struct Gate {
    state: Mutex<GateState>,
    arrived: Condvar,
    rooms: Vec<Condvar>,
    credit: u32,
    ends: Vec<ChannelEnd>,
}

/// What a channel is, for its consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelEnd {
    /// The input that it belongs to.
    pub input: usize,
    /// The producer's subtask.
    pub producer: u32,
    /// Whether no barrier overtakes anything in it.
    pub in_order: bool,
}

impl Gate {
    /// A gate with these channels, each of which may hold `credit` batches.
    pub fn new(ends: Vec<ChannelEnd>, credit: u32) -> Arc<Gate> {
        let channel = |_: &ChannelEnd| Channel {
            queue: VecDeque::new(),
            batches: 0,
            blocked: false,
            credit_return: None,
            turned_away: None,
            awaited: false,
            owed: 0,
        };
        let channels = ends.iter().map(channel).collect();
        let rooms = ends.iter().map(|_| Condvar::new()).collect();
        let (ready, notices) = (VecDeque::new(), Vec::new());
        let state = GateState { channels, ready, notices, waits: false, failure: None, closed: false };
        Arc::new(Gate {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            rooms,
            credit: credit.max(1),
            ends,
        })
    }

    /// How many batches a channel may hold.
    pub fn credit(&self) -> u32 {
        self.credit
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.ends.len()
    }

    /// The input that a channel belongs to.
    pub fn input_of(&self, channel: usize) -> usize {
        self.ends[channel].input
    }

    /// The subtask that produces for a channel.
    pub fn producer_of(&self, channel: usize) -> u32 {
        self.ends[channel].producer
    }

    /// Whether no barrier overtakes anything in a channel.
    pub fn is_in_order(&self, channel: usize) -> bool {
        self.ends[channel].in_order
    }

    /// The channels in which no barrier overtakes anything.
    pub fn in_order(&self) -> BTreeSet<usize> {
        (0..self.ends.len()).filter(|channel| self.ends[*channel].in_order).collect()
    }

    /// Names whom to thank for the batches of a channel that comes from another worker.
    pub fn returns_credit(&self, channel: usize, credit_return: CreditReturn) {
        lock(&self.state).channels[channel].credit_return = Some(credit_return);
    }

    /// Puts a packet in. A batch that finds no room is given back where it is not to wait; the producer is nudged then once
    /// there is room again.
    ///
    /// # Errors
    /// The producer was cancelled while it waited. [`Sent::Gone`] when the consumer is gone.
    pub fn send(
        &self,
        channel: usize,
        packet: Packet,
        room: Room,
        producer: &Arc<TaskControl>,
        counters: &TaskCounters,
    ) -> TaskResult<Sent> {
        let mut state = lock(&self.state);
        let full = is_batch(&packet) && state.channels[channel].batches >= self.credit && !state.closed;
        if full && room == Room::IfAny {
            state.channels[channel].turned_away = Some(Arc::clone(producer));
            return Ok(Sent::Not(packet));
        }
        if full && room == Room::Wait {
            let since = Instant::now();
            while state.channels[channel].batches >= self.credit && !state.closed {
                producer.check()?;
                state.channels[channel].awaited = true;
                let waited = self.rooms[channel].wait_timeout(state, RECHECK);
                state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            }
            counters.backpressured(since.elapsed());
        }
        if state.closed {
            return Ok(Sent::Gone);
        }
        let waits = self.put(&mut state, channel, packet);
        drop(state);
        self.wake_consumer(waits);
        Ok(Sent::Sent)
    }

    /// Puts a packet in that another worker sent within its credit, or ahead of it.
    ///
    /// # Errors
    /// The sender had no credit left.
    pub fn receive(&self, channel: usize, packet: Packet, room: Room) -> Result<(), CreditExceeded> {
        let mut state = lock(&self.state);
        let full = is_batch(&packet) && state.channels[channel].batches >= self.credit;
        if full && room != Room::Regardless {
            return Err(CreditExceeded { credit: self.credit });
        }
        let waits = !state.closed && self.put(&mut state, channel, packet);
        drop(state);
        self.wake_consumer(waits);
        Ok(())
    }

    /// Says whether the consumer waits for it.
    fn put(&self, state: &mut GateState, channel: usize, packet: Packet) -> bool {
        let notice = notice_of(&packet);
        let target = &mut state.channels[channel];
        target.batches += u32::from(is_batch(&packet));
        target.queue.push_back(packet);
        let is_news = notice.is_some() || !target.blocked;
        if !target.blocked {
            state.ready.push_back(channel);
        }
        state.notices.extend(notice.map(|notice| (channel, notice)));
        state.waits && is_news
    }

    /// Without the lock, or who is woken would wait again at once.
    fn wake_consumer(&self, waits: bool) {
        if waits {
            self.arrived.notify_one();
        }
    }

    /// Lets the consumer fail: a producer or the connection to it was lost.
    pub fn fail(&self, failure: Failure) {
        lock(&self.state).failure.get_or_insert(failure);
        self.arrived.notify_all();
    }

    /// The next packet of any channel that is not blocked, unless there are notices.
    ///
    /// # Errors
    /// The consumer was cancelled, or a producer was lost.
    pub fn next(
        &self,
        patience: Patience,
        consumer: &TaskControl,
        counters: &TaskCounters,
    ) -> TaskResult<Next> {
        let (waited, next) = self.wait(patience, consumer);
        match waited {
            Some(span) if patience.notices_only => counters.backpressured(span),
            Some(span) => counters.idle(span),
            None => {}
        }
        let Taken { next, room, turned_away } = next?;
        if let Some(channel) = room {
            self.rooms[channel].notify_one();
        }
        // Without the lock: what wakes the producer may be this gate.
        if let Some(producer) = turned_away {
            producer.nudge();
        }
        Ok(next)
    }

    /// Also tells how long there was nothing, and whom to wake.
    fn wait(&self, patience: Patience, consumer: &TaskControl) -> (Option<Duration>, TaskResult<Taken>) {
        let mut state = lock(&self.state);
        let mut waiting_since = None;
        let result = loop {
            if consumer.is_canceled() {
                break Err(TaskError::Canceled);
            }
            if consumer.has_mail() {
                break Ok(Taken::of(Next::Nothing));
            }
            if !state.notices.is_empty() {
                break Ok(Taken::of(Next::Notices(std::mem::take(&mut state.notices))));
            }
            if !patience.notices_only
                && let Some(channel) = state.ready.pop_front()
            {
                break Ok(self.take(&mut state, channel));
            }
            if let Some(failure) = state.failure.clone() {
                break Err(TaskError::Failed(failure));
            }
            let now = Instant::now();
            let _ = waiting_since.get_or_insert(now);
            let span = match patience.deadline {
                Some(at) if at <= now => break Ok(Taken::of(Next::Nothing)),
                Some(at) => RECHECK.min(at - now),
                None => RECHECK,
            };
            state.waits = true;
            let waited = self.arrived.wait_timeout(state, span);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            state.waits = false;
        };
        (waiting_since.map(|since: Instant| since.elapsed()), result)
    }

    /// The first packet of a channel, and who is to be woken for the room that it leaves.
    fn take(&self, state: &mut GateState, channel: usize) -> Taken {
        let source = &mut state.channels[channel];
        let Some(packet) = source.queue.pop_front() else { return Taken::of(Next::Nothing) };
        let (mut room, mut turned_away) = (None, None);
        if is_batch(&packet) {
            source.batches -= 1;
            source.owed += 1;
            if source.batches < self.credit {
                turned_away = source.turned_away.take();
                room = std::mem::take(&mut source.awaited).then_some(channel);
            }
            // Half of the credit is still out: the producer need not wait for the rest of it.
            if source.owed.saturating_mul(2) >= self.credit {
                let owed = std::mem::take(&mut source.owed);
                source.credit_return.iter().for_each(|credit_return| credit_return.grant(owed));
            }
        }
        Taken { next: Next::Packet(channel, packet), room, turned_away }
    }

    /// Puts back what is left of a batch that was just taken: it comes next on its channel.
    pub fn put_back(&self, channel: usize, rest: Box<dyn Any + Send>, records: usize) {
        let mut state = lock(&self.state);
        state.channels[channel].queue.push_front(Packet::Rest(rest, records));
        if !state.channels[channel].blocked {
            state.ready.push_back(channel);
        }
    }

    /// Looks at what lies in a channel before the barrier of a checkpoint, or before its end, if that has arrived. Says
    /// whether it has; else nothing is looked at.
    ///
    /// # Errors
    /// What `look` fails with.
    pub fn before_barrier(
        &self,
        channel: usize,
        checkpoint: u64,
        mut look: impl FnMut(&Packet) -> TaskResult,
    ) -> TaskResult<bool> {
        let state = lock(&self.state);
        let queue = &state.channels[channel].queue;
        let ends = |packet: &Packet| match packet {
            Packet::Event(Event::Barrier(barrier)) => barrier.id == checkpoint,
            Packet::End => true,
            _ => false,
        };
        let Some(end) = queue.iter().position(ends) else { return Ok(false) };
        queue.iter().take(end).try_for_each(&mut look)?;
        Ok(true)
    }

    /// Lets a channel wait: its packets stay queued until [`Gate::unblock`].
    pub fn block(&self, channel: usize) {
        let mut state = lock(&self.state);
        state.channels[channel].blocked = true;
        state.ready.retain(|ready| *ready != channel);
    }

    /// Lets blocked channels go on: those for which this holds.
    pub fn unblock(&self, mut which: impl FnMut(usize) -> bool) {
        let mut state = lock(&self.state);
        let GateState { channels, ready, .. } = &mut *state;
        for (index, channel) in channels.iter_mut().enumerate().filter(|(i, c)| c.blocked && which(*i)) {
            channel.blocked = false;
            ready.extend(std::iter::repeat_n(index, channel.queue.len()));
        }
    }

    /// The consumer has ended: producers that still send learn that nobody reads.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.ready.clear();
        let mut turned_away = Vec::new();
        for channel in &mut state.channels {
            channel.queue.clear();
            turned_away.extend(channel.turned_away.take());
            if let Some(credit_return) = channel.credit_return.take() {
                credit_return.close();
            }
        }
        drop(state);
        self.wake();
        turned_away.iter().for_each(|producer| producer.nudge());
    }
}

/// What became of a packet.
pub enum Sent {
    /// It is in the channel.
    Sent,
    /// There was no room: here it is.
    Not(Packet),
    /// Nobody reads any more.
    Gone,
}

fn notice_of(packet: &Packet) -> Option<Notice> {
    match packet {
        Packet::Event(Event::Barrier(barrier)) if barrier.alignment.may_overtake() => {
            Some(Notice::Barrier(Arc::clone(barrier)))
        }
        Packet::End => Some(Notice::End),
        _ => None,
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
