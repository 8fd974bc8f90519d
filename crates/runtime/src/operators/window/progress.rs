//! How far windows have fired, across restores.
//!
//! Slices keep what windows that have fired share with windows that have not; so a snapshot must say which have. After a
//! restore at another parallelism, the key groups of a subtask may have been at different watermarks.

use crate::error::TaskResult;
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use kvick_core::checkpoint::{KeyGroups, Redistribution};
use serde::{Deserialize, Serialize};

const STATE: &str = "_window_progress";

/// How far a range of key groups had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    start: u32,
    end: u32,
    watermark: i64,
}

/// How far the windows of a subtask have fired: up to a watermark, in epoch milliseconds.
#[derive(Debug)]
pub(super) struct Progress {
    own: KeyGroups,
    watermark: i64,
    /// What was restored, until the watermark has passed all of it.
    restored: Vec<Reached>,
}

impl Progress {
    pub(super) fn open(context: &mut TaskContext) -> TaskResult<Progress> {
        let own = KeyGroups::of(context.subtask(), context.parallelism, context.max_parallelism);
        let all: Vec<Reached> = context.restored_list(STATE)?;
        Ok(Progress::of_parts(own, &all))
    }

    fn of_parts(own: KeyGroups, all: &[Reached]) -> Progress {
        let mine = |part: &Reached| {
            let groups = own.intersection(KeyGroups { start: part.start, end: part.end })?;
            Some(Reached { start: groups.start, end: groups.end, watermark: part.watermark })
        };
        Progress { own, watermark: i64::MIN, restored: all.iter().filter_map(mine).collect() }
    }

    /// How far the windows of a key group have fired.
    #[inline]
    pub(super) fn of_group(&self, group: u32) -> i64 {
        if self.restored.is_empty() { self.watermark } else { self.restored_group(group) }
    }

    #[cold]
    fn restored_group(&self, group: u32) -> i64 {
        let part = self.restored.iter().find(|part| part.start <= group && group < part.end);
        part.map_or(self.watermark, |part| part.watermark.max(self.watermark))
    }

    /// How far the windows of every key group have fired.
    pub(super) fn slowest(&self) -> i64 {
        if self.restored.is_empty() {
            return self.watermark;
        }
        let covered: u32 = self.restored.iter().map(|part| part.end - part.start).sum();
        let slowest = self.restored.iter().map(|part| part.watermark).min().unwrap_or(i64::MIN);
        if (covered as usize) < self.own.len() { self.watermark } else { slowest.max(self.watermark) }
    }

    /// The current watermark.
    pub(super) fn watermark(&self) -> i64 {
        self.watermark
    }

    /// All windows up to this watermark have fired.
    pub(super) fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
        self.restored.retain(|part| part.watermark > self.watermark);
    }

    /// Event time begins anew, for another key: batch mode.
    pub(super) fn begin_again(&mut self) {
        self.watermark = i64::MIN;
    }

    pub(super) fn snapshot(&self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        snapshot.list(STATE, Redistribution::Union, &self.parts())?;
        Ok(())
    }

    /// One part for each stretch of key groups with the same progress.
    fn parts(&self) -> Vec<Reached> {
        let mut parts: Vec<Reached> = Vec::new();
        for group in self.own.start..self.own.end {
            let watermark = self.of_group(group);
            match parts.last_mut() {
                Some(last) if last.watermark == watermark => last.end = group + 1,
                _ => parts.push(Reached { start: group, end: group + 1, watermark }),
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_come_from_different_subtasks_keep_their_own_progress_until_the_watermark_passes_it() {
        let parts =
            [Reached { start: 0, end: 64, watermark: 100 }, Reached { start: 64, end: 128, watermark: 150 }];
        let mut progress = Progress::of_parts(KeyGroups { start: 32, end: 96 }, &parts);
        assert_eq!((progress.of_group(40), progress.of_group(90)), (100, 150));
        assert_eq!(progress.slowest(), 100);
        progress.advance(120);
        assert_eq!((progress.of_group(40), progress.of_group(90)), (120, 150));
        assert_eq!(progress.slowest(), 120);
        let again = Progress::of_parts(KeyGroups { start: 32, end: 96 }, &progress.parts());
        assert_eq!((again.of_group(40), again.of_group(90)), (120, 150));
        progress.advance(150);
        assert_eq!((progress.slowest(), progress.parts().len()), (150, 1));
    }
}
