//! `flink info`: the plan of a program, without running its jobs.

use crate::args::ProgramArgs;
use crate::console;
use crate::execution::launch;
use crate::jar;
use crate::outcome::NoJob;
use crate::settings::Settings;
use anyhow::Result;
use kvick_core::graph::{JobEdge, JobGraph, JobVertex, Partitioning};
use kvick_core::host::{FromProgram, Role, ToProgram};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `flink info`
pub async fn info(args: &ProgramArgs) -> Result<()> {
    let settings = Settings::resolve(&args.cluster)?.with_program(args);
    settings.report(&args.cluster.warnings)?;
    let program = jar::unpack(&args.jar, args.entry.as_deref())?;
    let mut running = launch(Role::Client, &program.program, &args.args)?;
    while let Some(message) = running.inbox.recv().await {
        match message? {
            FromProgram::Hello { .. } => {
                let (config, once) = (settings.config.clone(), BTreeMap::new());
                running.outbox.send(ToProgram::Welcome { config, once });
            }
            FromProgram::Execute { graph, .. } => {
                running.outbox.send(ToProgram::PlanTaken);
                print_plan(&graph);
                running.process.exited().await;
                return Ok(());
            }
            _ => {}
        }
    }
    Err(NoJob.into())
}

fn print_plan(graph: &JobGraph) {
    console::line("----------------------- Execution Plan -----------------------");
    console::line(plan(graph).to_string());
    console::line("--------------------------------------------------------------");
    console::line("");
    console::line("No description provided.");
}

fn plan(graph: &JobGraph) -> Value {
    let numbers: BTreeMap<_, usize> = graph.vertices.iter().enumerate().map(|(i, v)| (v.id, i + 1)).collect();
    let number = |edge: &JobEdge| numbers.get(&edge.source).copied().unwrap_or_default();
    let nodes: Vec<Value> = graph
        .vertices
        .iter()
        .enumerate()
        .map(|(index, vertex)| {
            let inputs: Vec<Value> =
                graph.inputs(vertex.id).map(|edge| predecessor(number(edge), edge)).collect();
            let mut node = json!({
                "id": index + 1,
                "type": vertex.name,
                "pact": pact(graph, vertex),
                "contents": vertex.name,
                "parallelism": vertex.parallelism,
            });
            if !inputs.is_empty() {
                node["predecessors"] = Value::Array(inputs);
            }
            node
        })
        .collect();
    json!({ "nodes": nodes })
}

fn pact(graph: &JobGraph, vertex: &JobVertex) -> &'static str {
    let is_end = graph.outputs(vertex.id).next().is_none();
    match (vertex.source, is_end) {
        (true, _) => "Data Source",
        (false, true) => "Data Sink",
        (false, false) => "Operator",
    }
}

fn predecessor(id: usize, edge: &JobEdge) -> Value {
    let strategy = match edge.partitioning {
        Partitioning::Forward => "FORWARD",
        Partitioning::Hash => "HASH",
        Partitioning::Rebalance => "REBALANCE",
        Partitioning::Rescale => "RESCALE",
        Partitioning::Shuffle => "SHUFFLE",
        Partitioning::Broadcast => "BROADCAST",
        Partitioning::Global => "GLOBAL",
        Partitioning::Custom => "CUSTOM",
    };
    json!({ "id": id, "ship_strategy": strategy, "side": "second" })
}
