//! The end of a stream, where it can be named and configured.

use crate::environment::StreamExecutionEnvironment;
use crate::graph::{Chaining, Node};

/// A sink that was added to a stream.
pub struct DataStreamSink {
    pub(crate) env: StreamExecutionEnvironment,
    pub(crate) node: usize,
}

impl DataStreamSink {
    fn configure(self, set: impl FnOnce(&mut Node)) -> Self {
        if let Some(node) = self.env.shared.state().graph.nodes.get_mut(self.node) {
            set(node);
        }
        self
    }

    /// Names the sink.
    pub fn name(self, name: &str) -> Self {
        self.configure(|node| node.name = name.to_string())
    }

    /// Gives the sink an id that stays the same when the program changes.
    pub fn uid(self, uid: &str) -> Self {
        self.configure(|node| node.uid = Some(uid.to_string()))
    }

    /// The number of subtasks.
    #[doc(alias = "setParallelism")]
    pub fn set_parallelism(self, parallelism: u32) -> Self {
        self.configure(|node| node.parallelism = Some(parallelism))
    }

    /// The number of key groups, from 1 to 32768.
    #[doc(alias = "setMaxParallelism")]
    pub fn set_max_parallelism(self, max_parallelism: u32) -> Self {
        self.configure(|node| node.max_parallelism = Some(max_parallelism))
    }

    /// Subtasks of operators in different groups do not share slots.
    #[doc(alias = "slotSharingGroup")]
    pub fn slot_sharing_group(self, group: &str) -> Self {
        self.configure(|node| node.slot_sharing_group = Some(group.to_string()))
    }

    /// Lets the sink be a task of its own.
    #[doc(alias = "disableChaining")]
    pub fn disable_chaining(self) -> Self {
        self.configure(|node| node.chaining = Chaining::Never)
    }
}
