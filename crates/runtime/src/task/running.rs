//! The loop of a task with inputs: packets to the head of the chain, barriers to the alignment, orders from the job master.

use super::TaskContext;
use super::alignment::{Alignment, Outcome};
use super::checkpoints::{Arrival, Checkpoints};
use super::input::{Head, Records};
use super::pace::Pace;
use super::recording::Recording;
use super::watermarks::{Combined, Watermarks};
use crate::element::{Barrier, Event};
use crate::error::TaskResult;
use crate::exchange::gate::{Gate, Next, Notice, Packet, Patience};
use crate::operator::earlier;
use kvick_core::checkpoint::{CheckpointCommand, CheckpointFailureReason};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Barriers do not overtake what a restore has sent again at another parallelism: longer than that takes.
const RECOVERY: Duration = Duration::from_secs(24 * 3600);

/// What an input task knows while it runs.
pub(super) struct Running<'a> {
    gate: &'a Gate,
    context: &'a TaskContext,
    alignment: Alignment,
    watermarks: Watermarks,
    checkpoints: Checkpoints,
    /// When the first barrier of the checkpoint that is being aligned came.
    arrival: Option<Arrival>,
    /// Bytes from other workers that were processed since then.
    processed: u64,
    /// A snapshot to which records in flight are being added.
    recording: Option<Recording>,
    /// Channels that wait until others of their input have sent again what was in flight when the job was restored.
    recovering: BTreeSet<usize>,
    open: BTreeSet<usize>,
    pace: Pace,
    /// A producer ends its data because the job is drained: the savepoint's barrier follows.
    draining: bool,
}

impl<'a> Running<'a> {
    pub fn new(gate: &'a Gate, context: &'a TaskContext) -> Running<'a> {
        Running {
            alignment: Alignment::new(gate.channels(), gate.in_order()),
            watermarks: Watermarks::new(gate.channels()),
            checkpoints: Checkpoints::new(context),
            open: (0..gate.channels()).collect(),
            gate,
            context,
            arrival: None,
            processed: 0,
            recording: None,
            recovering: BTreeSet::new(),
            pace: Pace::new(),
            draining: false,
        }
    }

    /// Runs until the task is released.
    pub fn run(&mut self, head: &mut Box<dyn Head>) -> TaskResult {
        let mut due = head.tick(Instant::now())?;
        loop {
            if self.context.control.has_mail() {
                self.orders(head)?;
            }
            if self.checkpoints.is_released() {
                return Ok(());
            }
            let patience = self.patience(head, due)?;
            match self.gate.next(patience, &self.context.control, &self.context.counters)? {
                Next::Packet(channel, packet) => self.packet(head, channel, packet)?,
                Next::Notices(notices) => self.notices(head, notices)?,
                Next::Nothing => {}
            }
            if self.alignment.waits() {
                let outcome = self.alignment.tick(Instant::now());
                self.aligned(head, None, outcome)?;
            }
            // A batch may have set an earlier deadline than the one known, so ask after each one.
            due = if self.checkpoints.is_still() { None } else { head.tick(Instant::now())? };
        }
    }

    /// For what to wait. A task whose outputs have no room takes no packets, so that it stays free for barriers.
    fn patience(&self, head: &mut Box<dyn Head>, due: Option<Instant>) -> TaskResult<Patience> {
        let control = &self.context.control;
        if !control.is_backed_up() && !self.alignment.waits() {
            return Ok(Patience { deadline: due, notices_only: false });
        }
        let now = Instant::now();
        let held_back = head.drain(now)?;
        let deadline = earlier(due, earlier(held_back, self.alignment.deadline(now)));
        Ok(Patience { deadline, notices_only: control.is_backed_up() })
    }

    fn orders(&mut self, head: &mut Box<dyn Head>) -> TaskResult {
        for command in self.context.control.take_mail() {
            match command {
                CheckpointCommand::Trigger(order) => {
                    let barrier: Arc<Barrier> = Arc::new(order.into());
                    self.arrival.get_or_insert(self.checkpoints.arrival(&barrier));
                    let (at, now) = self.overtakes_at(&barrier);
                    let outcome = self.alignment.order(barrier, at, now);
                    self.aligned(head, None, outcome)?;
                }
                CheckpointCommand::Complete { checkpoint } => self.checkpoints.complete(head, checkpoint)?,
                CheckpointCommand::Abort { checkpoint } => {
                    let outcome = self.alignment.aborted(checkpoint);
                    self.recording.take_if(|recording| recording.id() == checkpoint);
                    self.checkpoints.abort(head, checkpoint);
                    self.aligned(head, None, outcome)?;
                }
            }
        }
        Ok(())
    }

    /// From when on a barrier overtakes, and now.
    fn overtakes_at(&self, barrier: &Barrier) -> (Instant, Instant) {
        let now = Instant::now();
        let recovery = if self.recovering.is_empty() { Duration::ZERO } else { RECOVERY };
        (self.checkpoints.overtakes_at(barrier, now) + recovery, now)
    }

    fn notices(&mut self, head: &mut Box<dyn Head>, notices: Vec<(usize, Notice)>) -> TaskResult {
        for (channel, notice) in notices {
            if let Notice::Barrier(barrier) = notice
                && !self.gate.is_in_order(channel)
            {
                let (at, now) = self.overtakes_at(&barrier);
                let outcome = self.alignment.announced(&barrier, at, now);
                self.note_first(&outcome, &barrier);
                self.aligned(head, None, outcome)?;
            }
            self.reach(head, channel)?;
        }
        Ok(())
    }

    fn note_first(&mut self, outcome: &Outcome, barrier: &Barrier) {
        if outcome.first {
            self.arrival = Some(self.checkpoints.arrival(barrier));
            self.processed = 0;
        }
    }

    /// Records what lies before the barrier in a channel, if the barrier is there.
    fn reach(&mut self, head: &mut Box<dyn Head>, channel: usize) -> TaskResult {
        let Some(checkpoint) = self.alignment.records(channel) else { return Ok(()) };
        let Some(recording) = &mut self.recording else { return Ok(()) };
        let input = self.gate.input_of(channel);
        let add = |packet: &Packet| recording.add(&**head, input, channel, packet);
        if self.gate.before_barrier(channel, checkpoint, add)? {
            let recorded = self.alignment.reached(channel);
            self.recorded(recorded);
        }
        Ok(())
    }

    /// Lets a snapshot be written to which nothing is to be added any more.
    fn recorded(&mut self, checkpoint: Option<u64>) {
        let complete = self.recording.take_if(|recording| Some(recording.id()) == checkpoint);
        if let Some(recording) = complete {
            self.checkpoints.write(recording.finish(self.gate, self.processed));
        }
    }

    fn packet(&mut self, head: &mut Box<dyn Head>, channel: usize, packet: Packet) -> TaskResult {
        let input = self.gate.input_of(channel);
        if let (Some(_), Some(recording)) = (self.alignment.records(channel), &mut self.recording) {
            recording.add(&**head, input, channel, &packet)?;
        }
        match packet {
            Packet::Batch(batch, records) => {
                self.context.counters.received(records, 0);
                self.records(head, channel, (batch, records))
            }
            Packet::Rest(batch, records) => self.records(head, channel, (batch, records)),
            Packet::Encoded(bytes) => self.encoded(head, channel, &bytes),
            Packet::Event(event) => self.event(head, channel, event),
            Packet::End => {
                self.open.remove(&channel);
                let outcome = self.alignment.closed(channel, Instant::now());
                self.aligned(head, Some(channel), outcome)?;
                self.recover(input);
                Ok(())
            }
        }
    }

    fn encoded(&mut self, head: &mut Box<dyn Head>, channel: usize, bytes: &[u8]) -> TaskResult {
        let input = self.gate.input_of(channel);
        self.processed += bytes.len() as u64;
        if self.context.may_overtake {
            let records = head.decode(input, bytes)?;
            self.context.counters.received(records.1, bytes.len());
            return self.records(head, channel, records);
        }
        let records = head.encoded(input, bytes)?;
        self.context.counters.received(records, bytes.len());
        Ok(())
    }

    /// Processes a batch, or as much of it as does not take too long.
    fn records(&mut self, head: &mut Box<dyn Head>, channel: usize, mut records: Records) -> TaskResult {
        let input = self.gate.input_of(channel);
        if !self.context.may_overtake {
            return head.batch(input, records.0);
        }
        // What is being recorded was recorded whole.
        if records.1 > self.pace.limit() && self.alignment.records(channel).is_none() {
            let (rest, left) = head.split(input, &mut records, self.pace.limit())?;
            self.gate.put_back(channel, rest, left);
        }
        let (count, begun) = (records.1, Instant::now());
        head.batch(input, records.0)?;
        self.pace.took(count, begun.elapsed());
        Ok(())
    }

    fn event(&mut self, head: &mut Box<dyn Head>, channel: usize, event: Event) -> TaskResult {
        match event {
            Event::Barrier(barrier) => {
                let (at, now) = self.overtakes_at(&barrier);
                let outcome = self.alignment.barrier(channel, Arc::clone(&barrier), at, now);
                self.note_first(&outcome, &barrier);
                self.aligned(head, Some(channel), outcome)
            }
            Event::Recovered => {
                self.recovering.insert(channel);
                self.gate.block(channel);
                self.recover(self.gate.input_of(channel));
                Ok(())
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

    /// Lets the channels of an input go on once all of them have sent again what was in flight.
    fn recover(&mut self, input: usize) {
        let of_input = |channel: &&usize| self.gate.input_of(**channel) == input;
        if self.recovering.iter().any(|channel| of_input(&channel))
            && self.open.iter().filter(of_input).all(|channel| self.recovering.contains(channel))
        {
            let gate = self.gate;
            let recovered = self.recovering.extract_if(.., |channel| gate.input_of(*channel) == input);
            let recovered: BTreeSet<usize> = recovered.collect();
            gate.unblock(|channel| recovered.contains(&channel));
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
            self.recording.take_if(|recording| recording.id() == id);
            self.checkpoints.decline(id, CheckpointFailureReason::DeclinedSubsumed);
        }
        if let Some(barrier) = outcome.aligned {
            self.take(head, barrier, &outcome.overtaken)?;
        }
        if outcome.unblock {
            self.gate.unblock(|channel| !self.recovering.contains(&channel));
        }
        if let Some(channel) = channel.filter(|_| outcome.block) {
            self.gate.block(channel);
        }
        self.recorded(outcome.recorded);
        Ok(())
    }

    /// Takes a snapshot, and begins to add what its barrier has overtaken.
    fn take(&mut self, head: &mut Box<dyn Head>, barrier: Arc<Barrier>, overtaken: &[usize]) -> TaskResult {
        let arrival = self.arrival.take().unwrap_or_else(|| self.checkpoints.arrival(&barrier));
        let mut taken = self.checkpoints.snapshot(head, barrier, arrival)?;
        if overtaken.is_empty() {
            taken.metrics.processed_bytes = self.processed;
            self.checkpoints.write(taken);
            return Ok(());
        }
        self.recording = Some(Recording::new(taken, arrival));
        overtaken.iter().try_for_each(|channel| self.reach(head, *channel))
    }
}
