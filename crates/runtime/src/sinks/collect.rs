//! Hands records to the program itself, in the same process.

use super::Sink;
use crate::element::{Batch, Data};
use crate::error::TaskResult;
use std::sync::mpsc::Sender;

/// Sends every record to a channel of the program.
pub struct CollectSink<T> {
    records: Sender<T>,
}

impl<T> CollectSink<T> {
    /// A sink that sends to this channel.
    pub fn new(records: Sender<T>) -> Self {
        CollectSink { records }
    }
}

impl<T: Data> Sink<T> for CollectSink<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        // A program that no longer listens wants no more records.
        batch.records.drain(..).for_each(|record| drop(self.records.send(record)));
        Ok(())
    }
}
