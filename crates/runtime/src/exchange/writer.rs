//! The end of a chain: writes a stream to the channels of one output.
//!
//! Records are gathered per channel and sent when a buffer is full, when `execution.buffer-timeout` has passed since the
//! first record came, and before every event, so that order within a channel is kept.

use super::blocking::ResultLane;
use super::channel::ChannelSender;
use super::gate::Packet;
use super::in_flight::{self, Kept, Restored};
use super::lane::Lane;
pub use super::lane::Overtaking;
use crate::codec;
use crate::element::{Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use crate::operator::{BoxStage, Stage, earlier};
use crate::partition::Partitioner;
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use crate::time::Clock;
use std::time::{Duration, Instant};

/// When buffers that are not full are sent (`execution.buffer-timeout`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufferTimeout {
    /// After every batch of input: 0.
    Immediate,
    /// When this span has passed.
    After(Duration),
    /// Never, only when full: -1.
    WhenFull,
}

impl BufferTimeout {
    /// From milliseconds: 0 and -1 are special.
    pub fn from_millis(millis: i64) -> BufferTimeout {
        match millis {
            0 => BufferTimeout::Immediate,
            span if span > 0 => BufferTimeout::After(Duration::from_millis(span as u64)),
            _ => BufferTimeout::WhenFull,
        }
    }
}

/// One output of a task, before the type of its records is known.
pub struct OutputPort {
    /// Its channels, by the consumer's subtask index.
    pub channels: Vec<ChannelSender>,
    /// Where they end instead, where the result is kept until it is whole; else empty.
    pub kept: Vec<ResultLane>,
    /// When to send what is not full.
    pub timeout: BufferTimeout,
    /// The producer's subtask index.
    pub subtask: u32,
    /// The producer's parallelism.
    pub parallelism: u32,
    /// The consumer's parallelism.
    pub consumer_parallelism: u32,
    /// The consumer's number of key groups.
    pub consumer_max_parallelism: u32,
    /// How barriers treat what waits.
    pub overtaking: Overtaking,
    /// What was in flight when the job was restored: it is sent before anything else.
    pub restored: Option<Restored>,
}

/// How the writer of an output treats a batch.
pub trait Route<T>: Send + 'static {
    /// Called once.
    fn setup(&mut self, subtask: u32, channels: usize);
    /// Distributes a batch by calling `put(channel, record, timestamp)`; leaves it empty.
    fn route(&mut self, batch: &mut Batch<T>, lanes: &mut Lanes<T>) -> TaskResult;
}

/// The channels of an output with their buffers.
pub struct Lanes<T>(Vec<Lane<T>>);

impl<T: Data> Lanes<T> {
    #[inline]
    fn put(&mut self, channel: usize, record: T, timestamp: Option<i64>) -> TaskResult {
        self.0[channel].put(record, timestamp)
    }

    /// Whole batches need no copy when nothing waits before them.
    fn put_all(&mut self, channel: usize, batch: &mut Batch<T>) -> TaskResult {
        if self.0[channel].send_whole(batch)? {
            return Ok(());
        }
        let stamps = batch.timestamps.take();
        let mut stamps = stamps.iter().flatten().copied();
        for record in batch.records.drain(..) {
            self.put(channel, record, stamps.next())?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

/// One channel for each record, chosen by a partitioner.
pub struct ByRecord<P>(pub P);

impl<T: Data, P: Partitioner<T>> Route<T> for ByRecord<P> {
    fn setup(&mut self, subtask: u32, channels: usize) {
        self.0.setup(subtask, channels);
    }

    fn route(&mut self, batch: &mut Batch<T>, lanes: &mut Lanes<T>) -> TaskResult {
        if lanes.count() == 1 {
            return lanes.put_all(0, batch);
        }
        match batch.timestamps.take() {
            None => {
                for record in batch.records.drain(..) {
                    let channel = self.0.select(&record);
                    lanes.put(channel, record, None)?;
                }
            }
            Some(stamps) => {
                for (record, at) in batch.records.drain(..).zip(stamps) {
                    let channel = self.0.select(&record);
                    lanes.put(channel, record, Some(at))?;
                }
            }
        }
        Ok(())
    }
}

/// Everything to one channel: the first (global), or the only one (forward).
pub struct ToFirst;

impl<T: Data> Route<T> for ToFirst {
    fn setup(&mut self, _subtask: u32, _channels: usize) {}

    fn route(&mut self, batch: &mut Batch<T>, lanes: &mut Lanes<T>) -> TaskResult {
        lanes.put_all(0, batch)
    }
}

/// Everything to every channel.
pub struct ToAll;

impl<T: Data> Route<T> for ToAll {
    fn setup(&mut self, _subtask: u32, _channels: usize) {}

    fn route(&mut self, batch: &mut Batch<T>, lanes: &mut Lanes<T>) -> TaskResult {
        for channel in 1..lanes.count() {
            lanes.put_all(channel, &mut batch.clone())?;
        }
        lanes.put_all(0, batch)
    }
}

/// The writer of one output.
pub struct ExchangeWriter<T, R> {
    lanes: Lanes<T>,
    route: R,
    timeout: BufferTimeout,
    due: Option<Instant>,
    clock: Clock,
    restored: Option<Restored>,
}

impl<T: Data, R: Route<T>> ExchangeWriter<T, R> {
    /// The writer of an output port.
    pub fn stage(port: OutputPort, mut route: R) -> BoxStage<T> {
        route.setup(port.subtask, port.channels.len().max(1));
        let mut kept = port.kept.into_iter();
        let lane = |sender| Lane::new(sender, kept.next(), port.overtaking);
        let lanes = Lanes(port.channels.into_iter().map(lane).collect());
        let (timeout, clock, restored) = (port.timeout, Clock::system(), port.restored);
        Box::new(ExchangeWriter { lanes, route, timeout, due: None, clock, restored })
    }

    /// Sends what was in flight when the job was restored, if that has not been done.
    #[inline]
    fn send_restored(&mut self) -> TaskResult {
        match self.restored.take() {
            Some(restored) => self.send_again(&restored),
            None => Ok(()),
        }
    }

    fn send(&mut self, event: &Event) -> TaskResult {
        self.send_restored()?;
        self.due = None;
        self.lanes.0.iter_mut().try_for_each(|lane| lane.event(event.clone()))
    }

    #[cold]
    fn send_again(&mut self, restored: &Restored) -> TaskResult {
        for (lane, handle) in &restored.logs {
            for element in in_flight::read::<T>(&restored.reader.read(handle)?)? {
                self.send_kept(*lane, element)?;
            }
        }
        if restored.repartitioned {
            self.lanes.0.iter_mut().try_for_each(|lane| lane.event(Event::Recovered))?;
        }
        Ok(())
    }

    /// Watermarks of other channels say nothing here: event time goes on with what the sources emit.
    fn send_kept(&mut self, lane: Option<usize>, element: Kept) -> TaskResult {
        match (lane.and_then(|lane| self.lanes.0.get_mut(lane)), element) {
            (Some(lane), Kept::Batch(bytes)) => lane.send_again(Packet::Encoded(bytes)),
            (Some(lane), Kept::Event(event)) => lane.send_again(Packet::Event(event)),
            (None, Kept::Batch(bytes)) => {
                let mut batch = Batch::new();
                codec::decode(&bytes, &mut batch)
                    .map_err(|error| TaskError::caused("cannot read records in flight", &error))?;
                self.route.route(&mut batch, &mut self.lanes)
            }
            (None, Kept::Event(_)) => Ok(()),
        }
    }

    fn flush(&mut self) -> TaskResult {
        self.due = None;
        self.lanes.0.iter_mut().try_for_each(Lane::send)
    }
}

impl<T: Data, R: Route<T>> Stage<T> for ExchangeWriter<T, R> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.clock = context.clock.clone();
        Ok(())
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.send_restored()?;
        if self.lanes.count() == 0 {
            batch.clear();
            return Ok(());
        }
        self.route.route(batch, &mut self.lanes)?;
        match self.timeout {
            BufferTimeout::Immediate => self.flush(),
            BufferTimeout::After(span) => {
                self.due.get_or_insert_with(|| Instant::now() + span);
                Ok(())
            }
            BufferTimeout::WhenFull => Ok(()),
        }
    }

    fn event(&mut self, event: Event) -> TaskResult {
        // Only a task that had finished before the job was restored says so without an end: nor did its consumers, perhaps,
        // hear of the end of event time, as that was in flight.
        if event == Event::EndOfData {
            self.send(&Event::Watermark(i64::MAX))?;
        }
        self.send(&event)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.send_restored()?;
        self.due = None;
        let barrier = snapshot.barrier();
        let at = barrier.overtakes_at(Instant::now(), self.clock.now());
        self.lanes.0.iter_mut().try_for_each(|lane| lane.barrier(barrier, at))
    }

    fn checkpoint_complete(&mut self, _checkpoint: u64) -> TaskResult {
        Ok(())
    }

    fn checkpoint_aborted(&mut self, _checkpoint: u64) {}

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.send_restored()?;
        if self.due.is_some_and(|due| due <= now) {
            self.flush()?;
        }
        Ok(self.due)
    }

    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.lanes.0.iter_mut().try_fold(None, |next, lane| Ok(earlier(next, lane.drain(now)?)))
    }

    fn end(&mut self) -> TaskResult {
        self.send(&Event::EndOfData)
    }

    fn close(&mut self) {}
}
