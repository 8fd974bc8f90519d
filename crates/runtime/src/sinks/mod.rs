//! The built-in sinks, the interface of sinks that commit in two phases, and how a sink ends a chain.

mod collect;
mod discard;
mod file;
mod print;
mod socket;
mod text_file;
mod two_phase;

pub use collect::{CollectSink, collect_accumulator};
pub use discard::DiscardingSink;
pub use file::{
    BasePathBucketAssigner, BucketAssigner, BucketContext, CsvEncoder, DateTimeBucketAssigner, Encoder,
    FileSink, FileSinkWriter, JsonEncoder, OutputFileConfig, PartFile, RollingPolicy, TextEncoder,
};
pub use print::{PrintSink, PrintTarget};
pub use socket::SocketSink;
pub use text_file::TextFileSink;
pub use two_phase::{Prepare, TwoPhase, TwoPhaseSink};

use crate::element::{Batch, Event};
use crate::error::TaskResult;
use crate::operator::{BoxStage, Stage};
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use std::time::Instant;

/// A sink: takes records, batch by batch.
pub trait Sink<T>: Send + 'static {
    /// Called once, before the first record.
    ///
    /// # Errors
    /// Whatever keeps the sink from starting.
    fn open(&mut self, _context: &mut TaskContext) -> TaskResult {
        Ok(())
    }

    /// Takes all records of a batch.
    ///
    /// # Errors
    /// Whatever writing fails with.
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult;

    /// A barrier arrived: what was written before it belongs to the checkpoint. What is to be committed once the
    /// checkpoint is complete goes into the snapshot.
    ///
    /// # Errors
    /// Whatever keeps the sink from a snapshot.
    fn snapshot(&mut self, _snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(())
    }

    /// A checkpoint is durable: what was prepared for it, and for all before it, is to be committed.
    ///
    /// # Errors
    /// Whatever committing fails with.
    fn checkpoint_complete(&mut self, _checkpoint: u64) -> TaskResult {
        Ok(())
    }

    /// A checkpoint will not come to be; what was prepared for it belongs to the next one.
    fn checkpoint_aborted(&mut self, _checkpoint: u64) {}

    /// What is due by the clock, and when to call again.
    ///
    /// # Errors
    /// Whatever writing fails with.
    fn tick(&mut self, _now: Instant) -> TaskResult<Option<Instant>> {
        Ok(None)
    }

    /// The input has ended: everything must be where it belongs.
    ///
    /// # Errors
    /// Whatever writing fails with.
    fn end(&mut self) -> TaskResult {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

struct SinkStage<S>(S);

/// The end of a chain.
pub fn stage<T: 'static, S: Sink<T>>(sink: S) -> BoxStage<T> {
    Box::new(SinkStage(sink))
}

impl<T, S: Sink<T>> Stage<T> for SinkStage<S> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.0.open(context)
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.0.write(batch)?;
        batch.clear();
        Ok(())
    }

    fn event(&mut self, _event: Event) -> TaskResult {
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.0.snapshot(snapshot)
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.0.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: u64) {
        self.0.checkpoint_aborted(checkpoint);
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.0.tick(now)
    }

    fn end(&mut self) -> TaskResult {
        self.0.end()
    }

    fn close(&mut self) {
        self.0.close();
    }
}
