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
            Some(ours) if !is_same(theirs, ours) => return Some(vertex_difference(theirs, ours)),
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
    if deployed.name != built.name {
        return Some(format!("the job was deployed as \"{}\", built as \"{}\"", deployed.name, built.name));
    }
    if deployed.mode != built.mode {
        return Some(format!("it was deployed in mode {:?}, built in {:?}", deployed.mode, built.mode));
    }
    option_difference(deployed, built)
}

/// Whether two vertices are the same but for a maximum parallelism that nobody has set: a checkpoint may have set it since.
fn is_same(deployed: &JobVertex, built: &JobVertex) -> bool {
    let mut built = built.clone();
    if built.max_parallelism_derived && deployed.max_parallelism_derived {
        built.max_parallelism = deployed.max_parallelism;
    }
    built == *deployed
}

/// An option that `main()` sets here, and to something else than where the graph was made. One that it only set there is no
/// difference: here its configuration has the option already, so a `main()` that sets it if nobody has does nothing.
fn option_difference(deployed: &JobGraph, built: &JobGraph) -> Option<String> {
    let (key, _) = built.config.below("").find(|(key, value)| deployed.config.raw(key) != Some(value))?;
    Some(format!("the option {key} was set to something else, or was not set, when the graph was made"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::graph::RuntimeMode;
    use kvick_core::ids::VertexId;

    fn graph(config: &[(&str, &str)]) -> JobGraph {
        JobGraph {
            name: "job".to_string(),
            mode: RuntimeMode::Streaming,
            vertices: Vec::new(),
            edges: Vec::new(),
            config: config.iter().copied().collect(),
        }
    }

    #[test]
    fn an_option_that_was_set_because_nobody_had_is_no_difference() {
        let deployed =
            graph(&[("pipeline.max-parallelism", "8"), ("execution.checkpointing.interval", "2 s")]);
        compare(&deployed, &graph(&[("pipeline.max-parallelism", "8")])).unwrap();
    }

    #[test]
    fn a_maximum_parallelism_that_nobody_has_set_may_have_come_from_a_checkpoint() {
        let with = |max_parallelism, max_parallelism_derived| JobGraph {
            vertices: vec![JobVertex {
                id: VertexId(1),
                name: "counts".to_string(),
                operators: Vec::new(),
                parallelism: 100,
                max_parallelism,
                max_parallelism_derived,
                slot_sharing_group: "default".to_string(),
                source: false,
                bounded: false,
                alignment_groups: Vec::new(),
            }],
            ..graph(&[])
        };
        compare(&with(128, true), &with(256, true)).unwrap();
        for built in [with(256, false), with(128, false)] {
            assert!(compare(&with(128, true), &built).unwrap_err().to_string().contains("counts"));
        }
        assert!(compare(&with(128, false), &with(256, false)).is_err());
    }

    #[test]
    fn options_name_and_mode_that_differ_are_named() {
        let deployed = graph(&[("state.backend.type", "rocksdb")]);
        let said = |built: &JobGraph| compare(&deployed, built).unwrap_err().to_string();
        for other in [graph(&[("state.backend.type", "hashmap")]), graph(&[("state.ttl", "1 s")])] {
            let (key, _) = other.config.below("").next().unwrap();
            assert!(said(&other).contains(key), "{}", said(&other));
        }
        let renamed = said(&JobGraph { name: "another".to_string(), ..deployed.clone() });
        assert!(renamed.contains("\"job\"") && renamed.contains("\"another\""), "{renamed}");
        let batch = said(&JobGraph { mode: RuntimeMode::Batch, ..deployed.clone() });
        assert!(batch.contains("mode Streaming, built in Batch"), "{batch}");
    }
}
