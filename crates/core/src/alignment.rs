//! Watermark alignment over the workers of a job: how far ahead of the slowest of its group a stream may run (FLIP-182).
//!
//! A worker tells the watermarks of the streams in it every so often ([`GroupReport`]), and is answered with the smallest one of
//! the streams of the group that are elsewhere ([`GroupBound`]). How far a stream may be ahead of that is its worker's to decide.
//!
//! Only what was told last is remembered, never what was answered: a message that is lost, a worker or an application master
//! that begins anew is made good by the next report. Where a stream has said nothing yet (it was just started, perhaps again,
//! or its worker has not met this application master), there is no answer, and the last one stays in force.

use crate::ids::ExecutionId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The watermark of a stream for which nobody waits: it is idle or at its end.
pub const NOT_AWAITED: i64 = i64::MAX;

/// The streams of one group in one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    /// The group's name.
    pub group: String,
    /// By attempt: its watermark in epoch milliseconds, [`i64::MIN`] before there is one, or [`NOT_AWAITED`].
    pub streams: Vec<(ExecutionId, i64)>,
}

/// What streams of one group in one worker may count on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupBound {
    /// The group's name.
    pub group: String,
    /// The smallest watermark of the streams that are elsewhere; [`NOT_AWAITED`] where there is nobody to wait for.
    pub elsewhere: i64,
}

/// What the streams of a job have told.
#[derive(Debug, Clone, Default)]
pub struct Alignment {
    groups: BTreeMap<String, BTreeMap<ExecutionId, i64>>,
}

impl Alignment {
    /// Input: a worker has told of its streams of a group. `streams` are all attempts of the group that have not finished.
    /// Returns what the worker may count on; nothing while any of them has told nothing.
    pub fn report(&mut self, report: &GroupReport, streams: &BTreeSet<ExecutionId>) -> Option<GroupBound> {
        let told = self.groups.entry(report.group.clone()).or_default();
        told.extend(report.streams.iter().copied());
        told.retain(|stream, _| streams.contains(stream));
        if told.len() < streams.len() {
            return None;
        }
        let own: BTreeSet<&ExecutionId> = report.streams.iter().map(|(stream, _)| stream).collect();
        let others = told.iter().filter(|(stream, _)| !own.contains(stream));
        let elsewhere = others.map(|(_, watermark)| *watermark).min().unwrap_or(NOT_AWAITED);
        Some(GroupBound { group: report.group.clone(), elsewhere })
    }
}

#[cfg(test)]
mod tests;
