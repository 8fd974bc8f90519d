//! Stream graph → job graph: resolves parallelism and partitioning, chains operators by Flink's rules, names and
//! identifies vertices, and composes the code of each chain.

use super::ids;
use super::node::{Chaining, Edge, Erased, Node, NodeKind, SideEdge, StreamGraph};
use crate::execute::JobError;
use kvick_core::config::{Configuration, options};
use kvick_core::graph::{
    Exchange, GraphError, JobEdge, JobGraph, JobVertex, OperatorInfo, Partitioning, RuntimeMode,
};
use kvick_core::ids::VertexId;
use kvick_runtime::exchange::writer::{BufferTimeout, OutputPort};
use kvick_runtime::key_group::default_max_parallelism;
use kvick_runtime::program::{Program, TaskFactory};
use kvick_runtime::task::{InputTask, OperatorIdentity, Task};
use std::collections::{BTreeMap, BTreeSet};

/// How records cross between tasks in batch mode: Flink's `ExecutionOptions.BATCH_SHUFFLE_MODE`.
pub(crate) const SHUFFLE_MODE: &str = "execution.batch-shuffle-mode";

fn shuffle_name(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::PipelinedBounded => "ALL_EXCHANGES_PIPELINED",
        Exchange::Blocking => "ALL_EXCHANGES_BLOCKING",
    }
}

/// What `execution.batch-shuffle-mode` says. Flink's hybrid modes let consumers begin early where there is room for them, and
/// keep results as blocking ones do; here they count as blocking.
///
/// # Errors
/// A value that is none of Flink's.
pub(crate) fn batch_exchange(text: &str) -> Result<Exchange, JobError> {
    match text.trim().to_ascii_uppercase().as_str() {
        "ALL_EXCHANGES_PIPELINED" => Ok(Exchange::PipelinedBounded),
        "ALL_EXCHANGES_BLOCKING" | "ALL_EXCHANGES_HYBRID_FULL" | "ALL_EXCHANGES_HYBRID_SELECTIVE" => {
            Ok(Exchange::Blocking)
        }
        _ => Err(JobError::BadOption {
            key: SHUFFLE_MODE.to_string(),
            value: text.to_string(),
            expected: "ALL_EXCHANGES_BLOCKING or ALL_EXCHANGES_PIPELINED (ALL_EXCHANGES_HYBRID_FULL and \
                       ALL_EXCHANGES_HYBRID_SELECTIVE count as blocking)",
        }),
    }
}

/// What holds for operators that do not say otherwise.
pub(crate) struct Defaults {
    /// `pipeline.name`: the name of a job that is given none.
    pub name: Option<String>,
    pub parallelism: u32,
    pub max_parallelism: Option<u32>,
    /// `None`: batch when every source is bounded.
    pub mode: Option<RuntimeMode>,
    pub chaining: bool,
    /// How results cross between tasks in batch mode.
    pub batch_exchange: Exchange,
    pub config: Configuration,
}

/// Makes the program of one `execute()`.
pub(crate) fn generate(graph: StreamGraph, name: &str, defaults: &Defaults) -> Result<Program, JobError> {
    let plan = Plan::of(&graph, defaults)?;
    let mut job = JobGraph {
        name: job_name(name, defaults, plan.mode),
        mode: plan.mode,
        vertices: plan.heads.iter().map(|head| plan.vertex(&graph, *head)).collect(),
        edges: plan.job_edges(&graph),
        config: defaults.config.clone(),
    };
    job.config.set("parallelism.default", defaults.parallelism.to_string());
    job.config
        .set("execution.runtime-mode", if plan.mode == RuntimeMode::Batch { "BATCH" } else { "STREAMING" });
    // A worker must build the same graph whatever its cluster configures.
    if let Some(max_parallelism) = defaults.max_parallelism {
        job.config.set("pipeline.max-parallelism", max_parallelism.to_string());
    }
    job.config.set("pipeline.operator-chaining.enabled", defaults.chaining.to_string());
    if plan.mode == RuntimeMode::Batch {
        // Nobody waits for a result before the end: only full buffers are worth sending.
        job.config.set_option(&options::BUFFER_TIMEOUT_ENABLED, "false");
        job.config.set(SHUFFLE_MODE, shuffle_name(plan.exchange));
    }
    job.validate()?;
    Ok(Program { factories: factories(graph, &plan), graph: job })
}

/// What `execute()` was given, else what is configured, else Flink's `StreamGraphGenerator.DEFAULT_STREAMING_JOB_NAME` and its
/// counterpart.
fn job_name(given: &str, defaults: &Defaults, mode: RuntimeMode) -> String {
    let default = match mode {
        RuntimeMode::Streaming => "Flink Streaming Job",
        RuntimeMode::Batch => "Flink Batch Job",
    };
    let named = [Some(given), defaults.name.as_deref()].into_iter().flatten().find(|name| !name.is_empty());
    named.unwrap_or(default).to_string()
}

/// An edge between two chains.
struct Cut {
    from: usize,
    to: usize,
    input: usize,
    partitioning: Partitioning,
    /// Index among the outputs of the producing vertex.
    output: u32,
}

struct Plan {
    mode: RuntimeMode,
    exchange: Exchange,
    parallelism: Vec<u32>,
    max_parallelism: Vec<u32>,
    /// Whether the maximum parallelism of a node only follows from its parallelism.
    max_derived: Vec<bool>,
    groups: Vec<String>,
    ids: Vec<VertexId>,
    bounded: Vec<bool>,
    /// The head of the chain that a node is in.
    head: Vec<usize>,
    heads: Vec<usize>,
    /// The nodes chained directly behind a node.
    chained: Vec<Vec<usize>>,
    cuts: Vec<Cut>,
}

impl Plan {
    fn of(graph: &StreamGraph, defaults: &Defaults) -> Result<Plan, JobError> {
        let nodes = &graph.nodes;
        let parallelism: Vec<u32> =
            nodes.iter().map(|n| n.parallelism.unwrap_or(defaults.parallelism)).collect();
        let maximum = |(node, p): (&Node, &u32)| {
            node.max_parallelism.or(defaults.max_parallelism).unwrap_or_else(|| default_max_parallelism(*p))
        };
        let bounded = bounded(nodes);
        let ids = ids_of(nodes);
        check_ids(nodes, &ids)?;
        let mode = mode(nodes, defaults)?;
        let mut plan = Plan {
            mode,
            exchange: match mode {
                RuntimeMode::Streaming => Exchange::PipelinedBounded,
                RuntimeMode::Batch => defaults.batch_exchange,
            },
            max_parallelism: nodes.iter().zip(&parallelism).map(maximum).collect(),
            max_derived: nodes
                .iter()
                .map(|n| n.max_parallelism.or(defaults.max_parallelism).is_none())
                .collect(),
            groups: groups(nodes),
            ids,
            head: (0..nodes.len()).collect(),
            heads: Vec::new(),
            chained: vec![Vec::new(); nodes.len()],
            cuts: Vec::new(),
            parallelism,
            bounded,
        };
        for index in 0..nodes.len() {
            plan.place(nodes, index, defaults.chaining);
        }
        plan.number_outputs();
        Ok(plan)
    }

    /// Chains a node to its input, or makes it the head of a chain.
    fn place(&mut self, nodes: &[Node], index: usize, chaining: bool) {
        if chaining && self.chainable(nodes, index) {
            let upstream = nodes[index].inputs[0].from;
            self.head[index] = self.head[upstream];
            self.chained[upstream].push(index);
            return;
        }
        self.heads.push(index);
        for (input, edge) in nodes[index].inputs.iter().enumerate() {
            let partitioning = self.partitioning(edge.from, index, edge.partitioning);
            self.cuts.push(Cut { from: edge.from, to: index, input, partitioning, output: 0 });
        }
    }

    fn partitioning(&self, from: usize, to: usize, asked: Option<Partitioning>) -> Partitioning {
        let same = self.parallelism[from] == self.parallelism[to];
        asked.unwrap_or(if same { Partitioning::Forward } else { Partitioning::Rebalance })
    }

    /// Flink's `StreamingJobGraphGenerator.isChainable`: one input, forward, same parallelism and slot sharing group, and
    /// neither side forbids it.
    fn chainable(&self, nodes: &[Node], index: usize) -> bool {
        let [edge] = nodes[index].inputs.as_slice() else { return false };
        let from = edge.from;
        self.partitioning(from, index, edge.partitioning) == Partitioning::Forward
            && self.parallelism[from] == self.parallelism[index]
            && self.max_parallelism[from] == self.max_parallelism[index]
            && self.groups[from] == self.groups[index]
            && nodes[from].chaining != Chaining::Never
            && nodes[index].chaining == Chaining::Always
    }

    fn number_outputs(&mut self) {
        let mut next: BTreeMap<usize, u32> = BTreeMap::new();
        for cut in &mut self.cuts {
            let output = next.entry(self.head[cut.from]).or_default();
            cut.output = *output;
            *output += 1;
        }
    }

    fn members(&self, head: usize) -> Vec<usize> {
        let mut members = vec![head];
        for next in &self.chained[head] {
            members.extend(self.members(*next));
        }
        members
    }

    fn vertex(&self, graph: &StreamGraph, head: usize) -> JobVertex {
        let info = |index: usize| OperatorInfo {
            id: self.ids[index],
            name: graph.nodes[index].display_name(),
            uid: graph.nodes[index].uid.clone(),
        };
        let members = self.members(head);
        JobVertex {
            id: self.ids[head],
            name: self.chain_name(graph, head),
            alignment_groups: self.alignment_groups(graph, &members),
            max_parallelism_derived: members.iter().all(|index| self.max_derived[*index]),
            operators: members.into_iter().map(info).collect(),
            parallelism: self.parallelism[head],
            max_parallelism: self.max_parallelism[head],
            slot_sharing_group: self.groups[head].clone(),
            source: matches!(graph.nodes[head].kind, NodeKind::Source(_)),
            bounded: self.bounded[head],
        }
    }

    /// The groups in which a chain has a stream. In batch mode nobody waits for anybody.
    fn alignment_groups(&self, graph: &StreamGraph, members: &[usize]) -> Vec<String> {
        if self.mode == RuntimeMode::Batch {
            return Vec::new();
        }
        let groups: BTreeSet<&String> =
            members.iter().filter_map(|index| graph.nodes[*index].alignment_group.as_ref()).collect();
        groups.into_iter().cloned().collect()
    }

    /// `a`, `a -> b`, `a -> (b, c -> d)`.
    fn chain_name(&self, graph: &StreamGraph, index: usize) -> String {
        let own = graph.nodes[index].display_name();
        let next: Vec<String> = self.chained[index].iter().map(|n| self.chain_name(graph, *n)).collect();
        match next.as_slice() {
            [] => own,
            [one] => format!("{own} -> {one}"),
            several => format!("{own} -> ({})", several.join(", ")),
        }
    }

    fn job_edges(&self, _graph: &StreamGraph) -> Vec<JobEdge> {
        let edge = |cut: &Cut| JobEdge {
            source: self.ids[self.head[cut.from]],
            output: cut.output,
            target: self.ids[cut.to],
            input: cut.input as u32,
            partitioning: cut.partitioning,
            exchange: self.exchange,
        };
        self.cuts.iter().map(edge).collect()
    }
}

/// Chained operators have no vertex of their own, but their state is found by their ids all the same.
fn check_ids(nodes: &[Node], ids: &[VertexId]) -> Result<(), GraphError> {
    let mut seen: BTreeMap<VertexId, usize> = BTreeMap::new();
    for (index, id) in ids.iter().enumerate() {
        if let Some(first) = seen.insert(*id, index) {
            let (first, second) = (nodes[first].display_name(), nodes[index].display_name());
            return Err(GraphError::DuplicateVertex { id: *id, first, second });
        }
    }
    Ok(())
}

fn mode(nodes: &[Node], defaults: &Defaults) -> Result<RuntimeMode, JobError> {
    let unbounded = nodes.iter().find(|n| matches!(n.kind, NodeKind::Source(_)) && !n.bounded);
    match (defaults.mode, unbounded) {
        (Some(RuntimeMode::Batch), Some(node)) => Err(JobError::UnboundedBatch { origin: node.name.clone() }),
        (Some(mode), _) => Ok(mode),
        (None, Some(_)) => Ok(RuntimeMode::Streaming),
        (None, None) => Ok(RuntimeMode::Batch),
    }
}

fn bounded(nodes: &[Node]) -> Vec<bool> {
    let mut all: Vec<bool> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let own = !matches!(node.kind, NodeKind::Source(_)) || node.bounded;
        let inputs = node.inputs.iter().all(|edge| all[edge.from]);
        all.push(own && inputs);
    }
    all
}

/// A group that is not named is that of the inputs, where they agree.
fn groups(nodes: &[Node]) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let mut inputs = node.inputs.iter().map(|edge| &all[edge.from]);
        let first = inputs.next().filter(|first| inputs.all(|other| other == *first)).cloned();
        all.push(node.slot_sharing_group.clone().or(first).unwrap_or_else(|| "default".to_string()));
    }
    all
}

fn ids_of(nodes: &[Node]) -> Vec<VertexId> {
    let mut all: Vec<VertexId> = Vec::with_capacity(nodes.len());
    for (position, node) in nodes.iter().enumerate() {
        let inputs: Vec<VertexId> = node.inputs.iter().map(|edge| all[edge.from]).collect();
        all.push(node.uid.as_deref().map_or_else(|| ids::from_structure(position, &inputs), ids::from_uid));
    }
    all
}

/// A node of a chain with all that follows it in the same task.
struct Link {
    identity: OperatorIdentity,
    node: Node,
    next: Vec<Link>,
    /// The edges out of the task that start at the node.
    outputs: Vec<Exit>,
}

/// An edge out of a task.
#[derive(Clone)]
struct Exit {
    from: usize,
    output: u32,
    partitioning: Partitioning,
    edge: Edge,
}

fn factories(graph: StreamGraph, plan: &Plan) -> BTreeMap<VertexId, TaskFactory> {
    let exit = |cut: &Cut| Exit {
        from: cut.from,
        output: cut.output,
        partitioning: cut.partitioning,
        edge: graph.nodes[cut.to].inputs[cut.input].clone(),
    };
    let exits: Vec<Exit> = plan.cuts.iter().map(exit).collect();
    let mut nodes: Vec<Option<Node>> = graph.nodes.into_iter().map(Some).collect();
    let mut all = BTreeMap::new();
    for head in &plan.heads {
        if let Some(link) = link(*head, plan, &exits, &mut nodes) {
            let mode = plan.mode;
            let factory: TaskFactory = Box::new(move |ports| task(&link, mode, ports));
            all.insert(plan.ids[*head], factory);
        }
    }
    all
}

fn link(index: usize, plan: &Plan, exits: &[Exit], nodes: &mut [Option<Node>]) -> Option<Link> {
    let node = nodes[index].take()?;
    let next = plan.chained[index].iter().filter_map(|n| link(*n, plan, exits, nodes)).collect();
    let outputs = exits.iter().filter(|exit| exit.from == index).cloned().collect();
    let (id, name, uid) = (plan.ids[index], node.display_name(), node.uid.clone());
    Some(Link { identity: OperatorIdentity { id, name, uid }, node, next, outputs })
}

fn task(link: &Link, mode: RuntimeMode, ports: Vec<OutputPort>) -> Box<dyn Task> {
    let mut ports: Vec<Option<OutputPort>> = ports.into_iter().map(Some).collect();
    match &link.node.kind {
        NodeKind::Source(make) => make(mode, behind(link, mode, &mut ports)),
        _ => InputTask::boxed((link.node.head)(stage(link, mode, &mut ports))),
    }
}

fn stage(link: &Link, mode: RuntimeMode, ports: &mut [Option<OutputPort>]) -> Erased {
    let stage = match &link.node.kind {
        NodeKind::Operator(chain) => chain(mode, behind(link, mode, ports)),
        NodeKind::Sink(make) => make(),
        NodeKind::Source(_) => unreachable!("a source has no input, so it is never chained behind anything"),
    };
    (link.node.scope)(link.identity.clone(), stage)
}

/// One stage for everything that consumes what a node emits: its main output, and its side outputs by tag.
fn behind(link: &Link, mode: RuntimeMode, ports: &mut [Option<OutputPort>]) -> Erased {
    let mut consumers: Vec<(Option<&SideEdge>, Erased)> = Vec::new();
    for next in &link.next {
        let side = next.node.inputs.first().and_then(|edge| edge.side.as_ref());
        consumers.push((side, stage(next, mode, ports)));
    }
    for Exit { output, partitioning, edge, .. } in &link.outputs {
        if let Some(mut port) = ports.get_mut(*output as usize).and_then(Option::take) {
            port.timeout = link.node.buffer_timeout.map_or(port.timeout, BufferTimeout::from_millis);
            let mut writer = edge.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            consumers.push((edge.side.as_ref(), writer(*partitioning, mode, port)));
        }
    }
    let (mut main, mut sides) = (Vec::new(), BTreeMap::<&str, (&SideEdge, Vec<Erased>)>::new());
    for (side, consumer) in consumers {
        match side {
            None => main.push(consumer),
            Some(side) => sides.entry(&side.tag).or_insert((side, Vec::new())).1.push(consumer),
        }
    }
    let sides = sides.into_iter().map(|(tag, (side, stages))| (side.fan_out)(tag, stages)).collect();
    (link.node.fan_out)(main, sides)
}
