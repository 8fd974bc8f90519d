//! Whether the graph that `main()` built here is the one that was deployed, and if not, where they part.

use kvick_core::failure::{Failure, FailureKind};
use kvick_core::graph::{JobGraph, JobVertex};

const ADVICE: &str = "main() must build the same graph in every process that runs it. What it learns from outside itself \
                      and its arguments (a local file, the clock, a random number) must go through env.once(\"name\", || …)";

/// Compares the deployed graph with the one built here.
pub(super) fn compare(deployed: &JobGraph, built: &JobGraph) -> Result<(), Failure> {
    match difference(deployed, built) {
        None => Ok(()),
        Some(difference) => {
            let message =
                format!("the program built another job graph than the one that was deployed: {difference}");
            Err(Failure::new(FailureKind::GraphMismatch, message).with_detail(ADVICE))
        }
    }
}

fn difference(deployed: &JobGraph, built: &JobGraph) -> Option<String> {
    for (index, theirs) in deployed.vertices.iter().enumerate() {
        match built.vertices.get(index) {
            None => return Some(format!("the vertex \"{}\" is missing here", theirs.name)),
            Some(ours) if ours != theirs => return Some(vertex_difference(theirs, ours)),
            Some(_) => {}
        }
    }
    if let Some(extra) = built.vertices.get(deployed.vertices.len()) {
        return Some(format!("the vertex \"{}\" was not deployed", extra.name));
    }
    if deployed.edges != built.edges {
        let differs = |edge: &&kvick_core::graph::JobEdge| !built.edges.contains(edge);
        let name = |id| deployed.vertex(id).map_or_else(String::new, |v| v.name.clone());
        let edge = deployed.edges.iter().find(differs).or(built.edges.first());
        let (from, to) = edge.map_or_else(Default::default, |e| (name(e.source), name(e.target)));
        return Some(format!("the connection from \"{from}\" to \"{to}\" differs"));
    }
    (deployed != built).then(|| "name, mode or configuration of the job differ".to_string())
}

fn vertex_difference(deployed: &JobVertex, built: &JobVertex) -> String {
    if deployed.name != built.name {
        return format!("the vertex \"{}\" was deployed, \"{}\" was built", deployed.name, built.name);
    }
    if deployed.parallelism != built.parallelism {
        let (theirs, ours) = (deployed.parallelism, built.parallelism);
        return format!(
            "the vertex \"{}\" was deployed with parallelism {theirs}, built with {ours}",
            built.name
        );
    }
    format!("the vertex \"{}\" differs (deployed: {deployed:?}, built: {built:?})", built.name)
}
