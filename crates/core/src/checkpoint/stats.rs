//! Statistics of checkpoints: what `/jobs/:jobid/checkpoints` and its details show. Times in milliseconds, sizes in bytes.

use super::message::{SnapshotKind, SnapshotMetrics};
use crate::ids::VertexId;
use crate::time::Millis;
use std::collections::{BTreeMap, VecDeque};

/// How many completed checkpoints a summary is computed over.
const WINDOW: usize = 1_000;

/// Where a checkpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointStatus {
    /// Under way.
    InProgress,
    /// Stored.
    Completed,
    /// It will not come to be.
    Failed,
}

/// Since the job began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckpointCounts {
    /// Restores; regions that are deployed at one instant count once.
    pub restored: u64,
    /// Triggered.
    pub total: u64,
    /// Under way.
    pub in_progress: u64,
    /// Stored.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
}

/// What a subtask contributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubtaskCheckpointStats {
    /// When it acknowledged.
    pub acknowledged: Millis,
    /// All its state.
    pub state_bytes: u64,
    /// What it measured.
    pub metrics: SnapshotMetrics,
}

/// One checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Its number.
    pub id: u64,
    /// Where it stands.
    pub status: CheckpointStatus,
    /// What it is for.
    pub kind: SnapshotKind,
    /// Whether barriers overtake records at once, or have done so in any subtask.
    pub unaligned: bool,
    /// When it was triggered.
    pub triggered: Millis,
    /// When the last acknowledgement came.
    pub latest_ack: Option<Millis>,
    /// How many subtasks take part.
    pub subtasks: u32,
    /// How many have acknowledged.
    pub acknowledged: u32,
    /// All state.
    pub state_bytes: u64,
    /// What was written for it.
    pub checkpointed_bytes: u64,
    /// What was processed during alignment.
    pub processed_bytes: u64,
    /// Records in flight that became state.
    pub persisted_bytes: u64,
    /// Where it lies, once completed.
    pub external_path: Option<String>,
    /// Whether it was removed.
    pub discarded: bool,
    /// When it failed, and why.
    pub failure: Option<(Millis, String)>,
    /// By vertex and subtask.
    pub tasks: BTreeMap<VertexId, Vec<Option<SubtaskCheckpointStats>>>,
}

impl CheckpointStats {
    /// From the trigger to the last acknowledgement; while none has come, to the failure or to `now`.
    pub fn duration(&self, now: Millis) -> Millis {
        let failed = self.failure.as_ref().map(|(at, _)| *at);
        let end = match self.status {
            CheckpointStatus::InProgress => now,
            CheckpointStatus::Failed => failed.or(self.latest_ack).unwrap_or(self.triggered),
            CheckpointStatus::Completed => self.latest_ack.unwrap_or(self.triggered),
        };
        end.since(self.triggered)
    }

    /// `checkpoint_type` of the REST API.
    pub fn type_name(&self) -> &'static str {
        self.kind.type_name(self.unaligned)
    }
}

/// The restore from which the job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredStats {
    /// The checkpoint.
    pub id: u64,
    /// When tasks were deployed with it.
    pub at: Millis,
    /// Whether it is a savepoint.
    pub savepoint: bool,
    /// Where it lies.
    pub external_path: Option<String>,
}

/// Minimum, maximum, average and percentiles of a figure. All zero, and no percentiles, without any value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Distribution {
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
    /// The average, rounded down.
    pub avg: u64,
    /// 50th, 90th, 95th, 99th and 99.9th percentile.
    pub percentiles: Option<[f64; 5]>,
}

impl Distribution {
    /// The distribution of these values.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Distribution {
        let mut sorted: Vec<u64> = values.into_iter().collect();
        sorted.sort_unstable();
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return Distribution::default();
        };
        let sum: u128 = sorted.iter().map(|v| u128::from(*v)).sum();
        let percentiles = [0.5, 0.9, 0.95, 0.99, 0.999].map(|p| percentile(&sorted, p));
        let avg = (sum / sorted.len() as u128) as u64;
        Distribution { min, max, avg, percentiles: Some(percentiles) }
    }
}

/// Between the two values next to position `p * (n + 1)`, as Apache Commons Math (and so Flink) does it.
fn percentile(sorted: &[u64], p: f64) -> f64 {
    let position = (p * (sorted.len() as f64 + 1.0)).max(1.0);
    let below = (position.floor() as usize).min(sorted.len());
    let above = (below + 1).min(sorted.len());
    let (low, high) = (sorted[below - 1] as f64, sorted[above - 1] as f64);
    low + (position - position.floor()) * (high - low)
}

/// Over the latest completed checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CheckpointSummary {
    /// What was written.
    pub checkpointed_bytes: Distribution,
    /// All state.
    pub state_bytes: Distribution,
    /// From trigger to last acknowledgement.
    pub duration: Distribution,
    /// Processed during alignment.
    pub processed_bytes: Distribution,
    /// Records in flight that became state.
    pub persisted_bytes: Distribution,
}

/// The memory of it all.
#[derive(Debug, Clone, Default)]
pub struct CheckpointStatistics {
    counts: CheckpointCounts,
    /// Oldest first.
    history: VecDeque<CheckpointStats>,
    limit: usize,
    completed: VecDeque<[u64; 5]>,
    latest_completed: Option<Box<CheckpointStats>>,
    latest_savepoint: Option<Box<CheckpointStats>>,
    latest_failed: Option<Box<CheckpointStats>>,
    restored: Option<RestoredStats>,
}

impl CheckpointStatistics {
    pub(super) fn new(limit: usize) -> CheckpointStatistics {
        CheckpointStatistics { limit, ..CheckpointStatistics::default() }
    }

    /// Getter: how many there were.
    pub fn counts(&self) -> CheckpointCounts {
        self.counts
    }

    /// Getter: the latest checkpoints, newest first.
    pub fn history(&self) -> impl Iterator<Item = &CheckpointStats> {
        self.history.iter().rev()
    }

    /// Getter: a checkpoint, while it is remembered.
    pub fn checkpoint(&self, id: u64) -> Option<&CheckpointStats> {
        let latest = [&self.latest_completed, &self.latest_savepoint, &self.latest_failed];
        let latest = latest.into_iter().flatten().map(|stats| &**stats);
        self.history.iter().chain(latest).find(|stats| stats.id == id)
    }

    /// Getter: the newest completed checkpoint that is no savepoint.
    pub fn latest_completed(&self) -> Option<&CheckpointStats> {
        self.latest_completed.as_deref()
    }

    /// Getter: the newest savepoint.
    pub fn latest_savepoint(&self) -> Option<&CheckpointStats> {
        self.latest_savepoint.as_deref()
    }

    /// Getter: the newest that failed.
    pub fn latest_failed(&self) -> Option<&CheckpointStats> {
        self.latest_failed.as_deref()
    }

    /// Getter: from what the job was restored last.
    pub fn latest_restored(&self) -> Option<&RestoredStats> {
        self.restored.as_ref()
    }

    /// Getter: over the completed ones.
    pub fn summary(&self) -> CheckpointSummary {
        let column = |i: usize| Distribution::of(self.completed.iter().map(|row| row[i]));
        CheckpointSummary {
            checkpointed_bytes: column(0),
            state_bytes: column(1),
            duration: column(2),
            processed_bytes: column(3),
            persisted_bytes: column(4),
        }
    }

    pub(super) fn triggered(&mut self, stats: CheckpointStats) {
        self.counts.total += 1;
        self.counts.in_progress += 1;
        self.history.push_back(stats);
        // What is under way stays, however many they are.
        while self.history.len() > self.limit {
            let oldest = self.history.iter().position(|s| s.status != CheckpointStatus::InProgress);
            let Some(oldest) = oldest else { break };
            self.history.remove(oldest);
        }
    }

    pub(super) fn acknowledged(
        &mut self,
        id: u64,
        vertex: VertexId,
        subtask: u32,
        stats: SubtaskCheckpointStats,
    ) {
        let Some(checkpoint) = self.find(id) else { return };
        checkpoint.acknowledged += 1;
        checkpoint.latest_ack = Some(stats.acknowledged);
        checkpoint.state_bytes += stats.state_bytes;
        checkpoint.checkpointed_bytes += stats.metrics.checkpointed_bytes;
        checkpoint.processed_bytes += stats.metrics.processed_bytes;
        checkpoint.persisted_bytes += stats.metrics.persisted_bytes;
        checkpoint.unaligned |= stats.metrics.unaligned;
        let slot = checkpoint.tasks.get_mut(&vertex).and_then(|all| all.get_mut(subtask as usize));
        if let Some(slot) = slot {
            *slot = Some(stats);
        }
    }

    pub(super) fn completed(&mut self, now: Millis, id: u64, external_path: String) {
        self.counts.in_progress -= 1;
        self.counts.completed += 1;
        let Some(stats) = self.find(id) else { return };
        stats.status = CheckpointStatus::Completed;
        stats.external_path = Some(external_path);
        let stats = stats.clone();
        let duration = stats.duration(now).0;
        self.completed.push_back([
            stats.checkpointed_bytes,
            stats.state_bytes,
            duration,
            stats.processed_bytes,
            stats.persisted_bytes,
        ]);
        if self.completed.len() > WINDOW {
            self.completed.pop_front();
        }
        let latest =
            if stats.kind.is_savepoint() { &mut self.latest_savepoint } else { &mut self.latest_completed };
        *latest = Some(Box::new(stats));
    }

    pub(super) fn failed(&mut self, now: Millis, id: u64, why: String) {
        self.counts.in_progress -= 1;
        self.counts.failed += 1;
        let Some(stats) = self.find(id) else { return };
        stats.status = CheckpointStatus::Failed;
        stats.failure = Some((now, why));
        self.latest_failed = Some(Box::new(stats.clone()));
    }

    pub(super) fn discarded(&mut self, id: u64) {
        let latest = [&mut self.latest_completed, &mut self.latest_savepoint];
        let latest = latest.into_iter().flatten().map(|stats| &mut **stats);
        for stats in self.history.iter_mut().chain(latest).filter(|stats| stats.id == id) {
            stats.discarded = true;
        }
    }

    pub(super) fn restored(&mut self, restored: RestoredStats) {
        // The regions of one failure are deployed at one instant.
        let again = |before: &RestoredStats| before.id == restored.id && before.at == restored.at;
        if !self.restored.as_ref().is_some_and(again) {
            self.counts.restored += 1;
        }
        self.restored = Some(restored);
    }

    fn find(&mut self, id: u64) -> Option<&mut CheckpointStats> {
        self.history.iter_mut().rev().find(|stats| stats.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_that_of_its_values() {
        let ten = Distribution::of(1..=10);
        assert_eq!((ten.min, ten.max, ten.avg), (1, 10, 5));
        let [p50, p90, ..] = ten.percentiles.unwrap();
        assert!((p50 - 5.5).abs() < 1e-9 && (p90 - 9.9).abs() < 1e-9, "{p50} {p90}");
        assert_eq!(Distribution::of([7]).percentiles, Some([7.0; 5]));
        assert_eq!(Distribution::of([]), Distribution::default());
    }
}
