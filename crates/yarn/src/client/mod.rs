//! The ResourceManager for clients (`ApplicationClientProtocol`): submit, watch, kill, look around.
//! Owns the calls and their loops; knows nothing of what a submission contains.
//!
//! Of the protocol's calls two kinds are left out: reservations of capacity ahead of time, and node attributes, which
//! only placement constraints (scheduling requests) could use.

mod changes;
mod cluster;
mod error;
mod tokens;

pub use error::{ClientError, Result};
pub use tokens::{cancel_hdfs_delegation_token, hdfs_delegation_tokens, renew_hdfs_delegation_token};

use crate::conf::HadoopConf;
use crate::credentials::{Credentials, RM_DELEGATION_TOKEN};
use crate::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use crate::proto::yarn as pb;
use crate::records::{
    ApplicationFilter, ApplicationReport, AttemptReport, ClusterMetrics, ContainerReport, NodeReport,
    NodeState, QueueInfo, Resource, SubmissionContext,
};
use crate::rpc::{RpcClient, RpcError};
use prost::Message;
use std::time::Duration;
use tokio::time::Instant;

/// Java name of the protocol.
const PROTOCOL: &str = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB";
/// Pause between two looks at an application that is being killed.
const KILL_PAUSE: Duration = Duration::from_millis(100);

/// A client of the ResourceManager. Every call is retried, and fails over, until the client's deadline has passed since its begin.
pub struct YarnClient {
    rpc: RpcClient,
    patience: Duration,
}

impl YarnClient {
    /// A client for the configured ResourceManagers as `user`; every call may take `patience` including retries.
    /// Connects with the first call. On a secure cluster the environment's RM delegation token is used.
    ///
    /// # Errors
    /// When an address is malformed, or the environment names a token file that cannot be read.
    pub fn connect(conf: &HadoopConf, user: &str, patience: Duration) -> Result<Self> {
        let credentials = Credentials::from_environment()?;
        Self::with_credentials(conf, user, &credentials, patience)
    }

    /// As [`connect`](Self::connect), with given credentials in place of the environment's.
    ///
    /// # Errors
    /// When an address is malformed.
    pub fn with_credentials(
        conf: &HadoopConf,
        user: &str,
        credentials: &Credentials,
        patience: Duration,
    ) -> Result<Self> {
        let targets = conf.resource_manager_addresses()?;
        let identity = tokens::identity(conf, user, credentials.token_of_kind(RM_DELEGATION_TOKEN));
        let mut options = conf.rpc_options()?;
        options.connect_timeout = options.connect_timeout.min(patience);
        Ok(Self { rpc: RpcClient::new(PROTOCOL, targets, identity, options), patience })
    }

    /// The same for every call.
    async fn call<Q: Message, R: Message + Default>(
        &self,
        act: &'static str,
        method: &str,
        request: &Q,
    ) -> Result<R> {
        let answer = self.rpc.call(method, request, Instant::now() + self.patience).await;
        answer.map_err(|source| ClientError::Call { act, source })
    }

    /// A fresh application id, and the most that one container can have.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn new_application(&self) -> Result<(ApplicationId, Resource)> {
        const ACT: &str = "cannot get an application id from the ResourceManager";
        let answer: pb::GetNewApplicationResponse =
            self.call(ACT, "getNewApplication", &pb::GetNewApplicationRequest {}).await?;
        let id = answer
            .application_id
            .as_ref()
            .ok_or(ClientError::Incomplete { act: ACT, missing: "application id" })?;
        Ok((id.into(), crate::records::Resource::from(&answer.maximum_capability.unwrap_or_default())))
    }

    /// Submits an application; it is then not accepted yet (see [`report`](Self::report)). May be repeated with the same id.
    ///
    /// # Errors
    /// When the ResourceManager refuses it, or the call fails.
    pub async fn submit(&self, context: &SubmissionContext) -> Result<()> {
        let request =
            pb::SubmitApplicationRequest { application_submission_context: Some(context.to_wire()?) };
        let _: pb::SubmitApplicationResponse =
            self.call("cannot submit the application", "submitApplication", &request).await?;
        Ok(())
    }

    /// How an application is.
    ///
    /// # Errors
    /// When it is unknown ([`ClientError::is_application_not_found`]) or the call fails.
    pub async fn report(&self, id: ApplicationId) -> Result<ApplicationReport> {
        const ACT: &str = "cannot get the report of the application";
        let request = pb::GetApplicationReportRequest { application_id: Some(id.into()) };
        let answer: pb::GetApplicationReportResponse =
            self.call(ACT, "getApplicationReport", &request).await?;
        let report = answer.application_report.as_ref().and_then(ApplicationReport::from_wire);
        report.ok_or(ClientError::Incomplete { act: ACT, missing: "report" })
    }

    /// Kills an application and waits until it is dead.
    ///
    /// # Errors
    /// When the call fails or it does not die in time.
    pub async fn kill(&self, id: ApplicationId, diagnostics: &str) -> Result<()> {
        const ACT: &str = "cannot kill the application";
        let request = pb::KillApplicationRequest {
            application_id: Some(id.into()),
            diagnostics: Some(diagnostics.to_owned()),
        };
        let deadline = Instant::now() + self.patience;
        while Instant::now() < deadline {
            let answer: pb::KillApplicationResponse =
                self.call(ACT, "forceKillApplication", &request).await?;
            if answer.is_kill_completed() {
                return Ok(());
            }
            tokio::time::sleep(KILL_PAUSE).await;
        }
        Err(ClientError::TooLate { act: ACT, after: self.patience })
    }

    /// The applications that the ResourceManager remembers.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn applications(&self, filter: &ApplicationFilter) -> Result<Vec<ApplicationReport>> {
        let request = pb::GetApplicationsRequest::from(filter);
        let answer: pb::GetApplicationsResponse =
            self.call("cannot list the applications", "getApplications", &request).await?;
        Ok(answer.applications.iter().filter_map(ApplicationReport::from_wire).collect())
    }

    /// The nodes in these states; in all states if none is named.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn nodes(&self, states: &[NodeState]) -> Result<Vec<NodeReport>> {
        let request = pb::GetClusterNodesRequest {
            node_states: states.iter().map(|state| i32::from(*state)).collect(),
        };
        let answer: pb::GetClusterNodesResponse =
            self.call("cannot list the nodes", "getClusterNodes", &request).await?;
        Ok(answer.node_reports.iter().filter_map(NodeReport::from_wire).collect())
    }

    /// How many nodes there are.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn metrics(&self) -> Result<ClusterMetrics> {
        let request = pb::GetClusterMetricsRequest {};
        let answer: pb::GetClusterMetricsResponse =
            self.call("cannot get the cluster's metrics", "getClusterMetrics", &request).await?;
        Ok(answer.cluster_metrics.as_ref().map(ClusterMetrics::from).unwrap_or_default())
    }

    /// One queue with all below it; `None` if there is none of that name.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn queue(&self, name: &str) -> Result<Option<QueueInfo>> {
        let request = pb::GetQueueInfoRequest {
            queue_name: Some(name.to_owned()),
            include_applications: Some(false),
            include_child_queues: Some(true),
            recursive: Some(true),
        };
        match self
            .call::<_, pb::GetQueueInfoResponse>("cannot look at the queue", "getQueueInfo", &request)
            .await
        {
            Ok(answer) => Ok(answer.queue_info.as_ref().map(QueueInfo::from)),
            // The CapacityScheduler throws an IOException for a name that it does not know.
            Err(ClientError::Call { source: RpcError::Remote { exception, .. }, .. })
                if exception.message.contains("Unknown queue") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// All queues, as the tree below `root`.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn queues(&self) -> Result<QueueInfo> {
        self.queue("root")
            .await?
            .ok_or(ClientError::Incomplete { act: "cannot list the queues", missing: "queue 'root'" })
    }

    /// The attempts of an application.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn attempts(&self, id: ApplicationId) -> Result<Vec<AttemptReport>> {
        let request = pb::GetApplicationAttemptsRequest { application_id: Some(id.into()) };
        let answer: pb::GetApplicationAttemptsResponse =
            self.call("cannot list the attempts", "getApplicationAttempts", &request).await?;
        Ok(answer.attempts.iter().filter_map(AttemptReport::from_wire).collect())
    }

    /// The live containers of an attempt.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn containers(&self, id: ApplicationAttemptId) -> Result<Vec<ContainerReport>> {
        let request = pb::GetContainersRequest { application_attempt_id: Some(id.into()) };
        let answer: pb::GetContainersResponse =
            self.call("cannot list the containers", "getContainers", &request).await?;
        Ok(answer.containers.iter().filter_map(ContainerReport::from_wire).collect())
    }

    /// One attempt.
    ///
    /// # Errors
    /// When it is unknown or the call fails.
    pub async fn attempt(&self, id: ApplicationAttemptId) -> Result<AttemptReport> {
        const ACT: &str = "cannot get the report of the attempt";
        let request = pb::GetApplicationAttemptReportRequest { application_attempt_id: Some(id.into()) };
        let answer: pb::GetApplicationAttemptReportResponse =
            self.call(ACT, "getApplicationAttemptReport", &request).await?;
        let report = answer.application_attempt_report.as_ref().and_then(AttemptReport::from_wire);
        report.ok_or(ClientError::Incomplete { act: ACT, missing: "report" })
    }

    /// One live container.
    ///
    /// # Errors
    /// When it is unknown, as one that has ended is, or the call fails.
    pub async fn container(&self, id: ContainerId) -> Result<ContainerReport> {
        const ACT: &str = "cannot get the report of the container";
        let request = pb::GetContainerReportRequest { container_id: Some(id.into()) };
        let answer: pb::GetContainerReportResponse = self.call(ACT, "getContainerReport", &request).await?;
        let report = answer.container_report.as_ref().and_then(ContainerReport::from_wire);
        report.ok_or(ClientError::Incomplete { act: ACT, missing: "report" })
    }
}
