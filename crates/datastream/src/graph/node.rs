//! The stream graph: one node for each call of the API, with the code to make its part of a task.
//!
//! Types are erased here, in pairs: what one closure boxes with [`boxed`], the next one opens with [`unboxed`], and both
//! were written where the type was known.

use kvick_core::graph::{Partitioning, RuntimeMode};
use kvick_runtime::element::Data;
use kvick_runtime::exchange::writer::OutputPort;
use kvick_runtime::operator::{BoxStage, Fanout, Scoped};
use kvick_runtime::side::{Side, Sided};
use kvick_runtime::task::{Head, OperatorIdentity, Task};
use std::any::Any;
use std::sync::{Arc, Mutex};

/// A `BoxStage<T>` of a type that only its maker and its user know.
pub(crate) type Erased = Box<dyn Any>;

/// Forgets the type of a stage.
pub(crate) fn boxed<T: 'static>(stage: BoxStage<T>) -> Erased {
    Box::new(stage)
}

/// Remembers the type of a stage.
pub(crate) fn unboxed<T: 'static>(erased: Erased) -> BoxStage<T> {
    match erased.downcast::<BoxStage<T>>() {
        Ok(stage) => *stage,
        // `DataStream<T>` fixes the type on both sides of every edge.
        Err(_) => unreachable!("an edge of the stream graph has one type"),
    }
}

/// Makes the writer of an edge that leaves a task. In batch mode it may aggregate first.
pub(crate) type EdgeWriter = Arc<Mutex<dyn FnMut(Partitioning, RuntimeMode, OutputPort) -> Erased + Send>>;

/// Whether an operator may be chained to its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chaining {
    /// To its input, and its consumers to it.
    Always,
    /// Not to its input; it starts a chain.
    Head,
    /// Neither.
    Never,
}

/// A connection from one node to the node that owns it.
#[derive(Clone)]
pub(crate) struct Edge {
    /// The producing node.
    pub from: usize,
    /// `None`: forward where the parallelism allows it, else rebalance.
    pub partitioning: Option<Partitioning>,
    /// Makes the writer.
    pub writer: EdgeWriter,
    /// The side output that it carries; `None` for the main one.
    pub side: Option<SideEdge>,
}

/// Which side output an edge carries.
#[derive(Clone)]
pub(crate) struct SideEdge {
    /// The tag's name.
    pub tag: String,
    /// One side output for all its consumers.
    pub fan_out: fn(&str, Vec<Erased>) -> Side,
}

/// One side output, of records of a type, for all its consumers.
pub(crate) fn side_fan_out<U: Data>(tag: &str, stages: Vec<Erased>) -> Side {
    Side::new(tag, Fanout::of(stages.into_iter().map(unboxed::<U>).collect()))
}

/// Makes one stage of the stages of all consumers and of the side outputs.
pub(crate) type FanOut = fn(Vec<Erased>, Vec<Side>) -> Erased;

/// The fan-out of a node that emits records of a type.
pub(crate) fn fan_out<T: Data>(stages: Vec<Erased>, sides: Vec<Side>) -> Erased {
    let main = Fanout::of(stages.into_iter().map(unboxed::<T>).collect());
    boxed(Sided::of(main, sides))
}

/// The code of a node.
pub(crate) enum NodeKind {
    /// Makes the task from the stage behind the source.
    Source(Box<dyn Fn(RuntimeMode, Erased) -> Box<dyn Task> + Send>),
    /// Chains the operator in front of a stage.
    Operator(Box<dyn Fn(RuntimeMode, Erased) -> Erased + Send>),
    /// Makes the end of a chain.
    Sink(Box<dyn Fn() -> Erased + Send>),
}

/// Puts an identity around a stage of one type.
pub(crate) type Scope = fn(OperatorIdentity, Erased) -> Erased;

/// Puts an identity around a stage that takes records of a type.
pub(crate) fn scope<T: 'static>(identity: OperatorIdentity, stage: Erased) -> Erased {
    boxed(Scoped::around(identity, unboxed::<T>(stage)))
}

/// One call of the API.
pub(crate) struct Node {
    pub name: String,
    pub uid: Option<String>,
    pub kind: NodeKind,
    pub inputs: Vec<Edge>,
    pub parallelism: Option<u32>,
    pub max_parallelism: Option<u32>,
    /// How long its records may wait for a buffer to fill, in milliseconds; the job's where it does not say.
    pub buffer_timeout: Option<i64>,
    pub slot_sharing_group: Option<String>,
    /// The group of streams with which its records are aligned in event time.
    pub alignment_group: Option<String>,
    pub chaining: Chaining,
    /// For a source: whether it ends by itself.
    pub bounded: bool,
    /// Puts the operator's identity around its stage.
    pub scope: Scope,
    /// One stage for the stages of all consumers.
    pub fan_out: FanOut,
    /// The head of a chain that starts with this node.
    pub head: Box<dyn Fn(Erased) -> Box<dyn Head> + Send>,
}

impl Node {
    /// The name as vertices show it.
    pub fn display_name(&self) -> String {
        match self.kind {
            NodeKind::Source(_) => format!("Source: {}", self.name),
            NodeKind::Sink(_) => format!("Sink: {}", self.name),
            NodeKind::Operator(_) => self.name.clone(),
        }
    }
}

/// All nodes, in the order of the calls: inputs stand before their consumers.
#[derive(Default)]
pub(crate) struct StreamGraph {
    pub nodes: Vec<Node>,
}
