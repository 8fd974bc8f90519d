//! The task of everything but a source: takes packets from the gate and gives them to the head of the chain.

use super::alignment::{Alignment, Outcome};
use super::checkpoints::{Arrival, Chain, Checkpoints};
use super::watermarks::{Combined, Watermarks};
use super::{Task, TaskContext};
use crate::codec;
use crate::element::{Barrier, Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use crate::exchange::gate::{Gate, Packet};
use crate::operator::BoxStage;
use crate::snapshot::OperatorSnapshot;
use kvick_core::checkpoint::{CheckpointCommand, CheckpointFailureReason};
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

/// What an input task knows while it runs.
struct Running<'a> {
    gate: &'a Gate,
    context: &'a TaskContext,
    alignment: Alignment,
    watermarks: Watermarks,
    checkpoints: Checkpoints,
    /// When the first barrier of the checkpoint that is being aligned came.
    arrival: Option<Arrival>,
    /// A producer ends its data because the job is drained: the savepoint's barrier follows.
    draining: bool,
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

impl<'a> Running<'a> {
    fn new(gate: &'a Gate, context: &'a TaskContext) -> Running<'a> {
        Running {
            alignment: Alignment::new(gate.channels()),
            watermarks: Watermarks::new(gate.channels()),
            checkpoints: Checkpoints::new(context),
            gate,
            context,
            arrival: None,
            draining: false,
        }
    }

    /// Runs until the task is released.
    fn run(&mut self, head: &mut Box<dyn Head>) -> TaskResult {
        let mut due = head.tick(Instant::now())?;
        loop {
            if self.context.control.has_mail() {
                self.orders(head)?;
            }
            if self.checkpoints.is_released() {
                return Ok(());
            }
            let next = self.gate.next(due, &self.context.control, &self.context.counters)?;
            if let Some((channel, packet)) = next {
                self.packet(head, channel, packet)?;
            }
            // A batch may have set an earlier deadline than the one known, so ask after each one.
            due = if self.checkpoints.is_still() { None } else { head.tick(Instant::now())? };
        }
    }

    fn orders(&mut self, head: &mut Box<dyn Head>) -> TaskResult {
        for command in self.context.control.take_mail() {
            match command {
                CheckpointCommand::Trigger(order) => {
                    let barrier: Arc<Barrier> = Arc::new(order.into());
                    self.arrival.get_or_insert(self.checkpoints.arrival(&barrier));
                    let outcome = self.alignment.order(barrier);
                    self.aligned(head, None, outcome)?;
                }
                CheckpointCommand::Complete { checkpoint } => self.checkpoints.complete(head, checkpoint)?,
                CheckpointCommand::Abort { checkpoint } => {
                    let outcome = self.alignment.aborted(checkpoint);
                    self.checkpoints.abort(head, checkpoint);
                    self.aligned(head, None, outcome)?;
                }
            }
        }
        Ok(())
    }

    fn packet(&mut self, head: &mut Box<dyn Head>, channel: usize, packet: Packet) -> TaskResult {
        let input = self.gate.input_of(channel);
        match packet {
            Packet::Batch(batch, records) => {
                self.context.counters.received(records, 0);
                head.batch(input, batch)
            }
            Packet::Encoded(bytes) => {
                let records = head.encoded(input, &bytes)?;
                self.context.counters.received(records, bytes.len());
                Ok(())
            }
            Packet::Event(event) => self.event(head, channel, event),
            Packet::End => {
                let outcome = self.alignment.closed(channel);
                self.aligned(head, Some(channel), outcome)
            }
        }
    }

    fn event(&mut self, head: &mut Box<dyn Head>, channel: usize, event: Event) -> TaskResult {
        match event {
            Event::Barrier(barrier) => {
                let outcome = self.alignment.barrier(channel, Arc::clone(&barrier));
                if outcome.first {
                    self.arrival = Some(self.checkpoints.arrival(&barrier));
                }
                self.aligned(head, Some(channel), outcome)
            }
            Event::Drain if self.draining => Ok(()),
            Event::Drain => {
                self.draining = true;
                head.event(Event::Drain)
            }
            Event::EndOfData => {
                let events = self.watermarks.ended(channel);
                self.watermark(head, events)?;
                if self.watermarks.all_ended() && !self.checkpoints.has_ended() {
                    self.checkpoints.end(head, self.draining)?;
                }
                Ok(())
            }
            event => {
                let events = self.watermarks.event(channel, &event);
                self.watermark(head, events)
            }
        }
    }

    fn watermark(&mut self, head: &mut Box<dyn Head>, events: Combined) -> TaskResult {
        for event in events.into_iter().flatten() {
            if let Event::Watermark(watermark) = event {
                self.context.counters.watermark(watermark);
            }
            head.event(event)?;
        }
        Ok(())
    }

    /// Does what the alignment says.
    fn aligned(&mut self, head: &mut Box<dyn Head>, channel: Option<usize>, outcome: Outcome) -> TaskResult {
        for id in outcome.given_up {
            self.checkpoints.decline(id, CheckpointFailureReason::DeclinedSubsumed);
        }
        if let Some(barrier) = outcome.aligned {
            let arrival = self.arrival.take().unwrap_or_else(|| self.checkpoints.arrival(&barrier));
            self.checkpoints.take(head, barrier, arrival)?;
        }
        if outcome.unblock {
            self.gate.unblock_all();
        }
        if let Some(channel) = channel.filter(|_| outcome.block) {
            self.gate.block(channel);
        }
        Ok(())
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
            if let Some((_, Packet::End)) = gate.next(None, &context.control, &context.counters)? {
                open -= 1;
            }
        }
        self.head.event(Event::EndOfData)?;
        self.head.event(Event::EndOfStream)
    }

    fn close(&mut self) {
        self.head.close();
    }
}
