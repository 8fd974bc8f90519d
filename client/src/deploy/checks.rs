//! What must hold before anything is uploaded or submitted: each breach an error that says what to change.
//!
//! Pure: the facts were fetched before.

use super::sizes::Sizes;
use crate::console;
use anyhow::{Result, bail};
use kvick_core::config::{Configuration, options};
use kvick_yarn::records::{NodeReport, QueueInfo, Resource};

/// Type of an application where none is set.
const DEFAULT_TYPE: &str = "Apache Flink";
/// Queue of an application where none is set.
const DEFAULT_QUEUE: &str = "default";

/// What the cluster offers.
pub struct Offer {
    /// The most that one container can have.
    pub maximum: Resource,
    /// Nodes that run.
    pub nodes: Vec<NodeReport>,
    /// The queues, as a tree.
    pub queues: QueueInfo,
    /// Memory is given in multiples of this, in MiB.
    pub minimum_mb: u64,
}

/// How the application is known to YARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its priority.
    pub priority: Option<i32>,
}

impl Label {
    /// From the configuration.
    ///
    /// # Errors
    /// What YARN would refuse: a type that is too long, too many or too long tags.
    pub fn from_config(config: &Configuration, default_name: &str) -> Result<Label> {
        let kind = config.get(&options::YARN_TYPE)?.unwrap_or_else(|| DEFAULT_TYPE.to_string());
        if kind.chars().count() > 20 {
            bail!(
                "The application type '{kind}' is longer than the 20 characters that YARN keeps (option -yat, yarn.application.type)"
            );
        }
        let tags = config.get(&options::YARN_TAGS)?;
        let tags: Vec<String> =
            tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_string).collect();
        check_tags(&tags)?;
        let priority = config.get(&options::YARN_PRIORITY)?;
        Ok(Label {
            name: config.get(&options::YARN_NAME)?.unwrap_or_else(|| default_name.to_string()),
            kind,
            queue: config.get(&options::YARN_QUEUE)?.unwrap_or_else(|| DEFAULT_QUEUE.to_string()),
            tags,
            priority: (priority >= 0).then_some(priority),
        })
    }
}

fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > 10 {
        bail!("YARN takes at most 10 tags, yarn.tags has {}", tags.len());
    }
    if let Some(tag) = tags.iter().find(|tag| tag.len() > 100 || !tag.is_ascii()) {
        bail!(
            "The tag '{tag}' in yarn.tags is not ASCII or is longer than the 100 characters that YARN takes"
        );
    }
    Ok(())
}

/// Compares what is asked for with what there is.
///
/// # Errors
/// More is asked for than any container can have, or a queue that does not exist.
pub fn check(sizes: &Sizes, label: &Label, offer: &Offer) -> Result<()> {
    check_queue(&label.queue, &offer.queues)?;
    check_vcores(sizes, offer)?;
    for (process, asked, memory) in memories(sizes) {
        tell_rounding(process, asked, offer.minimum_mb);
        check_memory(process, asked, memory, offer)?;
    }
    Ok(())
}

fn memories(sizes: &Sizes) -> [(&'static str, u64, &'static str); 2] {
    [("JobManager", sizes.master_mb(), "JobManager"), ("TaskManager", sizes.executor_mb(), "TaskManagers")]
}

fn check_queue(queue: &str, root: &QueueInfo) -> Result<()> {
    let mut names = Vec::new();
    collect_queues(root, &mut names);
    // A ResourceManager may hide queues from this user: an empty list proves nothing.
    let known = names.is_empty() || names.iter().any(|(name, path)| queue == name || queue == path);
    if known {
        return Ok(());
    }
    let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    bail!("The specified queue '{queue}' does not exist. Available queues: {}", names.join(", "))
}

/// The leaves, by short and by full name.
fn collect_queues(queue: &QueueInfo, names: &mut Vec<(String, String)>) {
    if queue.children.is_empty() && queue.name != "root" {
        names.push((queue.name.clone(), queue.path.clone()));
    }
    queue.children.iter().for_each(|child| collect_queues(child, names));
}

fn check_vcores(sizes: &Sizes, offer: &Offer) -> Result<()> {
    let largest = offer.nodes.iter().map(|node| node.capability.vcores).max();
    let largest = largest.unwrap_or(offer.maximum.vcores);
    if sizes.master_vcores > largest {
        bail!(
            "The number of requested virtual cores for application master {} exceeds the maximum number of virtual cores {largest} available in the Yarn Cluster.",
            sizes.master_vcores
        );
    }
    if sizes.executor_vcores > largest {
        bail!(
            "The number of requested virtual cores per node {} exceeds the maximum number of virtual cores {largest} available in the Yarn Cluster. Please note that the number of virtual cores is set to the number of task slots by default unless configured in the Flink config with 'yarn.containers.vcores.'",
            sizes.executor_vcores
        );
    }
    Ok(())
}

fn tell_rounding(process: &str, asked: u64, minimum: u64) {
    let given = asked.div_ceil(minimum.max(1)) * minimum.max(1);
    if given > asked {
        console::info(
            console::DESCRIPTOR,
            format!(
                "The configured {process} memory is {asked} MB. YARN will allocate {given} MB to make up an integer multiple of its minimum allocation memory ({minimum} MB, configured via 'yarn.scheduler.minimum-allocation-mb'). The extra {} MB may not be used by Flink.",
                given - asked
            ),
        );
    }
}

fn check_memory(process: &str, asked: u64, who: &str, offer: &Offer) -> Result<()> {
    let maximum = offer.maximum.memory_mb;
    if asked > maximum {
        bail!(
            "The cluster does not have the requested resources for the {who} available!\nMaximum Memory: {maximum}MB Requested: {asked}MB. Please check the 'yarn.scheduler.maximum-allocation-mb' and the 'yarn.nodemanager.resource.memory-mb' configuration values"
        );
    }
    let free =
        offer.nodes.iter().map(|node| node.capability.memory_mb.saturating_sub(node.used.memory_mb)).max();
    if let Some(free) = free.filter(|free| asked > *free) {
        console::warn(
            console::DESCRIPTOR,
            format!(
                "The requested amount of memory for the {process} ({asked}MB) is more than the largest possible YARN container: {free}MB is free at most; the application waits until more is."
            ),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_yarn::ids::NodeId;
    use kvick_yarn::records::{NodeState, QueueState, QueueStatistics};

    fn queue(name: &str, path: &str, children: Vec<QueueInfo>) -> QueueInfo {
        QueueInfo {
            name: name.into(),
            path: path.into(),
            capacity: 1.0,
            maximum_capacity: 1.0,
            current_capacity: 0.0,
            state: QueueState::Running,
            statistics: QueueStatistics::default(),
            children,
        }
    }

    fn offer() -> Offer {
        let node = NodeReport {
            id: NodeId { host: "n".into(), port: 1 },
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
        let leaves = vec![queue("default", "root.default", vec![]), queue("other", "root.other", vec![])];
        Offer {
            maximum: Resource::new(16384, 16),
            nodes: vec![node],
            queues: queue("root", "root", leaves),
            minimum_mb: 256,
        }
    }

    fn checked(pairs: &[(&str, &str)]) -> Result<(), String> {
        let config: Configuration = pairs.iter().copied().collect();
        let outcome = Sizes::from_config(&config)
            .and_then(|sizes| check(&sizes, &Label::from_config(&config, "n")?, &offer()));
        outcome.map_err(|e| e.to_string())
    }

    #[test]
    fn what_fits_is_accepted_by_short_and_full_queue_name() {
        for queue in ["default", "other", "root.other"] {
            assert_eq!(checked(&[("yarn.application.queue", queue)]), Ok(()));
        }
    }

    #[test]
    fn a_label_is_what_the_configuration_says_and_a_negative_priority_is_none() {
        let config: Configuration =
            [("yarn.tags", "a, b,"), ("yarn.application.priority", "5")].into_iter().collect();
        let label = Label::from_config(&config, "n").unwrap();
        assert_eq!((label.tags, label.priority), (vec!["a".to_string(), "b".to_string()], Some(5)));
        let label = Label::from_config(&Configuration::default(), "n").unwrap();
        assert_eq!((label.name.as_str(), label.priority, label.queue.as_str()), ("n", None, "default"));
    }

    #[test]
    fn each_breach_has_its_text() {
        assert_eq!(
            checked(&[("yarn.application.queue", "nosuch")]).unwrap_err(),
            "The specified queue 'nosuch' does not exist. Available queues: default, other"
        );
        assert_eq!(
            checked(&[("jobmanager.memory.process.size", "20000m")]).unwrap_err(),
            "The cluster does not have the requested resources for the JobManager available!\nMaximum Memory: 16384MB Requested: 20000MB. Please check the 'yarn.scheduler.maximum-allocation-mb' and the 'yarn.nodemanager.resource.memory-mb' configuration values"
        );
        assert!(
            checked(&[("taskmanager.memory.process.size", "20000m")])
                .unwrap_err()
                .contains("for the TaskManagers available!")
        );
        assert!(checked(&[("yarn.containers.vcores", "50")]).unwrap_err().starts_with(
            "The number of requested virtual cores per node 50 exceeds the maximum number of virtual cores 16 available"
        ));
        assert!(
            checked(&[("yarn.application.type", "a type that is much too long")])
                .unwrap_err()
                .contains("20 characters")
        );
        assert!(checked(&[("yarn.tags", "a,b,ü")]).unwrap_err().contains("'ü'"));
        assert!(checked(&[("yarn.tags", "1,2,3,4,5,6,7,8,9,10,11")]).unwrap_err().contains("at most 10"));
    }
}
