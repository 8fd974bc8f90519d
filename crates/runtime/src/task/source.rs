//! The task of a source: polls it, and keeps time for the operators behind it.

use super::{Task, TaskContext};
use crate::element::Event;
use crate::error::TaskResult;
use crate::exchange::gate::Gate;
use crate::operator::{BoxStage, Output};
use crate::snapshot::OperatorSnapshot;
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

impl<S: Source> Task for SourceTask<S> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.output.next().open(context)?;
        self.source.open(context)
    }

    fn run(&mut self, context: &mut TaskContext, _gate: Option<&Arc<Gate>>) -> TaskResult {
        loop {
            context.control.check()?;
            let polled = self.source.poll(&mut self.output)?;
            self.output.flush()?;
            let now = Instant::now();
            // What was just emitted may have set an earlier deadline than any known before.
            let due = self.output.next().tick(now)?;
            match polled {
                Poll::More => {}
                Poll::Wait(span) => {
                    let until_due = due.map_or(span, |due| due.saturating_duration_since(now));
                    context.control.sleep(span.min(until_due));
                    context.counters.idle(now.elapsed());
                }
                Poll::End => break,
            }
        }
        // Nothing follows: event time has come to its end, and windows fire.
        self.output.event(Event::Watermark(i64::MAX))?;
        self.output.next().end()
    }

    fn close(&mut self) {
        self.source.close();
        self.output.next().close();
    }
}
