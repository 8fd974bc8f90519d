//! Writes the result of a task: blocks for each consumer, gathered in memory and written consumer by consumer.
//!
//! So what one consumer reads lies in long stretches, whatever the number of consumers. A body begins with its kind: a batch
//! as [`crate::codec`] writes it, or an event.

use super::kept::{Extent, KeptResult, Results};
use crate::codec;
use crate::element::{Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use crate::spill::{SpillError, SpillSettings, block, write_failed};
use crate::state::store::directory::LocalDirectory;
use crate::task::{TaskCounters, lock};
use kvick_core::ids::ExecutionId;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What is gathered before it is written, in bytes.
const BUFFER: usize = 4 * 1024 * 1024;
/// The kind of a body that is a batch.
pub(super) const DATA: u8 = 0;
/// The kind of a body that is an event.
pub(super) const EVENT: u8 = 1;

/// An open file with its directory.
struct Open {
    file: File,
    path: PathBuf,
    directory: LocalDirectory,
}

/// The result of one output of a task while it is written. Its file is removed with it, unless it has become whole.
pub struct ResultWriter {
    producer: ExecutionId,
    output: u32,
    /// Subtask indices.
    consumers: Vec<u32>,
    settings: SpillSettings,
    results: Arc<Results>,
    /// Blocks that wait to be written, by consumer.
    waiting: Vec<Vec<u8>>,
    bytes: usize,
    extents: Vec<Vec<Extent>>,
    open: Option<Open>,
    at: u64,
    /// Consumers to whom more may be written.
    unended: usize,
}

impl ResultWriter {
    /// The result of an output for consumers with these subtask indices; once it is whole, it goes to `results`.
    pub fn new(
        producer: ExecutionId,
        output: u32,
        consumers: Vec<u32>,
        settings: SpillSettings,
        results: Arc<Results>,
    ) -> ResultWriter {
        let count = consumers.len();
        ResultWriter {
            producer,
            output,
            consumers,
            settings,
            results,
            waiting: vec![Vec::new(); count],
            bytes: 0,
            extents: vec![Vec::new(); count],
            open: None,
            at: 0,
            unended: count,
        }
    }

    /// The end of each consumer's channel.
    pub fn lanes(self, counters: &Arc<TaskCounters>) -> Vec<ResultLane> {
        let consumers = self.waiting.len();
        let writer = Arc::new(Mutex::new(self));
        let lane = |consumer| ResultLane {
            writer: Arc::clone(&writer),
            consumer,
            counters: Arc::clone(counters),
            body: Vec::new(),
        };
        (0..consumers).map(lane).collect()
    }

    fn block(&mut self, consumer: usize, body: &[u8]) -> Result<(), SpillError> {
        let waiting = &mut self.waiting[consumer];
        waiting.extend_from_slice(&block::head(body));
        waiting.extend_from_slice(body);
        self.bytes += block::HEAD + body.len();
        if self.bytes >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SpillError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        for (waiting, extents) in self.waiting.iter_mut().zip(&mut self.extents) {
            if waiting.is_empty() {
                continue;
            }
            open.file.write_all(waiting).map_err(|error| write_failed(&open.path, error))?;
            let length = waiting.len() as u64;
            extents.push(Extent { at: self.at, length });
            self.at += length;
            waiting.clear();
        }
        self.bytes = 0;
        self.open = Some(open);
        Ok(())
    }

    fn create(&self) -> Result<Open, SpillError> {
        let directory = self.settings.directory(self.output as usize)?;
        let path = directory.path().join(format!("result-{}", self.output));
        let file = File::create(&path).map_err(|error| write_failed(&path, error))?;
        Ok(Open { file, path, directory })
    }

    /// Nothing follows for one more consumer; behind the last, the result is whole.
    fn end(&mut self) -> Result<(), SpillError> {
        self.unended -= 1;
        if self.unended > 0 {
            return Ok(());
        }
        self.flush()?;
        if let Some(Open { path, directory, .. }) = self.open.take() {
            let extents = self.consumers.iter().copied().zip(std::mem::take(&mut self.extents)).collect();
            let kept = KeptResult { path, extents, _directory: directory };
            self.results.keep(self.producer, self.output, kept);
        }
        Ok(())
    }
}

/// What goes to one consumer.
pub struct ResultLane {
    writer: Arc<Mutex<ResultWriter>>,
    consumer: usize,
    counters: Arc<TaskCounters>,
    body: Vec<u8>,
}

impl ResultLane {
    /// Adds the records of a batch and empties it.
    ///
    /// # Errors
    /// A record that refuses to be serialised, a file that cannot be written.
    pub fn batch<T: Data>(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let mut written = Ok(());
        let ResultLane { writer, consumer, counters, body } = self;
        codec::encode(batch, |bytes, records| {
            counters.sent(records, bytes.len());
            body.clear();
            body.push(DATA);
            body.extend_from_slice(&bytes);
            if written.is_ok() {
                written = lock(writer).block(*consumer, body);
            }
        })
        .map_err(|error| TaskError::caused("cannot keep records", &error))?;
        Ok(written?)
    }

    /// Adds an event.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn event(&mut self, event: &Event) -> TaskResult {
        let body = postcard::to_extend(event, vec![EVENT]).map_err(SpillError::record::<Event>)?;
        Ok(lock(&self.writer).block(self.consumer, &body)?)
    }

    /// Nothing follows.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn end(&mut self) -> TaskResult {
        Ok(lock(&self.writer).end()?)
    }
}
