//! Containers as they are granted, started and ended.

use super::resource::{Resource, from_wire};
use crate::credentials::Token;
use crate::ids::{ContainerId, NodeId};
use crate::proto::yarn as pb;

/// Exit statuses that YARN gives rather than the process (`ContainerExitStatus`).
pub mod exit_status {
    /// Not ended, or failed before it began (localisation).
    pub const INVALID: i32 = -1000;
    /// Released, expired before its start, or its node was lost.
    pub const ABORTED: i32 = -100;
    /// The node's disks failed.
    pub const DISKS_FAILED: i32 = -101;
    /// Preempted by the scheduler.
    pub const PREEMPTED: i32 = -102;
    /// Used more virtual memory than it has.
    pub const EXCEEDED_VIRTUAL_MEMORY: i32 = -103;
    /// Used more memory than it has.
    pub const EXCEEDED_MEMORY: i32 = -104;
    /// Stopped by the master.
    pub const STOPPED_BY_MASTER: i32 = -105;
    /// Killed by the ResourceManager.
    pub const KILLED_BY_RESOURCE_MANAGER: i32 = -106;
    /// Killed because the application had ended.
    pub const KILLED_AFTER_COMPLETION: i32 = -107;
    /// Killed by the NodeManager's container scheduler.
    pub const KILLED_BY_CONTAINER_SCHEDULER: i32 = -108;

    /// Whether the status is nothing that the container did.
    pub fn is_not_its_fault(status: i32) -> bool {
        let blameless = [
            ABORTED,
            DISKS_FAILED,
            PREEMPTED,
            KILLED_BY_RESOURCE_MANAGER,
            KILLED_AFTER_COMPLETION,
            KILLED_BY_CONTAINER_SCHEDULER,
        ];
        blameless.contains(&status)
    }
}

/// A granted container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Where it is.
    pub node_id: NodeId,
    /// Address of the node's web pages, `host:port`.
    pub http_address: String,
    /// What it has: possibly more than was asked for.
    pub resource: Resource,
    /// The priority it was asked for with.
    pub priority: i32,
    /// What the NodeManager needs to start it.
    pub token: Option<Token>,
    /// How often its resource has been changed.
    pub version: i32,
}

impl Container {
    /// `None` if the ResourceManager left out the id or the node.
    pub(crate) fn from_wire(container: &pb::Container) -> Option<Self> {
        Some(Self {
            id: container.id.as_ref()?.into(),
            node_id: container.node_id.as_ref()?.into(),
            http_address: container.node_http_address().to_owned(),
            resource: from_wire(container.resource.as_ref()),
            priority: container.priority.as_ref().map_or(0, pb::Priority::priority),
            token: container.container_token.as_ref().map(Token::from),
            version: container.version(),
        })
    }
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Accepted; files may still be on their way.
    New,
    /// Running.
    Running,
    /// Ended.
    Complete,
    /// A state that this crate does not know.
    Other(i32),
}

impl From<i32> for ContainerState {
    fn from(state: i32) -> Self {
        match pb::ContainerState::try_from(state) {
            Ok(pb::ContainerState::ContainerNew) => Self::New,
            Ok(pb::ContainerState::ContainerRunning) => Self::Running,
            Ok(pb::ContainerState::ContainerComplete) => Self::Complete,
            Err(_) => Self::Other(state),
        }
    }
}

/// How a container is, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Which.
    pub id: ContainerId,
    /// What it is doing.
    pub state: ContainerState,
    /// The process's exit status, or one of [`exit_status`].
    pub exit_status: i32,
    /// What YARN has to say, mostly the end of the process's error output.
    pub diagnostics: String,
}

impl ContainerStatus {
    pub(crate) fn from_wire(status: &pb::ContainerStatus) -> Option<Self> {
        Some(Self {
            id: status.container_id.as_ref()?.into(),
            state: status.state.unwrap_or_default().into(),
            exit_status: status.exit_status(),
            diagnostics: status.diagnostics().to_owned(),
        })
    }
}

/// A live container as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerReport {
    /// Which.
    pub id: ContainerId,
    /// Where.
    pub node_id: Option<NodeId>,
    /// What it has.
    pub resource: Resource,
    /// When it was granted, ms since 1970.
    pub creation_time: i64,
    /// Where its log is.
    pub log_url: String,
    /// Its exit status once it has ended.
    pub exit_status: i32,
    /// Address of the node's web pages.
    pub http_address: String,
}

impl ContainerReport {
    pub(crate) fn from_wire(report: &pb::ContainerReport) -> Option<Self> {
        Some(Self {
            id: report.container_id.as_ref()?.into(),
            node_id: report.node_id.as_ref().map(NodeId::from),
            resource: from_wire(report.resource.as_ref()),
            creation_time: report.creation_time(),
            log_url: report.log_url().to_owned(),
            exit_status: report.exit_status(),
            http_address: report.node_http_address().to_owned(),
        })
    }
}

/// What a container's process is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGQUIT, upon which a Java process writes its threads' stacks.
    ThreadDump,
    /// SIGTERM.
    Graceful,
    /// SIGKILL.
    Forceful,
}

impl Signal {
    /// Its number on the wire.
    pub(crate) fn number(self) -> i32 {
        let command = match self {
            Self::ThreadDump => pb::SignalCommand::SignalOutputThreadDump,
            Self::Graceful => pb::SignalCommand::SignalGracefulShutdown,
            Self::Forceful => pb::SignalCommand::SignalForcefulShutdown,
        };
        command as i32
    }
}

/// Containers that the scheduler wants back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preemption {
    /// These will be killed.
    pub strict: Vec<ContainerId>,
    /// These will be killed unless as much is given back otherwise.
    pub negotiable: Vec<ContainerId>,
}

impl From<&pb::PreemptionMessage> for Preemption {
    fn from(message: &pb::PreemptionMessage) -> Self {
        let ids = |containers: &[pb::PreemptionContainer]| {
            containers.iter().filter_map(|container| container.id.as_ref()).map(ContainerId::from).collect()
        };
        Self {
            strict: message
                .strict_contract
                .as_ref()
                .map(|contract| ids(&contract.container))
                .unwrap_or_default(),
            negotiable: message
                .contract
                .as_ref()
                .map(|contract| ids(&contract.container))
                .unwrap_or_default(),
        }
    }
}
