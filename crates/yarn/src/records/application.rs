//! Applications: how one is submitted, what is reported of it.

use super::launch::{LaunchContext, LocalResourceError};
use super::resource::{Resource, from_wire};
use super::state::{ApplicationState, FinalStatus};
use crate::credentials::Token;
use crate::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use crate::proto::yarn as pb;
use std::time::Duration;

/// Which log files are aggregated, by regular expressions of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogAggregation {
    /// Uploaded at the end; `None`: all.
    pub include: Option<String>,
    /// Never uploaded at the end.
    pub exclude: Option<String>,
    /// Uploaded while the application runs.
    pub rolled_include: Option<String>,
    /// Never uploaded while it runs.
    pub rolled_exclude: Option<String>,
}

impl From<&LogAggregation> for pb::LogAggregationContext {
    fn from(context: &LogAggregation) -> Self {
        Self {
            include_pattern: context.include.clone(),
            exclude_pattern: context.exclude.clone(),
            rolled_logs_include_pattern: context.rolled_include.clone(),
            rolled_logs_exclude_pattern: context.rolled_exclude.clone(),
        }
    }
}

/// All that is said at submission.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmissionContext {
    /// The id that [`YarnClient::new_application`](crate::client::YarnClient::new_application) gave.
    pub application_id: ApplicationId,
    /// Name for people.
    pub name: String,
    /// Queue, by short or full name.
    pub queue: String,
    /// Priority; the queue's default if `None`.
    pub priority: Option<i32>,
    /// How to start the master.
    pub launch: LaunchContext,
    /// What the master's container has.
    pub resource: Resource,
    /// Kind of application, at most 20 characters.
    pub application_type: String,
    /// Tags, at most ten, ASCII, 100 characters each; the ResourceManager stores them in lower case.
    pub tags: Vec<String>,
    /// Attempts in all; 0 for the cluster's setting.
    pub max_attempts: u32,
    /// Only attempts that failed within this time count; all do if `None`.
    pub failures_validity: Option<Duration>,
    /// Whether containers outlive an attempt.
    pub keep_containers: bool,
    /// Whether the client runs the master itself.
    pub unmanaged: bool,
    /// Label of the nodes that the containers go to, if not the queue's default.
    pub node_label: Option<String>,
    /// Label of the nodes that the master goes to.
    pub am_node_label: Option<String>,
    /// Longest life; unlimited if `None`.
    pub lifetime: Option<Duration>,
    /// Which logs are aggregated; all of them if `None`.
    pub log_aggregation: Option<LogAggregation>,
    /// Whether delegation tokens are cancelled at the end.
    pub cancel_tokens: bool,
}

impl SubmissionContext {
    /// A submission with YARN's defaults: queue "default", 1024 MB and one vcore for the master.
    pub fn new(application_id: ApplicationId, name: impl Into<String>, launch: LaunchContext) -> Self {
        Self {
            application_id,
            name: name.into(),
            queue: "default".to_owned(),
            priority: None,
            launch,
            resource: Resource::new(1024, 1),
            application_type: "YARN".to_owned(),
            tags: Vec::new(),
            max_attempts: 0,
            failures_validity: None,
            keep_containers: false,
            unmanaged: false,
            node_label: None,
            am_node_label: None,
            lifetime: None,
            log_aggregation: None,
            cancel_tokens: true,
        }
    }

    pub(crate) fn to_wire(&self) -> Result<pb::ApplicationSubmissionContext, LocalResourceError> {
        let timeout = |lifetime: Duration| pb::ApplicationTimeout {
            r#type: Some(pb::TimeoutType::TimeoutLifetime as i32),
            timeout: Some(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
        };
        Ok(pb::ApplicationSubmissionContext {
            application_id: Some(self.application_id.into()),
            application_name: Some(self.name.clone()),
            queue: Some(self.queue.clone()),
            priority: self.priority.map(|priority| pb::Priority { priority: Some(priority) }),
            am_container_spec: Some(self.launch.to_wire()?),
            cancel_tokens_when_complete: Some(self.cancel_tokens),
            unmanaged_am: Some(self.unmanaged),
            max_app_attempts: Some(i32::try_from(self.max_attempts).unwrap_or(i32::MAX)),
            resource: Some((&self.resource).into()),
            application_type: Some(self.application_type.clone()),
            keep_containers_across_application_attempts: Some(self.keep_containers),
            application_tags: self.tags.clone(),
            attempt_failures_validity_interval: self.failures_validity.map(millis),
            log_aggregation_context: self.log_aggregation.as_ref().map(Into::into),
            node_label_expression: self.node_label.clone(),
            am_container_resource_request: self.am_request().into_iter().collect(),
            application_timeouts: self.lifetime.into_iter().map(timeout).collect(),
            application_scheduling_properties: Vec::new(),
        })
    }

    /// The master's own request, needed only to give it a label.
    fn am_request(&self) -> Option<pb::ResourceRequest> {
        let label = self.am_node_label.clone()?;
        Some(pb::ResourceRequest {
            priority: Some(pb::Priority { priority: Some(0) }),
            resource_name: Some("*".to_owned()),
            capability: Some((&self.resource).into()),
            num_containers: Some(1),
            relax_locality: Some(true),
            node_label_expression: Some(label),
            allocation_request_id: None,
        })
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What an application has and has used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    /// Containers in use; -1 once it is over.
    pub containers: i32,
    /// What is in use.
    pub used: Resource,
    /// Memory used over time, MiB × seconds.
    pub memory_seconds: i64,
    /// Cores used over time, vcores × seconds.
    pub vcore_seconds: i64,
}

/// What the ResourceManager says of an application.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationReport {
    /// Which.
    pub id: ApplicationId,
    /// The attempt that runs, or ran last.
    pub attempt: Option<ApplicationAttemptId>,
    /// Who submitted it.
    pub user: String,
    /// Its queue, by full name.
    pub queue: String,
    /// Its name.
    pub name: String,
    /// Host that the master registered; "N/A" before.
    pub host: String,
    /// Port that the master registered; -1 before.
    pub rpc_port: i32,
    /// Where it is in its life.
    pub state: ApplicationState,
    /// How it ended by its own account.
    pub final_status: FinalStatus,
    /// Where people look at it: through the web proxy.
    pub tracking_url: String,
    /// Where the master itself serves its pages.
    pub original_tracking_url: String,
    /// What YARN or the master says about it.
    pub diagnostics: String,
    /// Submission, ms since 1970.
    pub start_time: i64,
    /// Launch of the master, ms since 1970; 0 before.
    pub launch_time: i64,
    /// End, ms since 1970; 0 before.
    pub finish_time: i64,
    /// 0 to 1.
    pub progress: f32,
    /// Its kind.
    pub application_type: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its priority.
    pub priority: i32,
    /// What it has.
    pub usage: ResourceUsage,
    /// The master's token, for an unmanaged master while it may register.
    pub am_rm_token: Option<Token>,
    /// How long it may still run; unlimited if `None`.
    pub remaining_lifetime: Option<Duration>,
    /// What proves a client to the master (secure clusters).
    pub client_to_am_token: Option<Token>,
}

impl ApplicationReport {
    pub(crate) fn from_wire(report: &pb::ApplicationReport) -> Option<Self> {
        Some(Self {
            id: report.application_id.as_ref()?.into(),
            attempt: report.current_attempt_id.as_ref().map(ApplicationAttemptId::from),
            user: report.user().to_owned(),
            queue: report.queue().to_owned(),
            name: report.name().to_owned(),
            host: report.host().to_owned(),
            rpc_port: report.rpc_port(),
            state: report.state.unwrap_or_default().into(),
            final_status: report.final_status.unwrap_or_default().into(),
            tracking_url: report.tracking_url().to_owned(),
            original_tracking_url: report.original_tracking_url().to_owned(),
            diagnostics: report.diagnostics().to_owned(),
            start_time: report.start_time(),
            launch_time: report.launch_time(),
            finish_time: report.finish_time(),
            progress: report.progress(),
            application_type: report.application_type().to_owned(),
            tags: report.tags.clone(),
            priority: report.priority.as_ref().map_or(0, pb::Priority::priority),
            usage: report.resource_usage.as_ref().map(ResourceUsage::from).unwrap_or_default(),
            remaining_lifetime: remaining_lifetime(&report.timeouts),
            am_rm_token: report.am_rm_token.as_ref().map(Token::from),
            client_to_am_token: report.client_to_am_token.as_ref().map(Token::from),
        })
    }
}

fn remaining_lifetime(timeouts: &[pb::ApplicationTimeoutEntry]) -> Option<Duration> {
    let lifetime = timeouts.iter().find(|one| one.r#type() == pb::TimeoutType::TimeoutLifetime)?;
    // Without a limit it is -1.
    u64::try_from(lifetime.timeout.as_ref()?.remaining_time?).ok().map(Duration::from_secs)
}

impl From<&pb::ApplicationResourceUsage> for ResourceUsage {
    fn from(usage: &pb::ApplicationResourceUsage) -> Self {
        Self {
            containers: usage.used_containers(),
            used: from_wire(usage.used.as_ref()),
            memory_seconds: usage.memory_seconds(),
            vcore_seconds: usage.vcore_seconds(),
        }
    }
}

/// Which applications to list; an empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Kinds.
    pub types: Vec<String>,
    /// States.
    pub states: Vec<ApplicationState>,
    /// Users.
    pub users: Vec<String>,
    /// Queues.
    pub queues: Vec<String>,
    /// Tags, in lower case.
    pub tags: Vec<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

impl From<&ApplicationFilter> for pb::GetApplicationsRequest {
    fn from(filter: &ApplicationFilter) -> Self {
        Self {
            application_types: filter.types.clone(),
            application_states: filter.states.iter().map(|state| i32::from(*state)).collect(),
            users: filter.users.clone(),
            queues: filter.queues.clone(),
            limit: filter.limit.map(i64::from),
            application_tags: filter.tags.clone(),
            name: None,
        }
    }
}

/// One attempt to run an application's master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptReport {
    /// Which.
    pub id: ApplicationAttemptId,
    /// Host that the master registered.
    pub host: String,
    /// Where people look at it.
    pub tracking_url: String,
    /// What is said about it.
    pub diagnostics: String,
    /// `YarnApplicationAttemptStateProto`: 1 NEW … 8 RUNNING, 9 FINISHING, 10 FINISHED, 11 KILLED.
    pub state: i32,
    /// The master's container.
    pub am_container: Option<ContainerId>,
    /// Begin, ms since 1970.
    pub start_time: i64,
    /// End, ms since 1970; 0 before.
    pub finish_time: i64,
}

impl AttemptReport {
    pub(crate) fn from_wire(report: &pb::ApplicationAttemptReport) -> Option<Self> {
        Some(Self {
            id: report.attempt_id.as_ref()?.into(),
            host: report.host().to_owned(),
            tracking_url: report.tracking_url().to_owned(),
            diagnostics: report.diagnostics().to_owned(),
            state: report.state(),
            am_container: report.am_container_id.as_ref().map(ContainerId::from),
            start_time: report.start_time(),
            finish_time: report.finish_time(),
        })
    }
}
