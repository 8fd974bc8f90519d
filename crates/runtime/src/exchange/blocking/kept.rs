//! The results that this process keeps.

use super::super::channel::{Channel, ChannelKey};
use super::not_kept;
use super::serve::{Request, Servers};
use crate::state::store::directory::LocalDirectory;
use crate::task::lock;
use kvick_core::graph::JobGraph;
use kvick_core::ids::{ExecutionId, VertexId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where it begins.
    pub at: u64,
    /// How long it is.
    pub length: u64,
}

/// One output of a task that has finished: a file, and where in it each consumer's part is. Removed on drop.
#[derive(Debug)]
pub(super) struct KeptResult {
    pub path: PathBuf,
    /// By the consumer's subtask index.
    pub extents: BTreeMap<u32, Vec<Extent>>,
    pub _directory: LocalDirectory,
}

#[derive(Default)]
struct State {
    /// The outputs whose results are kept.
    outputs: BTreeSet<(VertexId, u32)>,
    kept: BTreeMap<(ExecutionId, u32), Arc<KeptResult>>,
}

/// All results that are kept in this process for consumers.
#[derive(Default)]
pub struct Results {
    state: Mutex<State>,
    servers: Arc<Servers>,
}

impl Results {
    /// Learns which outputs of a graph are kept.
    pub fn expect(&self, graph: &JobGraph) {
        let kept = graph.edges.iter().filter(|edge| edge.is_blocking());
        lock(&self.state).outputs.extend(kept.map(|edge| (edge.source, edge.output)));
    }

    /// Whether a channel reads a kept result.
    pub fn are_read_by(&self, key: &ChannelKey) -> bool {
        lock(&self.state).outputs.contains(&(key.producer.vertex, key.output))
    }

    pub(super) fn keep(&self, producer: ExecutionId, output: u32, result: KeptResult) {
        lock(&self.state).kept.insert((producer, output), Arc::new(result));
    }

    /// Sends a consumer that has just connected its part.
    pub fn serve(&self, key: ChannelKey, channel: &Arc<Channel>) {
        let kept = lock(&self.state).kept.get(&(key.producer, key.output)).cloned();
        match kept {
            Some(result) => self.servers.serve(Request { key, channel: Arc::clone(channel), result }),
            None => channel.fail(not_kept(&key)),
        }
    }

    /// Lets go of what an attempt has kept. Whoever is reading it reads it to its end.
    pub fn release(&self, producer: ExecutionId) {
        lock(&self.state).kept.retain(|(kept, _), _| *kept != producer);
    }

    /// Lets go of everything: the process ends.
    pub fn clear(&self) {
        lock(&self.state).kept.clear();
    }

    /// How many results are kept; for tests of clean-up.
    pub fn len(&self) -> usize {
        lock(&self.state).kept.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
