//! How much memory operators may use in batch mode, and how much records take.
//!
//! The memory is the slot's managed memory, divided among the vertices in it that group by key.

use kvick_core::graph::{JobGraph, JobVertex, Partitioning, RuntimeMode};
use serde::Serialize;

/// The share of one vertex: its slot's managed memory, divided by the number of vertices in the slot that group by key, or
/// aggregate before they send.
pub fn share(graph: &JobGraph, vertex: &JobVertex, managed: u64) -> u64 {
    if graph.mode != RuntimeMode::Batch {
        return managed;
    }
    let group = &vertex.slot_sharing_group;
    let keyed = graph.vertices.iter().filter(|other| {
        let mut edges = graph.inputs(other.id).chain(graph.outputs(other.id));
        other.slot_sharing_group == *group && edges.any(|edge| edge.partitioning == Partitioning::Hash)
    });
    managed / (keyed.count().max(1) as u64)
}

/// One in so many records is measured, once there are enough for an average.
const SAMPLE: u64 = 32;
/// So many records are measured at first.
const FIRST: u64 = 64;
/// What an allocation costs beyond its content: the allocator's head and rounding.
const ALLOCATION: u64 = 16;

/// The memory that values take beyond their own size, estimated from what a sample of them takes serialised.
#[derive(Debug, Default)]
pub struct Estimate {
    seen: u64,
    measured: u64,
    bytes: u64,
}

impl Estimate {
    /// Takes note of a value; `fixed` is the size that it has in place.
    #[inline]
    pub fn add<T: Serialize>(&mut self, value: &T, fixed: usize) {
        self.seen += 1;
        if self.seen <= FIRST || self.seen.is_multiple_of(SAMPLE) {
            self.measure(value, fixed);
        }
    }

    #[cold]
    fn measure<T: Serialize>(&mut self, value: &T, fixed: usize) {
        let serialized = postcard::serialize_with_flavor(value, postcard::ser_flavors::Size::default());
        // A value that refuses to be serialised fails where it is written, and says why there.
        let serialized = serialized.unwrap_or(0) as u64;
        self.measured += 1;
        self.bytes += fixed as u64 + serialized + ALLOCATION;
    }

    /// The average of one value, in bytes.
    #[inline]
    pub fn each(&self) -> u64 {
        self.bytes.checked_div(self.measured).unwrap_or(0)
    }
}
