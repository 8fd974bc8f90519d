//! The task of everything but a source: takes packets from the gate and gives them to the head of the chain.

use super::alignment::{Alignment, Outcome};
use super::{Task, TaskContext};
use crate::codec;
use crate::element::{Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use crate::exchange::gate::{Gate, Packet};
use crate::operator::BoxStage;
use crate::snapshot::OperatorSnapshot;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

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
            Err(_) => Err(TaskError::failed(format!(
                "an input expected records of type {} and got another type",
                std::any::type_name::<T>()
            ))),
        }
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

impl InputTask {
    /// The task of a chain.
    pub fn boxed(head: Box<dyn Head>) -> Box<dyn Task> {
        Box::new(InputTask { head })
    }

    fn packet(
        &mut self,
        gate: &Gate,
        channel: usize,
        packet: Packet,
        alignment: &mut Alignment,
        context: &TaskContext,
    ) -> TaskResult<bool> {
        let input = gate.input_of(channel);
        match packet {
            Packet::Batch(batch, records) => {
                context.counters.received(records, 0);
                self.head.batch(input, batch)?;
                Ok(false)
            }
            Packet::Encoded(bytes) => {
                let records = self.head.encoded(input, &bytes)?;
                context.counters.received(records, bytes.len());
                Ok(false)
            }
            Packet::Event(event) => self.outcome(gate, channel, alignment.event(channel, event), context),
            Packet::End => self.outcome(gate, channel, alignment.end(channel), context),
        }
    }

    fn outcome(
        &mut self,
        gate: &Gate,
        channel: usize,
        outcome: Outcome,
        context: &TaskContext,
    ) -> TaskResult<bool> {
        for event in outcome.events.into_iter().flatten() {
            match event {
                Event::Barrier(barrier) => {
                    let mut snapshot = OperatorSnapshot::new(barrier, context.operator.clone());
                    self.head.snapshot(&mut snapshot)?;
                }
                Event::Watermark(watermark) => {
                    context.counters.watermark(watermark);
                    self.head.event(event)?;
                }
                Event::Idle | Event::Active => self.head.event(event)?,
            }
        }
        if outcome.unblock {
            gate.unblock_all();
        }
        if outcome.block {
            gate.block(channel);
        }
        Ok(outcome.ended)
    }
}

impl Task for InputTask {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.head.open(context)
    }

    fn run(&mut self, context: &mut TaskContext, gate: Option<&Arc<Gate>>) -> TaskResult {
        let Some(gate) = gate else {
            return Err(TaskError::failed("a task with inputs was deployed without producers"));
        };
        let mut alignment = Alignment::new(gate.channels());
        let mut due = self.head.tick(Instant::now())?;
        loop {
            let next = gate.next(due, &context.control, &context.counters)?;
            if let Some((channel, packet)) = next
                && self.packet(gate, channel, packet, &mut alignment, context)?
            {
                break;
            }
            let now = Instant::now();
            // A batch may have set an earlier deadline than the one known, so ask after each one.
            due = self.head.tick(now)?;
        }
        self.head.end()
    }

    fn close(&mut self) {
        self.head.close();
    }
}
