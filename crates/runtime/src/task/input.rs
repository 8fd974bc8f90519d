//! The task of everything but a source: takes packets from the gate and gives them to the head of the chain.

use super::checkpoints::Chain;
use super::running::Running;
use super::{Task, TaskContext};
use crate::codec;
use crate::element::{Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use crate::exchange::gate::{Gate, Next, Packet, Patience};
use crate::exchange::in_flight;
use crate::operator::BoxStage;
use crate::snapshot::OperatorSnapshot;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// A `Batch<T>` of a type that only a head knows, and how many records it has.
pub type Records = (Box<dyn Any + Send>, usize);

/// [`Head::decode`] for an input of a known type.
pub(super) fn decode<T: Data>(bytes: &[u8]) -> TaskResult<Records> {
    let mut batch = Batch::<T>::new();
    codec::decode(bytes, &mut batch)
        .map_err(|error| TaskError::caused("cannot read records of another worker", &error))?;
    let count = batch.len();
    Ok((Box::new(batch), count))
}

/// [`Head::split`] for an input of a known type.
pub(super) fn split<T: Data>(records: &mut Records, count: usize) -> TaskResult<Records> {
    let batch = records.0.downcast_mut::<Batch<T>>().ok_or_else(wrong_type::<T>)?;
    let count = count.min(batch.len());
    let timestamps = batch.timestamps.as_mut().map(|all| all.split_off(count));
    let rest = Batch { records: batch.records.split_off(count), timestamps };
    records.1 = count;
    let left = rest.len();
    Ok((Box::new(rest), left))
}

/// An input got records of another type than its own.
pub(super) fn wrong_type<T>() -> TaskError {
    let expected = std::any::type_name::<T>();
    TaskError::failed(format!("an input expected records of type {expected} and got another type"))
}

/// The head of a chain: it knows the types of its inputs, which the gate does not.
pub trait Head: Send {
    /// As [`crate::operator::Stage::open`].
    ///
    /// # Errors
    /// Whatever keeps an operator from starting.
    fn open(&mut self, context: &mut TaskContext) -> TaskResult;
    /// A batch that came by ownership, a `Batch<T>`.
    ///
    /// # Errors
    /// Whatever an operator fails with.
    fn batch(&mut self, input: usize, batch: Box<dyn Any + Send>) -> TaskResult;
    /// A batch that came over the network; returns the number of records.
    ///
    /// # Errors
    /// Bytes that are no batch, or whatever an operator fails with.
    fn encoded(&mut self, input: usize, bytes: &[u8]) -> TaskResult<usize>;
    /// Reads a batch that came over the network, and nothing more.
    ///
    /// # Errors
    /// Bytes that are no batch.
    fn decode(&self, input: usize, bytes: &[u8]) -> TaskResult<Records>;
    /// Leaves the first `count` records in a batch and takes the others out.
    ///
    /// # Errors
    /// A batch of another type.
    fn split(&self, input: usize, records: &mut Records, count: usize) -> TaskResult<Records>;
    /// Adds a packet that a barrier has overtaken to what is kept of its channel.
    ///
    /// # Errors
    /// Records that cannot be written.
    fn record(&self, input: usize, packet: &Packet, log: &mut Vec<u8>) -> TaskResult;
    /// An event that holds for all channels.
    ///
    /// # Errors
    /// Whatever an operator fails with.
    fn event(&mut self, event: Event) -> TaskResult;
    /// As [`crate::operator::Stage::snapshot`].
    ///
    /// # Errors
    /// Whatever an operator fails with.
    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult;
    /// As [`crate::operator::Stage::checkpoint_complete`].
    ///
    /// # Errors
    /// Whatever an operator fails with.
    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult;
    /// As [`crate::operator::Stage::checkpoint_aborted`].
    fn checkpoint_aborted(&mut self, checkpoint: u64);
    /// As [`crate::operator::Stage::tick`].
    ///
    /// # Errors
    /// Whatever an operator fails with.
    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>>;
    /// As [`crate::operator::Stage::drain`].
    ///
    /// # Errors
    /// Whatever sending fails with.
    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>>;
    /// All channels have ended.
    ///
    /// # Errors
    /// Whatever an operator fails with.
    fn end(&mut self) -> TaskResult;
    /// As [`crate::operator::Stage::close`].
    fn close(&mut self);
}

/// The head of a chain whose inputs all carry records of one type (one input, or a union).
pub struct OneInput<T> {
    stage: BoxStage<T>,
    decoded: Batch<T>,
}

impl<T: Data> OneInput<T> {
    /// A head in front of a stage.
    pub fn boxed(stage: BoxStage<T>) -> Box<dyn Head> {
        Box::new(OneInput { stage, decoded: Batch::new() })
    }
}

impl<T: Data> Head for OneInput<T> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.stage.open(context)
    }

    fn batch(&mut self, _input: usize, batch: Box<dyn Any + Send>) -> TaskResult {
        match batch.downcast::<Batch<T>>() {
            Ok(mut batch) => self.stage.batch(&mut batch),
            Err(_) => Err(wrong_type::<T>()),
        }
    }

    fn decode(&self, _input: usize, bytes: &[u8]) -> TaskResult<Records> {
        decode::<T>(bytes)
    }

    fn split(&self, _input: usize, records: &mut Records, count: usize) -> TaskResult<Records> {
        split::<T>(records, count)
    }

    fn record(&self, _input: usize, packet: &Packet, log: &mut Vec<u8>) -> TaskResult {
        in_flight::record::<T>(packet, log)
    }

    fn encoded(&mut self, _input: usize, bytes: &[u8]) -> TaskResult<usize> {
        codec::decode(bytes, &mut self.decoded)
            .map_err(|error| TaskError::caused("cannot read records of another worker", &error))?;
        let records = self.decoded.len();
        self.stage.batch(&mut self.decoded)?;
        self.decoded.clear();
        Ok(records)
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.stage.event(event)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.stage.snapshot(snapshot)
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.stage.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: u64) {
        self.stage.checkpoint_aborted(checkpoint);
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stage.tick(now)
    }

    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stage.drain(now)
    }

    fn end(&mut self) -> TaskResult {
        self.stage.end()
    }

    fn close(&mut self) {
        self.stage.close();
    }
}

/// A chain that reads from a gate.
pub struct InputTask {
    head: Box<dyn Head>,
}

impl Chain for Box<dyn Head> {
    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        Head::snapshot(&mut **self, snapshot)
    }

    fn complete(&mut self, checkpoint: u64) -> TaskResult {
        self.checkpoint_complete(checkpoint)
    }

    fn aborted(&mut self, checkpoint: u64) {
        self.checkpoint_aborted(checkpoint);
    }

    fn drain(&mut self) -> TaskResult {
        self.event(Event::Drain)
    }

    fn end(&mut self) -> TaskResult {
        Head::end(&mut **self)
    }
}

impl InputTask {
    /// The task of a chain.
    pub fn boxed(head: Box<dyn Head>) -> Box<dyn Task> {
        Box::new(InputTask { head })
    }
}

fn gate_of(gate: Option<&Arc<Gate>>) -> TaskResult<&Arc<Gate>> {
    gate.ok_or_else(|| TaskError::failed("a task with inputs was deployed without producers"))
}

impl Task for InputTask {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.head.open(context)
    }

    fn run(&mut self, context: &mut TaskContext, gate: Option<&Arc<Gate>>) -> TaskResult {
        Running::new(gate_of(gate)?, context).run(&mut self.head)?;
        self.head.event(Event::EndOfStream)
    }

    fn run_finished(&mut self, context: &mut TaskContext, gate: Option<&Arc<Gate>>) -> TaskResult {
        let gate = gate_of(gate)?;
        let mut open = gate.channels();
        while open > 0 {
            context.control.take_mail();
            let next = gate.next(Patience::default(), &context.control, &context.counters)?;
            open -= usize::from(matches!(next, Next::Packet(_, Packet::End)));
        }
        self.head.event(Event::EndOfData)?;
        self.head.event(Event::EndOfStream)
    }

    fn close(&mut self) {
        self.head.close();
    }
}
