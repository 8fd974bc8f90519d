//! The job master and the alignment of watermarks: which streams there are in a group now.

use super::{JobEffect, JobMaster};
use crate::alignment::GroupReport;
use crate::ids::{ExecutionId, ExecutorId};
use crate::task::TaskState;
use std::collections::BTreeSet;

impl JobMaster {
    /// Input: the worker on an executor tells how far its streams are that are aligned with others. It is answered with what is
    /// known of those elsewhere.
    pub fn alignment_report(
        &mut self,
        executor: &ExecutorId,
        reports: &[GroupReport],
        fx: &mut Vec<JobEffect>,
    ) {
        let mut bounds = Vec::new();
        for report in reports {
            let streams = self.aligned_streams(&report.group);
            bounds.extend(self.alignment.report(report, &streams));
        }
        if !bounds.is_empty() {
            fx.push(JobEffect::Align(executor.clone(), bounds));
        }
    }

    /// The current attempts of the subtasks with a stream in a group, but for those that have finished.
    fn aligned_streams(&self, group: &str) -> BTreeSet<ExecutionId> {
        let vertices = self.submission.graph.vertices.iter().zip(&self.executions);
        let in_group =
            vertices.filter(|(vertex, _)| vertex.alignment_groups.iter().any(|name| name == group));
        let attempts = in_group.flat_map(|(vertex, executions)| {
            let unfinished =
                (0..).zip(executions).filter(|(_, execution)| execution.state != TaskState::Finished);
            unfinished.map(|(subtask, execution)| execution.id(vertex.id, subtask))
        });
        attempts.collect()
    }
}
