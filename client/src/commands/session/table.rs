//! The resources of a YARN cluster, as `yarn-session -q` prints them.

use kvick_core::config::MemorySize;
use kvick_yarn::records::{NodeReport, QueueInfo};
use std::fmt::Write;

const RULE: &str = "+---------------------------------------+";

/// Nodes, their sum, and the queues.
pub fn table(nodes: &[NodeReport], node_managers: i32, root: &QueueInfo) -> String {
    let mut text = format!(
        "NodeManagers in the ClusterClient {node_managers}|Property         |Value          \n{RULE}\n"
    );
    for node in nodes {
        let memory = MemorySize::mib(node.capability.memory_mb).to_string();
        for (property, value) in [
            ("NodeID", node.id.to_string()),
            ("Memory", memory),
            ("vCores", node.capability.vcores.to_string()),
            ("HealthReport", node.health_report.clone()),
            ("Containers", node.containers.to_string()),
        ] {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "|{property:<16} |{value:<16} ");
        }
        let _ = writeln!(text, "{RULE}");
    }
    let memory = MemorySize::mib(nodes.iter().map(|node| node.capability.memory_mb).sum());
    let cores: u32 = nodes.iter().map(|node| node.capability.vcores).sum();
    let _ = writeln!(text, "Summary: totalMemory {memory} totalCores {cores}");
    root.children.iter().for_each(|queue| add_queue(&mut text, queue));
    text
}

fn add_queue(text: &mut String, queue: &QueueInfo) {
    let applications = queue.statistics.apps_running + queue.statistics.apps_pending;
    let _ = writeln!(
        text,
        "Queue: {}, Current Capacity: {:?} Max Capacity: {:?} Applications: {applications}",
        queue.name, queue.current_capacity, queue.maximum_capacity
    );
    queue.children.iter().for_each(|child| add_queue(text, child));
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_yarn::ids::NodeId;
    use kvick_yarn::records::{NodeState, QueueState, QueueStatistics, Resource};

    fn queue(name: &str, children: Vec<QueueInfo>) -> QueueInfo {
        QueueInfo {
            name: name.into(),
            path: String::new(),
            capacity: 0.5,
            maximum_capacity: 1.0,
            current_capacity: 0.0,
            state: QueueState::Running,
            statistics: QueueStatistics::default(),
            children,
        }
    }

    #[test]
    fn the_table_is_flinks() {
        let node = NodeReport {
            id: NodeId { host: "localhost".into(), port: 18041 },
            http_address: String::new(),
            rack: String::new(),
            used: Resource::new(0, 0),
            capability: Resource::new(16384, 16),
            containers: 0,
            state: NodeState::Running,
            health_report: String::new(),
            decommissioning_timeout: None,
            labels: Vec::new(),
        };
        let root = queue("root", vec![queue("default", vec![]), queue("other", vec![])]);
        let expected = "NodeManagers in the ClusterClient 1|Property         |Value          \n\
            +---------------------------------------+\n\
            |NodeID           |localhost:18041  \n\
            |Memory           |16.000gb (17179869184 bytes) \n\
            |vCores           |16               \n\
            |HealthReport     |                 \n\
            |Containers       |0                \n\
            +---------------------------------------+\n\
            Summary: totalMemory 16.000gb (17179869184 bytes) totalCores 16\n\
            Queue: default, Current Capacity: 0.0 Max Capacity: 1.0 Applications: 0\n\
            Queue: other, Current Capacity: 0.0 Max Capacity: 1.0 Applications: 0\n";
        assert_eq!(table(&[node], 1, &root), expected);
    }
}
