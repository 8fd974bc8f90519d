//! Changes to containers that run: their resources, files, command; and signals to them.
//! Owns these calls alone; the clients and outcomes are the parent's.

use super::{NmClients, NmError, Outcomes, settle};
use crate::ids::{ContainerId, NodeId};
use crate::proto::yarn as pb;
use crate::records::{Container, LaunchContext, LocalResource, LocalResourceError, Signal};
use std::collections::BTreeMap;

impl NmClients {
    /// Enforces the changed resources of containers of one node, each as the ResourceManager granted it
    /// ([`AmClient::update_container`](crate::am::AmClient::update_container)): its new token says what it now has.
    pub async fn update(&self, node: &NodeId, containers: &[Container]) -> Outcomes<()> {
        let (with_token, without): (Vec<_>, Vec<_>) =
            containers.iter().partition(|container| container.token.is_some());
        let missing = |container: &&Container| (container.id, Err(NmError::NoContainerToken(container.id)));
        let mut outcomes: Outcomes<()> = without.iter().map(missing).collect();
        if !with_token.is_empty() {
            let tokens = with_token.iter().filter_map(|container| container.token.as_ref());
            let request =
                pb::ContainerUpdateRequest { update_container_token: tokens.map(Into::into).collect() };
            let answer: Result<pb::ContainerUpdateResponse, NmError> =
                self.call(node, "updateContainer", &request).await;
            let asked: Vec<ContainerId> = with_token.iter().map(|container| container.id).collect();
            let answer = answer.map(|answer| (answer.succeeded_requests, answer.failed_requests));
            outcomes.extend(settle(node, &asked, answer));
        }
        outcomes
    }

    /// Signals a container's process at once.
    ///
    /// # Errors
    /// When the NodeManager does not have the container or the call fails.
    pub async fn signal(&self, node: &NodeId, id: ContainerId, signal: Signal) -> Result<(), NmError> {
        let request = pb::SignalContainerRequest { container_id: id.into(), command: signal.number() };
        let _: pb::SignalContainerResponse = self.call(node, "signalToContainer", &request).await?;
        Ok(())
    }

    /// Has more files brought to a running container, by the names of their links in its working directory. Returns
    /// before they are there.
    ///
    /// # Errors
    /// When a URL is unusable, the container does not run, or the call fails.
    pub async fn localize(
        &self,
        node: &NodeId,
        id: ContainerId,
        resources: &BTreeMap<String, LocalResource>,
    ) -> Result<(), NmError> {
        let resource = |(name, resource): (&String, &LocalResource)| {
            Ok(pb::StringLocalResource { key: Some(name.clone()), value: Some(resource.to_wire()?) })
        };
        let request = pb::ResourceLocalizationRequest {
            container_id: Some(id.into()),
            local_resources: resources.iter().map(resource).collect::<Result<_, LocalResourceError>>()?,
        };
        let _: pb::ResourceLocalizationResponse = self.call(node, "localize", &request).await?;
        Ok(())
    }

    /// Ends a running container's process and starts another in its place, as `context` says, in the same container.
    /// There is no way back to the old one afterwards (`auto_commit`).
    ///
    /// # Errors
    /// When a URL is unusable, the container does not run, or the call fails.
    pub async fn reinitialize(
        &self,
        node: &NodeId,
        id: ContainerId,
        context: &LaunchContext,
    ) -> Result<(), NmError> {
        let request = pb::ReInitializeContainerRequest {
            container_id: Some(id.into()),
            container_launch_context: Some(context.to_wire()?),
            auto_commit: Some(true),
        };
        let _: pb::ReInitializeContainerResponse = self.call(node, "reInitializeContainer", &request).await?;
        Ok(())
    }
}
