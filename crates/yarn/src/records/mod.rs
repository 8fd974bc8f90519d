//! YARN's records as plain values: what applications say and are told.
//! Owns their fields and conversions from and to the wire; knows no protocol's order of calls.

mod application;
mod cluster;
mod container;
mod launch;
mod resource;
mod state;

pub use application::{
    ApplicationFilter, ApplicationReport, AttemptReport, LogAggregation, ResourceUsage, SubmissionContext,
};
pub use cluster::{ClusterMetrics, NodeReport, NodeState, QueueInfo, QueueState, QueueStatistics};
pub use container::{Container, ContainerReport, ContainerState, ContainerStatus, Preemption, exit_status};
pub use launch::{
    AccessType, LaunchContext, LocalResource, LocalResourceError, LocalResourceType, Visibility,
};
pub use resource::Resource;
pub use state::{ApplicationState, FinalStatus};
