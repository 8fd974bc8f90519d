//! Random jobs: one to three vertices, every kind of edge, slot sharing or not, restarting or not, streaming or batch.

use crate::random::Random;
use kvick_core::config::Configuration;
use kvick_core::graph::{Exchange, JobEdge, JobGraph, JobVertex, Partitioning, RuntimeMode};
use kvick_core::ids::{JobId, VertexId};
use kvick_core::job::{Artifact, JobSubmission, ProgramSpec};
use std::collections::BTreeMap;

/// A time-out of checkpoints that no fault lasts for, in milliseconds.
pub const PATIENT: u64 = 600_000;

/// A random job with this id.
pub fn random_job(id: JobId, random: &mut Random) -> JobSubmission {
    let graph = random_graph(random);
    let mut config = Configuration::default();
    if random.chance(80) {
        config.set("restart-strategy.type", "fixed-delay");
        let attempts = random.between(0, 1_000);
        config.set("restart-strategy.fixed-delay.attempts", attempts.to_string());
        if attempts % 4 == 1 {
            config.set("jobmanager.execution.failover-strategy", "full");
        }
        config.set("restart-strategy.fixed-delay.delay", format!("{} ms", random.between(0, 2_000)));
    }
    if random.chance(75) {
        set_checkpoints(&mut config, random);
    }
    JobSubmission {
        job_id: id,
        ordinal: 0,
        program: program(),
        graph,
        config,
        once: BTreeMap::new(),
        earlier: Vec::new(),
    }
}

fn set_checkpoints(config: &mut Configuration, random: &mut Random) {
    let mut set = |key: &str, value: String| config.set(format!("execution.checkpointing.{key}"), value);
    let interval = if random.chance(7) { random.between(100, 600) } else { random.between(1_000, 15_000) };
    set("interval", format!("{interval} ms"));
    // Flink's own is ten minutes: nothing may wait for that but what really takes so long.
    let timeout = if random.chance(40) { PATIENT } else { random.between(500, 15_000) };
    set("timeout", format!("{timeout} ms"));
    set("min-pause", format!("{} ms", random.between(0, 1) * random.between(0, 3_000)));
    set("max-concurrent-checkpoints", random.between(1, 3).to_string());
    set("tolerable-failed-checkpoints", random.between(0, 3).to_string());
    set("num-retained", random.between(1, 3).to_string());
    set("incremental", random.chance(70).to_string());
    set("checkpoints-after-tasks-finish", random.chance(90).to_string());
    let retention = ["NO_EXTERNALIZED_CHECKPOINTS", "DELETE_ON_CANCELLATION", "RETAIN_ON_CANCELLATION"];
    set("externalized-checkpoint-retention", retention[random.between(0, 2) as usize].to_string());
    if random.chance(85) {
        set("dir", "mem:///checkpoints".to_string());
    }
    if random.chance(70) {
        set("savepoint-dir", "mem:///savepoints".to_string());
    }
}

/// A job of so many vertices of the same width, each of which sends to all of the next; restarted for ever, with checkpoints.
pub fn wide_job(id: JobId, width: u32, depth: u32) -> JobSubmission {
    let vertex = |index: u32| JobVertex {
        id: VertexId(u128::from(index) + 1),
        name: format!("vertex {index}"),
        operators: Vec::new(),
        parallelism: width,
        max_parallelism: 128.max(width),
        max_parallelism_derived: false,
        slot_sharing_group: "default".into(),
        source: index == 0,
        bounded: false,
        alignment_groups: Vec::new(),
    };
    let vertices: Vec<JobVertex> = (0..depth).map(vertex).collect();
    let edge = |pair: &[JobVertex]| JobEdge {
        source: pair[0].id,
        output: 0,
        target: pair[1].id,
        input: 0,
        partitioning: Partitioning::Hash,
        exchange: Exchange::PipelinedBounded,
    };
    let edges = vertices.windows(2).map(edge).collect();
    let mut config = Configuration::default();
    config.set("restart-strategy.type", "fixed-delay");
    config.set("restart-strategy.fixed-delay.attempts", "1000000");
    config.set("restart-strategy.fixed-delay.delay", "0 ms");
    JobSubmission {
        job_id: id,
        ordinal: 0,
        program: program(),
        graph: JobGraph { name: "wide".into(), vertices, edges, ..JobGraph::default() },
        config,
        once: BTreeMap::new(),
        earlier: Vec::new(),
    }
}

fn program() -> ProgramSpec {
    let jar =
        Artifact { name: "job.jar".into(), uri: "file:/job.jar".into(), sha256: "0".repeat(64), size: 1 };
    ProgramSpec { jar, entry: None, args: Vec::new() }
}

fn random_graph(random: &mut Random) -> JobGraph {
    let width = random.between(1, 5) as u32;
    let vertices: Vec<JobVertex> =
        (0..random.between(1, 3)).map(|i| random_vertex(i, width, random)).collect();
    let mode = if random.chance(30) { RuntimeMode::Batch } else { RuntimeMode::Streaming };
    let mut edges: Vec<JobEdge> =
        vertices.windows(2).map(|pair| random_edge(&pair[0], &pair[1], random)).collect();
    for edge in edges.iter_mut().filter(|_| mode == RuntimeMode::Batch) {
        edge.exchange = if random.chance(75) { Exchange::Blocking } else { Exchange::PipelinedBounded };
    }
    JobGraph { name: "random".into(), mode, vertices, edges, ..JobGraph::default() }
}

fn random_vertex(index: u64, width: u32, random: &mut Random) -> JobVertex {
    JobVertex {
        id: VertexId(u128::from(index) + 1),
        name: format!("vertex {index}"),
        operators: Vec::new(),
        parallelism: if random.chance(70) { width } else { random.between(1, 5) as u32 },
        max_parallelism: 128,
        max_parallelism_derived: false,
        slot_sharing_group: if random.chance(85) { "default".into() } else { format!("group {index}") },
        source: index == 0,
        bounded: true,
        alignment_groups: Vec::new(),
    }
}

fn random_edge(from: &JobVertex, to: &JobVertex, random: &mut Random) -> JobEdge {
    let partitioning = match random.between(0, 2) {
        0 if from.parallelism == to.parallelism => Partitioning::Forward,
        1 => Partitioning::Rescale,
        _ => Partitioning::Hash,
    };
    let exchange = Exchange::PipelinedBounded;
    JobEdge { source: from.id, output: 0, target: to.id, input: 0, partitioning, exchange }
}
