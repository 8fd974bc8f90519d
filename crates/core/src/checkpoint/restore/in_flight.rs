//! Records that were in flight: an unaligned checkpoint finds them at their consumers, a restore sends them again from their
//! producers.
//!
//! Producers know how records of an edge are partitioned, consumers do not. At an unchanged parallelism each producer gets
//! back what it had sent, channel by channel; at another one the channels are dealt out, and their records partitioned anew.

use super::RestorePlan;
use crate::checkpoint::metadata::OperatorState;
use crate::checkpoint::state::{ChannelSide, ChannelState, StateHandle};
use crate::graph::{JobEdge, JobGraph, JobVertex, TaskRef};
use serde::{Deserialize, Serialize};

/// What one channel held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelLog {
    /// The subtask that it led to.
    pub consumer: u32,
    /// What it held, in order.
    pub handle: StateHandle,
}

/// What a producer is to send again before anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// [`crate::graph::JobEdge::output`].
    pub output: u32,
    /// Whether the parallelism of either side has changed: channels are others, and records are to be partitioned anew.
    pub repartitioned: bool,
    /// By channel; none where others of the same vertex have all there was.
    pub logs: Vec<ChannelLog>,
}

impl RestorePlan {
    /// What a task is to send again, by output.
    pub(super) fn in_flight(&self, graph: &JobGraph, task: TaskRef) -> Vec<InFlight> {
        let vertex = &graph.vertices[task.vertex];
        graph.outputs(vertex.id).filter_map(|edge| self.of_edge(graph, vertex, edge, task.subtask)).collect()
    }

    fn of_edge(&self, graph: &JobGraph, from: &JobVertex, edge: &JobEdge, subtask: u32) -> Option<InFlight> {
        let to = graph.vertex(edge.target)?;
        let (producer, consumer) = (self.head_state(from), self.head_state(to)?);
        let mut logs = logs_of(consumer, edge.input).peekable();
        logs.peek()?;
        let unchanged = consumer.parallelism == to.parallelism
            && producer.is_some_and(|state| state.parallelism == from.parallelism);
        let own = |(_, channel): &(u32, &ChannelState)| match unchanged {
            true => channel.channel == subtask,
            false => channel.channel % from.parallelism == subtask,
        };
        let log = |(consumer, channel): (u32, &ChannelState)| ChannelLog {
            consumer,
            handle: channel.handle.clone(),
        };
        let logs = logs.filter(own).map(log).collect();
        Some(InFlight { output: edge.output, repartitioned: !unchanged, logs })
    }

    pub(super) fn head_state(&self, vertex: &JobVertex) -> Option<&OperatorState> {
        let head = vertex.operator_ids().next()?;
        Some(&self.metadata.operators[*self.operators.get(&head)?])
    }
}

/// Each channel of an input that held something, with the subtask that it led to.
fn logs_of(state: &OperatorState, input: u32) -> impl Iterator<Item = (u32, &ChannelState)> {
    let of_input = move |channel: &&ChannelState| channel.side == ChannelSide::Input && channel.port == input;
    state.subtasks.iter().flat_map(move |(i, s)| s.channels.iter().filter(of_input).map(move |c| (*i, c)))
}
