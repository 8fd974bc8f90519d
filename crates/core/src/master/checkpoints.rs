//! The master's inputs about checkpoints: what people ask for, and what has become of what was to be made durable.

use super::{Effect, Master, SubmitError};

use crate::checkpoint::{CallerId, SnapshotRequest};
use crate::graph::JobGraph;
use crate::ids::JobId;
use crate::time::Millis;

impl Master {
    /// Input: a person asks for a checkpoint or savepoint of a job. Says whether there is such a job; if so, exactly one
    /// [`crate::checkpoint::CheckpointEffect::Answer`] follows.
    pub fn request_snapshot(
        &mut self,
        now: Millis,
        id: JobId,
        caller: CallerId,
        request: SnapshotRequest,
        fx: &mut Vec<Effect>,
    ) -> bool {
        self.with_job(now, id, fx, |job, e| job.request_snapshot(now, caller, request, e));
        self.jobs.contains_key(&id)
    }

    /// Input: a person wants a job to run as this graph: the same operators at another parallelism. Says whether there is such
    /// a job; if so, exactly one [`crate::checkpoint::CheckpointEffect::Answer`] follows.
    ///
    /// # Errors
    /// The graph cannot be run here; nothing follows then.
    pub fn rescale(
        &mut self,
        now: Millis,
        id: JobId,
        caller: CallerId,
        graph: JobGraph,
        fx: &mut Vec<Effect>,
    ) -> Result<bool, SubmitError> {
        self.check_graph(&graph)?;
        self.with_job(now, id, fx, |job, e| job.rescale(now, caller, graph, e));
        Ok(self.jobs.contains_key(&id))
    }

    /// Input: the directory of a savepoint was made, or could not be.
    pub fn savepoint_prepared(
        &mut self,
        now: Millis,
        id: JobId,
        token: u64,
        outcome: Result<String, String>,
        fx: &mut Vec<Effect>,
    ) {
        self.with_job(now, id, fx, |job, e| job.savepoint_prepared(now, token, outcome, e));
    }

    /// Input: a checkpoint was made durable (with the path that a person would restore from, where that is not its
    /// directory), or could not be.
    pub fn checkpoint_stored(
        &mut self,
        now: Millis,
        id: JobId,
        checkpoint: u64,
        outcome: Result<Option<String>, String>,
        fx: &mut Vec<Effect>,
    ) {
        self.with_job(now, id, fx, |job, e| job.checkpoint_stored(now, checkpoint, outcome, e));
    }
}
