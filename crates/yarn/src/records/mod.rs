//! YARN's records as plain values: what applications say and are told.
//! Owns their fields and conversions from and to the wire; knows no protocol's order of calls.

mod application;
mod cluster;
mod container;
mod launch;
mod resource;
mod state;
mod time;

pub use application::{
    ApplicationFilter, ApplicationReport, AttemptReport, LogAggregation, ResourceUsage, SubmissionContext,
};
pub use cluster::{
    ClusterMetrics, NodeLabel, NodeReport, NodeState, QueueAcls, QueueInfo, QueueState, QueueStatistics,
};
pub use container::{
    Container, ContainerReport, ContainerState, ContainerStatus, Preemption, Signal, exit_status,
};
pub use launch::{
    AccessType, LaunchContext, LocalResource, LocalResourceError, LocalResourceType, Visibility,
};
pub use resource::{Resource, ResourceType};
pub use state::{ApplicationState, FinalStatus};
pub(crate) use time::iso8601;
