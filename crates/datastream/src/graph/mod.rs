//! From what the API said to what is deployed: stream graph → job graph.

mod generator;
mod ids;
mod node;

pub(crate) use generator::{Defaults, SHUFFLE_MODE, batch_exchange, generate};
pub(crate) use node::{
    Chaining, Edge, EdgeWriter, Erased, FanOut, Node, NodeKind, SideEdge, StreamGraph, boxed, fan_out, scope,
    side_fan_out, unboxed,
};
