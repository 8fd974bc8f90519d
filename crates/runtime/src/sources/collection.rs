//! Sources whose records the program itself has: a collection, a range of numbers.

use super::split::{SplitReader, SplitSource};
use crate::element::{BATCH_SIZE, Data};
use crate::error::{TaskError, TaskResult};
use crate::key_group::range_of;
use crate::operator::Output;
use crate::task::{Poll, TaskContext};
use std::sync::Arc;

/// The records of a collection, in order, by one subtask.
#[derive(Clone)]
pub struct CollectionSource<T> {
    records: Arc<Vec<T>>,
}

impl<T> CollectionSource<T> {
    /// A source of these records.
    pub fn new(records: Arc<Vec<T>>) -> Self {
        CollectionSource { records }
    }
}

/// Where in a collection reading is.
pub struct CollectionReader<T> {
    records: Arc<Vec<T>>,
    next: usize,
}

impl<T: Data> SplitSource for CollectionSource<T> {
    type Out = T;
    /// The whole collection, by its length: the records themselves are in the program.
    type Split = usize;
    type Position = usize;
    type Reader = CollectionReader<T>;

    fn id(&self, _: &usize) -> String {
        "collection".to_string()
    }

    fn splits(&mut self) -> TaskResult<Vec<usize>> {
        Ok(vec![self.records.len()])
    }

    fn reader(&mut self, length: &usize, position: Option<usize>) -> TaskResult<CollectionReader<T>> {
        let (records, next) = (Arc::clone(&self.records), position.unwrap_or(0));
        if next > records.len() {
            return Err(TaskError::failed(format!(
                "the collection had {length} records when its state was written, {next} of them were read, and now it has only \
                 {}: the program must give the same records each time",
                records.len()
            )));
        }
        Ok(CollectionReader { records, next })
    }
}

impl<T: Data> SplitReader for CollectionReader<T> {
    type Out = T;
    type Position = usize;

    fn read(&mut self, out: &mut Output<T>) -> TaskResult<Poll> {
        let end = self.records.len().min(self.next + BATCH_SIZE);
        self.records[self.next..end].iter().for_each(|record| out.push(record.clone()));
        self.next = end;
        Ok(if end == self.records.len() { Poll::End } else { Poll::More })
    }

    fn position(&self) -> Option<usize> {
        Some(self.next)
    }
}

/// Numbers from a first to a last one, in contiguous ranges by subtask.
#[derive(Clone)]
pub struct SequenceSource {
    first: i64,
    last: i64,
    parts: u32,
}

impl SequenceSource {
    /// The numbers `first..=last`.
    pub fn new(first: i64, last: i64) -> Self {
        SequenceSource { first, last, parts: 1 }
    }
}

/// Where in a range of numbers reading is.
pub struct SequenceReader {
    next: i128,
    end: i128,
}

impl SplitSource for SequenceSource {
    type Out = i64;
    /// The first number of a range, and the one after its last.
    type Split = (i128, i128);
    type Position = i128;
    type Reader = SequenceReader;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.parts = context.parallelism;
        Ok(())
    }

    fn id(&self, (first, end): &(i128, i128)) -> String {
        format!("numbers from {first} up to {end}")
    }

    fn splits(&mut self) -> TaskResult<Vec<(i128, i128)>> {
        let first = i128::from(self.first);
        let count = (i128::from(self.last) - first + 1).max(0);
        let parts = i128::from(self.parts);
        Ok((0..parts).map(|i| (first + count * i / parts, first + count * (i + 1) / parts)).collect())
    }

    fn reader(&mut self, split: &(i128, i128), position: Option<i128>) -> TaskResult<SequenceReader> {
        Ok(SequenceReader { next: position.unwrap_or(split.0), end: split.1 })
    }
}

impl SplitReader for SequenceReader {
    type Out = i64;
    type Position = i128;

    fn read(&mut self, out: &mut Output<i64>) -> TaskResult<Poll> {
        let end = self.end.min(self.next + BATCH_SIZE as i128);
        (self.next..end).for_each(|number| out.push(number as i64));
        self.next = end;
        Ok(if end == self.end { Poll::End } else { Poll::More })
    }

    fn position(&self) -> Option<i128> {
        Some(self.next)
    }
}

/// The part of `count` things that a subtask takes: contiguous, all parts together are everything.
pub(super) fn share(count: usize, subtask: u32, parallelism: u32) -> std::ops::Range<usize> {
    let range = range_of(subtask, parallelism, u32::try_from(count).unwrap_or(u32::MAX));
    range.start as usize..range.end as usize
}
