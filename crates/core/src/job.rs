//! What is submitted, and what comes back: the program, the submission, job states and results.

use crate::accumulator::{self, Accumulator, Accumulators};
use crate::config::Configuration;
use crate::failure::Failure;
use crate::graph::JobGraph;
use crate::ids::JobId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A file that every process of a job can fetch: by name beside it (localised by YARN), or from `uri`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The file's name, as the user knows it (`WordCount.jar`).
    pub name: String,
    /// Where it can be read (`hdfs://…`, `file:///…`).
    pub uri: String,
    /// SHA-256 of its content, 64 hexadecimal digits.
    pub sha256: String,
    /// Length in bytes.
    pub size: u64,
}

/// The program of a job: its jar, the entry point in it and the arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramSpec {
    /// The jar.
    pub jar: Artifact,
    /// The entry point (`-c`); the manifest's `Main-Class` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
}

/// Everything needed to run one `execute()` of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSubmission {
    /// The job's id, chosen by whoever submits.
    pub job_id: JobId,
    /// Which `execute()` of the program this is, from 0.
    pub ordinal: u32,
    /// The program.
    pub program: ProgramSpec,
    /// The graph.
    pub graph: JobGraph,
    /// The effective configuration of the job: what the client resolved; the cluster's own is below it.
    #[serde(default)]
    pub config: Configuration,
    /// What `once` recorded, by name; replayed in every worker.
    #[serde(default)]
    pub once: BTreeMap<String, String>,
    /// Results of the `execute()` calls before this one, replayed in every worker.
    #[serde(default)]
    pub earlier: Vec<JobResult>,
}

/// The life of a job. The names are those of Flink's REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobState {
    /// Being set up.
    Initializing,
    /// Waiting for slots.
    Created,
    /// Tasks are deployed.
    Running,
    /// A failure is being cleaned up; the job will fail.
    Failing,
    /// Failed for good.
    Failed,
    /// Being cancelled.
    Cancelling,
    /// Cancelled.
    Canceled,
    /// All tasks finished.
    Finished,
    /// A failure is being cleaned up; the job will go on.
    Restarting,
    /// Stopped here, to go on elsewhere.
    Suspended,
    /// Being taken over from an earlier master.
    Reconciling,
}

impl JobState {
    /// Every state in the order in which Flink's REST API lists them.
    pub const ALL: [JobState; 11] = [
        JobState::Initializing,
        JobState::Created,
        JobState::Running,
        JobState::Failing,
        JobState::Failed,
        JobState::Cancelling,
        JobState::Canceled,
        JobState::Finished,
        JobState::Restarting,
        JobState::Suspended,
        JobState::Reconciling,
    ];

    /// Whether nothing follows this state, on any master.
    pub fn is_terminal(self) -> bool {
        matches!(self, JobState::Failed | JobState::Canceled | JobState::Finished)
    }
}

/// The end of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobResult {
    /// The job.
    pub job_id: JobId,
    /// A terminal state.
    pub state: JobState,
    /// From the submission's arrival to the end, in milliseconds.
    pub net_runtime_ms: u64,
    /// Merged over all subtasks.
    #[serde(default)]
    pub accumulators: Accumulators,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl JobResult {
    /// The lines that a client prints about a job that finished, as Flink's does.
    pub fn finished_lines(&self) -> String {
        let mut text = format!(
            "Program execution finished\nJob with JobID {} has finished.\nJob Runtime: {} ms\n",
            self.job_id, self.net_runtime_ms
        );
        let mut shown_ones = accumulator::shown(&self.accumulators).peekable();
        if shown_ones.peek().is_some() {
            text.push_str("Accumulator Results: \n");
            for (name, value) in shown_ones {
                text.push_str(&format!("- {name} ({}){}\n", value.java_type(), shown(value)));
            }
            text.push('\n');
        }
        text.push('\n');
        text
    }
}

/// Collections show how many elements they have, everything else its value.
fn shown(value: &Accumulator) -> String {
    match value {
        Accumulator::LongCounter(n) | Accumulator::LongMinimum(n) | Accumulator::LongMaximum(n) => {
            format!(": {n}")
        }
        Accumulator::DoubleCounter(n) => format!(": {n}"),
        Accumulator::List(values) => format!(" [{} elements]", values.len()),
        Accumulator::Histogram(counts) => format!(" [{} elements]", counts.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_job_with_and_without_accumulators() {
        let mut result = JobResult {
            job_id: JobId(7),
            state: JobState::Finished,
            net_runtime_ms: 762,
            accumulators: Accumulators::new(),
            failure: None,
        };
        let plain = "Program execution finished\nJob with JobID 00000000000000000000000000000007 has finished.\nJob Runtime: 762 ms\n\n";
        assert_eq!(result.finished_lines(), plain);
        result.accumulators.insert("rows".into(), Accumulator::LongCounter(1000));
        result.accumulators.insert("seen".into(), Accumulator::List(vec!["a".into(), "b".into()]));
        let expected = "Job Runtime: 762 ms\nAccumulator Results: \n- rows (java.lang.Long): 1000\n- seen (java.util.ArrayList) [2 elements]\n\n\n";
        assert!(result.finished_lines().ends_with(expected), "{}", result.finished_lines());
    }
}
