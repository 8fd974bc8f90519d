//! One channel of an output with the records that wait for it.
//!
//! Where barriers may overtake, a lane never waits for room as long as it holds few packets: it holds back what finds none,
//! and its task makes no more until that is sent. So the task is free for a barrier at any time, which then pushes what is
//! held back in front of it, beyond all credit: from there on everything that it has overtaken lies with the consumer.

use super::blocking::ResultLane;
use super::channel::ChannelSender;
use super::gate::{Packet, Room};
use crate::codec;
use crate::element::{BATCH_SIZE, Barrier, Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use kvick_core::checkpoint::BarrierAlignment;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// How many packets a lane holds back before it waits after all: one batch of input may become many.
const HELD_BACK: usize = 32;

/// How the channels of an output treat barriers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overtaking {
    /// Barriers of the job may overtake.
    pub enabled: bool,
    /// On this output they do not: its channels are aligned.
    pub in_order: bool,
}

/// A channel and what waits for it.
pub(super) struct Lane<T> {
    sender: ChannelSender,
    /// Where records are kept, in a blocking exchange: nothing is sent then.
    kept: Option<ResultLane>,
    buffer: Batch<T>,
    /// How many records the buffer before had.
    usual: usize,
    overtaking: Overtaking,
    held_back: VecDeque<Packet>,
    /// When a barrier that is held back overtakes.
    overtakes_at: Option<Instant>,
}

impl<T: Data> Lane<T> {
    pub(super) fn new(sender: ChannelSender, kept: Option<ResultLane>, overtaking: Overtaking) -> Lane<T> {
        let (buffer, held_back) = (Batch::new(), VecDeque::new());
        Lane { sender, kept, buffer, usual: BATCH_SIZE, overtaking, held_back, overtakes_at: None }
    }

    /// Adds a record, and sends the buffer when it is full.
    #[inline]
    pub(super) fn put(&mut self, record: T, timestamp: Option<i64>) -> TaskResult {
        if self.buffer.records.capacity() == 0 {
            // Where buffers are sent before they are full, room for a whole batch would be made for each record.
            self.buffer.records.reserve_exact((2 * self.usual).clamp(8, BATCH_SIZE));
        }
        self.buffer.push(record, timestamp);
        if self.buffer.len() >= BATCH_SIZE { self.send() } else { Ok(()) }
    }

    /// Sends a batch of some size as it is, if nothing waits before it; says whether it did.
    pub(super) fn send_whole(&mut self, batch: &mut Batch<T>) -> TaskResult<bool> {
        if !self.buffer.is_empty() || batch.len() < BATCH_SIZE / 2 {
            return Ok(false);
        }
        std::mem::swap(&mut self.buffer, batch);
        self.send().map(|()| true)
    }

    /// Sends the records that wait.
    pub(super) fn send(&mut self) -> TaskResult {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Some(kept) = &mut self.kept {
            return kept.batch(&mut self.buffer);
        }
        if !self.sender.is_local()? {
            return self.send_encoded();
        }
        let full = std::mem::take(&mut self.buffer);
        let records = full.len();
        self.usual = records;
        self.sender.counters().sent(records, 0);
        self.pass(Packet::Batch(Box::new(full), records), HELD_BACK)
    }

    fn send_encoded(&mut self) -> TaskResult {
        let (mut result, mut batch) = (Ok(()), std::mem::take(&mut self.buffer));
        codec::encode(&mut batch, |bytes, records| {
            if result.is_ok() {
                self.sender.counters().sent(records, bytes.len());
                result = self.pass(Packet::Encoded(bytes), HELD_BACK);
            }
        })
        .map_err(|error| TaskError::caused("cannot send records", &error))?;
        // The buffer is used again.
        self.buffer = batch;
        result
    }

    /// Sends a packet that was in flight when the job was restored: as it is, however many they are.
    pub(super) fn send_again(&mut self, packet: Packet) -> TaskResult {
        self.send()?;
        self.pass(packet, usize::MAX)
    }

    /// Sends a packet, or holds it back. Above `limit` packets it waits for room instead.
    fn pass(&mut self, packet: Packet, limit: usize) -> TaskResult {
        if !self.overtaking.enabled {
            return self.sender.send(packet, Room::Wait).map(drop);
        }
        if self.held_back.is_empty() {
            let Some(packet) = self.sender.send(packet, Room::IfAny)? else { return Ok(()) };
            self.sender.control().backs_up(true);
            self.held_back.push_back(packet);
            return Ok(());
        }
        while self.held_back.len() >= limit {
            self.send_first(Room::Wait)?;
        }
        match (&packet, self.held_back.back_mut()) {
            // A task that is held up for long still tells the time.
            (Packet::Event(Event::Watermark(_)), Some(last @ Packet::Event(Event::Watermark(_)))) => {
                *last = packet;
            }
            _ => self.held_back.push_back(packet),
        }
        Ok(())
    }

    /// Sends the first packet that is held back; says whether that was possible.
    fn send_first(&mut self, room: Room) -> TaskResult<bool> {
        let Some(packet) = self.held_back.pop_front() else { return Ok(false) };
        if overtakes(&packet) {
            self.overtakes_at = None;
        }
        match self.sender.send(packet, room)? {
            Some(packet) => {
                self.held_back.push_front(packet);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Sends what is held back and finds room now. Tells when it wants to be asked again at the latest.
    pub(super) fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        if self.held_back.is_empty() {
            return Ok(None);
        }
        if self.overtakes_at.is_some_and(|at| at <= now) {
            self.push_barrier()?;
        }
        while self.send_first(Room::IfAny)? {}
        if self.held_back.is_empty() {
            self.sender.control().backs_up(false);
        }
        Ok(self.overtakes_at)
    }

    /// The time of alignment of a barrier that is held back is over: it overtakes, here and behind.
    fn push_barrier(&mut self) -> TaskResult {
        self.overtakes_at = None;
        let last = self.held_back.iter().rposition(overtakes).map_or(0, |last| last + 1);
        for packet in self.held_back.drain(..last) {
            self.sender.send(unaligned(packet), Room::Regardless)?;
        }
        Ok(())
    }

    /// Sends an event behind the records that wait.
    pub(super) fn event(&mut self, event: Event) -> TaskResult {
        if event == Event::EndOfStream {
            return self.end();
        }
        self.send()?;
        if let Some(kept) = &mut self.kept {
            return kept.event(&event);
        }
        if event == Event::EndOfData {
            self.sender.no_more_records();
        }
        self.pass(Packet::Event(event), usize::MAX)
    }

    /// Sends a barrier behind the records that wait, or with them in front of it past everything else. From `at` on it
    /// overtakes, if it ever does.
    pub(super) fn barrier(&mut self, barrier: &Arc<Barrier>, at: Instant) -> TaskResult {
        self.event(Event::Barrier(Arc::clone(barrier)))?;
        let may_overtake = barrier.alignment.may_overtake() && !self.overtaking.in_order;
        if !may_overtake || self.held_back.is_empty() {
            return Ok(());
        }
        self.overtakes_at = Some(at);
        self.drain(Instant::now()).map(drop)
    }

    fn end(&mut self) -> TaskResult {
        self.send()?;
        if let Some(kept) = &mut self.kept {
            return kept.end();
        }
        if !self.held_back.is_empty() {
            while self.send_first(Room::Wait)? {}
            self.sender.control().backs_up(false);
        }
        self.sender.no_more_records();
        self.sender.send(Packet::End, Room::Wait).map(drop)
    }
}

fn overtakes(packet: &Packet) -> bool {
    matches!(packet, Packet::Event(Event::Barrier(barrier)) if barrier.alignment.may_overtake())
}

/// A barrier that had time to be aligned, as one that has none; anything else as it is.
fn unaligned(packet: Packet) -> Packet {
    match packet {
        Packet::Event(Event::Barrier(barrier)) if barrier.alignment.may_overtake() => {
            let alignment = BarrierAlignment::Unaligned;
            Packet::Event(Event::Barrier(Arc::new(Barrier { alignment, ..Barrier::clone(&barrier) })))
        }
        other => other,
    }
}
