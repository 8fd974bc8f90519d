//! Changes to an application that runs: its queue, priority, life time, attempts and containers.
//! Owns these calls alone; submitting and killing are the parent's.

use super::{Result, YarnClient};
use crate::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use crate::proto::yarn as pb;
use crate::records::{Signal, iso8601};
use std::time::SystemTime;

impl YarnClient {
    /// Ends an attempt as failed; YARN starts the next one if there may be one.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn fail_attempt(&self, id: ApplicationAttemptId) -> Result<()> {
        let request = pb::FailApplicationAttemptRequest { application_attempt_id: Some(id.into()) };
        let _: pb::FailApplicationAttemptResponse =
            self.call("cannot fail the attempt", "failApplicationAttempt", &request).await?;
        Ok(())
    }

    /// Has a container's process signalled with the node's next heartbeat; without effect on one that has ended.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn signal_container(&self, id: ContainerId, signal: Signal) -> Result<()> {
        let request = pb::SignalContainerRequest { container_id: id.into(), command: signal.number() };
        let _: pb::SignalContainerResponse =
            self.call("cannot signal the container", "signalToContainer", &request).await?;
        Ok(())
    }

    /// Moves an application to another queue.
    ///
    /// # Errors
    /// When the queue refuses it or the call fails.
    pub async fn move_to_queue(&self, id: ApplicationId, queue: &str) -> Result<()> {
        let request =
            pb::MoveApplicationRequest { application_id: id.into(), target_queue: queue.to_owned() };
        let _: pb::MoveApplicationResponse =
            self.call("cannot move the application", "moveApplicationAcrossQueues", &request).await?;
        Ok(())
    }

    /// Changes an application's priority; tells what it now is.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn update_priority(&self, id: ApplicationId, priority: i32) -> Result<i32> {
        let request = pb::UpdateApplicationPriorityRequest {
            application_id: id.into(),
            priority: pb::Priority { priority: Some(priority) },
        };
        let answer: pb::UpdateApplicationPriorityResponse = self
            .call("cannot change the application's priority", "updateApplicationPriority", &request)
            .await?;
        Ok(answer.priority.map_or(priority, |priority| priority.priority()))
    }

    /// Changes when an application that still runs is to be killed (`ApplicationTimeoutType.LIFETIME`).
    ///
    /// # Errors
    /// When the time is past, the application is over, or the call fails.
    pub async fn update_lifetime(&self, id: ApplicationId, until: SystemTime) -> Result<()> {
        let timeout = pb::UpdatedApplicationTimeout {
            r#type: Some(pb::TimeoutType::TimeoutLifetime as i32),
            expire_time: Some(iso8601(until)),
        };
        let request = pb::UpdateApplicationTimeoutsRequest {
            application_id: id.into(),
            application_timeouts: vec![timeout],
        };
        let _: pb::UpdateApplicationTimeoutsResponse = self
            .call("cannot change the application's life time", "updateApplicationTimeouts", &request)
            .await?;
        Ok(())
    }
}
