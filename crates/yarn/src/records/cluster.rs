//! Nodes, queues and the cluster as a whole.

use super::resource::{Resource, from_wire};
use crate::ids::NodeId;
use crate::proto::yarn as pb;

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeState {
    /// Not yet known.
    New,
    /// Takes containers.
    Running,
    /// Says it is not well.
    Unhealthy,
    /// Taken out.
    Decommissioned,
    /// Not heard of for too long; its containers are over.
    Lost,
    /// Started anew.
    Rebooted,
    /// Being taken out.
    Decommissioning,
    /// Shut down in order.
    Shutdown,
    /// A state that this crate does not know.
    Other(i32),
}

impl From<i32> for NodeState {
    fn from(state: i32) -> Self {
        match state {
            1 => Self::New,
            2 => Self::Running,
            3 => Self::Unhealthy,
            4 => Self::Decommissioned,
            5 => Self::Lost,
            6 => Self::Rebooted,
            7 => Self::Decommissioning,
            8 => Self::Shutdown,
            other => Self::Other(other),
        }
    }
}

impl From<NodeState> for i32 {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::New => 1,
            NodeState::Running => 2,
            NodeState::Unhealthy => 3,
            NodeState::Decommissioned => 4,
            NodeState::Lost => 5,
            NodeState::Rebooted => 6,
            NodeState::Decommissioning => 7,
            NodeState::Shutdown => 8,
            NodeState::Other(other) => other,
        }
    }
}

impl NodeState {
    /// Whether containers can be started there.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Running)
    }
}

/// A node as the ResourceManager sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// Which.
    pub id: NodeId,
    /// Address of its web pages.
    pub http_address: String,
    /// Its rack, as `/default-rack`.
    pub rack: String,
    /// What is in use.
    pub used: Resource,
    /// What it has in all.
    pub capability: Resource,
    /// How many containers it runs.
    pub containers: u32,
    /// What it is doing.
    pub state: NodeState,
    /// What it says about its health.
    pub health_report: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Seconds after which a node that is being decommissioned is taken out whatever runs there (`NodeReportProto`, field 13).
    pub decommissioning_timeout: Option<u32>,
}

impl NodeReport {
    pub(crate) fn from_wire(report: &pb::NodeReport) -> Option<Self> {
        Some(Self {
            id: report.node_id.as_ref()?.into(),
            http_address: report.http_address().to_owned(),
            rack: report.rack_name().to_owned(),
            used: from_wire(report.used.as_ref()),
            capability: from_wire(report.capability.as_ref()),
            containers: u32::try_from(report.containers()).unwrap_or(0),
            state: report.state.unwrap_or_default().into(),
            health_report: report.health_report().to_owned(),
            labels: report.node_labels.clone(),
            decommissioning_timeout: report.decommissioning_timeout,
        })
    }
}

/// How many nodes are in which state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterMetrics {
    /// All of them.
    pub node_managers: i32,
    /// Taking containers.
    pub active: i32,
    /// Lost.
    pub lost: i32,
    /// Not well.
    pub unhealthy: i32,
    /// Taken out.
    pub decommissioned: i32,
    /// Started anew.
    pub rebooted: i32,
}

impl From<&pb::ClusterMetrics> for ClusterMetrics {
    fn from(metrics: &pb::ClusterMetrics) -> Self {
        Self {
            node_managers: metrics.node_managers(),
            active: metrics.active(),
            lost: metrics.lost(),
            unhealthy: metrics.unhealthy(),
            decommissioned: metrics.decommissioned(),
            rebooted: metrics.rebooted(),
        }
    }
}

/// Whether a queue takes applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueState {
    /// It takes none.
    Stopped,
    /// It takes them.
    Running,
    /// It takes no new ones.
    Draining,
    /// A state that this crate does not know.
    Other(i32),
}

impl From<i32> for QueueState {
    fn from(state: i32) -> Self {
        match state {
            1 => Self::Stopped,
            2 => Self::Running,
            3 => Self::Draining,
            other => Self::Other(other),
        }
    }
}

/// What goes on in a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueStatistics {
    /// Applications that run.
    pub apps_running: i64,
    /// Applications that wait.
    pub apps_pending: i64,
    /// Memory left, MiB.
    pub available_memory_mb: i64,
    /// Memory given, MiB.
    pub allocated_memory_mb: i64,
    /// Cores left.
    pub available_vcores: i64,
    /// Cores given.
    pub allocated_vcores: i64,
}

/// A queue and those below it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueInfo {
    /// Last part of its name.
    pub name: String,
    /// Its full name, as `root.default`; empty where the ResourceManager does not tell (before 3.3).
    pub path: String,
    /// Its share of its parent, 0 to 1.
    pub capacity: f32,
    /// The share it may grow to.
    pub maximum_capacity: f32,
    /// How much of its share is in use; may exceed 1.
    pub current_capacity: f32,
    /// Whether it takes applications.
    pub state: QueueState,
    /// What goes on in it.
    pub statistics: QueueStatistics,
    /// The queues below.
    pub children: Vec<QueueInfo>,
}

impl From<&pb::QueueStatistics> for QueueStatistics {
    fn from(statistics: &pb::QueueStatistics) -> Self {
        Self {
            apps_running: statistics.apps_running(),
            apps_pending: statistics.apps_pending(),
            available_memory_mb: statistics.available_memory_mb(),
            allocated_memory_mb: statistics.allocated_memory_mb(),
            available_vcores: statistics.available_vcores(),
            allocated_vcores: statistics.allocated_vcores(),
        }
    }
}

impl From<&pb::QueueInfo> for QueueInfo {
    fn from(queue: &pb::QueueInfo) -> Self {
        Self {
            name: queue.name().to_owned(),
            path: queue.path().to_owned(),
            capacity: queue.capacity(),
            maximum_capacity: queue.maximum_capacity(),
            current_capacity: queue.current_capacity(),
            state: queue.state.unwrap_or_default().into(),
            statistics: queue.statistics.as_ref().map(QueueStatistics::from).unwrap_or_default(),
            children: queue.child_queues.iter().map(Self::from).collect(),
        }
    }
}

/// What a user may do in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueAcls {
    /// Submit applications to it.
    pub submit: bool,
    /// Administer it: kill and move its applications.
    pub administer: bool,
}

impl From<&pb::QueueUserAclInfo> for QueueAcls {
    fn from(info: &pb::QueueUserAclInfo) -> Self {
        let has = |acl: pb::QueueAcl| info.user_acls.contains(&(acl as i32));
        Self {
            submit: has(pb::QueueAcl::QaclSubmitApplications),
            administer: has(pb::QueueAcl::QaclAdministerQueue),
        }
    }
}

/// A label that nodes can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLabel {
    /// Its name.
    pub name: String,
    /// Whether its nodes are kept from applications that do not ask for the label.
    pub is_exclusive: bool,
}

impl From<&pb::NodeLabel> for NodeLabel {
    fn from(label: &pb::NodeLabel) -> Self {
        Self { name: label.name().to_owned(), is_exclusive: label.is_exclusive() }
    }
}
