//! Sources whose records the program itself has: a collection, a range of numbers.

use crate::element::{BATCH_SIZE, Data};
use crate::error::TaskResult;
use crate::key_group::range_of;
use crate::operator::Output;
use crate::task::{Poll, Source, TaskContext};
use std::sync::Arc;

/// The records of a collection, in order, by one subtask.
pub struct CollectionSource<T> {
    records: Arc<Vec<T>>,
    next: usize,
}

impl<T> CollectionSource<T> {
    /// A source of these records.
    pub fn new(records: Arc<Vec<T>>) -> Self {
        CollectionSource { records, next: 0 }
    }
}

impl<T: Data + Sync> Source for CollectionSource<T> {
    type Out = T;

    fn poll(&mut self, out: &mut Output<T>) -> TaskResult<Poll> {
        let end = self.records.len().min(self.next + BATCH_SIZE);
        self.records[self.next..end].iter().for_each(|record| out.push(record.clone()));
        self.next = end;
        Ok(if end == self.records.len() { Poll::End } else { Poll::More })
    }
}

/// Numbers from a first to a last one, in contiguous ranges by subtask.
pub struct SequenceSource {
    first: i64,
    last: i64,
    next: i128,
    end: i128,
}

impl SequenceSource {
    /// The numbers `first..=last`.
    pub fn new(first: i64, last: i64) -> Self {
        SequenceSource { first, last, next: 0, end: 0 }
    }
}

impl Source for SequenceSource {
    type Out = i64;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let count = (i128::from(self.last) - i128::from(self.first) + 1).max(0);
        let (subtask, parallelism) = (i128::from(context.subtask()), i128::from(context.parallelism));
        self.next = i128::from(self.first) + count * subtask / parallelism;
        self.end = i128::from(self.first) + count * (subtask + 1) / parallelism;
        Ok(())
    }

    fn poll(&mut self, out: &mut Output<i64>) -> TaskResult<Poll> {
        let end = self.end.min(self.next + BATCH_SIZE as i128);
        (self.next..end).for_each(|number| out.push(number as i64));
        self.next = end;
        Ok(if end == self.end { Poll::End } else { Poll::More })
    }
}

/// The part of `count` things that a subtask takes: contiguous, all parts together are everything.
pub(super) fn share(count: usize, subtask: u32, parallelism: u32) -> std::ops::Range<usize> {
    let range = range_of(subtask, parallelism, u32::try_from(count).unwrap_or(u32::MAX));
    range.start as usize..range.end as usize
}
