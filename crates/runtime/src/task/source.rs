//! The task of a source: polls it, and keeps time for the operators behind it.

use super::checkpoints::{Chain, Checkpoints};
use super::{Task, TaskContext, TaskControl};
use crate::element::{Barrier, Event};
use crate::error::TaskResult;
use crate::exchange::gate::Gate;
use crate::operator::{BoxStage, Output};
use crate::snapshot::OperatorSnapshot;
use crate::time::alignment::LOOK;
use kvick_core::checkpoint::CheckpointCommand;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a source has to say after a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// There may be more at once.
    More,
    /// Nothing now; ask again after this span.
    Wait(Duration),
    /// The input has ended.
    End,
}

/// A source: emits records when it is polled.
pub trait Source: Send + 'static {
    /// The records it emits.
    type Out: Send + 'static;

    /// Called once, before the first poll.
    ///
    /// # Errors
    /// Whatever keeps the source from starting.
    fn open(&mut self, _context: &mut TaskContext) -> TaskResult {
        Ok(())
    }

    /// Emits a bounded number of records. It must not wait longer than about 100 ms: cancelling waits for it.
    ///
    /// # Errors
    /// Whatever reading fails with.
    fn poll(&mut self, out: &mut Output<Self::Out>) -> TaskResult<Poll>;

    /// A snapshot is taken: everything emitted so far belongs to it, nothing that follows. Where reading is to go on goes
    /// into it.
    ///
    /// # Errors
    /// Whatever keeps the source from a snapshot.
    fn snapshot(&mut self, _snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(())
    }

    /// A checkpoint is durable: what was read before it need not be given again.
    ///
    /// # Errors
    /// Whatever acknowledging fails with.
    fn checkpoint_complete(&mut self, _checkpoint: u64) -> TaskResult {
        Ok(())
    }

    /// A checkpoint will not come to be.
    fn checkpoint_aborted(&mut self, _checkpoint: u64) {}

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// A source with everything chained behind it.
pub struct SourceTask<S: Source> {
    source: S,
    output: Output<S::Out>,
}

impl<S: Source> SourceTask<S> {
    /// The task of a source.
    pub fn boxed(source: S, next: BoxStage<S::Out>) -> Box<dyn Task> {
        Box::new(SourceTask { source, output: Output::new(next) })
    }
}

/// A source and its output, as far as checkpoints go.
struct SourceChain<'a, S: Source>(&'a mut S, &'a mut Output<S::Out>);

impl<S: Source> Chain for SourceChain<'_, S> {
    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.0.snapshot(snapshot)?;
        self.1.flush()?;
        self.1.next().snapshot(snapshot)
    }

    fn complete(&mut self, checkpoint: u64) -> TaskResult {
        self.0.checkpoint_complete(checkpoint)?;
        self.1.next().checkpoint_complete(checkpoint)
    }

    fn aborted(&mut self, checkpoint: u64) {
        self.0.checkpoint_aborted(checkpoint);
        self.1.next().checkpoint_aborted(checkpoint);
    }

    fn drain(&mut self) -> TaskResult {
        self.1.event(Event::Drain)
    }

    fn end(&mut self) -> TaskResult {
        // Nothing follows: event time has come to its end, and windows fire.
        self.1.event(Event::Watermark(i64::MAX))?;
        self.1.next().end()
    }
}

/// How long a source that has nothing to do sleeps at a time; orders and cancelling wake it.
const STILL: Duration = Duration::from_millis(500);

impl<S: Source> SourceTask<S> {
    fn orders(&mut self, checkpoints: &mut Checkpoints, control: &TaskControl) -> TaskResult {
        for command in control.take_mail() {
            let chain = &mut SourceChain(&mut self.source, &mut self.output);
            match command {
                CheckpointCommand::Trigger(order) => {
                    let barrier: Arc<Barrier> = Arc::new(order.into());
                    let arrival = checkpoints.arrival(&barrier);
                    checkpoints.take(chain, barrier, arrival)?;
                }
                CheckpointCommand::Complete { checkpoint } => checkpoints.complete(chain, checkpoint)?,
                CheckpointCommand::Abort { checkpoint } => checkpoints.abort(chain, checkpoint),
            }
        }
        Ok(())
    }

    fn poll(&mut self, context: &TaskContext) -> TaskResult<Poll> {
        let polled = self.source.poll(&mut self.output)?;
        self.output.flush()?;
        let now = Instant::now();
        // What was just emitted may have set an earlier deadline than any known before.
        let due = self.output.next().tick(now)?;
        if let Poll::Wait(span) = polled {
            let until_due = due.map_or(span, |due| due.saturating_duration_since(now));
            context.control.sleep(span.min(until_due));
            context.counters.idle(now.elapsed());
        }
        Ok(polled)
    }
}

impl<S: Source> SourceTask<S> {
    /// Reads nothing for a moment; the operators behind the source keep time.
    fn wait_for_others(&mut self, context: &TaskContext) -> TaskResult {
        let now = Instant::now();
        let due = self.output.next().tick(now)?;
        let span = due.map_or(LOOK, |due| due.saturating_duration_since(now).min(LOOK));
        context.control.sleep(span);
        context.counters.idle(now.elapsed());
        Ok(())
    }

    /// Sends what found no room before. While some still finds none, waits for room or an order.
    fn is_held_up(&mut self, context: &TaskContext) -> TaskResult<bool> {
        let now = Instant::now();
        let next = self.output.next().drain(now)?;
        if !context.control.is_backed_up() {
            return Ok(false);
        }
        context.control.sleep(next.map_or(STILL, |at| at.saturating_duration_since(now).min(STILL)));
        context.counters.backpressured(now.elapsed());
        Ok(true)
    }
}

impl<S: Source> Task for SourceTask<S> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        context.control.wait_before_reading();
        self.output.next().open(context)?;
        self.source.open(context)
    }

    fn run(&mut self, context: &mut TaskContext, _gate: Option<&Arc<Gate>>) -> TaskResult {
        let mut checkpoints = Checkpoints::new(context);
        loop {
            context.control.check()?;
            if context.control.has_mail() {
                self.orders(&mut checkpoints, &context.control)?;
            }
            if checkpoints.is_released() {
                break;
            }
            if context.control.is_backed_up() && self.is_held_up(context)? {
                continue;
            }
            if checkpoints.is_still() {
                let since = Instant::now();
                context.control.sleep(STILL);
                context.counters.idle(since.elapsed());
            } else if context.control.is_ahead() {
                self.wait_for_others(context)?;
            } else if self.poll(context)? == Poll::End {
                let chain = &mut SourceChain(&mut self.source, &mut self.output);
                checkpoints.end(chain, false)?;
            }
        }
        self.output.event(Event::EndOfStream)
    }

    fn run_finished(&mut self, _context: &mut TaskContext, _gate: Option<&Arc<Gate>>) -> TaskResult {
        self.output.event(Event::EndOfData)?;
        self.output.event(Event::EndOfStream)
    }

    fn close(&mut self) {
        self.source.close();
        self.output.next().close();
    }
}
