//! What a program says of the operator that makes a stream: its name and id, parallelism, slots and chaining.

use super::DataStream;
use crate::graph::{Chaining, Node};
use kvick_runtime::element::Data;

impl<T: Data> DataStream<T> {
    fn configure(self, set: impl Fn(&mut Node)) -> Self {
        let mut state = self.env.shared.state();
        if let [origin] = self.origins.as_slice()
            && origin.side.is_none()
            && let Some(node) = state.graph.nodes.get_mut(origin.from)
        {
            set(node);
        }
        drop(state);
        self
    }

    pub(crate) fn aligned_in(self, group: Option<String>) -> Self {
        self.configure(|node| node.alignment_group.clone_from(&group))
    }

    /// Names the operator that makes this stream. (A union or a side output has no operator of its own: this and the
    /// following settings do not change it.)
    pub fn name(self, name: &str) -> Self {
        self.configure(|node| node.name = name.to_string())
    }

    /// Gives the operator an id that stays the same when the program changes; state is found by it.
    pub fn uid(self, uid: &str) -> Self {
        self.configure(|node| node.uid = Some(uid.to_string()))
    }

    /// The number of subtasks of the operator.
    #[doc(alias = "setParallelism")]
    pub fn set_parallelism(self, parallelism: u32) -> Self {
        self.configure(|node| node.parallelism = Some(parallelism))
    }

    /// The number of key groups of the operator, from 1 to 32768.
    #[doc(alias = "setMaxParallelism")]
    pub fn set_max_parallelism(self, max_parallelism: u32) -> Self {
        self.configure(|node| node.max_parallelism = Some(max_parallelism))
    }

    /// How long records of the operator may wait for a buffer to fill, in milliseconds; 0: not at all, -1: for ever. Stronger
    /// than the environment's setting.
    #[doc(alias = "setBufferTimeout")]
    pub fn set_buffer_timeout(self, millis: i64) -> Self {
        self.configure(|node| node.buffer_timeout = Some(millis))
    }

    /// Subtasks of operators in different groups do not share slots.
    #[doc(alias = "slotSharingGroup")]
    pub fn slot_sharing_group(self, group: &str) -> Self {
        self.configure(|node| node.slot_sharing_group = Some(group.to_string()))
    }

    /// Lets the operator be a task of its own.
    #[doc(alias = "disableChaining")]
    pub fn disable_chaining(self) -> Self {
        self.configure(|node| node.chaining = Chaining::Never)
    }

    /// Lets the operator start a task.
    #[doc(alias = "startNewChain")]
    pub fn start_new_chain(self) -> Self {
        self.configure(|node| node.chaining = Chaining::Head)
    }
}
