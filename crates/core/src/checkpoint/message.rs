//! What job master and tasks say to each other about checkpoints. It travels through task executor and worker unchanged.

use super::failure::CheckpointFailureReason;
use super::state::SubtaskState;
use crate::failure::Failure;
use crate::ids::{ExecutionId, VertexId};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The form in which a savepoint's state is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SavepointFormat {
    /// The same for every state backend.
    #[default]
    Canonical,
    /// The backend's own.
    Native,
}

/// What a snapshot is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SnapshotKind {
    /// Recovery.
    Checkpoint,
    /// A person; the job goes on and nothing is committed.
    Savepoint {
        /// How state is written.
        format: SavepointFormat,
    },
    /// The end of the job: a task takes its snapshot, emits nothing more, and finishes once the savepoint is complete.
    Stop {
        /// How state is written.
        format: SavepointFormat,
        /// Whether the input counts as ended: windows fire, and operators finish, before the snapshot.
        drain: bool,
    },
}

impl SnapshotKind {
    /// Whether it belongs to a person, and not to the coordinator.
    pub fn is_savepoint(self) -> bool {
        !matches!(self, SnapshotKind::Checkpoint)
    }

    /// The savepoint's format.
    pub fn format(self) -> Option<SavepointFormat> {
        match self {
            SnapshotKind::Checkpoint => None,
            SnapshotKind::Savepoint { format } | SnapshotKind::Stop { format, .. } => Some(format),
        }
    }

    /// `checkpoint_type` of the REST API.
    pub fn type_name(self, unaligned: bool) -> &'static str {
        match self {
            SnapshotKind::Checkpoint if unaligned => "UNALIGNED_CHECKPOINT",
            SnapshotKind::Checkpoint => "CHECKPOINT",
            SnapshotKind::Savepoint { .. } => "SAVEPOINT",
            SnapshotKind::Stop { .. } => "SYNC_SAVEPOINT",
        }
    }
}

/// How barriers treat the records before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BarrierAlignment {
    /// Channels are not blocked.
    AtLeastOnce,
    /// Channels are blocked until all barriers are there.
    Aligned,
    /// The same, but barriers overtake once alignment has taken this long.
    AlignedFor {
        /// In milliseconds.
        timeout: Millis,
    },
    /// Barriers overtake records, which become state.
    Unaligned,
}

impl BarrierAlignment {
    /// Whether barriers of this kind overtake records, now or later.
    pub fn may_overtake(self) -> bool {
        matches!(self, BarrierAlignment::AlignedFor { .. } | BarrierAlignment::Unaligned)
    }
}

/// Where the state of a snapshot goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SnapshotTarget {
    /// Into the acknowledgement. Larger state is an error of the task.
    Inline {
        /// The most that one piece may have, in bytes.
        max_bytes: u64,
    },
    /// Into files, which the task names itself and creates with their parent directories.
    Directory {
        /// For files of this checkpoint alone; removed with it. [`super::StateFile::Own`] names are relative to it.
        exclusive: String,
        /// For files that later checkpoints may refer to.
        shared: String,
        /// For files that tasks themselves remove.
        task_owned: String,
        /// State up to this size, in bytes, goes into the acknowledgement.
        inline_threshold: u64,
    },
}

/// The order to take a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerCheckpoint {
    /// Its number: carried by the barriers.
    pub checkpoint: u64,
    /// When it was triggered: carried by the barriers.
    pub timestamp: Millis,
    /// What for.
    pub kind: SnapshotKind,
    /// The completed checkpoint whose shared files it may refer to, and no others; carried by the barriers. Without one,
    /// or where a task does not know any more what it wrote for that one, everything is written anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// How barriers treat records.
    pub alignment: BarrierAlignment,
    /// Where state goes.
    pub target: SnapshotTarget,
}

/// What the job master tells tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CheckpointCommand {
    /// To tasks without running predecessors: take a snapshot and send barriers. All others hear of it by barriers.
    Trigger(TriggerCheckpoint),
    /// To all that took part: it is durable. Commit what was prepared for it and for all before it; what was written for
    /// earlier ones will not be a [`TriggerCheckpoint::base`] of later ones; after [`SnapshotKind::Stop`], or after the end
    /// of data was part of it, finish.
    Complete {
        /// Which.
        checkpoint: u64,
    },
    /// To all that should have taken part: it will not come to be. Forget it and go on, also after a
    /// [`SnapshotKind::Stop`] that did not drain. Its barriers may come later than this: they are to be passed on, but no
    /// snapshot is taken for them, and nothing stops.
    Abort {
        /// Which.
        checkpoint: u64,
    },
}

/// What a task hands over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskSnapshot {
    /// By operator; operators without state may be left out.
    #[serde(default)]
    pub operators: BTreeMap<VertexId, SubtaskState>,
    /// Whether it was restored as finished and has nothing to do (see [`super::TaskRestore::finished`]).
    #[serde(default)]
    pub finished: bool,
}

/// What taking a snapshot cost a task. Times in milliseconds, sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotMetrics {
    /// Written for this checkpoint, without what was only referred to.
    pub checkpointed_bytes: u64,
    /// While no record was processed.
    pub sync_ms: u64,
    /// Beside the processing of records.
    pub async_ms: u64,
    /// From the first barrier to the last.
    pub alignment_ms: u64,
    /// From the trigger to the first barrier.
    pub start_delay_ms: u64,
    /// Processed during alignment.
    pub processed_bytes: u64,
    /// Records in flight that became state.
    pub persisted_bytes: u64,
    /// Whether barriers overtook records.
    pub unaligned: bool,
}

/// What tasks tell the job master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CheckpointReport {
    /// The snapshot is taken, and every file of it is closed.
    Acknowledged {
        /// By whom.
        execution: ExecutionId,
        /// Of which checkpoint.
        checkpoint: u64,
        /// The state.
        snapshot: TaskSnapshot,
        /// What it cost.
        #[serde(default)]
        metrics: SnapshotMetrics,
    },
    /// There will be no snapshot.
    Declined {
        /// By whom.
        execution: ExecutionId,
        /// Of which checkpoint.
        checkpoint: u64,
        /// Why, in kind.
        reason: CheckpointFailureReason,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// All input was read and all operators have finished; the task waits for a checkpoint that contains this.
    EndOfData {
        /// Who.
        execution: ExecutionId,
    },
}

impl CheckpointReport {
    /// Who reports.
    pub fn execution(&self) -> ExecutionId {
        match self {
            CheckpointReport::Acknowledged { execution, .. }
            | CheckpointReport::Declined { execution, .. }
            | CheckpointReport::EndOfData { execution } => *execution,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{
        ChannelLog, InFlight, KeyGroups, KeyedData, KeyedState, StateFile, StateHandle, TaskRestore,
    };
    use crate::executor::{FromExecutor, ToExecutor};
    use crate::ids::JobId;
    use crate::task::TaskDeployment;

    fn state() -> BTreeMap<VertexId, SubtaskState> {
        let file = StateFile::Shared("hdfs:///c/shared/1".into());
        let handle = StateHandle::File { file, offset: 3, length: u64::MAX, checksum: u64::MAX };
        let keyed = KeyedState {
            kind: "rocksdb/1".into(),
            key_groups: KeyGroups { start: 0, end: 64 },
            data: KeyedData::Files { files: BTreeMap::from([("000012.sst".to_string(), handle)]) },
        };
        BTreeMap::from([(VertexId(7), SubtaskState { keyed: vec![keyed], ..SubtaskState::default() })])
    }

    #[test]
    fn every_message_about_checkpoints_survives_the_wire() {
        let (job_id, execution) = (JobId(1), ExecutionId { vertex: VertexId(7), subtask: 1, attempt: 2 });
        let snapshot = TaskSnapshot { operators: state(), finished: false };
        let metrics = SnapshotMetrics { sync_ms: 4, unaligned: true, ..SnapshotMetrics::default() };
        let report = CheckpointReport::Acknowledged { execution, checkpoint: 9, snapshot, metrics };
        let said = FromExecutor::Checkpoint { job_id, report };
        let text = serde_json::to_vec(&said).unwrap();
        assert_eq!(serde_json::from_slice::<FromExecutor>(&text).unwrap(), said);

        let order = TriggerCheckpoint {
            checkpoint: 9,
            timestamp: Millis(5),
            kind: SnapshotKind::Stop { format: SavepointFormat::Native, drain: true },
            base: Some(8),
            alignment: BarrierAlignment::AlignedFor { timeout: Millis(10) },
            target: SnapshotTarget::Inline { max_bytes: 1 },
        };
        let handle = StateHandle::Inline { bytes: vec![1].into() };
        let in_flight =
            InFlight { output: 1, repartitioned: true, logs: vec![ChannelLog { consumer: 2, handle }] };
        let (operators, in_flight) = (state(), vec![in_flight]);
        let restore = TaskRestore { checkpoint: 8, directory: None, finished: false, operators, in_flight };
        let (inputs, outputs) = (Vec::new(), Vec::new());
        let deployment = TaskDeployment { execution, inputs, outputs, restore: Some(restore) };
        for order in [
            ToExecutor::Checkpoint {
                job_id,
                executions: vec![execution],
                command: CheckpointCommand::Trigger(order),
            },
            ToExecutor::Deploy { job_id, tasks: vec![deployment] },
        ] {
            let text = serde_json::to_vec(&order).unwrap();
            assert_eq!(serde_json::from_slice::<ToExecutor>(&text).unwrap(), order);
        }
    }
}
